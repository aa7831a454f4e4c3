package agent

import (
	"fmt"
	"strings"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/trace"
)

// This file is what others may ask of the SIP messages that went by.

// CallTrace implements control.Agent. Who comes from a proxy's log or a check's run has
// the SIP Call-ID: that finds a call, too, even one whose record is gone.
func (s *supervisor) CallTrace(id string) (trace.Trace, string, error) {
	r, err := s.Call(id)
	if err == nil {
		t, _ := s.traces.Call(r.CallID)
		return t, titleOf(r), nil
	}
	t, ok := s.traces.Call(id)
	if !ok {
		return t, "", err
	}
	for _, l := range s.allLines() {
		for _, r := range l.records() {
			if r.CallID == id {
				return t, titleOf(r), nil
			}
		}
	}
	return t, "Call-ID " + id, nil
}

// titleOf says which call it is and how it ended.
func titleOf(r call.Record) string {
	way := "to"
	if r.Direction == call.In {
		way = "from"
	}
	title := fmt.Sprintf("Call %s of line %s %s %s, Call-ID %s", r.ID, r.Line, way, r.Remote, r.CallID)
	if r.End == nil {
		return title + ": " + string(r.State)
	}
	return fmt.Sprintf("%s: ended, %s (%s)", title, endOf(r.End), r.End.By)
}

// endOf tells the code once: a SIP reason begins with it, ours does not.
func endOf(e *call.End) string {
	if code := fmt.Sprint(e.Code); !strings.HasPrefix(e.Reason, code) {
		return code + " " + e.Reason
	}
	return e.Reason
}

// LineTrace implements control.Agent: registration, subscriptions, messages and OPTIONS.
func (s *supervisor) LineTrace(name string) (trace.Trace, string, error) {
	s.mu.RLock()
	l := s.lines[name]
	s.mu.RUnlock()
	if l == nil {
		return trace.Trace{}, "", fmt.Errorf("%w: %q", control.ErrUnknownLine, name)
	}
	var of []func(trace.Message) bool
	for _, in := range l.incarnations() {
		user, host := in.AOR()
		of = append(of, trace.Naming(in.identity.contactUser, user, host))
	}
	t := s.traces.Line(func(m trace.Message) bool {
		for _, is := range of {
			if is(m) {
				return true
			}
		}
		return false
	})
	return t, fmt.Sprintf("Line %s: everything but calls", name), nil
}

// sweepTraces lets go of what nobody is shown any more.
func (s *supervisor) sweepTraces() {
	running := map[string]bool{}
	for _, l := range s.allLines() {
		for _, in := range l.incarnations() {
			for _, id := range in.calls.CallIDs() {
				running[id] = true
			}
		}
	}
	s.traces.Sweep(running)
}
