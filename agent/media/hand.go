package media

import (
	"math/bits"
	"sync"
	"time"
)

// grain is how far apart the moments are at which a clock looks. What is due lies at such moments, so that one wake-up serves all.
const grain = 5 * time.Millisecond

// slotsAhead is how many grains ahead a hand can plan. What is due later has turns in between.
const slotsAhead = 64

// hand is one goroutine of a clock: a wheel of its seats, by the grain of their next turn.
type hand struct {
	epoch time.Time
	awake chan struct{} // a new seat, or none any more: plans have changed
	desks []*desk       // of a group
	group []*seat       // whose turn it is

	mu      sync.Mutex
	slots   [slotsAhead]turnList // by grain, modulo their number
	taken   uint64               // a bit for each that holds a seat
	at      int64                // the grain to serve next, or being served
	seats   int
	inPhase [phases]int
	running bool
	served  sync.Cond // who left has no turn any more

	since time.Time // when busy began to be counted
	busy  time.Duration
	share float64 // of the second before, spent in turns
}

// mostInGroup is how many have their turns together: more would not find their own data in the caches any more.
const mostInGroup = 32

// turnList is a list of seats. They keep their order from turn to turn, so that none leaves now early and now late in a burst.
type turnList struct{ first, last *seat }

func newHand() *hand {
	h := &hand{epoch: time.Now(), awake: make(chan struct{}, 1)}
	h.served.L = &h.mu
	return h
}

func (h *hand) load() (seats int, share float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seats, h.share
}

func (h *hand) moment(g int64) time.Time     { return h.epoch.Add(time.Duration(g) * grain) }
func (h *hand) grainOf(t time.Time) int64    { return int64(t.Sub(h.epoch) / grain) }
func (h *hand) grainAfter(t time.Time) int64 { return int64((t.Sub(h.epoch) + grain - 1) / grain) }

// take gives a new seat its first turn at the next moment.
func (h *hand) take(s *seat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if h.seats++; !h.running {
		h.running, h.at = true, h.grainOf(now)
		h.since, h.busy, h.share = now, 0, 0
		go h.run()
	}
	h.link(s, h.grainOf(now)+1)
	h.wake()
}

// wake has the goroutine look at its plans again.
func (h *hand) wake() {
	select {
	case h.awake <- struct{}{}:
	default:
	}
}

// drop counts a seat that gets no more turns.
func (h *hand) drop(s *seat) {
	if s.phase != noPhase {
		h.inPhase[s.phase]--
	}
	if h.seats--; h.seats == 0 {
		h.wake()
	}
}

func (h *hand) link(s *seat, g int64) {
	g = min(max(g, h.at), h.at+slotsAhead-1)
	s.slot, s.linked = g%slotsAhead, true
	l := &h.slots[s.slot]
	if s.prev, l.last = l.last, s; s.prev != nil {
		s.prev.next = s
		return
	}
	l.first = s
	h.taken |= 1 << s.slot
}

func (h *hand) unlink(s *seat) {
	l := &h.slots[s.slot]
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.last = s.prev
	}
	if l.first == nil {
		h.taken &^= 1 << s.slot
	}
	s.prev, s.next, s.linked = nil, nil, false
}

// run gives the seats their turns until there are no seats.
func (h *hand) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var woke time.Time
	for {
		wait, goesOn := h.plan(woke)
		if !goesOn {
			return
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-h.awake:
		}
		woke = time.Now()
		for at := h.gather(woke); len(h.group) > 0; at = h.gather(woke) {
			h.serve(at, woke)
		}
	}
}

// serve gives a group its turn, step by step: what is done for many in a row finds its code in the processor's caches, those of the
// kernel's included, and takes half the time.
func (h *hand) serve(at, now time.Time) {
	for i, s := range h.group {
		h.desks[i].now = now
		s.who.fetch(h.desks[i])
	}
	for i, s := range h.group {
		h.desks[i].next = s.who.turn(at, h.desks[i])
	}
	for i, s := range h.group {
		s.who.post(h.desks[i])
	}
}

// plan gives the time until the next turn; false when the goroutine is to end.
func (h *hand) plan(woke time.Time) (time.Duration, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seats == 0 {
		h.running = false
		return 0, false
	}
	now := time.Now()
	if !woke.IsZero() {
		h.busy += now.Sub(woke)
	}
	if span := now.Sub(h.since); span >= time.Second {
		h.share, h.busy, h.since = float64(h.busy)/float64(span), 0, now
	}
	ahead := bits.TrailingZeros64(bits.RotateLeft64(h.taken, -int(h.at%slotsAhead)))
	return h.moment(h.at + int64(ahead)).Sub(now), true
}

// gather plans the turns after those of a group, and makes the next group of seats whose turn it is by now, and at the same moment.
// It is empty when there are none.
func (h *hand) gather(now time.Time) (at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, s := range h.group {
		next := h.desks[i].next
		if s.busy = false; s.left || next.IsZero() {
			h.drop(s)
			h.served.Broadcast()
			continue
		}
		h.link(s, max(h.grainAfter(next), h.at+1))
	}
	h.group = h.group[:0]
	until := h.grainOf(now)
	for h.at = max(h.at, until-slotsAhead+1); h.at <= until; h.at++ { // after a long pause, all slots are looked at in this time
		for l := &h.slots[h.at%slotsAhead]; l.first != nil && len(h.group) < mostInGroup; {
			s := l.first
			h.unlink(s)
			s.busy = true
			if h.group = append(h.group, s); len(h.group) > len(h.desks) {
				h.desks = append(h.desks, newDesk())
			}
		}
		if len(h.group) > 0 {
			return h.moment(h.at)
		}
	}
	return at
}
