package agent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/metrics"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// This file is what others may ask of a running agent (control.Agent).

var _ control.Agent = (*supervisor)(nil)

// setOverall changes the agent's own state and tells the report's readers.
func (s *supervisor) setOverall(change func(*overall)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.overall)
	s.hub.SetAgent(s.overall.report)
}

// Ready implements control.Agent.
func (s *supervisor) Ready() (bool, string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.overall.report.Ready, s.overall.missing
}

// Status implements control.Agent.
func (s *supervisor) Status() control.Status {
	s.mu.RLock()
	all := s.overall
	s.mu.RUnlock()
	status := control.Status{
		Agent: control.AgentStatus{
			Name: s.name, Version: s.opts.Version, StartedAt: s.started, Ready: all.report.Ready, NotReady: all.missing,
			Draining: all.report.Draining, Network: all.network, SIPPort: s.sockets.shared.Port(),
			SnapshotHash: all.report.SnapshotHash, SnapshotAt: all.snapshotAt,
		},
		Lines: []control.LineStatus{}, Calls: []call.Record{}, Servers: s.servers(),
		Rejected: append([]delivery.Rejected{}, all.report.Rejected...),
	}
	status.Checks = append([]delivery.CheckReport{}, s.hub.Report().Checks...)
	for _, l := range s.allLines() {
		if v := l.published.Load(); v != nil {
			line := v.status()
			line.Messages = l.texts()
			status.Lines = append(status.Lines, line)
		}
		status.Calls = append(status.Calls, l.records()...)
	}
	slices.SortFunc(status.Calls, func(a, b call.Record) int { return a.StartedAt.Compare(b.StartedAt) })
	return status
}

// servers is what is known of the servers that lines use.
func (s *supervisor) servers() []control.ServerStatus {
	all := []control.ServerStatus{}
	for _, k := range s.env.qualifier.Servers() {
		crowd := s.env.gate.Crowd(k.Server.Addr)
		status := control.ServerStatus{
			Server: k.Server.String(), Since: k.Since, LastCode: k.LastCode, LastReason: k.LastReason, Problem: k.Problem, Failures: k.Failures,
			WaitingRequests: crowd.Waiting, HeldLines: crowd.Held, RefusedLines: crowd.Refused, RetryAt: crowd.Next,
		}
		if k.Known {
			status.Up = &k.Up
		}
		if k.RTT > 0 {
			ms := float64(k.RTT) / float64(time.Millisecond)
			status.RTTMs = &ms
		}
		all = append(all, status)
	}
	return all
}

// measured is the same for the metrics.
func (s *supervisor) measured() []metrics.Server {
	var all []metrics.Server
	for _, k := range s.env.qualifier.Servers() {
		crowd := s.env.gate.Crowd(k.Server.Addr)
		all = append(all, metrics.Server{
			Name: k.Server.String(), Known: k.Known, Up: k.Up, RTT: k.RTT, Failures: k.Failures, Waiting: crowd.Waiting, Held: crowd.Held,
		})
	}
	return all
}

// Dial implements control.Agent.
func (s *supervisor) Dial(ctx context.Context, d control.Dial) (string, error) {
	s.mu.RLock()
	l := s.lines[d.Line]
	s.mu.RUnlock()
	if l == nil {
		return "", fmt.Errorf("%w: %q", control.ErrUnknownLine, d.Line)
	}
	if d.Flow != "" {
		return "", fmt.Errorf("%w: %q", control.ErrNoFlow, d.Flow)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return l.dial(ctx, d.Dial)
}

// find gives the line of an account that somebody else's rules name: by the line's
// name, else by the title, when one alone has it.
func (s *supervisor) find(account string) *line {
	s.mu.RLock()
	l := s.lines[account]
	s.mu.RUnlock()
	if l != nil {
		return l
	}
	for _, candidate := range s.allLines() {
		in := candidate.current.Load()
		if in == nil || in.target.Load().Account.Title != account {
			continue
		}
		if l != nil {
			return nil
		}
		l = candidate
	}
	return l
}

// Call implements control.Agent.
func (s *supervisor) Call(id string) (call.Record, error) {
	for _, l := range s.allLines() {
		for _, in := range l.incarnations() {
			if r, ok := in.calls.Record(id); ok {
				return r, nil
			}
		}
	}
	return call.Record{}, fmt.Errorf("%w: %q", call.ErrNoCall, id)
}

// Transfer implements control.Agent. The call whose place is taken may be another
// line's.
func (s *supervisor) Transfer(id string, t call.Transfer) error {
	calls := s.callsOf(id)
	if calls == nil {
		return fmt.Errorf("%w: %q", call.ErrNoCall, id)
	}
	if t.Replaces != "" {
		others := s.callsOf(t.Replaces)
		if others == nil {
			return fmt.Errorf("replaces: %w: %q", call.ErrNoCall, t.Replaces)
		}
		var err error
		if t.Counterpart, err = others.Counterpart(t.Replaces); err != nil {
			return fmt.Errorf("replaces: %w", err)
		}
	}
	return calls.Transfer(id, t)
}

// Hold implements control.Agent.
func (s *supervisor) Hold(ctx context.Context, id string) error {
	calls := s.callsOf(id)
	if calls == nil {
		return fmt.Errorf("%w: %q", call.ErrNoCall, id)
	}
	return calls.Hold(ctx, id)
}

// Resume implements control.Agent.
func (s *supervisor) Resume(ctx context.Context, id string) error {
	calls := s.callsOf(id)
	if calls == nil {
		return fmt.Errorf("%w: %q", call.ErrNoCall, id)
	}
	return calls.Resume(ctx, id)
}

// callsOf gives the calls that one is among; nil when nobody knows it.
func (s *supervisor) callsOf(id string) *call.Set {
	for _, l := range s.allLines() {
		for _, in := range l.incarnations() {
			if _, ok := in.calls.Record(id); ok {
				return in.calls
			}
		}
	}
	return nil
}

// Hangup implements control.Agent.
func (s *supervisor) Hangup(id string) error {
	if calls := s.callsOf(id); calls != nil {
		return calls.Hangup(id)
	}
	return fmt.Errorf("%w: %q", call.ErrNoCall, id)
}

// allLines gives the lines, sorted by name.
func (s *supervisor) allLines() []*line {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*line, 0, len(s.lines))
	for _, l := range s.lines {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *line) int { return cmp.Compare(a.name, b.name) })
	return all
}

// records of a line's calls.
func (l *line) records() []call.Record {
	var all []call.Record
	for _, in := range l.incarnations() {
		all = append(all, in.calls.Records()...)
	}
	return all
}

// countRunningCalls brings the packet counters up to now, before a scrape.
func (s *supervisor) countRunningCalls() {
	for _, l := range s.allLines() {
		if l.activeCalls() > 0 {
			s.metrics.Refresh(l.records())
		}
	}
}
