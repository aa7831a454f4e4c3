package media

import (
	"net/netip"
	"time"

	"github.com/pion/rtcp"
)

// maxLag is how far the clock may fall behind and still catch up packet by packet. Beyond it (the process was stopped, the machine
// overloaded) time is skipped, so that the peer gets no burst of old audio.
const maxLag = 200 * time.Millisecond

// keepTime runs the chain, a frame at a time, at moments a packet time apart. The moments are reckoned from the first one, not from
// the last wake-up, so that lateness never adds up.
func (s *Session) keepTime() {
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-timer.C:
		}
		now := time.Now()
		next = next.Add(s.tick(now))
		if lag := now.Sub(next); lag > maxLag {
			next = next.Add(s.skip(lag))
		}
		timer.Reset(time.Until(next))
	}
}

// skip lets whole frames of a lag go by.
func (s *Session) skip(lag time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	frames := lag / s.chain.ptime
	s.out.skip(uint32(frames) * s.chain.step)
	return frames * s.chain.ptime
}

// tick plays one frame, sends one, and a report when it is due. It gives the time until the next.
func (s *Session) tick(now time.Time) time.Duration {
	s.mu.Lock()
	c := s.chain
	heard := s.play(c, now)
	to := s.latch.destination()
	var packet []byte
	var octets int
	if c.negotiated.Direction.Sends() && to.IsValid() && !s.closed {
		packet, octets = s.encode(c, heard)
	} else {
		s.out.skip(c.step)
	}
	var report []rtcp.Packet
	var reportTo netip.AddrPort
	if !now.Before(s.reports.next) && !s.closed {
		if reportTo = s.reportTo(); reportTo.IsValid() {
			report = s.report(now)
		}
		s.reports.schedule(now)
	}
	s.mu.Unlock()

	if packet != nil {
		s.send(packet, octets, to)
	}
	if report != nil {
		s.sendReport(report, reportTo, c.negotiated.RTCPMux)
	}
	return c.ptime
}

// play takes a frame from the jitter buffer through the filters.
func (s *Session) play(c *chain, now time.Time) Frame {
	if len(s.played) != c.samples {
		s.played = make([]int16, c.samples)
	}
	p := s.in.playout
	p.pull(s.ticksAt(now), s.played, &c.decoders)
	heard := Frame{s.played, c.rate, uint32(p.next()) - c.step}
	for _, f := range s.filters {
		f.filter(heard)
	}
	return heard
}

func (s *Session) encode(c *chain, heard Frame) ([]byte, int) {
	packet, octets, err := s.out.next(c, heard)
	if err == nil {
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
	s.sendReport(packets, s.reportTo(), s.chain.negotiated.RTCPMux)
}
