package subscription

import (
	"context"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// leg is one subscription: the machine's state, the dialog, and what its notifier
// told.
type leg struct {
	watch *watch
	set   *Set
	state state
	usage *usage // nil = none was begun

	timer    *time.Timer
	alarms   int // timers set; only the last one counts
	giveUp   context.CancelFunc
	sequence int // of what is under way; answers to earlier ones are late

	began   time.Time // when the dialog was
	calls   calls
	mailbox mailbox
}

func (w *watch) newLeg() *leg {
	return &leg{watch: w, set: w.set, state: state{phase: idle}, giveUp: func() {}}
}

// step asks the machine, and does what it wants.
func (l *leg) step(ev event) {
	ev.at, ev.dice = time.Now(), dice()
	before := l.state
	var actions []action
	l.state, actions = next(l.state, ev)
	l.set.dirty = l.set.dirty || l.state != before
	l.log(before, ev)
	for _, a := range actions {
		l.perform(a)
	}
}

func (l *leg) perform(a action) {
	switch a.do {
	case subscribe:
		l.subscribe(a.ask)
	case resubscribe:
		l.resubscribe(a.ask)
	case refresh:
		l.refresh(max(a.ask, l.set.cfg.Expires))
	case unsubscribe:
		l.refresh(0)
	case abandon:
		l.giveUp()
		l.sequence++
		if l.usage != nil {
			l.usage.LocalSeq += abandoned
		}
	case forget:
		l.forget()
	case wake:
		l.wakeAfter(a.after)
	case end:
		l.end()
	}
}

// abandoned is more than the numbers that a request may have used which was given up:
// one for each challenge.
const abandoned = 8

func (l *leg) wakeAfter(after time.Duration) {
	if l.timer != nil {
		l.timer.Stop()
	}
	l.alarms++
	alarm := l.alarms
	l.timer = time.AfterFunc(after, func() {
		l.set.post(func() {
			if alarm == l.alarms {
				l.step(event{kind: due})
			}
		})
	})
}

// subscribe begins a dialog of its own: what was before has another Call-ID.
func (l *leg) subscribe(ask time.Duration) {
	w, cfg := l.watch, l.set.cfg
	if w.unusable != nil {
		l.later(&outcome{problem: problemFinal, reason: w.unusable.Error()})
		return
	}
	if !l.set.footing.Up {
		l.later(failure(errNotRegistered, ""))
		return
	}
	req := first(cfg, w.target, ua.NewCallID(), ua.NewTag())
	l.usage = &usage{ua.Dialog{
		CallID: req.CallID().Value(), LocalTag: req.From().Params.GetOr("tag", ""), LocalSeq: 1,
		Local:  sip.FromHeader{DisplayName: req.From().DisplayName, Address: *req.From().Address.Clone(), Params: req.From().Params.Clone()},
		Remote: sip.ToHeader{Address: *w.target.Clone(), Params: sip.NewParams()}, Target: *w.target.Clone(),
	}}
	l.calls, l.began = calls{}, time.Now()
	l.set.learn(l.key(), w)
	l.launch(&exchange{ep: l.set.ep, cfg: cfg, event: w.event, expire: max(ask, cfg.Expires), req: req})
}

// resubscribe sends the SUBSCRIBE once more that was answered before, with another
// number (RFC 3261 §8.1.3.5).
func (l *leg) resubscribe(ask time.Duration) {
	cfg, u := l.set.cfg, l.usage
	req := first(cfg, l.watch.target, u.CallID, u.LocalTag)
	u.LocalSeq++
	req.CSeq().SeqNo = u.LocalSeq
	l.launch(&exchange{ep: l.set.ep, cfg: cfg, event: l.watch.event, expire: max(ask, cfg.Expires), req: req})
}

// refresh sends SUBSCRIBE within the dialog; 0 ends it.
func (l *leg) refresh(expires time.Duration) {
	if !l.set.footing.Up && expires > 0 {
		l.later(failure(errNotRegistered, ""))
		return
	}
	hop := l.usage.Hop()
	l.launch(&exchange{
		ep: l.set.ep, cfg: l.set.cfg, event: l.watch.event, expire: expires, req: l.usage.Request(sip.SUBSCRIBE), hop: &hop, peer: l.usage.Peer,
	})
}

// later gives the machine an outcome without anything being sent.
func (l *leg) later(o *outcome) {
	l.giveUp()
	l.sequence++
	sequence := l.sequence
	l.set.post(func() {
		if sequence == l.sequence {
			l.step(event{kind: done, outcome: o})
		}
	})
}

// launch sends something; its outcome comes back as done.
func (l *leg) launch(x *exchange) {
	l.giveUp()
	var ctx context.Context
	ctx, l.giveUp = context.WithCancel(l.set.ctx)
	l.sequence++
	sequence, u := l.sequence, l.usage
	l.set.work.Go(func() {
		o, res, seq, to := &outcome{problem: problemInternal, reason: "internal error, see the agent's log"}, (*sip.Response)(nil), uint32(0), ""
		x.ep.Guard(x.cfg.Name, func() { o, res, seq, to = x.run(ctx) })
		if ctx.Err() != nil {
			return
		}
		l.set.post(func() {
			u.LocalSeq = max(u.LocalSeq, seq)
			if sequence != l.sequence {
				return
			}
			l.giveUp()
			l.giveUp = func() {}
			if o.problem != problemUnsent {
				x.cfg.OnAttempt(l.watch.event, o.code)
			}
			if res != nil && res.IsSuccess() && u == l.usage {
				if u.Peer == "" {
					u.Peer = to
				}
				u.answered(res)
			}
			l.step(event{kind: done, outcome: o})
		})
	})
}

func (l *leg) key() dialogKey { return dialogKey{l.usage.CallID, l.usage.LocalTag} }

// forget drops the dialog; NOTIFYs within it are unknown from now on. Its forks end
// with the first of them.
func (l *leg) forget() {
	if l.usage == nil {
		return
	}
	key := l.key()
	l.usage = nil
	if l.state.fork {
		return // others are left in the same half of it
	}
	if l.state.phase == waiting || l.state.phase == refused {
		defer l.watch.lost()
	}
	l.set.learn(key, nil)
	if l.state.phase == stopped {
		l.set.mu.Lock()
		l.set.departed.add(key, time.Now())
		l.set.mu.Unlock()
	}
	for _, f := range l.watch.forks(l) {
		l.watch.drop(f)
		f.usage = nil
		f.halt()
	}
	l.calls = calls{}
}

// end: nothing of it runs any more.
func (l *leg) end() {
	l.halt()
	l.watch.drop(l)
	delete(l.set.parting, l)
	l.set.look()
}

// halt stops what runs.
func (l *leg) halt() {
	l.giveUp()
	l.sequence++
	l.alarms++
	if l.timer != nil {
		l.timer.Stop()
	}
}

// log says once what somebody would want to know.
func (l *leg) log(before state, ev event) {
	now, cfg := l.state, l.set.cfg
	if now.phase == before.phase || now.last == nil || now.last == before.last && ev.kind != notified {
		return
	}
	switch {
	case now.phase == waiting && now.last.problem != problemUnsent, now.phase == refused:
		cfg.Log.Warn("not subscribed", "line", cfg.Name, "event", l.watch.event, "to", l.watch.uri, "reason", now.last.reason, "retry", now.retry)
	case now.phase == active && !before.there():
		cfg.Log.Info("subscribed", "line", cfg.Name, "event", l.watch.event, "to", l.watch.uri, "until", now.expires)
	}
}
