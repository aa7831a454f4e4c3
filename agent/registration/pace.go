package registration

import (
	"slices"
	"time"
)

// pace keeps the requests to one server below a bound in every second, wherever
// that begins, by when they were really written: a turn is given in time, but on
// a busy machine what was given it leaves later, and bunched. It is pure: the
// gate locks it and tells it the time.
//
// Why that is exact: of the requests that left within one second, take the one
// whose turn came last. All others were written less than a second before it
// was, so not a second before its turn; or had their turn and were not written
// then. Both are counted when a turn is given.
type pace struct {
	next time.Time   // when the next turn is, were everything even
	sent []time.Time // within the last span, the oldest first
}

const (
	// slack is how late a turn may be taken without the ones behind it being late,
	// too: a timer that is late is made up for, and a line alone answers its
	// challenge at once. It is also what the network may add to the way of one
	// request and not to that of another.
	slack = 50 * time.Millisecond
	// span has no more requests than a second may have.
	span = time.Second + slack
)

// wait is how long the next turn is away; 0 = it is now. others count as well:
// requests whose turn was given and that are not written, and repeated ones.
func (p *pace) wait(now time.Time, most, others int) time.Duration {
	p.forget(now)
	even := max(p.next.Sub(now), 0)
	switch {
	case len(p.sent)+others < most:
		return even
	case others > 0: // who knows when they end
		return max(even, interval(most))
	}
	return max(even, p.sent[0].Add(span).Sub(now))
}

// turn is given to a request.
func (p *pace) turn(now time.Time, most int) {
	if earliest := now.Add(-slack); p.next.Before(earliest) {
		p.next = earliest
	}
	p.next = p.next.Add(interval(most))
}

// wrote notes requests that have been written.
func (p *pace) wrote(at ...time.Time) {
	p.sent = append(p.sent, at...)
	slices.SortFunc(p.sent, time.Time.Compare) // nearly always sorted already
}

func (p *pace) forget(now time.Time) {
	gone := 0
	for gone < len(p.sent) && now.Sub(p.sent[gone]) >= span {
		gone++
	}
	if p.sent = slices.Delete(p.sent, 0, gone); len(p.sent) == 0 {
		p.sent = nil // not to keep the array of a crowd
	}
}

// interval between two turns.
func interval(most int) time.Duration { return span / time.Duration(most) }

// T1 and T2 of RFC 3261 §17.1.1.1.
const (
	t1 = 500 * time.Millisecond
	t2 = 4 * time.Second
)

// repeats are the times within the last span at which a datagram without an
// answer was sent again (RFC 3261 §17.1.2.2, timer E).
func repeats(sent, now time.Time) (all []time.Time) {
	for at, step := sent.Add(t1), 2*t1; !at.After(now); at, step = at.Add(step), min(2*step, t2) {
		if now.Sub(at) < span {
			all = append(all, at)
		}
	}
	return all
}
