package sdp

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// ErrNotAcceptable says that a description has no audio stream the line can take; for an offer it becomes 488.
var ErrNotAcceptable = errors.New("no acceptable audio stream")

// DefaultPTime is the packet time when nobody says one, in ms.
const DefaultPTime = 20

// Packet times that are used, in ms; a peer asking for less or more gets ours.
const (
	minPTime = 10
	maxPTime = 120
)

// Capabilities is what a line brings to a negotiation.
type Capabilities struct {
	Addr           netip.Addr     // where audio is received
	Port           int            // RTP port
	RTCPPort       int            // 0 = the next one
	Codecs         []codec.Format // in order of preference
	PTime          int            // ms a packet; 0 = DefaultPTime
	ForcePTime     bool           // keep PTime even if the peer asks for another
	HonorTheirs    bool           // the peer's first common codec wins, not ours
	TelephoneEvent bool           // RFC 4733 DTMF
	EventsAt8k     bool           // only telephone-event/8000, whatever the codec's clock, as was the way of RFC 2833
	DurationsAt8k  bool           // and their durations in that unit, though timestamps keep the codec's
	RTCPMux        bool           // offer, and accept, RTP and RTCP on one port (RFC 5761)
	VoIPMetrics    bool           // ask for, and send, VoIP metrics by RTCP (RFC 3611)
	Direction      Direction      // what we want: hold is SendOnly or Inactive
	Protect        Protect        // how media is to be protected
	ICE            *ICE           // ours, with RTCPMux; nil: it is not spoken
}

// Negotiated is what both sides agreed on, seen from ours.
type Negotiated struct {
	Remote           netip.AddrPort // where to send RTP; invalid: the peer named none we can use, wait until its audio arrives
	RemoteRTCP       netip.AddrPort // where to send RTCP; the same as Remote with RTCPMux
	Codec            codec.Format   // what to send, with the payload type the peer expects
	TelephoneEventPT int            // payload type to send telephone-events with; -1: the peer takes none
	Receive          []codec.Format // what may arrive, with the payload types it comes under; Codec's encoding is among them
	ReceiveEvents    []codec.Format // telephone-events that may arrive, with the payload types they come under; none: nothing was agreed on
	NoisePT          int            // payload type comfort noise arrives with (RFC 3389); 0: none was agreed on
	EventClock       int            // Hz, the unit of durations of events we send; 0 = the codec's clock
	PTime            int            // ms a packet to send, whole frames of Codec
	Direction        Direction      // ours: SendOnly means that we send and the peer does not
	RTCPMux          bool
	VoIPMetrics      bool // the peer asks for VoIP metrics of what we receive (RFC 3611 §5.2)
	Protection       Protection
	ICE              *ICE // the peer's; nil: it is not used
	Controlling      bool // our part in it (RFC 8445 §6.1.1)
}

// audio is the index of the first live audio stream, -1 when there is none.
func (d *Description) audio() int {
	return slices.IndexFunc(d.Media, func(m Media) bool { return m.isAudio() && m.Port != 0 })
}

func (m *Media) isAudio() bool { return strings.EqualFold(m.Kind, "audio") }

// ptime is the packet time to send with to the owner of a description.
func (d *Description) ptime(m *Media, c Capabilities) int {
	if c.ForcePTime {
		return c.ptime()
	}
	ptime := c.ptime()
	if asked, ok := d.milliseconds(m, "ptime"); ok && asked >= minPTime && asked <= maxPTime {
		ptime = asked
	}
	if limit, ok := d.milliseconds(m, "maxptime"); ok && limit >= minPTime {
		ptime = min(ptime, limit)
	}
	return ptime - ptime%minPTime
}

func (d *Description) milliseconds(m *Media, key string) (int, bool) {
	text, ok := d.attribute(m, key)
	if !ok {
		return 0, false
	}
	whole, _, _ := strings.Cut(text, ".")
	ms, err := strconv.ParseUint(whole, 10, 16)
	return int(ms), err == nil
}

// ptime is our own packet time, within what fits an RTP packet and a clock.
func (c Capabilities) ptime() int {
	if c.PTime <= 0 {
		return DefaultPTime
	}
	return min(max(c.PTime, minPTime), maxPTime)
}
