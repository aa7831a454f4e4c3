package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/registration"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// view is what a line last published.
type view struct {
	status control.LineStatus
}

// shown is what was published last; zero when nothing is.
func (l *line) shown() control.LineStatus {
	if v := l.published.Load(); v != nil {
		return v.status
	}
	return control.LineStatus{}
}

// publish shows the line's truth to report, metrics and status.
func (l *line) publish(o order) {
	in := l.current.Load()
	if l.applied != nil && in == nil && l.hindrance != nil {
		l.publishHindrance()
		return
	}
	if l.applied == nil || in == nil {
		l.published.Store(nil)
		l.env.hub.RemoveLine(l.name)
		return
	}
	s, before := in.reg.Status(), l.shown()
	if s.State == delivery.Idle {
		s.Since = since(before, delivery.Idle) // it idles since before it was made anew
	}
	standing := standingOf(l.applied)
	if !standing.register && !in.started || o.stopping {
		s = unregistered(s, standing, o, before)
		l.logStanding(s, before)
	}
	v := &view{status: l.lineStatus(in, s)}
	l.published.Store(v)
	l.env.metrics.Line(l.name, v.status.State)
	l.env.metrics.Certificates(l.name, v.status.Certificates)
	l.env.expiry.note(l.log(), v.status.Certificates, v.status.Server, time.Now())
	l.env.hub.SetLine(reportOf(v.status))
}

// unregistered is the status of a line that is not to be registered.
func unregistered(s registration.Status, why standing, o order, before control.LineStatus) registration.Status {
	if s.Contact != "" && s.State == delivery.Registered {
		return s // the binding could not be removed yet
	}
	reason := why.reason
	if o.stopping {
		reason = "agent is stopping"
	}
	out := registration.Status{State: delivery.Disabled, Server: s.Server, LastCode: s.LastCode, LastReason: reason, Problem: why.problem}
	if why.problem != "" {
		out.State = delivery.Error
	}
	out.Since = since(before, out.State)
	return out
}

// since is when a state that we made up began: now, unless it was shown before.
func since(before control.LineStatus, now delivery.State) time.Time {
	if before.State == now {
		return before.Since
	}
	return time.Now()
}

// logStanding tells the log why a line does not register, once. What becomes of
// those that do, the registration tells itself.
func (l *line) logStanding(s registration.Status, before control.LineStatus) {
	if s.State == before.State && s.LastReason == before.LastReason {
		return
	}
	level := slog.LevelInfo
	if s.Problem != "" {
		level = slog.LevelWarn
	}
	l.log().Log(context.Background(), level, "line does not register", "reason", s.LastReason)
}

func (l *line) lineStatus(in *incarnation, s registration.Status) control.LineStatus {
	t := l.applied
	return control.LineStatus{
		Name: l.name, Title: t.Account.Title, AOR: "sip:" + t.Account.Username + "@" + t.Account.Host,
		State: s.State, Since: s.Since, Slot: in.identity.slot,
		Server: s.Server, Contact: s.Contact, Public: s.Public, ExpiresAt: s.ExpiresAt, GrantedSeconds: s.GrantedSeconds,
		LastCode: s.LastCode, LastReason: s.LastReason, Problem: s.Problem, RetryAt: s.Retry,
		DrainState: l.drainState(in), ActiveCalls: l.activeCalls(),
		ConfigHash: t.ConfigHash, EffectiveHash: t.EffectiveHash, Certificates: l.certificates(in),
	}
}

// drainState tells how far a draining line has come.
func (l *line) drainState(in *incarnation) delivery.LineState {
	switch {
	case l.applied.Row.State == delivery.Active:
		return ""
	case in.started || time.Now().Before(in.until) || l.activeCalls() > 0:
		return delivery.Draining
	}
	return delivery.Gone
}

func (l *line) activeCalls() int {
	n := 0
	for _, in := range l.incarnations() {
		n += in.calls.Active()
	}
	return n
}

// reportOf is the part of a status that travels: what changes by transitions only.
func reportOf(s control.LineStatus) delivery.LineReport {
	return delivery.LineReport{
		Name: s.Name, State: s.State, Since: s.Since, Slot: s.Slot, Server: s.Server, Contact: s.Contact,
		GrantedSeconds: s.GrantedSeconds, LastCode: s.LastCode, LastReason: s.LastReason, Problem: s.Problem,
		DrainState: s.DrainState, ConfigHash: s.ConfigHash, EffectiveHash: s.EffectiveHash, ActiveCalls: s.ActiveCalls,
		Certificates: s.Certificates,
	}
}
