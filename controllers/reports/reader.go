// Package reports pulls the reports of agents: it holds one long-lived HTTPS
// stream to each, and the newest state of every line.
//
// Agents know nothing of Kubernetes and have no way to call it; whoever wants to
// know how lines are asks them. What an agent says is believed only about itself:
// its certificate is pinned, and readers look lines up under the agent that the
// operator placed them on.
package reports

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// Target is where and how an agent's report is read.
type Target struct {
	// Address is HOST:PORT of the report listener.
	Address string
	// Certificate (PEM) the agent must show.
	Certificate []byte
	// Token shown to the agent.
	Token string
	// Version tells two sets of credentials apart without comparing secrets.
	Version string
}

// Options of a Reader.
type Options struct {
	Log *slog.Logger
	// Dial replaces the network; nil = a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// AgentChanged is called when an agent's own state, or the connection to it, changed.
	AgentChanged func(agent types.NamespacedName)
	// LineChanged is called when a line's state on an agent changed.
	LineChanged func(agent types.NamespacedName, line string)
	// CheckChanged is called when a check's state on an agent changed.
	CheckChanged func(agent types.NamespacedName, check string)
	// Silence after which a stream is taken for dead; 0 = three ping intervals.
	Silence time.Duration
	// RetryMin and RetryMax bound the pause before dialling again; 0 = 100 ms and 5 s.
	RetryMin, RetryMax time.Duration
}

// Reader reads the reports of any number of agents. Its methods may be called
// from any goroutine.
type Reader struct {
	opts   Options
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	agents map[types.NamespacedName]*watch
}

// watch is one agent's stream and what it said last.
type watch struct {
	target Target
	cancel context.CancelFunc
	agent  Agent
	lines  map[string]Line
	checks map[string]delivery.CheckReport
}

// Agent is an agent's own part of its report.
type Agent struct {
	delivery.AgentReport
	// Connected: the stream stands and its snapshot was read.
	Connected bool
	// Since when Connected is what it is.
	Since time.Time
	// Failure of the last try to connect; empty when connected.
	Failure string
}

// Line is a line's report.
type Line struct {
	delivery.LineReport
	// Since when the line is healthy, or is not, as this process saw it; an agent's clock may be wrong.
	// (The report's own Since is LineReport.Since.)
	Since time.Time
}

// New makes a Reader that reads nothing yet.
func New(o Options) *Reader {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	if o.Silence == 0 {
		o.Silence = 3 * delivery.PingInterval
	}
	if o.RetryMin == 0 {
		o.RetryMin = 100 * time.Millisecond
	}
	if o.RetryMax == 0 {
		o.RetryMax = 5 * time.Second
	}
	if o.AgentChanged == nil {
		o.AgentChanged = func(types.NamespacedName) {}
	}
	if o.LineChanged == nil {
		o.LineChanged = func(types.NamespacedName, string) {}
	}
	if o.CheckChanged == nil {
		o.CheckChanged = func(types.NamespacedName, string) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Reader{opts: o, ctx: ctx, cancel: cancel, agents: map[types.NamespacedName]*watch{}}
}

// Start waits for the end of ctx, then ends all streams. It makes the Reader a
// manager's Runnable.
func (r *Reader) Start(ctx context.Context) error {
	<-ctx.Done()
	r.cancel()
	r.wg.Wait()
	return nil
}

// Current tells which address and credentials an agent is read with.
func (r *Reader) Current(agent types.NamespacedName) (address, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w, ok := r.agents[agent]; ok {
		return w.target.Address, w.target.Version
	}
	return "", ""
}

// Watch reads an agent's report from now on. The same target again changes
// nothing; another one replaces the stream and keeps what is known.
func (r *Reader) Watch(agent types.NamespacedName, t Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, ok := r.agents[agent]
	if ok && old.target.Address == t.Address && old.target.Version == t.Version || r.ctx.Err() != nil {
		return
	}
	w := &watch{target: t, agent: Agent{Since: time.Now()}, lines: map[string]Line{}, checks: map[string]delivery.CheckReport{}}
	if ok {
		old.cancel()
		w.lines, w.checks, w.agent.AgentReport = old.lines, old.checks, old.agent.AgentReport
		if !old.agent.Connected {
			w.agent.Since = old.agent.Since
		}
	}
	ctx, cancel := context.WithCancel(r.ctx)
	w.cancel = cancel
	r.agents[agent] = w
	r.wg.Go(func() { r.follow(ctx, agent, w) })
}

// Forget ends an agent's stream and drops what it said.
func (r *Reader) Forget(agent types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w, ok := r.agents[agent]; ok {
		w.cancel()
		delete(r.agents, agent)
	}
}

// Agent gives what an agent says of itself; false when it is not watched.
func (r *Reader) Agent(agent types.NamespacedName) (Agent, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, ok := r.agents[agent]
	if !ok {
		return Agent{}, false
	}
	return w.agent, true
}

// Line gives the newest state of a line on an agent; false when the agent said
// nothing of it.
func (r *Reader) Line(agent types.NamespacedName, line string) (Line, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, ok := r.agents[agent]
	if !ok {
		return Line{}, false
	}
	l, ok := w.lines[line]
	return l, ok
}

// Check gives the newest state of a check on an agent; false when the agent said
// nothing of it.
func (r *Reader) Check(agent types.NamespacedName, check string) (delivery.CheckReport, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, ok := r.agents[agent]
	if !ok {
		return delivery.CheckReport{}, false
	}
	c, ok := w.checks[check]
	return c, ok
}
