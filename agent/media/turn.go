package media

import (
	"net/netip"
	"time"
)

// How often a session looks at what has come. RTP is read before each frame in any case, so that none of it is played later for being
// read later; RTCP and its times do not suffer, as the kernel notes when it came.
const (
	lookEvery     = 20 * time.Millisecond
	lookRTCPEvery = 200 * time.Millisecond
)

// turning is how a session is read and paced by a clock.
type turning struct {
	*seat   // nil: goroutines of the session do it all
	sockets polled

	// Made once, so that a turn allocates nothing.
	do, send      func()
	onRTP, onRTCP func(b []byte, from netip.AddrPort, now time.Time)

	// Of the turn.
	at, next time.Time
	desk     *desk

	looked  [2]time.Time // last, at the ports
	due     time.Time    // the next frame
	sending bool         // guarded by the session's lock: frames are the clock's, too
}

// sit has a clock read the ports.
func (s *Session) sit(c *Clock, p polled) {
	now := time.Now()
	s.clock = turning{sockets: p, do: s.look, send: s.sendLeaving, onRTP: s.onRTP, onRTCP: s.onRTCPPort, looked: [2]time.Time{now, now}}
	s.clock.seat = c.join(s)
}

// fetch implements seated.
func (s *Session) fetch(d *desk) { d.fetched = s.clock.sockets.fetch(d.batch, 0) }

// turn implements seated.
func (s *Session) turn(at time.Time, d *desk) time.Time {
	t := &s.clock
	t.at, t.desk, t.next = at, d, time.Time{}
	s.guard(t.do) // a panic leaves no next turn
	return t.next
}

// post implements seated.
func (s *Session) post(d *desk) {
	if d.leaving.chain == nil {
		return
	}
	t := &s.clock
	t.next = time.Time{}
	s.guard(t.send)
	d.next = t.next
}

// sendLeaving sends what a turn left, and plans the next turn only then: a panic leaves none.
func (s *Session) sendLeaving() {
	t := &s.clock
	s.deliver(t.desk)
	t.next = t.desk.next
}

// look takes in what has come, and plays and works out what is to be sent when that is due.
func (s *Session) look() {
	t := &s.clock
	s.readPort(0)
	hurried, sending := s.hurried()
	if hurried || t.desk.now.Sub(t.looked[1]) >= lookRTCPEvery {
		t.desk.fetched = t.sockets.fetch(t.desk.batch, 1)
		s.readPort(1)
	}
	next := t.at.Add(lookEvery)
	if hurried {
		next = t.at.Add(grain)
	}
	if sending {
		if t.due.IsZero() {
			t.due = t.firstFrame(t.at)
		}
		if !t.due.After(t.at) {
			t.due = s.catchUp(t.due, t.desk)
			t.due = t.due.Add(s.work(t.due, t.desk))
		}
		if t.due.Before(next) {
			next = t.due
		}
	}
	t.next = next
}

// readPort takes what was fetched from a port, and what is left there: not without end, as a flood must not stop the clock.
func (s *Session) readPort(port int) {
	t := &s.clock
	take, d := t.onRTP, t.desk
	if port == 1 {
		take = t.onRTCP
	}
	for range mostBatches {
		for i := range d.fetched {
			b, from, at := t.sockets.datagram(d.batch, port, i, d.now, t.looked[port])
			take(b, from, at)
		}
		if d.fetched < batchSize {
			break
		}
		d.fetched = t.sockets.fetch(d.batch, port)
	}
	t.looked[port] = d.now
}

// mostBatches are read in one turn; the kernel keeps no more.
const mostBatches = 128

// hurried says whether somebody waits for an answer that may come, as before the start and while keys or a path are agreed on, or
// plays by another clock; and whether this clock has the frames.
func (s *Session) hurried() (hurried, sending bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sending = s.clock.sending && !s.closed
	return !sending || !s.protection.ready() || s.ice != nil && !s.ice.to.IsValid(), sending
}

// standUp ends the turns and takes in what came since the last.
func (s *Session) standUp() {
	t := &s.clock
	if t.seat == nil {
		return
	}
	t.leave()
	t.desk = newDesk()
	t.desk.now = time.Now()
	s.guard(func() {
		for port := range 2 {
			t.desk.fetched = t.sockets.fetch(t.desk.batch, port)
			s.readPort(port)
		}
	})
}
