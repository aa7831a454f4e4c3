package sdp

import (
	"errors"
	"net/netip"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// Direction is who sends audio, seen from the side whose description it is in (RFC 3264 §5.1, §6.1).
type Direction uint8

// The directions. SendRecv is the zero value, as it is the default of SDP.
const (
	SendRecv Direction = iota
	SendOnly
	RecvOnly
	Inactive
)

// ErrNotAcceptable says that an offer has no audio stream the line can take; it becomes 488.
var ErrNotAcceptable = errors.New("no acceptable audio stream")

// Capabilities is what a line brings to a negotiation.
type Capabilities struct {
	Addr           netip.Addr     // where audio is received
	Port           int            // RTP port; RTCP is the next one
	Codecs         []codec.Format // in order of preference
	PTime          int            // ms a packet; 0 = 20
	ForcePTime     bool           // keep PTime even if the peer asks for another
	HonorTheirs    bool           // the peer's first common codec wins, not ours
	TelephoneEvent bool           // RFC 4733 DTMF
	RTCPMux        bool           // offer, and accept, RTP and RTCP on one port (RFC 5761)
	Direction      Direction      // what we want: hold is SendOnly or Inactive
}

// Negotiated is what both sides agreed on, seen from ours.
type Negotiated struct {
	Remote           netip.AddrPort // where to send RTP; invalid address: wait until the peer's audio arrives
	RemoteRTCP       netip.AddrPort
	Codec            codec.Format   // what to send, with the payload type the peer expects
	TelephoneEventPT int            // payload type to send telephone-events with; -1: the peer takes none
	Receive          []codec.Format // what may arrive, with the payload types we announced
	ReceiveEventPT   int            // payload type telephone-events arrive with; -1: none
	PTime            int            // ms a packet to send
	Direction        Direction      // ours: SendOnly means that we send and the peer does not
	RTCPMux          bool
}

// Offer makes a first offer.
func Offer(c Capabilities, o Origin) *Description { return &Description{Origin: o} }

// Reoffer makes a new offer within a session: it keeps the media lines of previous, our last description, in number and order (RFC 3264 §8).
func Reoffer(previous *Description, c Capabilities, o Origin) *Description { return Offer(c, o) }

// Answer answers an offer. The error wraps ErrNotAcceptable when no audio stream can be taken.
func Answer(offer *Description, c Capabilities, o Origin) (*Description, Negotiated, error) {
	return nil, Negotiated{}, ErrNotAcceptable
}

// Accept reads the answer to our offer, following the peer's order and packet time.
func Accept(ours, answer *Description) (Negotiated, error) {
	return AcceptWith(ours, answer, Capabilities{HonorTheirs: true})
}

// AcceptWith is Accept by the account's own preferences: codec order when c does not honour theirs, packet time when c forces it.
func AcceptWith(ours, answer *Description, c Capabilities) (Negotiated, error) {
	return Negotiated{}, ErrNotAcceptable
}

// NewOrigin makes the origin of a new session, with a random session id and version.
func NewOrigin(addr netip.Addr) Origin { return Origin{Addr: addr} }

// Next is the origin of the next description in the same session.
func (o Origin) Next() Origin { o.Version++; return o }

// Parse reads a description.
func Parse(b []byte) (*Description, error) { return nil, errors.New("not built") }

// Marshal writes the description with CRLF line ends.
func (d *Description) Marshal() []byte { return nil }
