// Package media is one call's audio: RTP and RTCP, and what was measured of them.
//
// A session is a chain of typed frames between a socket and a source: packets in, jitter buffer, decoder, filters, source,
// encoder, packets out, paced by one clock. The chain is built whole from what was negotiated and swapped on a re-INVITE. It has
// four seams, each chosen by name: codec (agent/codec), filter, protection (none so far) and NAT traversal (plain so far).
package media

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// ErrPortsExhausted says that no even/odd pair of UDP ports is free in the range.
var ErrPortsExhausted = errors.New("no free RTP port pair")

// ErrClosed says that the session is over.
var ErrClosed = errors.New("media session closed")

// ErrNoTelephoneEvent says that the peer takes no RFC 4733 events.
var ErrNoTelephoneEvent = errors.New("peer takes no telephone-event")

// PortRange is the inclusive UDP port range RTP uses. The zero value lets the kernel choose.
type PortRange struct{ First, Last int }

// Config is what a session is opened with.
type Config struct {
	Local        netip.Addr // address to bind and to announce
	Ports        PortRange
	SymmetricRTP bool // send to where audio came from, not to what the description said (sendAudioBack)
	Log          *slog.Logger
}

// Session is the audio of one call. All methods may be called from any goroutine.
type Session struct{}

// Stats is what a session has measured so far. Counters only grow; pointers are nil until there was something to measure.
type Stats struct {
	Codec     string // what is sent, as "PCMU/8000"
	LocalSSRC uint32

	Sent     uint64 // RTP packets sent
	Received uint64 // RTP packets received from the peer, duplicates not counted
	Lost     uint64 // RTP packets that never arrived
	// Discarded packets arrived too late to be played, or when the buffer was full. They count as received.
	Discarded  uint64
	Duplicates uint64
	Reordered  uint64
	Refused    uint64 // datagrams that were not the peer's RTP or RTCP: strangers, malformed, before the start
	SSRCs      int    // synchronisation sources seen from the peer

	JitterMs *float64 // interarrival jitter, RFC 3550 A.8
	RTTMs    *float64 // round trip by RTCP, RFC 3550 §6.4.1
	BufferMs *float64 // delay the jitter buffer adds now
	R, MOS   *float64 // E-model, listening here; see EModel
	Peer     *PeerReport

	FirstPacket, LastPacket time.Time // of the peer's RTP; zero when none came
	Heard                   *Heard    // what is heard now; nil when silent
	LastHeard               *Heard    // the last that was heard; nil when nothing ever was
	DTMF                    string    // digits received
	DTMFSent                string    // digits sent
}

// PeerReport is what the peer's last RTCP report said of the stream we send.
type PeerReport struct {
	Lost         int     // packets, cumulative; duplicates can make it negative
	FractionLost float64 // 0..1, since its report before
	JitterMs     float64
}

// Heard is the dominant tone in received audio.
type Heard struct {
	FrequencyHz float64
	LevelDBm0   float64 // level of the audio, 0 dBm0 as in G.711
}

// MOSMethod names how R and MOS are made.
const MOSMethod = "E-model, ITU-T G.107, Ie and Bpl by G.113"

// Source says what a session sends: Silence, Echo or Tone.
type Source interface {
	// Open makes the running source for PCM at rate Hz.
	Open(rate int) Generator
}

// Generator is a running source.
type Generator interface {
	// Fill writes the next samples into out. heard is the audio played in the same moment, as many samples.
	Fill(out, heard []int16)
}

// Silence sends silence.
type Silence struct{}

// Echo sends back what is heard, after the jitter buffer; silence while nothing is.
type Echo struct{}

// Tone sends one continuous sine.
type Tone struct {
	Hz        float64
	LevelDBm0 float64 // 0 is loud, -10 is usual
}

// Open implements Source.
func (Silence) Open(int) Generator { return nil }

// Open implements Source.
func (Echo) Open(int) Generator { return nil }

// Open implements Source.
func (t Tone) Open(rate int) Generator { return nil }

// Open binds an RTP (even) and RTCP (odd) port pair. Packets are refused until Start. The error wraps ErrPortsExhausted when the
// range is full.
func Open(c Config) (*Session, error) { return nil, ErrPortsExhausted }

// LocalRTP is the address to announce; RTCP is the port after it.
func (s *Session) LocalRTP() netip.AddrPort { return netip.AddrPort{} }

// Start begins sending and receiving as negotiated.
func (s *Session) Start(n sdp.Negotiated, source Source) error { return nil }

// Update takes over what a re-INVITE negotiated. A source equal to the running one keeps its phase.
func (s *Session) Update(n sdp.Negotiated, source Source) error { return nil }

// SendDTMF queues digits (0-9 * # A-D, "," is a pause) as RFC 4733 events and returns at once.
func (s *Session) SendDTMF(digits string) error { return nil }

// SetOnDTMF names who is told each received digit, once, when it begins. It must not block.
func (s *Session) SetOnDTMF(f func(digit rune)) {}

// Stats is a snapshot. It stays readable after Close.
func (s *Session) Stats() Stats { return Stats{} }

// Close sends an RTCP BYE, frees the ports and waits until nothing of the session runs. Closing twice is harmless.
func (s *Session) Close() error { return nil }
