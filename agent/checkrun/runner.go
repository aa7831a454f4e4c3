// Package checkrun runs checks: dial, listen, judge, each on its own schedule. It
// lives in the agent and takes its checks from the agent's files, so that nobody's
// outage but the agent's stops one.
package checkrun

import (
	"context"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Phone is what checks need of the agent's lines.
type Phone interface {
	// Standing of a line, as a place to call from.
	Standing(line string) Standing
	// Dial places a call from a line.
	Dial(ctx context.Context, line string, d call.Dial) (id string, err error)
	// Hangup ends a call.
	Hangup(id string) error
}

// Standing is whether a line can place calls. The zero value: it can.
type Standing struct {
	// Untried is why it cannot for a reason of our own.
	Untried check.Reason
	// NotRegistered: the registrar refuses it, or is not there.
	NotRegistered bool
	// Waiting: that will be known in a moment; Since the line waits.
	Waiting bool
	Since   time.Time
	// Words say why.
	Words string
}

// Delivered is a check in force.
type Delivered struct {
	Name  string
	Hash  string
	Check check.Check
}

// Options of a Runner.
type Options struct {
	Phone Phone
	// Report is told the state of a check after every change; it must not block.
	Report func(delivery.CheckReport, check.Check)
	// Gone is told that a check is no longer here.
	Gone func(name string)
	Log  *slog.Logger
}

// Runner runs the checks of one agent. All methods may be called from any goroutine.
type Runner struct {
	opts    Options
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	jobs    map[string]*job
	waiting map[string]chan call.Record // by run; capacity 1, the newest record
	drained bool
}

// New makes a Runner without checks. Close ends it.
func New(o Options) *Runner {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Runner{opts: o, jobs: map[string]*job{}, waiting: map[string]chan call.Record{}}
	r.life, r.end = context.WithCancel(context.Background())
	return r
}

// Update puts checks in force; those that are not named end.
func (r *Runner) Update(checks []Delivered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.drained {
		return
	}
	wanted := map[string]bool{}
	for _, d := range checks {
		wanted[d.Name] = true
		if j := r.jobs[d.Name]; j != nil {
			j.update(d)
			continue
		}
		j := newJob(r, d)
		r.jobs[d.Name] = j
		r.running.Go(j.loop)
	}
	for _, name := range slices.Sorted(maps.Keys(r.jobs)) {
		if !wanted[name] {
			r.jobs[name].remove()
			delete(r.jobs, name)
		}
	}
}

// Drain starts no run any more. Those that go on end with their calls.
func (r *Runner) Drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drained = true
	for _, j := range r.jobs {
		j.drain()
	}
}

// Close ends everything at once and waits for it.
func (r *Runner) Close() {
	r.Drain()
	r.end()
	r.running.Wait()
}

// CallChanged tells the run that a call belongs to how it is. It does not block.
func (r *Runner) CallChanged(record call.Record) {
	if record.Check == "" || record.Direction != call.Out {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.waiting[record.Check]
	if news == nil {
		return
	}
	select {
	case <-news: // an older one that nobody took
	default:
	}
	news <- record
}

// await opens the way for the records of a run's call.
func (r *Runner) await(run string) (records <-chan call.Record, done func()) {
	news := make(chan call.Record, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[run] = news
	return news, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting, run)
	}
}

// phase spreads the first runs of checks that come together: always the same for
// a name, so that an agent that starts anew does not call all at once.
func phase(name string, within time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return time.Duration(h.Sum64() % uint64(within))
}
