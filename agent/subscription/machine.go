package subscription

import (
	"slices"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/registration"
)

// The machine of one subscription (RFC 6665 §4.1). It is pure: next tells, for a
// state and an event, the next state and what is to be done; the runner does it and
// owns every clock and socket.
//
//	        start             2xx              NOTIFY            due
//	idle ───────► subscribing ────► expecting ───────► active ────────► refreshing
//	                │   │ NOTIFY, 2xx   │                ▲ │                │
//	                │   └───────────────┼────────────────┘ │ terminated     │ 2xx
//	                ▼ else              ▼ timer N          ▼                ▼
//	              waiting ◄─────────────┴──────────────────┴───────── expecting
//	                │ due: subscribing                                (or active)
//	              refused: until something changes
//
// A forked SUBSCRIBE makes several subscriptions (§4.1.4). The first of them is the
// one that is made anew; the others begin as active and end for good.

// phase is where a subscription is in its life.
type phase string

const (
	idle        phase = "idle"        // never started
	subscribing phase = "subscribing" // the first SUBSCRIBE is under way
	expecting   phase = "expecting"   // it was taken; the NOTIFY has not come
	active      phase = "active"      // NOTIFY came; waiting to refresh
	refreshing  phase = "refreshing"  // another SUBSCRIBE within it is under way
	waiting     phase = "waiting"     // there is none; waiting to try again
	refused     phase = "refused"     // there is none, and trying again makes no sense
	leaving     phase = "leaving"     // SUBSCRIBE with Expires: 0 is under way, the end follows
	stopped     phase = "stopped"     // ended
)

// state of the machine.
type state struct {
	phase phase
	// expires is when the subscription ends; zero = there is none that we know of.
	expires time.Time
	// notified: a NOTIFY came since the last SUBSCRIBE was sent.
	notified bool
	// pending: the notifier has not decided yet whether it tells us.
	pending bool
	// sent is when the last SUBSCRIBE was, since when the subscription is there.
	sent, since time.Time
	// failures in a row.
	failures int
	// ask for this duration instead of the usual one; set by 423.
	ask time.Duration
	// last is how the last attempt, or the subscription, ended; nil = there was none.
	last *outcome
	// retry is when the next attempt is due, while waiting.
	retry time.Time
	// fork: another subscription than the first of a forked SUBSCRIBE.
	fork bool
}

// there tells whether a subscription is there, as far as we know.
func (s state) there() bool {
	return s.phase == active || s.phase == refreshing || s.phase == expecting && !s.since.IsZero()
}

// kind of an event.
type kind string

const (
	start    kind = "start"    // begin
	forked   kind = "forked"   // begin with a NOTIFY, as a fork
	due      kind = "due"      // the timer set by wake ran out
	done     kind = "done"     // what was sent has its outcome
	notified kind = "notified" // a NOTIFY came
	gap      kind = "gap"      // a NOTIFY is missing
	renew    kind = "renew"    // the line is registered again
	moved    kind = "moved"    // the line has another server
	changed  kind = "changed"  // credentials are new
	stop     kind = "stop"     // unsubscribe
)

// event is something that happened, when, and a throw of the dice for whatever
// jitter it leads to.
type event struct {
	kind    kind
	at      time.Time
	dice    float64  // 0 ≤ dice < 1
	outcome *outcome // done
	notice  notice   // notified, forked
}

// notice is what a NOTIFY says of the subscription it belongs to
// (Subscription-State, RFC 6665 §8.2.3).
type notice struct {
	state      string        // active, pending, terminated
	expires    time.Duration // 0 = unsaid
	reason     string
	retryAfter time.Duration
}

// action is something the runner has to do.
type action struct {
	do    do
	ask   time.Duration // subscribe, resubscribe, refresh: 0 = the usual
	after time.Duration // wake
}

type do string

const (
	subscribe   do = "subscribe"   // send SUBSCRIBE outside of any dialog; done follows
	resubscribe do = "resubscribe" // the same once more, as one that was answered before
	refresh     do = "refresh"     // send SUBSCRIBE within the subscription; done follows
	unsubscribe do = "unsubscribe" // the same with Expires: 0; done follows
	abandon     do = "abandon"     // give up what is under way; no done follows
	forget      do = "forget"      // the subscription is gone, and its forks
	wake        do = "wake"        // set the timer, the one there is; due follows
	end         do = "end"         // nothing runs any more
)

// Bounds of the machine's patience.
const (
	// timerN is how long a NOTIFY may take after SUBSCRIBE: 64·T1 (RFC 6665 §4.1.2.4).
	timerN = 32 * time.Second
	// StopTimeout bounds the end of a subscription.
	StopTimeout = 2 * time.Second
	// settled is how long a subscription has to last for its end to be no failure.
	settled = time.Minute
	// mostMinExpires bounds what a notifier can ask of us.
	mostMinExpires = 24 * time.Hour
	// sameExpiry: what NOTIFY says of the time that is left differs so much by rounding.
	sameExpiry = 2 * time.Second
	// mostRenewWait spreads those that are renewed in one moment.
	mostRenewWait = 2 * time.Second
)

// next gives the state after an event, and what is to be done. Events a phase does
// not know change nothing.
func next(s state, ev event) (state, []action) {
	switch ev.kind {
	case start:
		if s.phase == idle || s.phase == stopped {
			return begin(state{fork: s.fork}, ev)
		}
	case forked:
		s = state{fork: true, sent: ev.at, notified: true}
		if ev.notice.expires > 0 {
			s.expires = ev.at.Add(ev.notice.expires)
		}
		return settle(s, ev)
	case due:
		return onDue(s, ev)
	case done:
		return onDone(s, ev)
	case notified:
		return onNotified(s, ev)
	case gap:
		if s.phase == active {
			return again(s, ev)
		}
	case renew:
		return onRenew(s, ev)
	case moved:
		return onMoved(s, ev)
	case changed:
		if s.phase == waiting || s.phase == refused {
			return begin(s, ev)
		}
	case stop:
		return onStop(s)
	}
	return s, nil
}

// begin subscribes from scratch, after the actions given.
func begin(s state, ev event, before ...action) (state, []action) {
	if s.fork {
		before = slices.DeleteFunc(before, func(a action) bool { return a.do == forget })
		return ended(s, append(before, action{do: forget})...)
	}
	s.phase, s.sent, s.notified, s.pending = subscribing, ev.at, false, false
	s.retry, s.expires, s.since = time.Time{}, time.Time{}, time.Time{}
	return s, append(before, action{do: subscribe, ask: s.ask})
}

// again sends a SUBSCRIBE within the subscription.
func again(s state, ev event) (state, []action) {
	s.phase, s.sent, s.notified, s.retry = refreshing, ev.at, false, time.Time{}
	return s, []action{{do: refresh, ask: s.ask}}
}

func onDue(s state, ev event) (state, []action) {
	switch s.phase {
	case waiting:
		return begin(s, ev)
	case expecting:
		// §4.1.2.4: "If this Timer N expires prior to the receipt of a NOTIFY request,
		// the subscriber considers the subscription failed, and cleans up any state
		// associated with the subscription attempt."
		o := &outcome{reason: "the subscription was accepted, but no NOTIFY followed within 32 s", problem: problemSilent}
		if !s.since.IsZero() && s.failures == 0 {
			s.failures, s.last = 1, o
			return begin(s, ev, action{do: forget})
		}
		return fail(s, ev, o)
	case active:
		if !ev.at.Before(s.expires) {
			return begin(s, ev, action{do: forget})
		}
		return again(s, ev)
	case leaving:
		return ended(s, action{do: abandon}, action{do: forget})
	}
	return s, nil
}

func onDone(s state, ev event) (state, []action) {
	switch s.phase {
	case subscribing, refreshing:
		return onAnswer(s, ev)
	case leaving:
		return ended(s, action{do: forget})
	}
	return s, nil
}

// onAnswer takes the outcome of a SUBSCRIBE that asked for some time.
func onAnswer(s state, ev event) (state, []action) {
	o := ev.outcome
	switch {
	case o.ok():
		return accepted(s, ev)
	case o.code == 423 && o.minExpires > s.ask && o.minExpires <= mostMinExpires:
		// Each round asks for more than the one before, so there is an end.
		s.ask = o.minExpires
		if s.phase == refreshing {
			return again(s, ev)
		}
		s.sent = ev.at
		return s, []action{{do: resubscribe, ask: s.ask}}
	case s.phase == refreshing:
		return notRefreshed(s, ev)
	case s.notified && o.problem == problemUnheard:
		// The NOTIFY says it, though the 2xx was lost.
		return settle(s, ev)
	}
	return fail(s, ev, o)
}

func accepted(s state, ev event) (state, []action) {
	o := ev.outcome
	if s.phase == refreshing {
		s.failures = 0
	}
	s.last = o
	if !s.notified {
		s.expires = ev.at.Add(o.granted)
		s.phase = expecting
		return s, []action{{do: wake, after: max(s.sent.Add(timerN).Sub(ev.at), time.Second)}}
	}
	if s.expires.IsZero() || s.phase == refreshing {
		s.expires = ev.at.Add(o.granted)
	}
	return settle(s, ev)
}

// settle waits for the time to refresh.
func settle(s state, ev event) (state, []action) {
	s.phase = active
	if s.since.IsZero() {
		s.since = ev.at
	}
	if s.expires.IsZero() {
		s.expires = ev.at.Add(DefaultExpires)
	}
	return s, []action{{do: wake, after: registration.RefreshAfter(s.expires.Sub(ev.at), ev.dice)}}
}

// notRefreshed is a refresh that failed. Some answers say that the subscription is
// gone (§4.1.2.2); after others it is "still considered valid for the duration of
// the most recently known "Expires" value".
func notRefreshed(s state, ev event) (state, []action) {
	o := ev.outcome
	switch {
	case o.code == 481:
		s.failures++
		s.last = o
		if s.failures == 1 {
			return begin(s, ev, action{do: forget})
		}
		return fail(s, ev, o)
	case o.gone():
		return fail(s, ev, o)
	}
	s.failures += o.counts()
	s.last, s.phase = o, active
	after := min(o.wait(s.failures, ev.dice), max(s.expires.Sub(ev.at), 0))
	s.retry = ev.at.Add(after)
	return s, []action{{do: wake, after: after}}
}

// fail leaves no subscription, and says when another is tried.
func fail(s state, ev event, o *outcome) (state, []action) {
	if s.fork {
		return ended(s, action{do: forget})
	}
	s.last, s.expires, s.since = o, time.Time{}, time.Time{}
	if o.final() {
		s.phase, s.retry = refused, time.Time{}
		return s, []action{{do: forget}}
	}
	s.failures += o.counts()
	s.phase = waiting
	after := o.wait(s.failures, ev.dice)
	s.retry = ev.at.Add(after)
	return s, []action{{do: forget}, {do: wake, after: after}}
}
