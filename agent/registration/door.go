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

	queues  [urgencies][]*waiter
	pace    pace
	timer   *time.Timer
	flying  map[*pass]bool // with a request that has its turn and no answer
	heard   time.Time      // last final response
	breaker breaker
	held    map[*Registration]bool // by breaker; whether it was refused before
	relapse relapse
	doubted map[*Registration]bool // by relapse
}

// waiter waits for the turn of one request.
type waiter struct {
	applicant
	pass  *pass
	ready chan error // takes one
}

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
	if w.urgency != answering {
		d.end(time.Now(), w.pass, undecided)
	}
	d.move()
}

// end takes the result of an attempt to the breaker that let it through, and
// gives the lines that need not wait any more.
func (d *door) end(now time.Time, p *pass, how result) (free []*Registration) {
	var freed map[*Registration]bool
	switch {
	case p.urgency == unproven && d.breaker.end(now, how, p.probe):
		freed = d.held
	case p.urgency == proven && d.relapse.end(now, p.applicant, how, p.probe, d.gate.bounds.RefusedPerMinute):
		freed = d.doubted
	}
	for line := range freed {
		free = append(free, line)
	}
	clear(freed)
	return free
}

// move gives turns to those whose turn it is, and sets the timer for the next.
func (d *door) move() {
	for {
		now, w := time.Now(), d.first()
		if w == nil || len(d.flying) >= d.gate.bounds.InFlight {
			return
		}
		if wait := d.pace.wait(now, d.gate.bounds.RequestsPerSecond, d.others(now)); wait > 0 {
			d.wakeAfter(wait)
			return
		}
		d.admit(now, w)
	}
}

// others are requests that count now, though they were not just written.
func (d *door) others(now time.Time) (n int) {
	for p := range d.flying {
		switch {
		case p.written.IsZero():
			n++
		case p.repeats:
			n += len(repeats(p.written, now))
		}
	}
	return n
}

// first is who would be let through now, without those that are held.
func (d *door) first() *waiter {
	for u := range urgencies {
		if w := d.firstOf(u); w != nil {
			return w
		}
	}
	return nil
}

// firstOf is first among those of one urgency.
func (d *door) firstOf(u urgency) *waiter {
	for len(d.queues[u]) > 0 {
		now, w := time.Now(), d.queues[u][0]
		switch d.judge(now, w.applicant) {
		case mayTry:
			return w
		case mayWait:
			return nil
		}
		d.queues[u] = d.queues[u][1:]
		w.ready <- d.hold(w.applicant, now)
	}
	return nil
}

// admit gives the first waiter its turn.
func (d *door) admit(now time.Time, w *waiter) {
	d.queues[w.urgency] = d.queues[w.urgency][1:]
	if len(d.queues[w.urgency]) == 0 {
		d.queues[w.urgency] = nil // not to keep the array of a crowd
	}
	d.pace.turn(now, d.gate.bounds.RequestsPerSecond)
	switch w.urgency {
	case unproven:
		w.pass.probe = d.breaker.begin()
	case proven:
		w.pass.probe = d.relapse.begin(w.applicant)
	}
	d.flying[w.pass] = true
	w.pass.turn, w.pass.written = now, time.Time{}
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

// judge asks the breaker that the line's credentials have.
func (d *door) judge(now time.Time, a applicant) verdict {
	switch a.urgency {
	case proven:
		return d.relapse.judge(now, a, d.gate.bounds.RefusedPerMinute)
	case answering, parting, visiting:
		return mayTry
	}
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
	if a.urgency == proven {
		d.doubted[a.line] = true
		return &HeldBackError{Server: d.server, Refused: d.relapse.count, Until: d.relapse.until(now), Proven: true}
	}
	d.held[a.line] = a.denied
	return &HeldBackError{Server: d.server, Refused: d.breaker.count, Until: d.breaker.until(now), Denied: a.denied}
}

// unhold forgets that a line waits.
func (d *door) unhold(line *Registration) {
	delete(d.held, line)
	delete(d.doubted, line)
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
	d.pace.forget(now)
	return len(d.flying) == 0 && len(d.held) == 0 && len(d.doubted) == 0 && d.breaker.idle(now) && d.relapse.idle(now) &&
		len(d.pace.sent) == 0 && !d.pace.next.After(now)
}
