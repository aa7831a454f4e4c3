package subscription

import (
	"slices"
	"testing"
	"time"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Outcomes the tables use.
var (
	taken       = &outcome{code: 200, granted: time.Hour}
	tooBrief    = &outcome{code: 423, problem: problemOther, minExpires: 2 * time.Hour}
	tooBriefNil = &outcome{code: 423, problem: problemOther}
	tooBriefAll = &outcome{code: 423, problem: problemOther, minExpires: 48 * time.Hour}
	badEvent    = &outcome{code: 489, problem: problemFinal}
	noSuch      = &outcome{code: 481, problem: problemOther}
	busy        = &outcome{code: 503, problem: problemOther}
	later       = &outcome{code: 503, problem: problemOther, retryAfter: 2 * time.Minute}
	denied      = &outcome{code: 407, problem: problemRefused}
	notFound    = &outcome{code: 404, problem: problemSlow}
	unheard     = &outcome{problem: problemUnheard}
	unsent      = &outcome{problem: problemUnsent}
)

// NOTIFYs.
var (
	going       = notice{state: "active"}
	undecided   = notice{state: "pending", expires: time.Hour}
	shortened   = notice{state: "active", expires: time.Minute}
	deactivated = notice{state: "terminated", reason: "deactivated"}
	timedOut    = notice{state: "terminated", reason: "timeout"}
	rejected    = notice{state: "terminated", reason: "rejected"}
	noResource  = notice{state: "terminated", reason: "noresource"}
	probation   = notice{state: "terminated", reason: "probation", retryAfter: 90 * time.Second}
	givenUp     = notice{state: "terminated", reason: "giveup"}
	ended0      = notice{state: "terminated"}
)

// A subscription that holds, one that ran out, and one that was there long enough.
var (
	holds = t0.Add(30 * time.Minute)
	ran   = t0.Add(-time.Second)
	long  = t0.Add(-time.Hour)
)

func TestMachine(t *testing.T) {
	for _, c := range []struct {
		name    string
		from    state
		event   kind
		outcome *outcome
		notice  notice
		to      phase
		actions []do
	}{
		{name: "a new subscription", from: state{phase: idle}, event: start, to: subscribing, actions: []do{subscribe}},
		{name: "begun again after an end", from: state{phase: stopped}, event: start, to: subscribing, actions: []do{subscribe}},
		{name: "begun already", from: state{phase: active}, event: start, to: active},

		// RFC 6665 §4.1.2.4: "Timer N … is … canceled when a NOTIFY is received".
		{name: "taken, and no NOTIFY yet", from: state{phase: subscribing}, event: done, outcome: taken, to: expecting, actions: []do{wake}},
		{name: "the NOTIFY comes", from: state{phase: expecting, expires: holds}, event: notified, notice: going, to: active, actions: []do{wake}},
		{name: "the NOTIFY comes before the 200", from: state{phase: subscribing}, event: notified, notice: going, to: subscribing},
		{name: "the 200 comes after the NOTIFY", from: state{phase: subscribing, notified: true}, event: done, outcome: taken, to: active, actions: []do{wake}},
		{name: "the 200 is lost after the NOTIFY", from: state{phase: subscribing, notified: true}, event: done, outcome: unheard, to: active, actions: []do{wake}},
		{name: "refused after a NOTIFY", from: state{phase: subscribing, notified: true}, event: done, outcome: busy, to: waiting, actions: []do{forget, wake}},
		{name: "no NOTIFY at all", from: state{phase: expecting, expires: holds}, event: due, to: waiting, actions: []do{forget, wake}},
		{name: "no NOTIFY after a refresh", from: state{phase: expecting, expires: holds, since: long}, event: due, to: subscribing, actions: []do{forget, subscribe}},
		{name: "nor after that", from: state{phase: expecting, expires: holds, since: long, failures: 1}, event: due, to: waiting, actions: []do{forget, wake}},

		{name: "time to refresh", from: state{phase: active, expires: holds}, event: due, to: refreshing, actions: []do{refresh}},
		{name: "it ran out before", from: state{phase: active, expires: ran}, event: due, to: subscribing, actions: []do{forget, subscribe}},
		{name: "refreshed", from: state{phase: refreshing, expires: holds, since: long}, event: done, outcome: taken, to: expecting, actions: []do{wake}},
		{name: "refreshed and notified", from: state{phase: refreshing, expires: holds, since: long, notified: true}, event: done, outcome: taken, to: active, actions: []do{wake}},
		{name: "a NOTIFY goes by", from: state{phase: active, expires: holds}, event: notified, notice: going, to: active},
		{name: "a NOTIFY makes it shorter", from: state{phase: active, expires: holds}, event: notified, notice: shortened, to: active, actions: []do{wake}},
		{name: "not decided yet", from: state{phase: expecting, expires: holds}, event: notified, notice: undecided, to: active, actions: []do{wake}},
		{name: "a NOTIFY is missing", from: state{phase: active, expires: holds}, event: gap, to: refreshing, actions: []do{refresh}},
		{name: "a NOTIFY is missing, which the refresh under way brings", from: state{phase: refreshing, expires: holds}, event: gap, to: refreshing},

		// §4.1.2.1, 423 of RFC 3261 §21.4.17.
		{name: "too brief", from: state{phase: subscribing}, event: done, outcome: tooBrief, to: subscribing, actions: []do{resubscribe}},
		{name: "a refresh too brief", from: state{phase: refreshing, expires: holds}, event: done, outcome: tooBrief, to: refreshing, actions: []do{refresh}},
		{name: "too brief, as long as it asked for", from: state{phase: subscribing, ask: 2 * time.Hour}, event: done, outcome: tooBrief, to: waiting, actions: []do{forget, wake}},
		{name: "too brief without a number", from: state{phase: subscribing}, event: done, outcome: tooBriefNil, to: waiting, actions: []do{forget, wake}},
		{name: "too brief beyond reason", from: state{phase: subscribing}, event: done, outcome: tooBriefAll, to: waiting, actions: []do{forget, wake}},

		{name: "an unknown event package", from: state{phase: subscribing}, event: done, outcome: badEvent, to: refused, actions: []do{forget}},
		{name: "no longer known when refreshed", from: state{phase: refreshing, expires: holds}, event: done, outcome: badEvent, to: refused, actions: []do{forget}},
		{name: "refused credentials", from: state{phase: subscribing}, event: done, outcome: denied, to: waiting, actions: []do{forget, wake}},
		{name: "nobody of that name", from: state{phase: subscribing}, event: done, outcome: notFound, to: waiting, actions: []do{forget, wake}},
		{name: "a busy server", from: state{phase: subscribing}, event: done, outcome: busy, to: waiting, actions: []do{forget, wake}},
		{name: "time to try again", from: state{phase: waiting}, event: due, to: subscribing, actions: []do{subscribe}},

		// §4.1.2.2: which failures of a refresh leave nothing.
		{name: "the subscription is unknown", from: state{phase: refreshing, expires: holds}, event: done, outcome: noSuch, to: subscribing, actions: []do{forget, subscribe}},
		{name: "unknown again", from: state{phase: refreshing, expires: holds, failures: 1}, event: done, outcome: noSuch, to: waiting, actions: []do{forget, wake}},
		{name: "a refresh unheard", from: state{phase: refreshing, expires: holds}, event: done, outcome: unheard, to: waiting, actions: []do{forget, wake}},
		{name: "a refresh to a busy server", from: state{phase: refreshing, expires: holds}, event: done, outcome: busy, to: active, actions: []do{wake}},
		{name: "a refresh of a line that is not registered", from: state{phase: refreshing, expires: holds}, event: done, outcome: unsent, to: active, actions: []do{wake}},

		// §4.1.3: what the reasons of an end mean.
		{name: "deactivated", from: state{phase: active, expires: holds, since: long}, event: notified, notice: deactivated, to: subscribing, actions: []do{forget, subscribe}},
		{name: "deactivated again and again", from: state{phase: active, expires: holds, since: t0, failures: 2}, event: notified, notice: deactivated, to: waiting, actions: []do{forget, wake}},
		{name: "timeout", from: state{phase: expecting, expires: holds, since: long}, event: notified, notice: timedOut, to: subscribing, actions: []do{forget, subscribe}},
		{name: "rejected", from: state{phase: active, expires: holds}, event: notified, notice: rejected, to: refused, actions: []do{forget}},
		{name: "no resource", from: state{phase: subscribing}, event: notified, notice: noResource, to: refused, actions: []do{abandon, forget}},
		{name: "probation", from: state{phase: active, expires: holds}, event: notified, notice: probation, to: waiting, actions: []do{forget, wake}},
		{name: "given up", from: state{phase: refreshing, expires: holds}, event: notified, notice: givenUp, to: waiting, actions: []do{abandon, forget, wake}},
		{name: "ended without a reason", from: state{phase: active, expires: holds}, event: notified, notice: ended0, to: waiting, actions: []do{forget, wake}},

		{name: "the line is registered again", from: state{phase: active, expires: holds}, event: renew, to: active, actions: []do{wake}},
		{name: "the same while waiting", from: state{phase: waiting}, event: renew, to: subscribing, actions: []do{subscribe}},
		{name: "the same when refused", from: state{phase: refused}, event: renew, to: subscribing, actions: []do{subscribe}},
		{name: "another server", from: state{phase: active, expires: holds}, event: moved, to: subscribing, actions: []do{forget, subscribe}},
		{name: "another server while asking the one before", from: state{phase: refreshing, expires: holds}, event: moved, to: subscribing, actions: []do{abandon, forget, subscribe}},
		{name: "another password", from: state{phase: refused}, event: changed, to: subscribing, actions: []do{subscribe}},
		{name: "another password, the one before being good", from: state{phase: active}, event: changed, to: active},

		{name: "stop", from: state{phase: active, expires: holds}, event: stop, to: leaving, actions: []do{unsubscribe, wake}},
		{name: "stop while nothing is known of the subscription", from: state{phase: subscribing}, event: stop, to: stopped, actions: []do{abandon, forget, end}},
		{name: "stop while a NOTIFY tells that it is there", from: state{phase: subscribing, notified: true}, event: stop, to: leaving, actions: []do{abandon, unsubscribe, wake}},
		{name: "stop while refreshing", from: state{phase: refreshing, expires: holds}, event: stop, to: leaving, actions: []do{abandon, unsubscribe, wake}},
		{name: "stop while waiting", from: state{phase: waiting}, event: stop, to: stopped, actions: []do{forget, end}},
		{name: "stop before anything", from: state{phase: idle}, event: stop, to: stopped, actions: []do{forget, end}},
		{name: "stop again", from: state{phase: leaving}, event: stop, to: leaving},
		{name: "unsubscribed", from: state{phase: leaving}, event: done, outcome: taken, to: stopped, actions: []do{forget, end}},
		{name: "the server does not say so", from: state{phase: leaving}, event: due, to: stopped, actions: []do{abandon, forget, end}},
		{name: "the last NOTIFY", from: state{phase: leaving}, event: notified, notice: timedOut, to: leaving},

		// §4.1.4: further subscriptions of a forked SUBSCRIBE.
		{name: "a fork", from: state{phase: idle}, event: forked, notice: shortened, to: active, actions: []do{wake}},
		{name: "a fork ends", from: state{phase: active, fork: true}, event: notified, notice: deactivated, to: stopped, actions: []do{forget, end}},
		{name: "a fork is unknown", from: state{phase: refreshing, fork: true, expires: holds}, event: done, outcome: noSuch, to: stopped, actions: []do{forget, end}},
		{name: "a fork ran out", from: state{phase: active, fork: true, expires: ran}, event: due, to: stopped, actions: []do{forget, end}},
		{name: "a fork stops", from: state{phase: active, fork: true, expires: holds}, event: stop, to: leaving, actions: []do{unsubscribe, wake}},

		{name: "late answers change nothing", from: state{phase: waiting}, event: done, outcome: taken, to: waiting},
		{name: "nor do late NOTIFYs", from: state{phase: waiting}, event: notified, notice: going, to: waiting},
		{name: "nor timers", from: state{phase: refused}, event: due, to: refused},
	} {
		s, actions := next(c.from, event{kind: c.event, at: t0, dice: 0.5, outcome: c.outcome, notice: c.notice})
		var did []do
		for _, a := range actions {
			did = append(did, a.do)
			if a.do == wake && a.after < 0 {
				t.Errorf("%s: wakes %s ago", c.name, -a.after)
			}
		}
		if s.phase != c.to || !slices.Equal(did, c.actions) {
			t.Errorf("%s: %s -> %s -> %s %v, want %s %v", c.name, c.from.phase, c.event, s.phase, did, c.to, c.actions)
		}
	}
}

func TestWhenTheNextAttemptIs(t *testing.T) {
	for _, c := range []struct {
		name        string
		from        state
		event       event
		least, most time.Duration
	}{
		{"the first failure", state{phase: subscribing}, event{kind: done, outcome: busy}, time.Second, 2 * time.Second},
		{"the tenth", state{phase: subscribing, failures: 9}, event{kind: done, outcome: busy}, 150 * time.Second, 5 * time.Minute},
		{"the server says when", state{phase: subscribing}, event{kind: done, outcome: later}, 2 * time.Minute, 3 * time.Minute},
		{"refused credentials are not tried again soon", state{phase: subscribing}, event{kind: done, outcome: denied}, 3 * time.Minute, 5 * time.Minute},
		{"probation says when", state{phase: active, expires: holds}, event{kind: notified, notice: probation}, 90 * time.Second, 2 * time.Minute},
		{"timer N runs from the SUBSCRIBE", state{phase: subscribing, sent: t0.Add(-2 * time.Second)}, event{kind: done, outcome: taken}, 30 * time.Second, 30 * time.Second},
		{"a refresh comes before the end", state{phase: expecting, expires: t0.Add(time.Hour)}, event{kind: notified, notice: going}, 48 * time.Minute, 54 * time.Minute},
		{"a NOTIFY says when the end is", state{phase: active, expires: holds}, event{kind: notified, notice: shortened}, 30 * time.Second, 40 * time.Second},
		{"a failed refresh is tried again before the end", state{phase: refreshing, expires: t0.Add(3 * time.Second), failures: 8}, event{kind: done, outcome: busy}, 3 * time.Second, 3 * time.Second},
		{"renewals are spread", state{phase: active, expires: holds}, event{kind: renew}, 0, mostRenewWait},
	} {
		for _, dice := range []float64{0, 0.5, 0.999} {
			ev := c.event
			ev.at, ev.dice = t0, dice
			_, actions := next(c.from, ev)
			i := slices.IndexFunc(actions, func(a action) bool { return a.do == wake })
			if i < 0 {
				t.Errorf("%s: no wake in %v", c.name, actions)
				continue
			}
			if after := actions[i].after; after < c.least || after > c.most {
				t.Errorf("%s: after %s, want %s to %s", c.name, after, c.least, c.most)
			}
		}
	}
}

// TestNothingWaitsForEver walks the machine at random: whatever happens, something is
// under way, a timer is set, or it is said that nothing follows.
func TestNothingWaitsForEver(t *testing.T) {
	outcomes := []*outcome{taken, tooBrief, tooBriefNil, badEvent, noSuch, busy, later, denied, notFound, unheard, unsent}
	notices := []notice{going, undecided, shortened, deactivated, timedOut, rejected, noResource, probation, givenUp, ended0}
	kinds := []kind{start, due, done, notified, gap, renew, moved, changed, stop}
	seed := uint32(1)
	random := func(n int) int { seed = seed*1664525 + 1013904223; return int(seed>>8) % n }
	for range 2000 {
		s, now, flying, timer := state{phase: idle}, t0, false, false
		for range 60 {
			k := kinds[random(len(kinds))]
			if k == done && !flying || k == due && !timer {
				continue
			}
			if k == done {
				flying = false
			}
			if k == due {
				timer = false
			}
			now = now.Add(time.Duration(random(600)) * time.Second)
			var actions []action
			s, actions = next(s, event{kind: k, at: now, dice: 0.5, outcome: outcomes[random(len(outcomes))], notice: notices[random(len(notices))]})
			for _, a := range actions {
				switch a.do {
				case subscribe, resubscribe, refresh, unsubscribe:
					flying = true
				case abandon:
					flying = false
				case wake:
					timer = true
				case end:
					flying, timer = false, false
				}
			}
			switch s.phase {
			case subscribing, refreshing:
				if !flying {
					t.Fatalf("%+v after %s: nothing is under way", s, k)
				}
			case expecting, active, waiting, leaving:
				if !timer {
					t.Fatalf("%+v after %s: no timer", s, k)
				}
			}
		}
	}
}
