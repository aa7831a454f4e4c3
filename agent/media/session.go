// Package media is one call's audio: RTP and RTCP, and what was measured of them.
//
// A session is a chain of typed frames between a socket and a source: packets in, jitter buffer, decoder, filters, source,
// encoder, packets out, paced by one clock. The chain is built whole from what was negotiated and swapped on a re-INVITE. It has
// four seams, each chosen by name: codec (agent/codec), filter, protection (none, SDES, DTLS) and NAT traversal (plain, STUN, TURN).
package media

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/dtmf"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// Errors of a session's methods.
var (
	ErrClosed           = errors.New("media session is closed")
	ErrStarted          = errors.New("media session was started before")
	ErrNotStarted       = errors.New("media session was not started")
	ErrNoTelephoneEvent = errors.New("the peer takes no telephone-event")
)

// Config is what a session is opened with.
type Config struct {
	Local        netip.Addr // address to bind and to announce
	Ports        PortRange
	SymmetricRTP bool         // send to where audio came from, not to what the description said (sendAudioBack)
	EventVolume  uint8        // of telephone-events sent, in dBm0 below zero, 0 to 63 (RFC 4733 §2.3.4)
	Log          *slog.Logger // nil: the default one
	Listen       []float64    // tones to listen for, in Hz; see Stats.Tones
	Recorder     Recorder     // of both directions; nil: none
	Clock        *Clock       // shared with other sessions; nil: one of its own
	// Guard runs what handles packets and catches a panic in it, which ends that part of the session. nil: nothing is caught.
	Guard func(f func())
	// OnProtected is told when media that wants keys has them, or, with an error that wraps ErrNotProtected, that it gets none. It
	// must not block.
	OnProtected func(error)
	// OnPath is told by which way the media goes when that was found out with the other side (ICE): how, as Reach.Via has it, or, with
	// an error that wraps ErrNoPath, that there is none. It must not block.
	OnPath func(via string, err error)
}

// Session is the audio of one call. All methods may be called from any goroutine.
type Session struct {
	guard      func(f func())
	log        *slog.Logger
	transport  transport
	protection protection
	epoch      time.Time
	stop       chan struct{}
	running    sync.WaitGroup
	clock      turning

	mu      sync.Mutex // guards what follows
	closed  bool
	chain   *chain // nil before the start
	latch   latch
	in      inbound
	out     *outbound
	reports reports
	heard   *analysis
	tones   []ToneHeard
	sound   time.Duration
	stalled time.Duration
	behind  time.Duration // the clock's lag at the last frame; keepTime's own
	filters []filter
	watch   watch
	onDTMF  func(rune)
	refused uint64

	questions   questions    // to STUN servers
	association *association // of DTLS; nil without
	onProtected func(error)

	ice    *connectivity // nil without ICE
	gone   []*checking   // ICE that the other side did not speak
	onPath func(via string, err error)
}

// Open binds an RTP (even) and RTCP (odd) port pair. Packets are refused until Start. The error wraps ErrPortsExhausted when every
// pair of the range is taken.
func Open(c Config) (*Session, error) {
	if !c.Local.IsValid() {
		return nil, errors.New("opening media: no local address")
	}
	t, err := listenPlain(c.Local, c.Ports)
	if err != nil {
		return nil, fmt.Errorf("opening media: %w", err)
	}
	s := newSession(c, t)
	if p, ok := t.(polled); ok {
		s.sit(cmp.Or(c.Clock, new(Clock)), p)
	} else {
		s.listen()
	}
	return s, nil
}

func newSession(c Config, t transport) *Session {
	log := c.Log
	if log == nil {
		log = slog.Default()
	}
	guard := c.Guard
	if guard == nil {
		guard = func(f func()) { f() }
	}
	tones := make([]ToneHeard, len(c.Listen))
	for i, hz := range c.Listen {
		tones[i].Hz = hz
	}
	out := newOutbound()
	out.volume = c.EventVolume
	out.tape = newTape(c.Recorder)
	return &Session{
		in: inbound{tape: out.tape}, guard: guard, tones: tones, log: log, transport: t, protection: unprotected{}, epoch: time.Now(), stop: make(chan struct{}),
		latch: latch{symmetric: c.SymmetricRTP}, out: out, reports: newReports(), onProtected: c.OnProtected, onPath: c.OnPath,
	}
}

// listen reads both ports until the transport is closed.
func (s *Session) listen() {
	t := s.transport.(awaited)
	s.spawn(func() { s.read(t.readRTP, s.onRTP) })
	s.spawn(func() { s.read(t.readRTCP, s.onRTCPPort) })
}

// read takes in what comes to a port until it is closed.
func (s *Session) read(from func([]byte) (int, netip.AddrPort, error), take func([]byte, netip.AddrPort, time.Time)) {
	buffer := make([]byte, 2048)
	for {
		n, addr, err := from(buffer)
		if err != nil {
			return
		}
		take(buffer[:n], netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), time.Now())
	}
}

// spawn runs f beside, under guard. What f locks it must free by defer, so that a panic in it leaves a session that can be closed.
func (s *Session) spawn(f func()) { s.running.Go(func() { s.guard(f) }) }

// LocalRTP is the address to announce; RTCP is the port after it.
func (s *Session) LocalRTP() netip.AddrPort { return s.transport.localRTP() }

// Start begins sending and receiving as negotiated. A nil source is Silence.
func (s *Session) Start(n sdp.Negotiated, source Source) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.chain != nil:
		return ErrStarted
	}
	if err := s.swap(n, source); err != nil {
		return err
	}
	s.reports.schedule(time.Now())
	if s.clock.seat != nil && !mayWait(s.transport) {
		s.clock.sending = true
	} else {
		s.spawn(s.keepTime)
	}
	return nil
}

// Update takes over what a further offer and answer agreed on, from the next packet on. A source equal to the running one keeps its
// phase; nil is Silence. On an error everything stays as it was.
func (s *Session) Update(n sdp.Negotiated, source Source) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.chain == nil:
		return ErrNotStarted
	}
	return s.swap(n, source)
}

// swap builds the chain for a negotiation and puts it in place of the old one.
func (s *Session) swap(n sdp.Negotiated, source Source) error {
	c, err := newChain(n, source, s.chain)
	if err != nil {
		return err
	}
	if err := s.protect(n); err != nil {
		return err
	}
	if err := s.connect(n); err != nil {
		return err
	}
	old := s.chain
	s.chain = c
	clock := c.negotiated.Codec.Clock
	if old == nil || old.rate != c.rate || old.negotiated.Codec.Clock != clock {
		s.heard = newAnalysis(c.rate)
		s.filters = []filter{s.heard}
		if len(s.tones) > 0 {
			s.filters = append(s.filters, newTones(c.rate, s.tones, &s.sound))
		}
		s.in.play(newPlayout(clock, c.rate, int64(c.step)))
		s.in.events, s.in.detector = dtmf.NewReceiver(clock), dtmf.NewDetector(c.rate)
		s.out.events, s.out.tones = dtmf.NewSender(clock, s.out.volume), dtmf.NewTones(c.rate)
	}
	s.in.playout.step, s.in.playout.kinds = ticksOf(c.ptime, s.in.playout.clock), &c.kinds
	s.out.tape.thread(c.rate)
	if old == nil || old.negotiated.Remote != n.Remote || old.negotiated.RemoteRTCP != n.RemoteRTCP {
		s.reports.learned = netip.AddrPort{}
	}
	return nil
}

// SendDTMF queues digits (0-9 * # A-D, a comma is a pause of 2 s) as RFC 4733 events and returns at once.
func (s *Session) SendDTMF(digits string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.chain == nil:
		return ErrNotStarted
	case s.chain.negotiated.TelephoneEventPT < 0:
		return ErrNoTelephoneEvent
	}
	return s.out.events.Queue(digits)
}

// SendTones queues digits as SendDTMF does, to be heard as tones within the audio.
func (s *Session) SendTones(digits string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.chain == nil:
		return ErrNotStarted
	}
	return s.out.tones.Queue(digits)
}

// SetOnDTMF names who is told each received digit, once, when it begins. It must not block.
func (s *Session) SetOnDTMF(f func(digit rune)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onDTMF = f
}

// Close sends an RTCP BYE, frees the ports and waits until nothing of the session runs. Closing twice is harmless.
func (s *Session) Close() error {
	var err error
	if s.leave() {
		s.standUp()
		for _, k := range s.gone {
			err = errors.Join(err, k.agent.GracefulClose())
		}
		err = errors.Join(err, s.transport.close())
	}
	s.running.Wait()
	if err != nil {
		return fmt.Errorf("closing media: %w", err)
	}
	return nil
}

// leave says goodbye; false when that was done before.
func (s *Session) leave() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	close(s.stop)
	s.bye(time.Now())
	s.out.tape.close()
	if s.association != nil {
		s.association.close()
	}
	if s.ice != nil {
		s.ice.retire()
		s.gone = append(s.gone, s.ice.retired...)
	}
	return true
}

// protect takes over how the media is to be protected. What stays the same goes on counting.
func (s *Session) protect(n sdp.Negotiated) error {
	p := n.Protection
	if p.Way != sdp.DTLS && s.association != nil {
		s.association.close()
		s.association = nil
	}
	switch p.Way {
	case sdp.SDES:
		if running, ok := s.protection.(*secure); ok && running.same(p) {
			return nil
		}
		fresh, err := newSDES(p.Ours, p.Theirs)
		if err != nil {
			return err
		}
		s.protection = fresh
	case sdp.DTLS:
		if s.association != nil && s.association.same(n) {
			return nil
		}
		if s.association != nil {
			s.association.close()
		}
		s.protection = keyless{}
		s.association = s.associate(n)
	default:
		s.protection = unprotected{}
	}
	return nil
}

// tellProtected tells whoever asked; it is called under the lock.
func (s *Session) tellProtected(err error) {
	if err != nil {
		s.log.Warn("media not protected", "error", err)
	}
	if s.onProtected != nil {
		s.onProtected(err)
	}
}
