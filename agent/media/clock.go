package media

import (
	"net/netip"
	"time"

	"github.com/pion/rtcp"
)

// How the clock bears being woken late: the process was stopped, or the machine is overloaded.
const (
	maxLag    = 200 * time.Millisecond // caught up packet by packet; beyond it the peer would get a burst of old audio
	maxReplay = 10 * time.Second       // of what was received meanwhile, still heard
	readFirst = time.Millisecond       // for readers to take in what arrived meanwhile
)

// keepTime runs the chain, a frame at a time, at moments a packet time apart. The moments are reckoned from the first one, not from
// the last wake-up, so that lateness never adds up, and received audio is played by them, so that lateness of ours is no jitter.
func (s *Session) keepTime() {
	due, d := time.Now(), new(desk)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-timer.C:
		}
		d.now = time.Now()
		due = s.catchUp(due, d)
		due = due.Add(s.tick(due, d))
		timer.Reset(time.Until(due))
	}
}

// catchUp gives the moment of the next frame to send when the clock should have sent at due. What it skips is played, not sent.
func (s *Session) catchUp(due time.Time, d *desk) time.Time {
	lag := d.now.Sub(due)
	if lag < maxLag/4 {
		s.behind = 0
		return due
	}
	s.stood(lag)
	if s.clock.seat == nil {
		time.Sleep(readFirst)
	}
	if lag <= maxLag {
		return due
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chain
	frames := lag / c.ptime
	for i := range min(frames, maxReplay/c.ptime) {
		s.play(c, due.Add(i*c.ptime), d)
	}
	s.out.skip(uint32(frames) * c.step)
	return due.Add(frames * c.ptime)
}

// stood adds up for how long the process stood still: what a lag grew by, since it
// shrinks by a packet time a packet.
func (s *Session) stood(lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled += max(lag-max(s.behind-s.chain.ptime, 0), 0)
	if s.behind = lag; lag > maxLag {
		s.behind = 0
	}
}

// tick plays the frame that is due, sends one, and a report when it is time. It gives the time until the next frame.
func (s *Session) tick(due time.Time, d *desk) time.Duration {
	lasts := s.work(due, d)
	s.deliver(d)
	return lasts
}

// work is a tick without the sending.
func (s *Session) work(due time.Time, d *desk) time.Duration {
	d.leaving = s.frame(due, d)
	f := &d.leaving
	for _, digit := range f.digits {
		if f.tell != nil {
			f.tell(digit)
		}
	}
	return f.chain.ptime
}

// deliver sends what a tick left.
func (s *Session) deliver(d *desk) {
	f := &d.leaving
	if f.packet != nil {
		s.send(f.packet, f.octets, f.to)
	}
	if f.report != nil {
		s.sendReport(f.report, f.reportTo, f.chain.negotiated.RTCPMux)
	}
	d.leaving = leaving{}
}

// desk is where a frame is worked out. What lies on it outlives the frame no longer than until it is sent, so that sessions that take
// turns can share it: that spares memory, and a processor's caches most of all.
type desk struct {
	now         time.Time // when work on the frame began
	heard, said []int16
	packet      [packetRoom]byte
	leaving     leaving

	// For sessions on a clock.
	batch   *batch
	fetched int       // datagrams in the batch
	next    time.Time // turn
}

func newDesk() *desk { return &desk{batch: newBatch(batchSize)} }

// pcmOf makes one of a desk's stretches of PCM as long as a frame.
func pcmOf(which *[]int16, samples int) []int16 {
	if cap(*which) < samples {
		*which = make([]int16, samples)
	}
	return (*which)[:samples]
}

// leaving is what a frame brings to send.
type leaving struct {
	chain    *chain
	packet   []byte // nil: none is due
	octets   int    // of its payload
	to       netip.AddrPort
	report   []byte // nil: none is due
	reportTo netip.AddrPort
	digits   []rune // heard as tones
	tell     func(rune)
}

// frame plays what is due and makes what is to be sent; sending is done outside the lock.
func (s *Session) frame(due time.Time, d *desk) (f leaving) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chain
	f.chain = c
	heard := s.play(c, due, d)
	last := s.in.last
	if s.in.silent {
		last = due
	}
	s.watch.look(due, last, c.negotiated.Direction.Receives(), s.heard.frame, c.rate, c.ptime)
	f.digits, f.tell, s.in.untold = s.in.untold, s.onDTMF, nil
	f.to = s.latch.destination()
	if c.negotiated.Direction.Sends() && f.to.IsValid() && !s.closed && s.protection.ready() {
		f.packet, f.octets = s.encode(c, heard, d)
	} else {
		s.out.skip(c.step)
	}
	if !due.Before(s.reports.next) && !s.closed {
		now := time.Now()
		if f.reportTo = s.reportTo(); f.reportTo.IsValid() {
			f.report = s.written(s.report(now))
		}
		s.reports.schedule(now)
	}
	return f
}

// play takes the frame due at a moment from the jitter buffer through the filters.
func (s *Session) play(c *chain, due time.Time, d *desk) Frame {
	s.out.tape.turn(due)
	played := pcmOf(&d.heard, c.samples)
	p := s.in.playout
	p.pull(s.ticksAt(due), played, &c.decoders)
	heard := Frame{played, c.rate, uint32(p.next() - p.step)}
	for _, f := range s.filters {
		f.filter(heard)
	}
	if c.negotiated.TelephoneEventPT < 0 && !s.in.signals {
		s.in.detector.Push(played, s.in.heardTone)
	}
	return heard
}

func (s *Session) encode(c *chain, heard Frame, d *desk) ([]byte, int) {
	packet, octets, err := s.out.next(c, heard, d)
	if err == nil && packet != nil {
		packet, err = s.protection.protectRTP(packet)
	}
	if err != nil {
		s.failed(err)
		return nil, 0
	}
	return packet, octets
}

// send hands a packet to the network, outside the lock.
func (s *Session) send(packet []byte, octets int, to netip.AddrPort) {
	if err := s.transport.writeRTP(packet, to); err != nil {
		s.failed(err)
		return
	}
	s.out.packets.Add(1)
	s.out.octets.Add(uint64(octets))
}

// failed counts a packet that could not be sent; the first is logged.
func (s *Session) failed(err error) {
	select {
	case <-s.stop: // the socket was closed under us
	default:
		if s.out.failures.Add(1) == 1 {
			s.log.Warn("cannot send audio", "error", err)
		}
	}
}

// bye ends our side (RFC 3550 §6.3.7): only who sent something says goodbye.
func (s *Session) bye(now time.Time) {
	if s.chain == nil || (s.out.packets.Load() == 0 && s.reports.count == 0) {
		return
	}
	packets := append(s.report(now), &rtcp.Goodbye{Sources: []uint32{s.out.header.SSRC}})
	s.sendReport(s.written(packets), s.reportTo(), s.chain.negotiated.RTCPMux)
}
