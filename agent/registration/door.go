package registration

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// door is the gate's way to one server. Its gate locks it.
type door struct {
	gate   *Gate
	server netip.AddrPort

	queues   [urgencies][]*waiter
	next     time.Time // when the next request may go
	timer    *time.Timer
	inFlight int
	heard    time.Time // last final response
	breaker  breaker
	held     map[*Registration]bool // whether it was refused before
}

// waiter waits for the turn of one request.
type waiter struct {
	applicant
	pass  *pass
	ready chan error // takes one
}

// slack is how late a turn may be taken without the ones behind it being late,
// too: a timer that is late is made up for, and a line alone answers its
// challenge at once. Turns are spread over a second and that much, so that no
// second has more of them than it may, wherever it begins.
const slack = 50 * time.Millisecond

// wait gives nil when it is the waiter's turn.
func (d *door) wait(ctx context.Context, w *waiter) error {
	d.gate.mu.Lock()
	d.queues[w.urgency] = append(d.queues[w.urgency], w)
	d.move()
	d.gate.mu.Unlock()
	select {
	case err := <-w.ready:
		return err
	case <-ctx.Done():
	}
	d.gate.mu.Lock()
	defer d.gate.mu.Unlock()
	select {
	case err := <-w.ready:
		if err == nil {
			d.giveBack(w)
		}
	default:
		d.queues[w.urgency] = slices.DeleteFunc(d.queues[w.urgency], func(o *waiter) bool { return o == w })
	}
	return ctx.Err()
}

// giveBack takes a turn back that nobody takes any more.
func (d *door) giveBack(w *waiter) {
	w.pass.settle()
	if w.urgency == unproven {
		d.breaker.end(time.Now(), undecided, w.pass.probe)
	}
	d.move()
}

// move gives turns to those whose turn it is, and sets the timer for the next.
func (d *door) move() {
	for {
		now, w := time.Now(), d.first()
		if w == nil || d.inFlight >= d.gate.bounds.InFlight {
			return
		}
		if wait := d.next.Sub(now); wait > 0 {
			d.wakeAfter(wait)
			return
		}
		d.admit(now, w)
	}
}

// first is who would be let through now, without those that are held.
func (d *door) first() *waiter {
	for u := range urgencies {
		for len(d.queues[u]) > 0 {
			w := d.queues[u][0]
			if u != unproven {
				return w
			}
			now := time.Now()
			switch d.judge(now, w.applicant) {
			case mayTry:
				return w
			case mayWait:
				return nil
			}
			d.queues[u] = d.queues[u][1:]
			w.ready <- d.hold(w.applicant, now)
		}
	}
	return nil
}

// admit gives the first waiter its turn.
func (d *door) admit(now time.Time, w *waiter) {
	d.queues[w.urgency] = d.queues[w.urgency][1:]
	if len(d.queues[w.urgency]) == 0 {
		d.queues[w.urgency] = nil // not to keep the array of a crowd
	}
	if earliest := now.Add(-slack); d.next.Before(earliest) {
		d.next = earliest
	}
	d.next = d.next.Add(d.gate.interval())
	if w.urgency == unproven {
		w.pass.probe = d.breaker.begin()
	}
	d.inFlight++
	w.pass.underWay, w.pass.sent = true, now
	w.ready <- nil
}

func (d *door) wakeAfter(wait time.Duration) {
	if d.timer != nil {
		d.timer.Reset(wait)
		return
	}
	d.timer = time.AfterFunc(wait, func() {
		d.gate.mu.Lock()
		defer d.gate.mu.Unlock()
		d.move()
	})
}

// judge asks the breaker.
func (d *door) judge(now time.Time, a applicant) verdict {
	others := false // that were not refused before
	if d.breaker.open && a.denied {
		for _, denied := range d.held {
			others = others || !denied
		}
	}
	return d.breaker.judge(now, a, others, d.gate.bounds.RefusedPerMinute)
}

// hold notes a line that has to wait, and gives what to tell it.
func (d *door) hold(a applicant, now time.Time) error {
	d.held[a.line] = a.denied
	return &HeldBackError{Server: d.server, Refused: d.breaker.count, Until: d.breaker.until(now), Denied: a.denied}
}

// turnBack tells those in line that they are held.
func (d *door) turnBack(now time.Time) {
	for _, w := range d.queues[unproven] {
		w.ready <- d.hold(w.applicant, now)
	}
	d.queues[unproven] = nil
}

// turnAway tells everybody in line why they need not wait.
func (d *door) turnAway(why error) {
	for u := range d.queues {
		for _, w := range d.queues[u] {
			w.ready <- why
		}
		d.queues[u] = nil
	}
}

func (d *door) idle(now time.Time) bool {
	for _, q := range d.queues {
		if len(q) > 0 {
			return false
		}
	}
	return d.inFlight == 0 && len(d.held) == 0 && d.breaker.idle(now) && !d.next.After(now)
}
