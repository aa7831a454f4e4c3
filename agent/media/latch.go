package media

import (
	"net/netip"
	"time"
)

// relatchAfter is how long the peer must have been silent before its stream may go on from another address.
const relatchAfter = 2 * time.Second

// admission is what the latch thinks of a packet.
type admission uint8

const (
	refused   admission = iota
	pending             // the first packet of a source that must prove itself with a second one
	confirmed           // that second one: the pending packet counts, too
	admitted
)

// latch decides whose RTP is the peer's, and where ours goes.
//
// A packet from the address the peer signalled is believed at once. Another address must show two packets in a row (RFC 3550 A.1's
// probation) and is then latched: the peer sits behind a NAT. From then on other addresses are refused. Two things undo a latch: the
// signalled address itself speaking up, which proves that it is no private one, and, after the peer was silent for a while, its
// own stream (the SSRC, which strangers cannot know) going on from elsewhere, as when a NAT binding was renewed. A new source from
// the latched address needs two packets, too.
type latch struct {
	symmetric bool           // send to where audio came from
	pinned    bool           // ICE says who the peer is and where ours goes: nobody else is heard, once it has
	signalled netip.AddrPort // from the description; may be invalid
	from      netip.AddrPort // where the peer's audio comes from; invalid before any came
	ssrc      uint32         // of the admitted stream
	known     bool           // ssrc is set
	heard     time.Time      // last admitted packet

	candidate struct {
		from netip.AddrPort
		ssrc uint32
		seq  uint16
		live bool
	}
}

// signal takes the address of a (new) description. A changed one starts the latch over.
func (l *latch) signal(to netip.AddrPort) {
	if to == l.signalled {
		return
	}
	l.signalled, l.from, l.candidate.live = to, netip.AddrPort{}, false
}

// destination is where RTP goes; invalid when it is not known yet.
func (l *latch) destination() netip.AddrPort {
	if l.symmetric && l.from.IsValid() && !l.pinned {
		return l.from
	}
	return l.signalled
}

// admit judges one well-formed RTP packet.
func (l *latch) admit(from netip.AddrPort, ssrc uint32, seq uint16, now time.Time) admission {
	switch {
	case from == l.from && l.known && ssrc == l.ssrc:
		l.heard = now
		return admitted
	case from == l.signalled && (!l.known || ssrc == l.ssrc):
		l.take(from, ssrc, now)
		return admitted
	case !l.open(from, ssrc, now):
		return refused
	}
	c := &l.candidate
	if c.live && c.from == from && c.ssrc == ssrc && seq == c.seq+1 {
		l.take(from, ssrc, now)
		return confirmed
	}
	c.from, c.ssrc, c.seq, c.live = from, ssrc, seq, true
	return pending
}

// open reports whether a source may stand for admission.
func (l *latch) open(from netip.AddrPort, ssrc uint32, now time.Time) bool {
	if l.pinned && l.signalled.IsValid() {
		return from == l.signalled
	}
	if !l.from.IsValid() || from == l.from || from == l.signalled {
		return true
	}
	return ssrc == l.ssrc && now.Sub(l.heard) > relatchAfter
}

func (l *latch) take(from netip.AddrPort, ssrc uint32, now time.Time) {
	l.from, l.ssrc, l.known, l.heard, l.candidate.live = from, ssrc, true, now, false
}
