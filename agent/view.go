package agent

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/registration"
	"github.com/softphone-operator/softphone-operator/agent/subscription"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// view is what a line last published. It is never written to.
type view struct {
	// report is the hub's as well: most of what is known of a line is kept once.
	report             *delivery.LineReport
	account            *account.Account
	public             string            // our address as the server sees it
	way                *registration.Way // nil = the registrar said nothing of it
	vpn                *control.WebService
	events             *subscription.Status
	expiresAt, retryAt time.Time
}

// status is all that is shown of the line.
func (v *view) status() control.LineStatus {
	r, a := v.report, v.account
	status := control.LineStatus{
		Name: r.Name, Title: a.Title, AOR: "sip:" + a.Username + "@" + a.Host,
		State: r.State, Since: r.Since, Slot: r.Slot,
		Server: r.Server, Contact: r.Contact, Public: v.public, ExpiresAt: v.expiresAt, GrantedSeconds: r.GrantedSeconds,
		LastCode: r.LastCode, LastReason: r.LastReason, Problem: r.Problem, RetryAt: v.retryAt,
		DrainState: r.DrainState, ActiveCalls: r.ActiveCalls,
		ConfigHash: r.ConfigHash, EffectiveHash: r.EffectiveHash, Certificates: r.Certificates,
	}
	status.VPNStartup = v.vpn
	if w := v.way; w != nil {
		status.Path, status.ServiceRoute, status.AssociatedURIs, status.Outbound = w.Path, w.ServiceRoute, w.Associated, w.Outbound
	}
	status.Media = r.Media
	status.MWI, status.Watched = v.events.MWI, v.events.Watched
	return status
}

// shown is the report that was published last; zero when none is.
func (l *line) shown() delivery.LineReport {
	if v := l.published.Load(); v != nil {
		return *v.report
	}
	return delivery.LineReport{}
}

// show publishes a view: first to who asks, then to who waits for changes.
func (l *line) show(v *view) {
	if before := l.published.Load(); before != nil && reflect.DeepEqual(before.report, v.report) {
		v.report = before.report
	}
	l.published.Store(v)
	l.env.metrics.Line(l.name, v.report.State)
	l.env.metrics.Certificates(l.name, v.report.Certificates)
	l.env.metrics.Events(l.name, v.events)
	l.env.hub.SetLine(v.report)
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
	told := in.events.status()
	r := l.report(in, s)
	r.Watching = watching(told.Watched)
	if told.MWI != nil {
		r.Messages = told.MWI.Messages
	}
	if r.Media = before.Media; s.State == delivery.Registered {
		r.Media = l.mediaReport(in, s.Public)
	}
	if len(r.Certificates) > 0 {
		l.env.expiry.note(l.log(), r.Certificates, r.Server, time.Now())
	}
	l.show(&view{report: r, account: l.applied.Account, public: s.Public, way: s.Way, vpn: in.vpn.Load(), events: told, expiresAt: s.ExpiresAt, retryAt: s.Retry})
}

// unregistered is the status of a line that is not to be registered.
func unregistered(s registration.Status, why standing, o order, before delivery.LineReport) registration.Status {
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
func since(before delivery.LineReport, now delivery.State) time.Time {
	if before.State == now {
		return before.Since
	}
	return time.Now()
}

// logStanding tells the log why a line does not register, once. What becomes of
// those that do, the registration tells itself.
func (l *line) logStanding(s registration.Status, before delivery.LineReport) {
	if s.State == before.State && s.LastReason == before.LastReason {
		return
	}
	level := slog.LevelInfo
	if s.Problem != "" {
		level = slog.LevelWarn
	}
	l.log().Log(context.Background(), level, "line does not register", "reason", s.LastReason)
}

// report is the part of what is known that travels: what changes by transitions only.
func (l *line) report(in *incarnation, s registration.Status) *delivery.LineReport {
	t := l.applied
	return &delivery.LineReport{
		Name: l.name, State: s.State, Since: s.Since, Slot: in.identity.slot, Server: s.Server, Contact: s.Contact,
		GrantedSeconds: s.GrantedSeconds, LastCode: s.LastCode, LastReason: s.LastReason, Problem: s.Problem,
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
