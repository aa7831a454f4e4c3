package agent

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/checkrun"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/metrics"
	"github.com/softphone-operator/softphone-operator/agent/recording"
	"github.com/softphone-operator/softphone-operator/agent/registration"
	"github.com/softphone-operator/softphone-operator/agent/report"
	"github.com/softphone-operator/softphone-operator/agent/soundfile"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// transactionLife is how long after a binding was removed calls may still arrive
// by it: 64·T1 (RFC 3261 §17.1.1.2), the life of an INVITE transaction.
const transactionLife = 32 * time.Second

// environment is what all lines of an agent share.
type environment struct {
	sockets    *sockets
	gate       *registration.Gate
	qualifier  *registration.Qualifier
	hub        *report.Hub
	metrics    *metrics.Metrics
	ids        *identities
	hashKey    func() []byte
	finished   func(*line) // a line was removed and nothing of it is left
	find       func(account string) *line
	checks     *checkrun.Runner
	reaches    reaches
	prompts    *soundfile.Library
	recordings *recording.Store
	clock      media.Clock   // of all calls' audio
	inFlight   time.Duration // transactionLife; tests are shorter
	expiry     expiryLog
	log        *slog.Logger
}

// order is what the supervisor last told a line. Newer orders replace older
// ones that were not looked at yet: a line walks towards the newest.
type order struct {
	target *target // nil: the line is removed
	// stopping: the agent ends. No new calls; un-register; running calls go on.
	// stopped is told once that has been done.
	stopping bool
	stopped  chan<- *line
}

// line is one account's life on this agent. Everything happens in its own
// goroutine (walk), which exists while there is something to do: at no time are
// there two, and at rest there is none. Others post events and read what was
// published.
type line struct {
	name string
	env  *environment
	life context.Context // ends when the agent has ended

	mu    sync.Mutex
	order order
	news  bool // there is something to look at
	over  bool // nothing is looked at any more
	// borrowed counts those who wait to place a call on a line that registers for it.
	borrowed int
	walking  chan struct{} // closed when the goroutine ends; nil: there is none

	// The goroutine's own.
	generation int
	applied    *target
	stopped    bool // an order to stop was carried out
	retired    []*incarnation
	hindrance  *hindrance        // why there is no incarnation
	server     *shownCertificate // nil without TLS
	look       *time.Timer       // pokes later

	budget call.Budget // of outgoing minutes, whatever the line's identity

	current   atomic.Pointer[incarnation]
	history   atomic.Pointer[[]*incarnation] // current and retired, for readers
	published atomic.Pointer[view]
}

func newLine(life context.Context, name string, env *environment) *line {
	return &line{name: name, env: env, life: life}
}

// log is the agent's, with the line's name. A line at rest has none.
func (l *line) log() *slog.Logger { return l.env.log.With("line", l.name) }

// tell gives the line another order and returns at once.
func (l *line) tell(o order) {
	l.mu.Lock()
	l.order = o
	l.mu.Unlock()
	l.poke()
}

// poke makes the line look at what is new.
func (l *line) poke() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.news = true
	if l.walking == nil && !l.over {
		l.walking = make(chan struct{})
		go l.walk()
	}
}

// onRegistration is called from the registration's goroutine after every change.
func (l *line) onRegistration() func(registration.Status) {
	var before attempt
	var began time.Time // of the state registering; zero in any other
	return func(s registration.Status) {
		switch {
		case s.State == delivery.Registering:
			began = s.Since
		case s.State == delivery.Registered && !began.IsZero():
			l.env.metrics.RegistrationTook(s.Since.Sub(began))
			fallthrough
		default:
			began = time.Time{}
		}
		if before.ended(s) {
			l.env.metrics.RegistrationAttempt(l.name, s.LastCode)
		}
		before = attemptOf(s)
		l.poke()
	}
}

// attempt is what a status says of the last REGISTER exchange: a success moves the
// expiry, a failure the next attempt.
type attempt struct{ expires, retry time.Time }

func attemptOf(s registration.Status) attempt { return attempt{s.ExpiresAt, s.Retry} }

// ended tells whether another exchange ended since.
func (a attempt) ended(now registration.Status) bool {
	succeeded := !now.ExpiresAt.IsZero() && !now.ExpiresAt.Equal(a.expires)
	failed := !now.Retry.IsZero() && !now.Retry.Equal(a.retry)
	return succeeded || failed
}

// onCall is called from a call's goroutine after every change of it.
func (l *line) onCall(r call.Record) {
	l.env.metrics.Call(r)
	l.env.checks.CallChanged(r)
	l.poke()
}

// walk looks at what is new until there is nothing new.
func (l *line) walk() {
	for {
		l.mu.Lock()
		if !l.news || l.over {
			close(l.walking)
			l.walking = nil
			l.mu.Unlock()
			return
		}
		l.news = false
		o := l.order
		l.mu.Unlock()
		l.step(o)
	}
}

// step carries out an order as far as it goes now.
func (l *line) step(o order) {
	l.carryOut(l.life, o)
	next, finished := l.bury(time.Now(), o)
	l.publish(o)
	if finished {
		l.mu.Lock()
		l.over = l.order == o // unless it was wanted again this moment
		finished = l.over
		l.mu.Unlock()
	}
	switch {
	case finished:
		l.env.finished(l)
	case next > 0 && l.look == nil:
		l.look = time.AfterFunc(next, l.poke)
	case next > 0:
		l.look.Reset(next)
	}
}

// carryOut walks from what is applied to what is ordered.
func (l *line) carryOut(ctx context.Context, o order) {
	switch {
	case o.target == nil:
		l.retire(ctx, time.Now())
		l.applied, l.hindrance = nil, nil
	case o.target != l.applied:
		act, why := compare(l.applied, o.target)
		if act != nothing {
			l.log().Info("account taken over", "effect", act.String(), "because", strings.Join(why, " "))
		}
		if act == restart {
			l.retire(ctx, time.Now().Add(l.env.inFlight))
		}
		l.applied = o.target
		l.enforce(o)
	case o.stopping != l.stopped:
		l.enforce(o)
	case l.socketLost():
		l.retire(ctx, time.Now())
		l.enforce(o)
	case l.hindrance != nil && !time.Now().Before(l.hindrance.again):
		l.enforce(o)
	}
	l.enforceRegistration(ctx, o)
	l.enforceSubscriptions()
	if o.stopping && !l.stopped {
		l.stopped = true
		o.stopped <- l
	}
}

// enforce makes the current incarnation what the applied target says.
func (l *line) enforce(o order) {
	in := l.current.Load()
	if in == nil {
		var err error
		if in, err = l.incarnate(l.applied); err != nil {
			l.hindered(err)
			return
		}
		l.hindrance = nil
		l.current.Store(in)
		l.remember()
	} else if in.target.Load() != l.applied {
		in.update(l, l.applied)
	}
	l.enforceCalls(in, o)
}

// enforceRegistration registers or un-registers, whatever is wanted now.
func (l *line) enforceRegistration(ctx context.Context, o order) {
	in := l.current.Load()
	if in == nil || l.applied == nil {
		return
	}
	l.mu.Lock()
	borrowed := l.borrowed
	l.mu.Unlock()
	standing := standingOf(l.applied)
	wanted := !o.stopping && (standing.register || standing.lent && (borrowed > 0 || in.calls.Active() > 0))
	switch {
	case wanted && !in.started:
		in.started = true
		in.reg.Start(ctx)
	case !wanted && in.started:
		in.started = false
		l.unregister(ctx, in)
	}
}

// enforceCalls opens or closes the way for new calls.
func (l *line) enforceCalls(in *incarnation, o order) {
	switch {
	case o.stopping:
		in.calls.Drain(time.Now())
	case l.applied.Row.State != delivery.Active, l.applied.Row.Suspended:
		if in.until.IsZero() {
			in.until = time.Now().Add(l.env.inFlight)
			in.calls.Drain(in.until)
		}
	default:
		in.until = time.Time{}
		in.calls.Drain(time.Time{})
	}
}

// unregister removes what the server holds for the line: its subscriptions, which need
// no binding to be ended, and the binding.
func (l *line) unregister(ctx context.Context, in *incarnation) {
	var both sync.WaitGroup
	both.Go(func() { in.events.stop(ctx) })
	defer both.Wait()
	if err := in.reg.Stop(ctx); err != nil {
		l.log().Warn("binding left to expire", "error", err)
	}
}

// retire un-registers the current incarnation and leaves it to its calls.
func (l *line) retire(ctx context.Context, until time.Time) {
	in := l.current.Load()
	if in == nil {
		return
	}
	in.until = until
	in.retired.Store(true)
	in.calls.Drain(until)
	if in.started {
		in.started = false
		l.unregister(ctx, in)
	}
	l.retired = append(l.retired, in)
	l.current.Store(nil)
	l.remember()
}

// bury closes retired incarnations whose calls are over. It returns when to
// look again (0: when something happens), and whether nothing is left at all.
func (l *line) bury(now time.Time, o order) (next time.Duration, finished bool) {
	soonest := func(d time.Duration) {
		if d = max(d, time.Millisecond); next == 0 || d < next {
			next = d
		}
	}
	kept := l.retired[:0:0]
	for _, in := range l.retired {
		grace := in.until.Add(time.Duration(in.target.Load().settings.drainSeconds) * time.Second)
		switch {
		case in.calls.Active() == 0 && !now.Before(in.until):
			in.close("line is gone")
		case !now.Before(grace):
			in.close("line was taken away")
		default:
			kept = append(kept, in)
			soonest(min(time.Second, cmp.Or(max(in.until.Sub(now), 0), grace.Sub(now))))
		}
	}
	if len(kept) != len(l.retired) {
		l.retired = kept
		l.remember()
	}
	if in := l.current.Load(); in != nil && now.Before(in.until) {
		soonest(in.until.Sub(now)) // a draining line becomes gone
	}
	if l.hindrance != nil && l.current.Load() == nil && o.target != nil {
		soonest(l.hindrance.again.Sub(now))
	}
	return next, o.target == nil && len(l.retired) == 0 && l.current.Load() == nil
}

// end closes everything at once and waits for it. The line's life has ended before.
func (l *line) end(reason string) {
	l.mu.Lock()
	l.over = true
	walking := l.walking
	l.mu.Unlock()
	if walking != nil {
		<-walking
	}
	if l.look != nil {
		l.look.Stop()
	}
	var wait sync.WaitGroup
	for _, in := range l.incarnations() {
		wait.Go(func() { in.close(reason) })
	}
	wait.Wait()
}

// remember publishes the incarnations to readers.
func (l *line) remember() {
	all := slices.Clone(l.retired)
	if in := l.current.Load(); in != nil {
		all = append(all, in)
	}
	l.history.Store(&all)
}

// incarnations gives retired and current ones; any goroutine may ask.
func (l *line) incarnations() []*incarnation {
	if all := l.history.Load(); all != nil {
		return *all
	}
	return nil
}
