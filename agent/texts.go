package agent

import (
	"context"
	"fmt"
	"slices"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Message implements control.Agent.
func (s *supervisor) Message(ctx context.Context, m control.Message) (string, error) {
	s.mu.RLock()
	l := s.lines[m.Line]
	s.mu.RUnlock()
	if l == nil {
		return "", fmt.Errorf("%w: %q", control.ErrUnknownLine, m.Line)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return l.message(ctx, m.Message)
}

// Text implements control.Agent.
func (s *supervisor) Text(id string) (call.Text, error) {
	for _, l := range s.allLines() {
		for _, in := range l.incarnations() {
			if t, ok := in.calls.Text(id); ok {
				return t, nil
			}
		}
	}
	return call.Text{}, fmt.Errorf("%w: %q", call.ErrNoText, id)
}

// texts are the line's last text messages.
func (l *line) texts() []call.Text {
	var all []call.Text
	for _, in := range l.incarnations() {
		all = append(all, in.calls.Texts()...)
	}
	slices.SortStableFunc(all, func(a, b call.Text) int { return a.At.Compare(b.At) })
	return all
}

// message sends a text by a line that stands ready for it, or by the line that the
// account's rules name for this number (dialOut).
func (l *line) message(ctx context.Context, m call.Message) (string, error) {
	in, err := l.ready()
	if err != nil {
		return "", err
	}
	if m.Placement, err = in.calls.RouteText(m); err != nil {
		return "", err
	}
	by := l
	if through := m.Placement.Line; through != "" {
		if by = l.env.find(through); by == nil {
			return "", fmt.Errorf("%w: dialOut: this agent has no line %q", control.ErrUnknownLine, through)
		}
		if in, err = by.ready(); err != nil {
			return "", fmt.Errorf("dialOut by %s: %w", by.name, err)
		}
	}
	status, standing := by.shown(), standingOf(in.target.Load())
	switch {
	case !standing.calls:
		return "", fmt.Errorf("%w: %s", control.ErrNotRegistered, standing.reason)
	case standing.lent:
		return by.whileRegistered(ctx, in, func() (string, error) { return in.calls.Send(m) })
	case standing.register && !standing.trunk && status.State != delivery.Registered:
		return "", fmt.Errorf("%w: %s (%s)", control.ErrNotRegistered, status.State, status.LastReason)
	}
	return in.calls.Send(m)
}
