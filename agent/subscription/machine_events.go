package subscription

import "time"

// What comes to the machine from outside: NOTIFY, the line's fortunes, and its end.

// onNotified takes what a NOTIFY says of the subscription. One may come before the
// answer to the SUBSCRIBE (§4.1.2.4).
func onNotified(s state, ev event) (state, []action) {
	n := ev.notice
	switch s.phase {
	case subscribing, refreshing, expecting, active:
	default:
		return s, nil
	}
	if n.state == "terminated" {
		return terminated(s, ev)
	}
	s.notified, s.pending = true, n.state == "pending"
	known := s.expires
	if n.expires > 0 {
		s.expires = ev.at.Add(n.expires)
	}
	switch s.phase {
	case subscribing:
		if s.since.IsZero() {
			s.since = ev.at
		}
	case expecting:
		return settle(s, ev)
	case active:
		if d := s.expires.Sub(known); d < -sameExpiry || d > sameExpiry {
			return settle(s, ev)
		}
		s.expires = known
	}
	return s, nil
}

// terminated: the notifier ended the subscription, and said why (§4.1.3).
func terminated(s state, ev event) (state, []action) {
	var before []action
	if s.phase == subscribing || s.phase == refreshing {
		before = append(before, action{do: abandon})
	}
	if s.fork {
		return ended(s, append(before, action{do: forget})...)
	}
	o := &outcome{terminated: true, reason: "the server ended the subscription", retryAfter: ev.notice.retryAfter, problem: problemEnded}
	why := ev.notice.reason
	if why != "" {
		o.reason += ": " + clip(why)
	}
	if !s.since.IsZero() && ev.at.Sub(s.since) >= settled {
		s.failures = 0
	}
	switch why {
	case "rejected", "noresource", "invariant":
		o.problem = problemFinal
	case "deactivated", "timeout":
		// §4.1.3: "clients SHOULD retry immediately with a new subscription"; but one
		// that ends at once again and again is a loop.
		if s.failures == 0 {
			s.failures, s.last = 1, o
			return begin(s, ev, append(before, action{do: forget})...)
		}
		o.retryAfter = 0 // has no meaning here
	}
	var actions []action
	s, actions = fail(s, ev, o)
	return s, append(before, actions...)
}

// onRenew: the line was away from its server for some time, which may have lost
// what we subscribed to; and what was given up for want of an answer may have one.
func onRenew(s state, ev event) (state, []action) {
	switch s.phase {
	case active:
		s.failures = 0
		return s, []action{{do: wake, after: time.Duration(float64(mostRenewWait) * ev.dice)}}
	case waiting, refused:
		s.failures = 0
		return begin(s, ev)
	}
	return s, nil
}

// onMoved: what was subscribed to is at another server, of which nothing is known
// there.
func onMoved(s state, ev event) (state, []action) {
	switch s.phase {
	case subscribing, refreshing:
		s.failures = 0
		return begin(s, ev, action{do: abandon}, action{do: forget})
	case expecting, active, waiting, refused:
		s.failures = 0
		return begin(s, ev, action{do: forget})
	}
	return s, nil
}

// onStop unsubscribes what is there.
func onStop(s state) (state, []action) {
	switch s.phase {
	case subscribing:
		if !s.notified {
			return ended(s, action{do: abandon}, action{do: forget})
		}
		return goingAway(s, action{do: abandon})
	case refreshing:
		return goingAway(s, action{do: abandon})
	case expecting, active:
		return goingAway(s)
	case leaving, stopped:
		return s, nil
	}
	return ended(s, action{do: forget})
}

func goingAway(s state, before ...action) (state, []action) {
	s.phase, s.retry = leaving, time.Time{}
	return s, append(before, action{do: unsubscribe}, action{do: wake, after: StopTimeout})
}

func ended(s state, before ...action) (state, []action) {
	return state{phase: stopped, last: s.last, fork: s.fork}, append(before, action{do: end})
}
