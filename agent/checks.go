package agent

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/checkrun"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/provisioning"
	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// This file is where checks and lines meet.

// newChecks makes the runner of the agent's checks.
func (s *supervisor) newChecks() *checkrun.Runner {
	return checkrun.New(checkrun.Options{
		Phone: phone{s}, Log: s.log,
		Report: func(r delivery.CheckReport, c check.Check) {
			s.metrics.Check(r, c.Interval())
			s.hub.SetCheck(r)
		},
		Gone: func(name string) {
			s.metrics.ForgetCheck(name)
			s.hub.RemoveCheck(name)
		},
	})
}

// delivered is a snapshot's checks in checkrun's words.
func delivered(checks []provisioning.Check) []checkrun.Delivered {
	all := make([]checkrun.Delivered, len(checks))
	for i, c := range checks {
		all[i] = checkrun.Delivered{Name: c.Name, Hash: c.Hash, Check: c.Check}
	}
	return all
}

// phone is the supervisor as checks see it.
type phone struct{ s *supervisor }

// Dial implements checkrun.Phone.
func (p phone) Dial(ctx context.Context, line string, d call.Dial) (string, error) {
	return p.s.Dial(ctx, control.Dial{Line: line, Dial: d})
}

// Hangup implements checkrun.Phone.
func (p phone) Hangup(id string) error { return p.s.Hangup(id) }

// Standing implements checkrun.Phone.
func (p phone) Standing(name string) checkrun.Standing {
	p.s.mu.RLock()
	l := p.s.lines[name]
	p.s.mu.RUnlock()
	if l == nil {
		return checkrun.Standing{Untried: check.NoLine, Words: fmt.Sprintf("there is no line %s on this agent", name)}
	}
	in, v := l.current.Load(), l.published.Load()
	if in == nil || v == nil {
		return checkrun.Standing{Waiting: true, Since: time.Now(), Words: fmt.Sprintf("line %s is starting", name)}
	}
	return callable(name, in.target.Load(), v.status())
}

// callable tells whether a check can call from a line: the first row that applies
// decides. What a registrar does is what a check is there to see; what keeps the
// line from trying is ours.
func callable(name string, t *target, status control.LineStatus) checkrun.Standing {
	untried := func(reason check.Reason, why string) checkrun.Standing {
		return checkrun.Standing{Untried: reason, Words: fmt.Sprintf("line %s cannot call: %s", name, why)}
	}
	standing := standingOf(t)
	switch {
	case t.Row.State != delivery.Active:
		return untried(check.LineDraining, standing.reason)
	case t.Row.Suspended:
		return untried(check.LineSuspended, standing.reason)
	case !standing.calls:
		return untried(check.CannotCall, standing.reason)
	case !standing.register || status.State == delivery.Registered:
		return checkrun.Standing{}
	case status.Problem == delivery.ProblemHeldBack:
		return untried(check.LineNotReady, "too many other lines were refused, this one waits its turn")
	case status.Problem == delivery.ProblemConfig || status.Problem == delivery.ProblemDigest:
		return untried(check.LineMisconfigured, status.LastReason)
	case status.Problem != delivery.NoProblem:
		return checkrun.Standing{NotRegistered: true, Words: fmt.Sprintf("%s is not registered: %s", name, said(status))}
	case status.State == delivery.Disabled:
		return untried(check.LineNotReady, status.LastReason)
	}
	return checkrun.Standing{Waiting: true, Since: status.Since, Words: fmt.Sprintf("line %s is not registered yet (%s)", name, status.State)}
}

// said is what the registrar, or the way to it, said last.
func said(s control.LineStatus) string {
	switch {
	case s.LastCode != 0 && !strings.HasPrefix(s.LastReason, strconv.Itoa(s.LastCode)):
		return fmt.Sprintf("%d %s", s.LastCode, s.LastReason)
	case s.LastReason != "":
		return s.LastReason
	}
	return string(s.Problem)
}
