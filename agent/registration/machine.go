package registration

import (
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// The machine of one registration. It is pure: next tells, for a state and an
// event, the next state and what is to be done; the runner does it and owns
// every clock and socket.
//
//	          start            answer 2xx             due
//	Idle ───────────► Registering ────────► Registered ────► Refreshing
//	  ▲                   │    ▲               ▲   ▲             │
//	  │ stop, Stopped     │    │ due     2xx   │   └─────────────┤ 2xx
//	  │                   ▼    │               │                 │ else
//	  └── Leaving ◄──── Waiting ┴──► Retrying ──┘◄───────────────┘
//	       stop
//
// Removing takes the old binding away before a line registers under another
// identity or at another server.

// phase is where a registration is in its life.
type phase string

const (
	idle        phase = "idle"        // never started
	registering phase = "registering" // first REGISTER of this configuration under way
	registered  phase = "registered"  // bound; waiting to refresh
	refreshing  phase = "refreshing"  // bound; REGISTER under way
	waiting     phase = "waiting"     // failed; waiting to try again
	retrying    phase = "retrying"    // failed; REGISTER under way
	removing    phase = "removing"    // un-REGISTER of the old configuration under way
	leaving     phase = "leaving"     // un-REGISTER under way, the end follows
	stopped     phase = "stopped"     // ended on purpose
)

// state of the machine.
type state struct {
	phase phase
	// expires is when our binding ends; zero = we have none that we know of.
	expires time.Time
	// failures in a row.
	failures int
	// ask for this expiry instead of the configured one; set by 423.
	ask time.Duration
	// shown is the State users see. It outlives a retry: a line that fails again
	// and again is in error all the time, not registering every few seconds.
	shown State
	// last is how the last attempt ended; nil = there was none.
	last *outcome
	// held: waiting for the crowd, while the binding there is stays as it was.
	held bool
	// freed: the crowd before it was gone before the line's own attempt had its outcome, which may be that it waits for that crowd.
	freed bool
	// retry is when the next attempt is due, while waiting.
	retry time.Time
	// plain: without RFC 5626, since a proxy on the way does not know it.
	plain bool
	// outbound: the last binding was to a flow.
	outbound bool
	// shaky flows in a row ended before they had proved to be any good.
	shaky int
	// corrections in a row of the address that the Contact has.
	corrections int
}

func (s state) bound(now time.Time) bool { return now.Before(s.expires) }

// kind of an event.
type kind string

const (
	start   kind = "start"   // Start was called
	due     kind = "due"     // the timer set by wake ran out
	done    kind = "done"    // what was sent has its outcome
	changed kind = "changed" // settings are new that a REGISTER carries
	moved   kind = "moved"   // identity or server are new: the old binding has to go
	stop    kind = "stop"    // Stop was called
	lost    kind = "lost"    // the connection our binding leads to has ended
	// released: what the line waited for is over, the crowd before it or the
	// silence of its server.
	released kind = "released"
)

// event is something that happened, when, and a throw of the dice for whatever
// jitter it leads to.
type event struct {
	kind    kind
	at      time.Time
	dice    float64 // 0 ≤ dice < 1
	outcome *outcome
	proved  bool // lost: the flow was good for a time
}

// action is something the runner has to do.
type action struct {
	do        do
	ask       time.Duration // register: expiry to ask for, 0 = as configured
	leftovers []string      // remove: Contact URIs
	after     time.Duration // wake
}

type do string

const (
	register   do = "register"   // send REGISTER; done follows
	unregister do = "unregister" // send REGISTER with expires=0; done follows
	remove     do = "remove"     // send REGISTER with expires=0 for others; nothing follows
	abandon    do = "abandon"    // give up what is under way; no done follows
	adopt      do = "adopt"      // put the newest configuration in force
	wake       do = "wake"       // set the timer, the one there is; due follows
	end        do = "end"        // nothing runs any more
)

// Bounds of the machine's patience.
const (
	// moveTimeout bounds the un-REGISTER before a move; the new server waits for it.
	moveTimeout = 2 * time.Second
	// firstBackoff and mostBackoff bound the wait after failures.
	firstBackoff = 2 * time.Second
	mostBackoff  = 5 * time.Minute
	// mostShakyWait bounds the wait after connections that ended again and again.
	mostShakyWait = 20 * time.Second
	// firstRefused and mostRefused bound it after refused credentials: every
	// attempt may count towards a ban of our address.
	firstRefused = 5 * time.Minute
	mostRefused  = 30 * time.Minute
	// secondTry is after how long, and up to a sixth more, credentials that worked
	// before are tried once more: secrets are often changed at the registrar a
	// moment before they are delivered, or after.
	secondTry = 30 * time.Second
	// mostLostWait bounds the wait after a lost connection.
	mostLostWait = 2 * time.Second
	// flowBase and mostFlowWait are base-time and max-time of RFC 5626 §4.5, where
	// all flows (there is one) have failed.
	flowBase     = 30 * time.Second
	mostFlowWait = 30 * time.Minute
	// mostCorrections of the Contact's address, one after the other: a NAT that
	// shows another one each time is not to have us register all the time.
	mostCorrections = 2
	// mostHeldSpread keeps lines that were held back from asking in one moment.
	mostHeldSpread = 5 * time.Second
	// mostRetryAfter and mostMinExpires bound what a registrar can ask of us.
	mostRetryAfter = time.Hour
	mostMinExpires = 24 * time.Hour
)

// next gives the state after an event, and what is to be done. Events a phase
// does not know change nothing: a timer or an answer that was already on its
// way when something else decided.
func next(s state, ev event) (state, []action) {
	switch ev.kind {
	case start:
		if s.phase == idle || s.phase == stopped {
			return begin(state{}, action{do: adopt})
		}
	case due:
		return onDue(s, ev)
	case done:
		return onDone(s, ev)
	case changed:
		return onChanged(s)
	case moved:
		return onMoved(s, ev)
	case stop:
		return onStop(s, ev)
	case lost:
		return onLost(s, ev)
	case released:
		return onReleased(s)
	}
	return s, nil
}

// begin registers from scratch, after the actions given.
func begin(s state, before ...action) (state, []action) {
	s.phase, s.shown, s.failures, s.ask, s.retry, s.freed = registering, delivery.Registering, 0, 0, time.Time{}, false
	return s, append(before, action{do: register})
}

func onDue(s state, ev event) (state, []action) {
	switch s.phase {
	case registered:
		// RFC 3261 §10.2.4: "Each UA is responsible for refreshing the bindings
		// that it has previously established."
		s.phase = refreshing
		return s, []action{{do: register, ask: s.ask}}
	case waiting:
		s.phase, s.retry = retrying, time.Time{}
		return s, []action{{do: register, ask: s.ask}}
	case removing:
		return begin(state{last: s.last}, action{do: abandon}, action{do: adopt})
	case leaving:
		s.last = &outcome{problem: delivery.ProblemTimeout, reason: "the registrar did not confirm the removal of the binding"}
		return ended(s, action{do: abandon})
	}
	return s, nil
}

func onDone(s state, ev event) (state, []action) {
	switch s.phase {
	case registering, refreshing, retrying:
		return onAnswer(s, ev)
	case removing:
		return begin(state{last: s.last}, action{do: adopt})
	case leaving:
		s.last = ev.outcome
		return ended(s)
	}
	return s, nil
}

// onAnswer takes the outcome of a REGISTER that asked for a binding.
func onAnswer(s state, ev event) (state, []action) {
	o, freed := ev.outcome, s.freed
	s.freed = false
	switch {
	case o.ok() && o.granted > 0:
		return succeed(s, ev)
	case o.problem == delivery.ProblemHeldBack && freed:
		// Told to wait, and that it need not: nothing was sent, and nobody will say so again.
		return s, []action{{do: register, ask: s.ask}}
	case o.code == 423 && o.minExpires > s.ask && o.minExpires <= mostMinExpires:
		// RFC 3261 §10.2.8: "If a UA receives a 423 (Interval Too Brief) response,
		// it MAY retry the registration after making the expiration interval of
		// all contact addresses in the REGISTER request equal to or greater than
		// the expiration interval within the Min-Expires header field". Each
		// round asks for more than the one before, so there is an end.
		s.ask = o.minExpires
		return s, []action{{do: register, ask: s.ask}}
	case o.code == 439 && !s.plain:
		// RFC 5626 §11.6: "First Hop Lacks Outbound Support"; §4.2.1 has the UA
		// register without, if it likes.
		s.plain = true
		return s, []action{{do: register, ask: s.ask}}
	}
	return fail(s, ev)
}

func succeed(s state, ev event) (state, []action) {
	o := ev.outcome
	s.phase, s.shown, s.failures, s.last, s.held = registered, delivery.Registered, 0, o, false
	s.expires, s.outbound = ev.at.Add(o.granted), o.way.outbound()
	if o.elsewhere && s.corrections < mostCorrections {
		// The Contact leads to where we are not (contactIP): say it again, right.
		s.phase = refreshing
		s.corrections++
		return s, []action{{do: register, ask: s.ask}}
	}
	s.corrections = 0
	var actions []action
	if len(o.leftovers) > 0 {
		actions = append(actions, action{do: remove, leftovers: o.leftovers})
	}
	return s, append(actions, action{do: wake, after: refreshAfter(o.granted, ev.dice)})
}

func fail(s state, ev event) (state, []action) {
	o, before := ev.outcome, s.last
	if o.proven && s.shown == delivery.Registered && s.bound(ev.at) {
		return keep(s, ev)
	}
	s.phase, s.last, s.shown, s.held = waiting, o, delivery.Error, false
	var after time.Duration
	switch {
	case o.problem == delivery.ProblemHeldBack:
		// Nothing was sent: it was no failure of this line. What its server said of
		// the credentials it still has is more than what it said of others'.
		if o.denied && before != nil && before.refused() {
			s.last, s.shown = before, delivery.Unauthorized
		}
		after = max(o.held.Sub(ev.at), 0) + scale(mostHeldSpread, ev.dice)
	case o.relapse:
		s.shown, s.failures = delivery.Unauthorized, 0
		after = secondTry + scale(secondTry/6, ev.dice)
	case o.refused():
		s.shown = delivery.Unauthorized
		s.failures++
		after = refusedAfter(s.failures, ev.dice)
	case s.outbound:
		s.failures++
		after = flowBackoff(s.failures, ev.dice)
	default:
		s.failures++
		after = backoff(s.failures, ev.dice)
	}
	if o.retryAfter > 0 {
		asked := retryAfter(o.retryAfter, ev.dice)
		if o.refused() {
			asked = max(asked, after)
		}
		after = asked
	}
	s.retry = ev.at.Add(after)
	return s, []action{{do: wake, after: after}}
}

// keep is fail for a line whose refresh the gate holds back, though its
// credentials have worked and its binding is still there: nothing is wrong with it
// before that ends.
func keep(s state, ev event) (state, []action) {
	s.phase, s.held = waiting, true
	after := max(ev.outcome.held.Sub(ev.at), 0) + scale(mostHeldSpread, ev.dice)
	after = min(after, s.expires.Sub(ev.at))
	s.retry = ev.at.Add(after)
	return s, []action{{do: wake, after: after}}
}

// onChanged registers again at once: the new password ends the wait of a line
// that was refused, and shows quickly when it is the wrong one.
func onChanged(s state) (state, []action) {
	switch s.phase {
	case registered:
		s.phase, s.ask = refreshing, 0
		return s, []action{{do: adopt}, {do: register}}
	case refreshing:
		s.ask = 0
		return s, []action{{do: abandon}, {do: adopt}, {do: register}}
	case waiting:
		return begin(s, action{do: adopt})
	case registering, retrying:
		return begin(s, action{do: abandon}, action{do: adopt})
	}
	return s, nil // the rest adopts when its time comes
}

// onLost registers again over another connection, soon but not with everybody
// else who was on this one (RFC 5626 §4.4: "If a flow fails, the UA … MUST …
// form a new flow"; §4.5 has it wait at random). Until then no call gets here.
// Where one flow after the other ends before it was any good, the pauses grow: with
// RFC 5626 as §4.5 counts failures, else from the second on, and no longer than
// mostShakyWait: the registrar did answer on each, so there is no failure to wait out.
// Any other phase has its own way to a REGISTER.
func onLost(s state, ev event) (state, []action) {
	if s.phase == waiting && s.held {
		s.shown = delivery.Registering // it has to wait, but is not reached any more
		return s, nil
	}
	if s.phase != registered {
		return s, nil
	}
	s.shown = delivery.Registering
	after := scale(mostLostWait, ev.dice)
	switch s.shaky++; {
	case ev.proved:
		s.shaky = 0
	case s.outbound:
		after = flowBackoff(s.shaky, ev.dice)
	case s.shaky > 1:
		after = min(backoff(s.shaky, ev.dice), scale(mostShakyWait, 0.5+0.5*ev.dice))
	}
	return s, []action{{do: wake, after: after}}
}

// onReleased tries again at once what was given up for others' sake or for want
// of an answer, and nothing else: what a server has said no to stays said.
func onReleased(s state) (state, []action) {
	switch s.phase {
	case registering, refreshing, retrying:
		s.freed = true
	}
	if s.phase != waiting || s.last == nil {
		return s, nil
	}
	awaited := s.last.problem == delivery.ProblemHeldBack || s.last.unheard()
	if !s.held && !awaited {
		return s, nil
	}
	s.phase, s.retry = retrying, time.Time{}
	return s, []action{{do: register, ask: s.ask}}
}

// onMoved takes the old binding away first: registrars that know one Contact
// per line would otherwise refuse the new one, and an un-REGISTER sent later
// could take the new binding with it.
func onMoved(s state, ev event) (state, []action) {
	switch s.phase {
	case registering, refreshing, retrying:
		// What is under way may have reached the registrar.
		return movingOut(s, action{do: abandon})
	case registered, waiting:
		if s.bound(ev.at) {
			return movingOut(s)
		}
		return begin(state{last: s.last}, action{do: adopt})
	}
	return s, nil
}

func movingOut(s state, before ...action) (state, []action) {
	s.phase, s.shown, s.expires, s.retry = removing, delivery.Registering, time.Time{}, time.Time{}
	return s, append(before, action{do: unregister}, action{do: wake, after: moveTimeout})
}

func onStop(s state, ev event) (state, []action) {
	switch s.phase {
	case registering, refreshing, retrying:
		return goingAway(s, action{do: abandon})
	case removing:
		// Already what is needed; only what follows is new.
		s.phase = leaving
		return s, []action{{do: wake, after: StopTimeout}}
	case registered, waiting:
		if s.bound(ev.at) {
			return goingAway(s)
		}
		return ended(s)
	case idle:
		return ended(s)
	}
	return s, nil
}

// goingAway un-registers (RFC 3261 §10.2.2: "A UA requests the immediate
// removal of a binding by specifying an expiration interval of "0" for that
// contact address in a REGISTER request. UAs SHOULD support this mechanism so
// that bindings can be removed before their expiration interval has passed.").
func goingAway(s state, before ...action) (state, []action) {
	s.phase, s.retry = leaving, time.Time{}
	return s, append(before, action{do: unregister}, action{do: wake, after: StopTimeout})
}

func ended(s state, before ...action) (state, []action) {
	last := s.last
	return state{phase: stopped, shown: delivery.Disabled, last: last}, append(before, action{do: end})
}

// refreshAfter is when to refresh a binding: at 80 to 90 % of its time, and
// early enough that a REGISTER which nobody answers (32 s) still leaves time for
// another; short bindings at 50 to 60 %.
func refreshAfter(granted time.Duration, dice float64) time.Duration {
	latest := min(scale(granted, 0.9), max(granted-40*time.Second, scale(granted, 0.6)))
	return max(latest-scale(granted, 0.1*(1-dice)), time.Second)
}

// backoff after failures in a row: as RFC 5626 §4.5, a random part, at least
// half, of a bound that doubles.
func backoff(failures int, dice float64) time.Duration {
	return scale(double(firstBackoff, mostBackoff, failures), 0.5+0.5*dice)
}

// flowBackoff is the wait after failures in a row to make a flow, RFC 5626 §4.5: of
// min(max-time, base-time · 2^failures), "a uniform random time between 50 and 100%".
func flowBackoff(failures int, dice float64) time.Duration {
	return scale(double(2*flowBase, mostFlowWait, failures), 0.5+0.5*dice)
}

// refusedAfter is backoff for refused credentials, only slower.
func refusedAfter(failures int, dice float64) time.Duration {
	return scale(double(firstRefused, mostRefused, failures), 0.75+0.25*dice)
}

// retryAfter is the time a server asks for (RFC 3261 §20.33: "how long the service
// is expected to be unavailable"), within bounds, and some more at random. Who
// says so knows better than any backoff.
func retryAfter(asked time.Duration, dice float64) time.Duration {
	asked = min(max(asked, firstBackoff), mostRetryAfter)
	return asked + scale(max(asked/10, time.Second), dice)
}

// double gives first doubled for every time after the first, at most most.
func double(first, most time.Duration, times int) time.Duration {
	d := first
	for i := 1; i < times && d < most; i++ {
		d *= 2
	}
	return min(d, most)
}

func scale(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }
