package agent

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/checkrun"
	"github.com/softphone-operator/softphone-operator/agent/hep"
	"github.com/softphone-operator/softphone-operator/agent/metrics"
	"github.com/softphone-operator/softphone-operator/agent/provisioning"
	"github.com/softphone-operator/softphone-operator/agent/registration"
	"github.com/softphone-operator/softphone-operator/agent/report"
	"github.com/softphone-operator/softphone-operator/agent/soundfile"
	"github.com/softphone-operator/softphone-operator/agent/trace"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Bounds of the end of an agent.
const (
	// unregisterTimeout bounds the un-REGISTERs of all lines together, beside the
	// time they need to pass one after the other.
	unregisterTimeout = 6 * time.Second
)

// supervisor runs the lines of one agent. Its own goroutine (run) decides;
// readers of other goroutines see lines and overall.
type supervisor struct {
	opts    Options
	log     *slog.Logger
	name    string
	started time.Time
	source  *provisioning.Source
	sockets *sockets
	hub     *report.Hub
	metrics *metrics.Metrics
	traces  *trace.Store
	capture *hep.Exporter
	ids     *identities
	env     *environment
	checks  *checkrun.Runner
	hashKey atomic.Pointer[[]byte]

	applied map[string]*target
	seen    bool // a snapshot was applied
	tidier  tidier

	mu      sync.RWMutex
	lines   map[string]*line
	overall overall

	finished chan *line
	failed   chan error
	running  sync.WaitGroup // servers and watchers
}

// overall is the agent's own state, for readers.
type overall struct {
	report     delivery.AgentReport
	missing    string // why it is not ready
	network    delivery.NetworkType
	snapshotAt time.Time
	drain      time.Duration
}

// Run runs an agent until ctx ends, and then ends it kindly: bindings are
// removed, running calls get the drain time, what is left gets a BYE. The error
// is nil after such an end.
func Run(ctx context.Context, o Options) error {
	s, err := open(o)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// open makes everything that can fail before a line is touched, except listeners.
func open(o Options) (*supervisor, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	source, err := provisioning.New(provisioning.Options{Dir: o.Accounts, CAFile: o.TLSCA, Log: o.Log})
	if err != nil {
		return nil, err
	}
	first, _, err := source.Read()
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	name := cmp.Or(o.Name, first.Agent.Name, host, "agent")
	ids, err := openIdentities(name, o.State)
	if err != nil {
		return nil, err
	}
	recordings, err := openRecordings(o.State, o.Log)
	if err != nil {
		return nil, err
	}
	o.locator = ua.NewLocator(o.Resolvers, o.Log)
	traces := trace.NewStore()
	o.tap = traces
	endpoint, err := openEndpoint(o, name, o.Log)
	if err != nil {
		o.locator.Close()
		return nil, err
	}
	s := &supervisor{
		opts: o, log: o.Log, name: name, traces: traces, capture: hep.New(name, o.Log), started: time.Now(), source: source, sockets: newSockets(endpoint, o, o.Log), hub: report.NewHub(), ids: ids,
		lines: map[string]*line{}, finished: make(chan *line), failed: make(chan error, 8),
	}
	s.metrics = metrics.New(metrics.Options{Name: name, Version: o.Version, Endpoint: s.sockets.stats, Servers: s.measured, Refresh: s.countRunningCalls, Captured: s.capture.Counts})
	traces.Forward(s.capture.Message)
	s.hashKey.Store(&[]byte{})
	s.checks = s.newChecks()
	registrars := first.Agent.Registrar.Defaults()
	s.env = &environment{
		gate: registration.NewGate(registrars), qualifier: registration.NewQualifier(endpoint, qualifyEvery(registrars), o.Log),
		checks: s.checks, sockets: s.sockets, hub: s.hub, metrics: s.metrics, ids: ids, prompts: soundfile.NewLibrary(o.Prompts), recordings: recordings, inFlight: transactionLife, log: o.Log,
		hashKey: func() []byte { return *s.hashKey.Load() }, find: s.find,
	}
	s.setOverall(func(all *overall) {
		all.report = delivery.AgentReport{Name: name, Version: o.Version, StartedAt: s.started}
		all.missing = "no snapshot loaded yet"
	})
	return s, nil
}

// run is the supervisor's goroutine.
func (s *supervisor) run(ctx context.Context) error {
	// What serves others outlives ctx: the end takes time, and is to be seen.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer s.running.Wait()
	defer s.closeSockets()
	defer stopServing()
	if err := s.listen(serving); err != nil {
		return err
	}
	s.sockets.broke = func() {
		for _, l := range s.allLines() {
			l.poke()
		}
	}
	s.start(func() error { return s.sockets.shared.Serve(serving) })
	watching, stopWatching := context.WithCancel(serving)
	defer stopWatching()
	snapshots := make(chan provisioning.Snapshot)
	s.start(func() error {
		return s.source.Watch(watching, func(snap provisioning.Snapshot) {
			select {
			case snapshots <- snap:
			case <-watching.Done():
			}
		})
	})
	s.start(func() error { s.watchCertificates(watching); return nil })
	s.start(func() error { s.watchAddresses(watching); return nil })
	lines, stopLines := context.WithCancel(serving)
	defer s.endLines(stopLines)
	s.env.finished = func(l *line) {
		select {
		case s.finished <- l:
		case <-lines.Done():
		}
	}
	looks := time.NewTicker(tidyEvery)
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			stopWatching()
			s.drain(lines)
			return nil
		case snap := <-snapshots:
			s.apply(lines, snap)
		case l := <-s.finished:
			s.forget(lines, l)
		case <-looks.C:
			s.tidy()
			s.sweepTraces()
		case err := <-s.failed:
			return err
		}
	}
}

// start runs f until the agent ends; its error ends the agent.
func (s *supervisor) start(f func() error) {
	s.running.Go(func() {
		if err := f(); err != nil {
			s.failed <- err
		}
	})
}

func (s *supervisor) closeSockets() {
	s.env.qualifier.Close()
	s.env.reaches.close()
	s.sockets.close()
	s.capture.Close()
	s.opts.locator.Close()
}

// apply takes a snapshot over: the whole plan first, then each line its part.
func (s *supervisor) apply(ctx context.Context, snap provisioning.Snapshot) {
	if s.opts.Network != "" {
		snap.Agent.Network.Type = s.opts.Network
	}
	s.metrics.AccountLabels(snap.Agent.MetricLabels, snap.Agent.Labels)
	if snap.Loaded {
		settings := snap.Agent.Registrar.Defaults()
		s.env.gate.Set(settings)
		s.env.qualifier.Set(qualifyEvery(settings))
		s.seen = true
		wanted := targets(snap)
		s.sockets.setTrusts(trustsOf(wanted))
		s.sockets.limitSources(snap.Agent.SourceRequestsPerSecond)
		s.capture.Set(snap.Agent.HEP)
		s.env.recordings.Set(recordingLimits(snap.Agent.Recordings))
		if err := s.ids.prepare(wanted); err != nil {
			s.log.Error("identities of this run are lost with it", "error", err)
		}
		changes := plan(s.applied, wanted)
		hashKey := snap.Agent.HashKey // a pointer into the snapshot would keep all of it
		s.hashKey.Store(&hashKey)
		s.applied = wanted
		for _, c := range changes {
			s.line(ctx, c.name).tell(order{target: c.to})
		}
		s.checks.Update(delivered(snap.Checks))
	}
	now := time.Now()
	s.metrics.Snapshot(len(snap.Rejected), now)
	s.setOverall(func(all *overall) {
		all.report.SnapshotHash, all.report.Rejected = snap.Hash, snap.Rejected
		all.report.Ready = s.seen
		all.missing = ""
		if !s.seen {
			all.missing = "agent.json was never readable"
		}
		all.network, all.snapshotAt = snap.Agent.Network.Type, now
		all.drain = time.Duration(snap.Agent.DrainSeconds) * time.Second
	})
}

// qualifyEvery is the time between two OPTIONS to one server; 0 = none.
func qualifyEvery(r delivery.Registrar) time.Duration {
	return time.Duration(*r.QualifySeconds) * time.Second
}

// line gives the line of that name, a new one when there is none.
func (s *supervisor) line(ctx context.Context, name string) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[name]
	if l == nil {
		l = newLine(ctx, name, s.env)
		s.lines[name] = l
	}
	return l
}

// forget drops a line that has ended, or starts it anew when it was wanted
// again at the last moment.
func (s *supervisor) forget(ctx context.Context, l *line) {
	s.mu.Lock()
	delete(s.lines, l.name)
	s.mu.Unlock()
	s.metrics.Forget(l.name)
	if t := s.applied[l.name]; t != nil {
		s.line(ctx, l.name).tell(order{target: t})
	}
}

// drain ends the agent's lines: no new calls, bindings away, running calls
// until the drain time, and a goodbye to those that are left when lines ends.
func (s *supervisor) drain(lines context.Context) {
	s.log.Info("stopping: removing bindings, running calls go on for a while", "lines", len(s.applied))
	s.setOverall(func(all *overall) { all.report.Draining = true })
	s.checks.Drain()
	all := s.allLines()
	stopped, waiting := make(chan *line, len(all)), make(map[*line]bool, len(all))
	for _, l := range all {
		waiting[l] = true
		l.tell(order{target: s.applied[l.name], stopping: true, stopped: stopped})
	}
	s.mu.RLock()
	patience := unregisterTimeout + min(s.env.gate.Spread(2*len(all)), s.overall.drain) // twice: some are challenged
	s.mu.RUnlock()
	bound := time.NewTimer(patience)
	defer bound.Stop()
	for len(waiting) > 0 {
		select {
		case l := <-stopped:
			delete(waiting, l)
		case l := <-s.finished:
			delete(waiting, l)
		case <-bound.C:
			s.log.Warn("bindings left to expire", "after", patience)
			return
		}
	}
	s.mu.RLock()
	grace := time.NewTimer(s.overall.drain)
	s.mu.RUnlock()
	defer grace.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		calls := 0
		for _, l := range all {
			calls += l.activeCalls()
		}
		if calls == 0 {
			return
		}
		select {
		case <-look.C:
		case <-grace.C:
			s.log.Warn("ending running calls", "calls", calls)
			return
		case <-lines.Done():
			return
		}
	}
}

// endLines closes what is left of the lines, all at once.
func (s *supervisor) endLines(stop context.CancelFunc) {
	s.checks.Close()
	stop()
	var wait sync.WaitGroup
	for _, l := range s.allLines() {
		wait.Go(func() { l.end("agent is stopping") })
	}
	wait.Wait()
}
