package subscription

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/registration"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Set is all subscriptions of one line. All methods may be called from any goroutine.
//
// What happens is taken one after the other by a goroutine that is there only while
// there is something: a line that only waits for a lamp to change is timers.
type Set struct {
	ep Endpoint

	mu      sync.Mutex // guards the queue, and what HandleRequest has to know at once
	queue   []func()
	busy    bool                 // somebody takes from the queue
	shut    bool                 // nothing is taken any more
	notices int                  // NOTIFYs in the queue
	known   map[dialogKey]*watch // by our half of the dialog

	ctx    context.Context // of everything that is sent; ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // exchanges under way

	// What follows belongs to whoever takes from the queue.
	cfg      *Config
	footing  Footing
	running  bool
	mailbox  *watch
	watches  []*watch // as configured
	parting  map[*leg]bool
	untold   mailbox // what an unsolicited NOTIFY said
	drained  chan struct{}
	dirty    bool // there is something to tell
	departed departed

	status atomic.Pointer[Status]
}

// dialogKey is our half of a dialog; the tag cannot be guessed.
type dialogKey struct{ callID, tag string }

// mostNotices may wait to be taken; more are refused.
const mostNotices = 512

// New makes a Set that subscribes to nothing until the line has a Footing.
func New(cfg Config, ep Endpoint) *Set {
	s := &Set{ep: ep}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	cfg = cfg.defaults()
	s.cfg = &cfg
	s.status.Store(&Status{})
	if cfg.Mailbox || len(cfg.Watch) > 0 { // most lines subscribe to nothing
		s.post(s.arrange)
	}
	return s
}

func (c Config) defaults() Config {
	if c.Link.Transport == "" {
		c.Link.Transport = ua.UDP
	}
	if c.Nonces == nil {
		c.Nonces = &ua.NonceCache{}
	}
	if c.Gate == nil {
		c.Gate = registration.NewGate(delivery.Registrar{})
	}
	if c.Expires <= 0 {
		c.Expires = DefaultExpires
	}
	if c.OnChange == nil {
		c.OnChange = func() {}
	}
	if c.OnAttempt == nil {
		c.OnAttempt = func(string, int) {}
	}
	if c.OnNotify == nil {
		c.OnNotify = func(string) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Update puts another configuration in force: subscriptions that it does not name end,
// those it names begin, the others go on. New credentials end the wait of those that
// were refused.
func (s *Set) Update(cfg Config) {
	cfg = cfg.defaults()
	s.post(func() {
		fresh := s.cfg.Credentials != cfg.Credentials
		s.cfg = &cfg
		s.arrange()
		if fresh {
			s.each(func(l *leg) { l.step(event{kind: changed}) })
		}
	})
}

// Follow tells how the line stands with its server. Without a footing nothing new is
// sent; with another one than before, what is there is renewed, and made anew where
// the server is another.
func (s *Set) Follow(f Footing) {
	if !f.Up {
		f = Footing{}
	}
	s.post(func() {
		if s.footing.Up = f.Up; !f.Up || s.footing == f && s.running {
			return
		}
		if s.running && s.footing.Server == "" {
			if s.footing.Server = f.Server; s.footing == f {
				return // a trunk's server was found, by what was sent there
			}
		}
		what := renew
		if s.footing.Server != f.Server {
			what = moved
		}
		if !s.running {
			what = start
		}
		s.footing, s.running = f, true
		s.each(func(l *leg) { l.step(event{kind: what}) })
	})
}

// Stop ends all subscriptions, telling the server (RFC 6665 §4.1.2.3). It is done when
// ctx ends or after StopTimeout, whichever is first. A Set that is stopped begins anew
// with the next Follow.
func (s *Set) Stop(ctx context.Context) {
	over := make(chan struct{})
	if !s.post(func() {
		s.running, s.footing = false, Footing{}
		for _, w := range s.all() {
			for _, l := range slices.Clone(w.legs) {
				s.part(l)
			}
			w.renew()
		}
		s.drained = over
		s.look()
	}) {
		return
	}
	timer := time.NewTimer(StopTimeout + time.Second) // each of them has its own
	defer timer.Stop()
	select {
	case <-over:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Close ends everything at once and waits for it.
func (s *Set) Close() {
	s.mu.Lock()
	if s.shut {
		s.mu.Unlock()
		return
	}
	done := make(chan struct{})
	s.queue = append(s.queue, func() {
		for _, w := range s.all() {
			for _, l := range w.legs {
				l.halt()
			}
		}
		for l := range s.parting {
			l.halt()
		}
		s.mu.Lock()
		s.shut, s.queue = true, nil
		s.mu.Unlock()
		close(done)
	})
	s.goLocked()
	s.mu.Unlock()
	<-done
	s.cancel()
	s.work.Wait()
}

// Status now.
func (s *Set) Status() *Status { return s.status.Load() }

// post hands something over to be done in its turn; false = nothing is done any more.
func (s *Set) post(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return false
	}
	s.queue = append(s.queue, f)
	s.goLocked()
	return true
}

func (s *Set) goLocked() {
	if !s.busy {
		s.busy = true
		go s.drain()
	}
}

// drain takes from the queue while there is something, and then tells what is new.
func (s *Set) drain() {
	for untold := 0; ; {
		s.mu.Lock()
		if len(s.queue) == 0 || s.shut {
			s.busy, s.queue = false, nil
			s.mu.Unlock()
			return
		}
		f := s.queue[0]
		s.queue = s.queue[1:]
		more := len(s.queue) > 0
		s.mu.Unlock()
		s.ep.Guard(s.cfg.Name, f)
		// A line that watches hundreds tells of all of them each time.
		if untold++; s.dirty && (!more || untold >= mostUntold) {
			untold, s.dirty = 0, false
			s.ep.Guard(s.cfg.Name, s.publish)
		}
	}
}

// mostUntold things may happen before what they changed is told, while more wait.
const mostUntold = 64

// all watches there are.
func (s *Set) all() []*watch {
	if s.mailbox == nil {
		return s.watches
	}
	return append([]*watch{s.mailbox}, s.watches...)
}

// each is called for every subscription that is there to stay.
func (s *Set) each(f func(*leg)) {
	for _, w := range s.all() {
		for _, l := range slices.Clone(w.legs) {
			f(l)
		}
	}
}

// arrange makes what is watched what the configuration says.
func (s *Set) arrange() {
	s.dirty = true
	switch {
	case s.cfg.Mailbox && s.mailbox == nil:
		s.mailbox = s.newWatch(MessageSummary, "")
		s.mailbox.target = s.cfg.Link.URI(s.cfg.AOR.User, s.cfg.AOR.Host)
	case !s.cfg.Mailbox && s.mailbox != nil:
		s.retire(s.mailbox)
		s.mailbox = nil
	}
	var wanted []*watch
	for _, who := range s.cfg.Watch {
		if slices.ContainsFunc(wanted, func(w *watch) bool { return w.uri == who }) {
			continue
		}
		if i := slices.IndexFunc(s.watches, func(w *watch) bool { return w.uri == who }); i >= 0 {
			wanted = append(wanted, s.watches[i])
			continue
		}
		w := s.newWatch(DialogEvent, who)
		w.target, w.unusable = targetOf(s.cfg, who)
		wanted = append(wanted, w)
	}
	for _, w := range s.watches {
		if !slices.Contains(wanted, w) {
			s.retire(w)
		}
	}
	s.watches = wanted
	if s.running {
		s.each(func(l *leg) { l.step(event{kind: start}) })
	}
}

// retire ends a watch for good.
func (s *Set) retire(w *watch) {
	for _, l := range slices.Clone(w.legs) {
		s.part(l)
	}
}

// part ends a subscription; it is no longer its watch's.
func (s *Set) part(l *leg) {
	s.dirty = true
	l.watch.drop(l)
	if s.parting == nil {
		s.parting = map[*leg]bool{}
	}
	s.parting[l] = true
	l.step(event{kind: stop})
}

// look tells Stop when all has gone.
func (s *Set) look() {
	if len(s.parting) == 0 && s.drained != nil {
		close(s.drained)
		s.drained = nil
	}
}

// dice for whatever jitter a decision leads to.
func dice() float64 { return rand.Float64() }

// learn has NOTIFYs of a dialog found; nil, no longer.
func (s *Set) learn(key dialogKey, w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w == nil {
		delete(s.known, key)
		return
	}
	if s.known == nil {
		s.known = map[dialogKey]*watch{}
	}
	s.known[key] = w
}

// HandleRequest takes a NOTIFY that belongs to a subscription of ours, or to no
// dialog at all; it does not block. It returns false for those of other dialogs, a
// call's or none's, and for other methods.
func (s *Set) HandleRequest(req *sip.Request, tx sip.ServerTransaction) bool {
	if req.Method != sip.NOTIFY || req.To() == nil || req.CallID() == nil {
		return false
	}
	key := dialogKey{req.CallID().Value(), req.To().Params.GetOr("tag", "")}
	s.mu.Lock()
	w := s.known[key]
	if w == nil && key.tag != "" && !s.departed.has(key, time.Now()) || s.shut {
		s.mu.Unlock()
		return false
	}
	if s.notices >= mostNotices {
		s.mu.Unlock()
		s.respond(req, tx, reply(req, 500, sip.NewHeader("Retry-After", "1")))
		return true
	}
	s.notices++
	s.queue = append(s.queue, func() {
		s.mu.Lock()
		s.notices--
		w := s.known[key] // it may have gone, or come, meanwhile
		s.mu.Unlock()
		panicked := s.ep.Guard(s.cfg.Name, func() {
			switch {
			case w != nil:
				w.take(req, tx, key)
			case key.tag == "":
				s.unsolicited(req, tx)
			default:
				s.farewell(req, tx)
			}
		})
		if panicked {
			s.respond(req, tx, reply(req, 500))
		}
	})
	s.goLocked()
	s.mu.Unlock()
	return true
}
