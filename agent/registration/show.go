package registration

import (
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// publish tells the world what changed.
func (n *runner) publish() {
	n.teach()
	now, s := time.Now(), n.state
	n.r.mu.Lock()
	old := n.r.status
	status := Status{State: s.shown, Public: n.public, Since: old.Since, Retry: s.retry}
	if len(n.r.servers) > 0 {
		status.Server = n.r.servers[0].String()
	}
	if s.bound(now) {
		status.Contact, status.ExpiresAt, status.GrantedSeconds = n.contact, s.expires, int(wholeSeconds(n.granted))
		status.Way = n.way
	}
	if s.last != nil {
		status.LastCode, status.LastReason, status.Problem = s.last.code, s.last.reason, s.last.problem
	}
	if status.State != old.State {
		status.Since = now
	}
	n.r.status = status
	n.r.mu.Unlock()
	if status == old {
		return
	}
	n.log(old, status)
	n.r.ep.Guard(n.cfg.Name, func() { n.r.onChange(status) })
}

// log says once what a user would want to know.
func (n *runner) log(old, now Status) {
	switch {
	case now.State == old.State && now.Problem == old.Problem:
	case now.Problem != delivery.NoProblem:
		n.cfg.Log.Warn("not registered", "line", n.cfg.Name, "state", now.State, "problem", now.Problem, "reason", now.LastReason, "retry", now.Retry)
	default:
		n.cfg.Log.Info("registration", "line", n.cfg.Name, "state", now.State, "server", now.Server, "granted", now.GrantedSeconds)
	}
}
