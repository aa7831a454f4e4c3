// Package report tells the operator how the lines are.
//
// Reports are pulled: a reader opens a stream and gets the whole state once and
// every transition after it. Lines must never wait for a reader, so the hub
// keeps states, not messages: a reader that is behind finds the newest state of
// each line that changed since, however often it changed meanwhile.
package report

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// Hub holds the state of agent and lines, and tells subscribers what changed.
// All methods may be called from any goroutine and return at once.
type Hub struct {
	mu          sync.Mutex
	agent       delivery.AgentReport
	lines       map[string]*delivery.LineReport
	checks      map[string]delivery.CheckReport
	subscribers map[*Subscription]struct{}
}

// NewHub makes a hub of an agent without lines.
func NewHub() *Hub {
	return &Hub{lines: map[string]*delivery.LineReport{}, checks: map[string]delivery.CheckReport{}, subscribers: map[*Subscription]struct{}{}}
}

// SetAgent takes the agent's own state over; an equal one is no event.
func (h *Hub) SetAgent(a delivery.AgentReport) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sameAgent(h.agent, a) {
		return
	}
	h.agent = a
	for s := range h.subscribers {
		s.agent = true
		s.wake()
	}
}

// SetLine takes a line's state over. An equal state is no event; one in which
// only the number of calls differs travels with the next event, unless the line
// is draining and its calls are what the reader waits for. The hub keeps l: it is
// not to be written to any more.
func (h *Hub) SetLine(l *delivery.LineReport) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.lines[l.Name]
	h.lines[l.Name] = l
	if old != nil && reflect.DeepEqual(*old, *l) {
		return
	}
	loud := old == nil || l.DrainState != ""
	if !loud {
		quiet := *old
		quiet.ActiveCalls = l.ActiveCalls
		loud = !reflect.DeepEqual(quiet, *l)
	}
	for s := range h.subscribers {
		s.lines[l.Name] = struct{}{}
		if loud {
			s.wake()
		}
	}
}

// RemoveLine forgets a line.
func (h *Hub) RemoveLine(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.lines[name]; !known {
		return
	}
	delete(h.lines, name)
	for s := range h.subscribers {
		s.lines[name] = struct{}{}
		s.wake()
	}
}

// SetCheck takes a check's state over; an equal one is no event.
func (h *Hub) SetCheck(c delivery.CheckReport) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, known := h.checks[c.Name]; known && reflect.DeepEqual(old, c) {
		return
	}
	h.checks[c.Name] = c
	h.checkChanged(c.Name)
}

// RemoveCheck forgets a check.
func (h *Hub) RemoveCheck(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.checks[name]; known {
		delete(h.checks, name)
		h.checkChanged(name)
	}
}

func (h *Hub) checkChanged(name string) {
	for s := range h.subscribers {
		s.checks[name] = struct{}{}
		s.wake()
	}
}

// Line gives the state of one line.
func (h *Hub) Line(name string) (delivery.LineReport, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.lines[name]; l != nil {
		return *l, true
	}
	return delivery.LineReport{}, false
}

// Report gives everything, lines and checks sorted by name.
func (h *Hub) Report() delivery.Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.report()
}

func (h *Hub) report() delivery.Report {
	lines := make([]delivery.LineReport, 0, len(h.lines))
	for _, name := range slices.Sorted(maps.Keys(h.lines)) {
		lines = append(lines, *h.lines[name])
	}
	return delivery.Report{
		Agent:  h.agent,
		Lines:  lines,
		Checks: slices.SortedFunc(maps.Values(h.checks), func(a, b delivery.CheckReport) int { return cmp.Compare(a.Name, b.Name) }),
	}
}

// Subscription is one reader's view. One goroutine uses it.
type Subscription struct {
	hub    *Hub
	wakeup chan struct{} // capacity 1: there is something to take

	// Guarded by hub.mu: what changed since the last Take.
	first  bool
	agent  bool
	lines  map[string]struct{}
	checks map[string]struct{}
}

// Subscribe starts a view; its first event is the whole state.
func (h *Hub) Subscribe() *Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &Subscription{hub: h, wakeup: make(chan struct{}, 1), first: true, lines: map[string]struct{}{}, checks: map[string]struct{}{}}
	h.subscribers[s] = struct{}{}
	s.wake()
	return s
}

// Close ends the view.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.subscribers, s)
}

// Changed ticks when Take has something worth sending now.
func (s *Subscription) Changed() <-chan struct{} { return s.wakeup }

// Take gives the events since the last Take: at most one a line or check, its
// newest state. They are sorted by name, the agent's first, the lines' next.
func (s *Subscription) Take() []delivery.Event {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	agent, names, checks := s.agent, slices.Sorted(maps.Keys(s.lines)), slices.Sorted(maps.Keys(s.checks))
	s.agent = false
	clear(s.lines)
	clear(s.checks)
	if s.first {
		s.first = false
		whole := h.report()
		return []delivery.Event{{Type: delivery.EventSnapshot, Report: &whole}}
	}
	var events []delivery.Event
	if agent {
		a := h.agent
		events = append(events, delivery.Event{Type: delivery.EventAgent, Agent: &a})
	}
	for _, name := range names {
		if l, ok := h.lines[name]; ok {
			events = append(events, delivery.Event{Type: delivery.EventLine, Line: l, Name: name})
		} else {
			events = append(events, delivery.Event{Type: delivery.EventGone, Name: name})
		}
	}
	for _, name := range checks {
		if c, ok := h.checks[name]; ok {
			events = append(events, delivery.Event{Type: delivery.EventCheck, Check: &c, Name: name})
		} else {
			events = append(events, delivery.Event{Type: delivery.EventNoCheck, Name: name})
		}
	}
	return events
}

func (s *Subscription) wake() {
	select {
	case s.wakeup <- struct{}{}:
	default:
	}
}

func sameAgent(a, b delivery.AgentReport) bool {
	return a.Name == b.Name && a.Version == b.Version && a.SnapshotHash == b.SnapshotHash && a.StartedAt.Equal(b.StartedAt) &&
		a.Ready == b.Ready && a.Draining == b.Draining && slices.Equal(a.Rejected, b.Rejected)
}
