package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/treatment"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// dialTimeout bounds what comes before the INVITE: finding the server, and
// registering where a line does that for the call.
const dialTimeout = 10 * time.Second

// dial places a call on a line that stands ready for it, or on the line that the
// account's rules name for this number (dialOut).
func (l *line) dial(ctx context.Context, d call.Dial) (string, error) {
	in, err := l.ready()
	if err != nil {
		return "", err
	}
	if d.Placement, err = in.calls.Route(d); err != nil {
		return "", err
	}
	through := d.Placement.Line
	if through == "" || d.Placement.Outcome != treatment.Placed {
		return l.place(ctx, in, d)
	}
	other := l.env.find(through)
	if other == nil {
		return "", fmt.Errorf("%w: dialOut: this agent has no line %q", control.ErrUnknownLine, through)
	}
	d.Placement.Steps = append(d.Placement.Steps, "dialOut: asked of "+l.name)
	if in, err = other.ready(); err != nil {
		return "", fmt.Errorf("dialOut by %s: %w", other.name, err)
	}
	return other.place(ctx, in, d)
}

// ready gives the incarnation that may call, if any may.
func (l *line) ready() (*incarnation, error) {
	in, v := l.current.Load(), l.published.Load()
	if in == nil && v != nil {
		return nil, fmt.Errorf("%w: %s (%s)", control.ErrNotRegistered, v.report.State, v.report.LastReason)
	}
	if in == nil || v == nil {
		return nil, fmt.Errorf("%w: %q", control.ErrUnknownLine, l.name)
	}
	switch t := in.target.Load(); {
	case t.Row.Suspended:
		return nil, fmt.Errorf("%w: %q", control.ErrSuspended, l.name)
	case t.Row.State != delivery.Active:
		return nil, fmt.Errorf("%w: %q", call.ErrDraining, l.name)
	}
	return in, nil
}

// place places a call that was decided on.
func (l *line) place(ctx context.Context, in *incarnation, d call.Dial) (string, error) {
	status := l.shown()
	standing := standingOf(in.target.Load())
	switch {
	case d.Placement.Outcome != treatment.Placed:
	case !standing.calls:
		return "", fmt.Errorf("%w: %s", control.ErrNotRegistered, standing.reason)
	case standing.lent:
		return l.whileRegistered(ctx, in, func() (string, error) { return in.calls.Dial(ctx, d) })
	case standing.register && !standing.trunk && status.State != delivery.Registered:
		return "", fmt.Errorf("%w: %s (%s)", control.ErrNotRegistered, status.State, status.LastReason)
	}
	return in.calls.Dial(ctx, d)
}

// whileRegistered registers the line for the length of what do begins (icm=off with
// requiresRegistrationForOutgoingCalls): it stays registered while somebody
// borrows it or a call goes on.
func (l *line) whileRegistered(ctx context.Context, in *incarnation, do func() (string, error)) (string, error) {
	l.borrow(+1)
	defer l.borrow(-1)
	changes := l.env.hub.Subscribe()
	defer changes.Close()
	for {
		v := l.published.Load()
		if v == nil || l.current.Load() != in {
			return "", fmt.Errorf("%w: the line changed meanwhile", control.ErrNotRegistered)
		}
		switch v.report.State {
		case delivery.Registered:
			return do()
		case delivery.Unauthorized, delivery.Error:
			return "", fmt.Errorf("%w: %s (%s)", control.ErrNotRegistered, v.report.State, v.report.LastReason)
		}
		select {
		case <-changes.Changed():
		case <-ctx.Done():
			return "", fmt.Errorf("%w: registering for the call took too long (%s)", control.ErrNotRegistered, v.report.State)
		}
	}
}

func (l *line) borrow(n int) {
	l.mu.Lock()
	l.borrowed += n
	l.mu.Unlock()
	l.poke()
}
