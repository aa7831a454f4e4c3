package media

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sitting is what a clock gives turns in tests: every so often, so many times.
type sitting struct {
	every time.Duration
	most  int

	mu    sync.Mutex
	turns []time.Time // moments they were for
	late  time.Duration
	on    func() // in a turn
}

func (*sitting) fetch(*desk) {}
func (*sitting) post(*desk)  {}

func (s *sitting) turn(at time.Time, d *desk) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns = append(s.turns, at)
	s.late = max(s.late, d.now.Sub(at))
	if s.on != nil {
		s.on()
	}
	if len(s.turns) == s.most {
		return time.Time{}
	}
	return at.Add(s.every)
}

func (s *sitting) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.turns)
}

func TestTurnsComeWhenTheyAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		all := []*sitting{
			{every: 20 * time.Millisecond}, {every: 30 * time.Millisecond}, {every: 60 * time.Millisecond}, {every: grain},
			{every: time.Second / 4}, {every: 20 * time.Millisecond, most: 3},
		}
		seats := make([]*seat, len(all))
		for i, s := range all {
			time.Sleep(time.Duration(i) * 1300 * time.Microsecond)
			seats[i] = c.join(s)
		}
		time.Sleep(3 * time.Second)
		for _, s := range seats {
			s.leave()
		}
		for _, s := range all {
			want := int(3 * time.Second / s.every)
			if s.most > 0 {
				want = s.most
			}
			if got := s.count(); got < want || got > want+6 || s.late != 0 {
				t.Errorf("every %v: %d turns, want %d; %v late", s.every, got, want, s.late)
			}
			for i := range s.turns[1:] {
				if gap := s.turns[i+1].Sub(s.turns[i]); gap != s.every {
					t.Fatalf("every %v: turn %d came %v after the one before", s.every, i+1, gap)
				}
			}
		}
	})
}

// Who asks for a turn further ahead than can be planned gets some in between, never one too late.
func TestATurnFarAheadComesEarlierAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		s := &sitting{every: time.Minute}
		seat := c.join(s)
		time.Sleep(time.Second)
		seat.leave()
		if n := s.count(); n < 2 || n > 6 {
			t.Errorf("%d turns in a second", n)
		}
	})
}

func TestWhoLeftHasNoTurn(t *testing.T) {
	var c Clock
	for range 200 {
		s := &sitting{every: grain}
		first := make(chan struct{})
		s.on = sync.OnceFunc(func() { close(first) })
		seat := c.join(s)
		<-first
		seat.leave()
		n := s.count()
		runtime.Gosched()
		if s.count() != n {
			t.Fatal("a turn after the seat was left")
		}
	}
	for _, h := range c.hands {
		if seats, _ := h.load(); seats != 0 || h.taken != 0 || h.inPhase != [phases]int{} {
			t.Errorf("left behind: %d seats, slots %x, phases %v", seats, h.taken, h.inPhase)
		}
	}
}

// noted is when each of many sessions sent, in the order in which they did.
type noted struct {
	*kept
	who  int
	note func(who int)
}

func (n *noted) writeRTP([]byte, netip.AddrPort) error {
	n.note(n.who)
	return nil
}

// However many calls there are, each sends at moments a packet time apart, and always at the same place of its burst; a burst is
// bounded, as the others are sent at other moments.
func TestManyCallsKeepTimeByOneClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 300
		var c Clock
		var mu sync.Mutex
		sent, bursts := map[int][]time.Time{}, map[time.Time][]int{}
		note := func(who int) {
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			sent[who], bursts[now] = append(sent[who], now), append(bursts[now], who)
		}
		n := newNetwork()
		before := runtime.NumGoroutine()
		for i := range calls {
			m := n.attach(fmt.Sprintf("192.0.2.1:%d", 10000+2*i))
			transport := &noted{&kept{memory: m}, i, note}
			s := newSession(Config{Local: m.rtp.Addr()}, transport)
			s.sit(&c, transport)
			start(t, s, agreed(bob), Silence{})
			defer closeSession(t, s)
		}
		if n := runtime.NumGoroutine() - before; n > runtime.GOMAXPROCS(0) {
			t.Errorf("%d goroutines for %d calls", n, calls)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for who, at := range sent {
			if len(at) < 98 {
				t.Fatalf("call %d sent %d packets in 2 s", who, len(at))
			}
			for i := range at[1:] {
				if gap := at[i+1].Sub(at[i]); gap != 20*time.Millisecond {
					t.Fatalf("call %d: packet %d left %v after the one before", who, i+1, gap)
				}
			}
		}
		hands := 0
		for _, h := range c.hands {
			if seats, _ := h.load(); seats > 0 {
				hands++
			}
		}
		for at, who := range bursts {
			if len(who) > hands*mostInPhase {
				t.Errorf("%d packets at once", len(who))
			}
			next, ok := bursts[at.Add(20*time.Millisecond)]
			if hands == 1 && ok && len(next) == len(who) && !slices.Equal(next, who) {
				t.Error("another order than 20 ms before")
			}
		}
	})
}

// What keeps a hand longer than until the next turn is due is no reason to leave turns out: each comes, in order, with its moment.
func TestATurnThatTakesLongDelaysAndSkipsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		slow := &sitting{every: 20 * time.Millisecond}
		slow.on = func() {
			if len(slow.turns) == 10 {
				time.Sleep(100 * time.Millisecond)
			}
		}
		seat := c.join(slow)
		time.Sleep(2 * time.Second)
		seat.leave()
		if slow.late < 80*time.Millisecond {
			t.Errorf("late by %v only", slow.late)
		}
		last := slow.turns[len(slow.turns)-1]
		if span := last.Sub(slow.turns[0]); span != time.Duration(len(slow.turns)-1)*slow.every || span < 1900*time.Millisecond {
			t.Errorf("%d turns in %v", len(slow.turns), span)
		}
	})
}

// A panic in a call's turn ends that call's turns, and nobody else's.
func TestAPanicInATurnIsOneCallsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		n, caught := newNetwork(), 0
		open := func(addr string, guard func(func())) *Session {
			m := n.attach(addr)
			s := newSession(Config{Local: m.rtp.Addr(), SymmetricRTP: true, Guard: guard}, m)
			s.sit(&c, &kept{memory: m})
			return s
		}
		a, b := open(alice, nil), open(bob, nil)
		spoilt := open("192.0.2.3:30000", func(f func()) {
			defer func() {
				if recover() != nil {
					caught++
				}
			}()
			f()
		})
		start(t, a, agreed(bob), Tone{Hz: 1000, LevelDBm0: -10})
		start(t, b, agreed(alice), Echo{})
		start(t, spoilt, agreed("192.0.2.4:40000"), poison{})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		for _, s := range []*Session{a, b, spoilt} {
			closeSession(t, s)
		}
		if st := a.Stats(); st.Received < 95 || st.Lost != 0 || caught != 1 {
			t.Errorf("%d caught; the others' call: %+v", caught, st)
		}
	})
}
