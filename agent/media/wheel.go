package media

import (
	"runtime"
	"sync"
	"time"
)

// Clock has sessions look at their sockets and send when it is time, many of them by each of a few goroutines: a goroutine that
// is woken for every packet costs more than all that is done with the packet. The zero value is ready. It runs while there are
// sessions on it.
type Clock struct {
	mu    sync.Mutex
	hands []*hand
}

// A hand that has turns for this part of its time, or, until that is known, so many seats, is given no more while another has less
// to do. Few hands are better than many: each costs wake-ups of its own.
const (
	busyHand = 0.3
	fullHand = 32
)

// seated is what a clock gives turns.
type seated interface {
	// fetch reads what has come, for the turn.
	fetch(d *desk)
	// turn does what is due at a moment and gives the moment of the next turn. The zero time is never.
	turn(at time.Time, d *desk) time.Time
	// post sends what the turn left to be sent. It may clear the moment of the next turn, for never.
	post(d *desk)
}

// join gives who turns, from now until the seat is left.
func (c *Clock) join(who seated) *seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hands == nil {
		for range runtime.GOMAXPROCS(0) {
			c.hands = append(c.hands, newHand())
		}
	}
	chosen, least := c.hands[0], 1.
	for _, h := range c.hands {
		seats, share := h.load()
		if seats < fullHand || share < busyHand {
			chosen = h
			break
		}
		if share < least {
			chosen, least = h, share
		}
	}
	s := &seat{who: who, hand: chosen, phase: noPhase}
	chosen.take(s)
	return s
}

// seat is a place on a clock.
type seat struct {
	who  seated
	hand *hand

	// Guarded by the hand's lock.
	prev, next *seat // of the same slot
	slot       int64
	linked     bool // in a slot
	busy       bool // it is its turn
	left       bool
	phase      int64 // of its frames
}

// The frames of a hand's seats come in phases: those of one are served by one wake-up, and leave as a burst. One phase takes so many
// before another is begun.
const (
	phases      = int64(20 * time.Millisecond / grain)
	mostInPhase = 128
	noPhase     = -1
)

// firstFrame gives the seat a phase, and the moment of its first frame, which is not before at.
func (s *seat) firstFrame(at time.Time) time.Time {
	h := s.hand
	h.mu.Lock()
	defer h.mu.Unlock()
	best := int64(0)
	for p, n := range h.inPhase {
		if h.inPhase[best] >= mostInPhase && n < h.inPhase[best] {
			best = int64(p)
		}
	}
	if !s.left && s.phase == noPhase {
		s.phase = best
		h.inPhase[best]++
	}
	g := h.grainAfter(at)
	return h.moment(g + (best-g%phases+phases)%phases)
}

// leave ends the turns. None runs any more when it returns; it must not be called from one.
func (s *seat) leave() {
	h := s.hand
	h.mu.Lock()
	defer h.mu.Unlock()
	s.left = true
	if s.linked {
		h.unlink(s)
		h.drop(s)
	}
	for s.busy {
		h.served.Wait()
	}
}
