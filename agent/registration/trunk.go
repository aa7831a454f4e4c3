package registration

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Trunk is a line that does not register: its server knows it by its address.
// It looks its server up, now and then again, so that calls from there are known
// as such, and shows what OPTIONS tell of it. It has the methods of a
// Registration that a line's owner needs.
type Trunk struct {
	ep       Endpoint
	onChange func(Status)
	nonces   ua.NonceCache

	mu      sync.Mutex // not to be held while a Qualifier is asked
	cfg     Config
	status  Status
	servers []ua.Candidate // the one in use first
	run     *trunkRun      // nil when nothing runs
}

// trunkRun lives from Start to Stop. Its goroutine is there only while there is
// something to look at; but for mu's, what it has is that goroutine's own.
type trunkRun struct {
	ctx    context.Context
	cancel context.CancelFunc
	idle   *sync.Cond // of Trunk.mu: the goroutine has ended
	busy   bool       // Trunk.mu
	news   bool       // Trunk.mu
	moved  bool       // Trunk.mu: the server may be another
	timer  *time.Timer
	beat   *time.Timer // Trunk.mu: of keepalives; nil = there are none

	found    []ua.Candidate // in DNS' order
	watched  []*watched     // of each of them
	due      time.Time      // of the next look-up
	failures int            // of look-ups, in a row
	missing  *outcome       // why the last look-up failed; nil = it did not
}

const (
	// lookupAge is how long a server's addresses are good: servers move, and
	// nothing but DNS tells a line that does not register.
	lookupAge = 5 * time.Minute
	// mostTrunkServers are taken from DNS.
	mostTrunkServers = 8
)

// NewTrunk makes a trunk that does nothing until Start. onChange is as for New.
func NewTrunk(cfg Config, ep Endpoint, onChange func(Status)) *Trunk {
	if onChange == nil {
		onChange = func(Status) {}
	}
	return &Trunk{ep: ep, onChange: onChange, cfg: cfg.defaults(), status: Status{State: delivery.Idle, Since: time.Now()}}
}

// Start looks after the server until Stop or until ctx ends.
func (t *Trunk) Start(ctx context.Context) {
	t.mu.Lock()
	if t.run == nil {
		t.run = &trunkRun{idle: sync.NewCond(&t.mu)}
		t.run.ctx, t.run.cancel = context.WithCancel(ctx)
	}
	t.mu.Unlock()
	t.poke()
}

// Update puts another configuration in force.
func (t *Trunk) Update(cfg Config) {
	cfg = cfg.defaults()
	t.mu.Lock()
	cfg.Qualifier = t.cfg.Qualifier
	if cfg.credentials() != t.cfg.credentials() {
		t.nonces.Forget()
	}
	if moved := compare(t.cfg, cfg) == relocate || t.cfg.Link.Trust != cfg.Link.Trust; moved && t.run != nil {
		t.run.moved = true
	}
	t.cfg = cfg
	t.mu.Unlock()
	t.poke()
}

// Stop ends everything that runs for it. State is then Disabled.
func (t *Trunk) Stop(context.Context) error {
	t.mu.Lock()
	run := t.run
	if run == nil {
		t.mu.Unlock()
		return nil
	}
	t.run = nil
	run.cancel()
	for run.busy {
		run.idle.Wait()
	}
	stopTimer(run.timer)
	stopTimer(run.beat)
	cfg, servers := t.cfg, t.servers
	t.mu.Unlock()
	t.watch(cfg, run, nil)
	t.publish(Status{State: delivery.Disabled, Server: first(servers)}, servers)
	return nil
}

// Status now.
func (t *Trunk) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

// Servers are the addresses the server was last found at.
func (t *Trunk) Servers() []netip.AddrPort {
	t.mu.Lock()
	defer t.mu.Unlock()
	return addresses(t.servers)
}

// Server gives the place in use, looking it up when there is none yet.
func (t *Trunk) Server(ctx context.Context) (ua.Candidate, error) {
	t.mu.Lock()
	servers, cfg := t.servers, t.cfg
	t.mu.Unlock()
	return serverOf(ctx, t.ep, cfg, servers)
}

// Nonces of the line's calls.
func (t *Trunk) Nonces() *ua.NonceCache { return &t.nonces }

// poke has the trunk look at what is new. It does not block.
func (t *Trunk) poke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.run == nil {
		return
	}
	t.run.news = true
	if !t.run.busy {
		t.run.busy = true
		go t.walk(t.run)
	}
}

// walk looks until there is nothing new.
func (t *Trunk) walk(run *trunkRun) {
	for {
		t.mu.Lock()
		if !run.news || run.ctx.Err() != nil {
			run.busy = false
			run.idle.Broadcast()
			t.mu.Unlock()
			return
		}
		run.news = false
		cfg, moved := t.cfg, run.moved
		run.moved = false
		t.mu.Unlock()
		t.ep.Guard(cfg.Name, func() { t.look(cfg, run, moved) })
	}
}

// look finds the server where that is due, and shows how it is.
func (t *Trunk) look(cfg Config, run *trunkRun, moved bool) {
	if moved {
		t.nonces.Forget()
		run.found, run.failures = nil, 0
	}
	if moved || !time.Now().Before(run.due) {
		t.locate(cfg, run)
	}
	if run.ctx.Err() != nil {
		return
	}
	status, servers := run.judge(cfg)
	t.publish(status, servers)
	t.tune(cfg, run)
	after := max(time.Until(run.due), time.Millisecond)
	if run.timer == nil {
		run.timer = time.AfterFunc(after, t.poke)
	} else {
		run.timer.Reset(after)
	}
}

// tune starts or stops keepalives as the configuration wants them: a NAT on the
// way would forget, between two calls, whom the server's are for.
func (t *Trunk) tune(cfg Config, run *trunkRun) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !cfg.KeepAlive:
		stopTimer(run.beat)
		run.beat = nil
	case run.beat == nil:
		run.beat = time.AfterFunc(cfg.KeepAlivePeriod, func() { t.keepalive(run) })
	}
}

// keepalive sends one to every server, since calls may come from each.
func (t *Trunk) keepalive(run *trunkRun) {
	t.mu.Lock()
	cfg, servers := t.cfg, t.servers
	if t.run != run || !cfg.KeepAlive {
		t.mu.Unlock()
		return
	}
	run.beat.Reset(cfg.KeepAlivePeriod)
	t.mu.Unlock()
	t.ep.Guard(cfg.Name, func() {
		for _, s := range servers {
			if err := t.ep.Keepalive(s); err != nil {
				cfg.Log.Debug("keepalive not sent", "line", cfg.Name, "error", err)
			}
		}
	})
}

// locate looks the server up. What was found before stays good when DNS is away.
func (t *Trunk) locate(cfg Config, run *trunkRun) {
	ctx, cancel := context.WithTimeout(run.ctx, resolveTimeout)
	defer cancel()
	found, err := t.ep.Resolve(ctx, cfg.target(), cfg.Link.Transport)
	if err != nil {
		run.failures++
		run.missing = failure(err, cfg, cfg.target())
		run.due = time.Now().Add(jittered(double(firstBackoff, mostBackoff, run.failures)))
		return
	}
	run.failures, run.missing, run.due = 0, nil, time.Now().Add(jittered(lookupAge))
	t.mu.Lock()
	if len(t.servers) > 0 {
		ua.Settle(found, t.servers[0].Addr)
	}
	t.mu.Unlock()
	found = found[:min(len(found), mostTrunkServers)]
	for i, c := range found {
		found[i] = cfg.Link.Through(c)
	}
	t.watch(cfg, run, found)
}

// watch has these servers watched instead of those before.
func (t *Trunk) watch(cfg Config, run *trunkRun, found []ua.Candidate) {
	run.found = found
	q, before := cfg.Qualifier, run.watched
	if q == nil {
		return
	}
	run.watched = nil
	for _, c := range found {
		w := q.swap(nil, c, cfg.Registrar)
		q.join(w, t)
		run.watched = append(run.watched, w)
	}
	for _, w := range before {
		q.leave(w, t, slices.Contains(run.watched, w))
	}
}

// judge says how the trunk is, and which of its servers comes first: one that
// answers, if any does.
func (run *trunkRun) judge(cfg Config) (Status, []ua.Candidate) {
	servers := slices.Clone(run.found)
	if len(servers) == 0 {
		s := Status{State: delivery.Idle, LastReason: "trunk: it does not register; its server is being looked up"}
		if o := run.missing; o != nil {
			s = Status{State: delivery.Error, LastReason: "trunk: " + o.reason, Problem: o.problem}
		}
		return s, nil
	}
	s := Status{State: delivery.Idle, LastReason: "trunk: it does not register, and nobody asks whether its server is there"}
	if cfg.Qualifier == nil || cfg.Qualifier.Off() {
		s.Server = first(servers)
		return s, servers
	}
	best, known := 0, make([]ServerStatus, len(run.watched))
	for i, w := range run.watched {
		known[i] = cfg.Qualifier.of(w)
		if better := rank(known[i]) > rank(known[best]); better {
			best = i
		}
	}
	servers[0], servers[best] = servers[best], servers[0]
	s.Server = first(servers)
	switch k := known[best]; {
	case !k.Known:
		s.LastReason = "trunk: it does not register; its server was not asked yet"
	case k.Up:
		s.LastReason, s.LastCode = "trunk: it does not register; its server answers", k.LastCode
	default:
		s.State, s.LastReason, s.Problem = delivery.Error, "trunk: "+k.LastReason, k.Problem
	}
	return s, servers
}

// rank of a server: one that answers before one that nobody knows, and that
// before one that does not.
func rank(s ServerStatus) int {
	switch {
	case s.Up:
		return 2
	case !s.Known:
		return 1
	}
	return 0
}

// publish tells the world what changed.
func (t *Trunk) publish(s Status, servers []ua.Candidate) {
	t.mu.Lock()
	old := t.status
	if s.Since = old.Since; s.State != old.State {
		s.Since = time.Now()
	}
	t.status, t.servers = s, servers
	cfg := t.cfg
	t.mu.Unlock()
	if s == old {
		return
	}
	switch {
	case s.State == old.State && s.Problem == old.Problem:
	case s.Problem != delivery.NoProblem:
		cfg.Log.Warn("trunk has no server", "line", cfg.Name, "problem", s.Problem, "reason", s.LastReason)
	default:
		cfg.Log.Info("trunk", "line", cfg.Name, "state", s.State, "server", s.Server)
	}
	t.ep.Guard(cfg.Name, func() { t.onChange(s) })
}

// first names the server in use.
func first(servers []ua.Candidate) string {
	if len(servers) == 0 {
		return ""
	}
	return servers[0].String()
}
