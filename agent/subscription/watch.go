package subscription

import (
	"reflect"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// watch is one thing that a line is told of: its mailbox, or somebody's calls. It has
// one subscription, and where a proxy forks, several, whose truths are put together
// (RFC 4235 §3.10).
type watch struct {
	set      *Set
	event    string
	uri      string // as configured; "" = the line's own
	target   sip.Uri
	unusable error // why target is none
	legs     []*leg

	shown   Watched // what is published of somebody's calls
	history []Change
}

// mostForks of one SUBSCRIBE are followed.
const mostForks = 8

func (s *Set) newWatch(event, uri string) *watch {
	w := &watch{set: s, event: event, uri: uri, shown: Watched{URI: uri, State: Unknown}}
	w.legs = []*leg{w.newLeg()}
	return w
}

// renew begins again with one subscription that was never started.
func (w *watch) renew() { w.legs = []*leg{w.newLeg()} }

// drop takes a leg out.
func (w *watch) drop(l *leg) {
	w.set.dirty = true
	w.legs = slices.DeleteFunc(w.legs, func(o *leg) bool { return o == l })
}

// forks of a leg: those that came from the same SUBSCRIBE.
func (w *watch) forks(of *leg) []*leg {
	var all []*leg
	for _, l := range w.legs {
		if l != of && l.state.fork {
			all = append(all, l)
		}
	}
	return all
}

// first is the leg that is made anew; nil when the watch is retired.
func (w *watch) first() *leg {
	for _, l := range w.legs {
		if !l.state.fork {
			return l
		}
	}
	return nil
}

// find gives the leg a NOTIFY belongs to, by the notifier's tag; nil = none. One of
// another notifier makes a fork, while it may still come (RFC 6665 §4.1.4, §4.4.1): it
// is not among the legs yet.
func (w *watch) find(req *sip.Request, key dialogKey) (l *leg, fork bool) {
	tag := req.From().Params.GetOr("tag", "")
	legs := slices.Clone(w.legs)
	for l := range w.set.parting {
		if l.watch == w {
			legs = append(legs, l)
		}
	}
	var origin *leg
	for _, l := range legs {
		switch {
		case l.usage == nil || l.key() != key:
		case l.usage.RemoteTag == tag:
			return l, false
		case !l.state.fork:
			origin = l
		}
	}
	switch {
	case origin == nil, tag == "":
		return nil, false
	case !origin.usage.Counted && origin.state.phase != leaving:
		return origin, false // whoever tells first
	case time.Since(origin.began) > timerN, len(w.legs) > mostForks, w.set.parting[origin]:
		return nil, false
	}
	l = w.newLeg()
	l.usage = origin.usage.fork()
	return l, true
}

// mailbox is what a message summary said.
type mailbox struct {
	at      time.Time // zero = nothing
	summary Summary
}

// box is what all notifiers say together.
func (w *watch) box() (all mailbox) {
	for _, l := range w.legs {
		if l.mailbox.at.IsZero() {
			continue
		}
		if all.at.IsZero() {
			all = l.mailbox
			all.summary.Classes = slices.Clone(all.summary.Classes)
			continue
		}
		if l.mailbox.at.After(all.at) {
			all.at = l.mailbox.at
		}
		all.summary.join(l.mailbox.summary)
	}
	return all
}

// standing of the watch' subscription.
func (w *watch) standing() Standing {
	l := w.first()
	if l == nil {
		return Standing{State: Off}
	}
	s := l.state
	out := Standing{RetryAt: s.retry, Forks: len(w.legs) - 1}
	if s.last != nil {
		out.LastCode, out.LastReason = s.last.code, s.last.reason
	}
	switch s.phase {
	case idle, stopped, leaving:
		out.State = Off
	case subscribing:
		out.State = Subscribing
	case waiting:
		out.State = Waiting
	case refused:
		out.State = Refused
	case expecting, active, refreshing:
		switch {
		case s.pending:
			out.State = Pending
		case s.phase == expecting && s.since.IsZero():
			out.State = Subscribing
		default:
			out.State = Active
		}
		out.ExpiresAt = s.expires
	}
	return out
}

// told takes over what a NOTIFY said of calls, and what it makes of the state.
func (w *watch) told() {
	var all []Dialog
	known := false
	for _, l := range w.legs {
		known = known || l.calls.known
		all = append(all, l.calls.all...)
	}
	state := sum(known, all)
	was := w.shown.State
	if state == Idle && (was == Trying || was == Proceeding || was == Early || was == Confirmed) {
		state = Terminated // a whole document without the call says that it has ended
	}
	w.shown.Calls, w.shown.Direction, w.shown.Remote = 0, "", ""
	for _, d := range all {
		if d.State == state {
			w.shown.Direction, w.shown.Remote = d.Direction, d.Remote
		}
		if d.State != Terminated {
			w.shown.Calls++
		}
	}
	for _, l := range w.legs {
		l.calls.bury()
	}
	w.is(state, was)
}

// is notes the state, and when it began.
func (w *watch) is(state, was DialogState) {
	if state == was || state == Idle && was == Terminated {
		return
	}
	now := time.Now()
	w.shown.State, w.shown.Since = state, now
	if len(w.history) >= mostHistory {
		w.history = slices.Clone(w.history[1:])
	}
	w.history = append(w.history, Change{state, now})
}

// lost: nothing is told any more.
func (w *watch) lost() {
	w.set.dirty = true
	for _, l := range w.legs {
		if l.calls.known {
			return
		}
	}
	if w.shown.State != Unknown {
		w.shown.Calls, w.shown.Direction, w.shown.Remote = 0, "", ""
		w.is(Unknown, w.shown.State)
	}
}

// publish tells what changed.
func (s *Set) publish() {
	now := &Status{}
	if m := s.mwi(); m != nil {
		now.MWI = m
	}
	for _, w := range s.watches {
		shown := w.shown
		shown.Subscription, shown.History = w.standing(), w.history
		now.Watched = append(now.Watched, shown)
	}
	if !same(s.status.Load(), now) {
		s.status.Store(now)
		s.cfg.OnChange()
	}
}

// mwi is what is known of the mailbox; nil = nothing, and nobody asks.
func (s *Set) mwi() *MWI {
	if s.mailbox == nil && s.untold.at.IsZero() {
		return nil
	}
	m := &MWI{}
	var box mailbox
	if s.mailbox != nil {
		standing := s.mailbox.standing()
		m.Subscription = &standing
		box = s.mailbox.box()
	}
	if s.untold.at.After(box.at) {
		box, m.Unsolicited = s.untold, true
	}
	if box.at.IsZero() {
		return m
	}
	total := box.summary.total()
	m.Messages = &delivery.Messages{
		Waiting: box.summary.Waiting, NewMessages: total.New, OldMessages: total.Old,
		UrgentNew: total.UrgentNew, UrgentOld: total.UrgentOld, Account: box.summary.Account, Since: box.at,
	}
	for _, c := range box.summary.Classes {
		if m.Classes == nil {
			m.Classes = map[string][2]int{}
		}
		m.Classes[c.Name] = [2]int{c.New, c.Old}
	}
	if before := s.status.Load().MWI; before != nil && before.Messages != nil {
		if like := *m.Messages; true {
			if like.Since = before.Since; like == *before.Messages {
				m.Since = before.Since // told again
			}
		}
	}
	return m
}

// same tells whether two are the same to whoever looks.
func same(a, b *Status) bool { return reflect.DeepEqual(a, b) }
