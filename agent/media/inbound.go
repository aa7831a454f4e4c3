package media

import (
	"net/netip"
	"time"

	"github.com/pion/rtp"

	"github.com/softphone-operator/softphone-operator/agent/dtmf"
)

// maxDigits is how many digits of a call are kept for its record.
const maxDigits = 1024

// inbound is the RTP stream we receive, from whichever source (SSRC) the peer sends it.
type inbound struct {
	packet    rtp.Packet // scratch
	reception reception  // of the current source
	any       bool       // a source was heard
	ssrcs     int

	// What sources before the current one left behind.
	lostBefore, uniqueBefore, expectedBefore int64

	duplicates, reordered uint64
	first, last           time.Time
	silent                bool // the peer says that it is, and that nothing need come
	bursts                bursts

	playout *playout
	events  *dtmf.Receiver
	spoken  uint8 // payload type of the audio that came last
	signals bool  // the peer sends telephone-events
	// detector hears digits sent as tones, of peers that neither agreed on telephone-events nor send any; untold are those nobody was
	// told of yet.
	detector *dtmf.Detector
	untold   []rune
	digits   []byte
	tape     *tape // nil: nothing is recorded

	pending   []byte // first packet of a source on probation
	pendingAt time.Time
}

// play has another playout take over from the one before.
func (in *inbound) play(p *playout) {
	if in.playout != nil {
		p.discarded = in.playout.discarded
	}
	p.bursts, p.tape = &in.bursts, in.tape
	in.tape.lift()
	in.playout = p
}

// begin turns to a new source, or to a source that began anew.
func (in *inbound) begin(ssrc uint32, seq uint16) int64 {
	if in.any {
		in.lostBefore += in.reception.lost()
		in.uniqueBefore += in.reception.unique
		in.expectedBefore += in.reception.expected()
	}
	if !in.any || in.reception.ssrc != ssrc {
		in.ssrcs++
	}
	in.any = true
	in.bursts.anew()
	in.tape.lift()
	in.playout.reset()
	in.silent = false
	in.events = dtmf.NewReceiver(in.playout.clock)
	return in.reception.begin(ssrc, seq)
}

// received, lost and expected count the packets of all sources.
func (in *inbound) received() int64 { return in.uniqueBefore + in.reception.unique }

func (in *inbound) lost() int64 {
	if !in.any {
		return 0
	}
	return in.lostBefore + in.reception.lost()
}

func (in *inbound) expected() int64 {
	if !in.any {
		return 0
	}
	return in.expectedBefore + in.reception.expected()
}

// onRTP takes a datagram from the RTP port.
func (s *Session) onRTP(b []byte, from netip.AddrPort, now time.Time) {
	switch {
	case isSTUN(b):
		s.onSTUN(b, from)
		return
	case isDTLS(b):
		s.onDTLS(b, from, 0)
		return
	case len(b) > 1 && b[1] >= 192 && b[1] <= 223: // RFC 5761 §4: RTCP on the same port
		s.onRTCP(b, from, now)
		return
	}
	early, digit, tell := s.takeIn(b, from, now)
	for _, d := range [...]rune{early, digit} {
		if d != 0 && tell != nil {
			tell(d)
		}
	}
}

// onRTCPPort takes a datagram from the RTCP port.
func (s *Session) onRTCPPort(b []byte, from netip.AddrPort, now time.Time) {
	switch {
	case isSTUN(b):
		s.onSTUN(b, netip.AddrPort{}) // no checks: with ICE, RTCP comes to the port of RTP
	case isDTLS(b):
		s.onDTLS(b, from, 1)
	default:
		s.onRTCP(b, from, now)
	}
}

// onDTLS hands a record to the handshake of its port.
func (s *Session) onDTLS(b []byte, from netip.AddrPort, port int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.association == nil || port >= len(s.association.parts) {
		s.refused++
		return
	}
	s.association.parts[port].take(b, from)
}

// takeIn is receive under the lock, and who is to be told of the digits.
func (s *Session) takeIn(b []byte, from netip.AddrPort, now time.Time) (early, digit rune, tell func(rune)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	early, digit = s.receive(b, from, now)
	return early, digit, s.onDTMF
}

// receive judges a datagram and takes it in. It gives the digits that began with it, and with the packet it vouched for.
func (s *Session) receive(b []byte, from netip.AddrPort, now time.Time) (early, digit rune) {
	in := &s.in
	if s.chain == nil {
		s.refused++
		return 0, 0
	}
	b, err := s.protection.unprotectRTP(b)
	if err != nil || !s.parse(b) {
		s.refused++
		return 0, 0
	}
	switch s.latch.admit(from, in.packet.SSRC, in.packet.SequenceNumber, now) {
	case refused:
		s.refused++
		return 0, 0
	case pending:
		if in.pendingAt = now; len(in.pending) > 0 {
			s.refused++ // the one before was not vouched for
		}
		in.pending = append(in.pending[:0], b...)
		return 0, 0
	case confirmed:
		if s.parse(in.pending) {
			early = s.take(in.pendingAt)
		}
		in.pending = in.pending[:0]
		s.parse(b)
	}
	return early, s.take(now)
}

// parse reads a packet in the clear into the scratch packet; false when it is no RTP.
func (s *Session) parse(b []byte) bool {
	return len(b) >= 12 && b[0]>>6 == 2 && s.in.packet.Unmarshal(b) == nil
}

// take counts the scratch packet and hands it on by what it carries.
func (s *Session) take(now time.Time) (digit rune) {
	in, h := &s.in, &s.in.packet.Header
	var ext int64
	if !in.any || h.SSRC != in.reception.ssrc {
		ext, s.reports.left = in.begin(h.SSRC, h.SequenceNumber), false
	} else {
		var v verdict
		switch ext, v = in.reception.update(h.SequenceNumber); v {
		case duplicate:
			in.duplicates++
			return 0
		case jumped:
			s.refused++
			return 0
		case reordered:
			in.reordered++
		case restarted:
			ext = in.begin(h.SSRC, h.SequenceNumber)
		}
	}
	if in.first.IsZero() {
		in.first = now
	}
	in.last = now
	in.bursts.came(ext)
	kind := s.chain.kinds[h.PayloadType]
	if kind == audioPayload && s.chain.clocks[h.PayloadType] != in.playout.clock {
		if ext < in.reception.highest() {
			return 0 // of before the sender changed
		}
		s.retime(s.chain.clocks[h.PayloadType])
	}
	arrival := s.ticksAt(now)
	if kind == audioPayload {
		in.spoken = h.PayloadType
		in.reception.arrived(arrival, h.Timestamp)
	}
	if s.chain.negotiated.Direction.Receives() {
		audio := kind == audioPayload && len(in.packet.Payload) > 0
		in.playout.put(ext, h.Timestamp, arrival, h.PayloadType, audio, in.packet.Payload)
		in.silent = kind == noisePayload || in.silent && !audio
	}
	if kind != eventPayload {
		return 0
	}
	in.signals = true
	u, ok := in.events.Push(h.Timestamp, h.Marker, in.packet.Payload)
	if !ok || !u.Began {
		return 0
	}
	in.note(u.Digit)
	return u.Digit
}

// retime follows a sender that goes on in a codec of another RTP clock: one timeline cannot hold both, so there is another from here
// on, and what was not played yet of the one before is left out.
func (s *Session) retime(clock int) {
	p := newPlayout(clock, s.chain.rate, ticksOf(s.chain.ptime, clock))
	p.kinds = &s.chain.kinds
	s.in.reception.retime(s.in.playout.clock, clock)
	s.in.events = dtmf.NewReceiver(clock)
	s.in.play(p)
}

// note keeps a digit for the record.
func (in *inbound) note(digit rune) {
	if len(in.digits) < maxDigits {
		in.digits = append(in.digits, byte(digit))
	}
}

// heardTone takes a digit from the audio.
func (in *inbound) heardTone(digit rune) {
	in.note(digit)
	in.untold = append(in.untold, digit)
}

// ticksAt is a moment in RTP ticks since the session was opened.
func (s *Session) ticksAt(t time.Time) int64 {
	return ticksOf(t.Sub(s.epoch), s.in.playout.clock)
}

func ticksOf(d time.Duration, clock int) int64 {
	return int64(d/time.Second)*int64(clock) + int64(d%time.Second)*int64(clock)/int64(time.Second)
}
