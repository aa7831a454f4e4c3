// Package dns asks the name servers, and remembers for as long as they say. It
// exists because the standard library tells no times to live, so that a thousand
// lines of one host would be a thousand questions a minute, and because phones
// that are registered are not to stop when DNS does: an answer that is past its
// time is better than none (RFC 8767).
//
// Names are absolute; no search list applies.
package dns

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Config of a Resolver.
type Config struct {
	// Servers to ask; none = those of /etc/resolv.conf.
	Servers []netip.AddrPort
	// Exchange with a server; nil = over the network.
	Exchange Exchanger
	// Log for what it has to say; nil = discard.
	Log *slog.Logger
}

// Resolver of names. All methods may be called from any goroutine.
type Resolver struct {
	servers  func() []netip.AddrPort
	exchange Exchanger
	log      *slog.Logger
	life     context.Context // ends with Close
	stop     context.CancelFunc
	work     sync.WaitGroup

	mu     sync.Mutex
	known  map[key]*entry
	closed bool
	away   bool // stale answers are used, and the log knows
}

// key of a question.
type key struct {
	name string
	kind Type
}

// entry is what is known of a question.
type entry struct {
	answer  Answer
	expires time.Time // of the answer; zero = there never was one
	failed  error     // of the last look-up, believed until
	until   time.Time
	flight  *flight // the look-up under way
}

// flight is a look-up that others may wait for.
type flight struct {
	done   chan struct{}
	answer Answer
	err    error
}

const (
	// mostKnown questions are remembered.
	mostKnown = 4096
	// staleLife is how long after its time an answer serves where DNS is away.
	staleLife = 24 * time.Hour
	// failureTTL is how long a failure is believed, and staleRetry where a stale
	// answer serves (RFC 8767 §5).
	failureTTL = time.Second
	staleRetry = 30 * time.Second
	// stalePatience is how long somebody waits for a fresh answer who could have a
	// stale one (RFC 8767 §5).
	stalePatience = 1800 * time.Millisecond
)

// New makes a resolver that knows nothing yet. Close it.
func New(c Config) *Resolver {
	r := &Resolver{exchange: c.Exchange, log: c.Log, known: make(map[key]*entry)}
	if r.exchange == nil {
		r.exchange = overNetwork
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if len(c.Servers) > 0 {
		r.servers = func() []netip.AddrPort { return c.Servers }
	} else {
		r.servers = (&system{path: systemFile}).list
	}
	r.life, r.stop = context.WithCancel(context.Background())
	return r
}

// Close ends what is under way and waits for it.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.work.Wait()
}

// Lookup gives what DNS says of a name. That it has nothing is an answer; an error
// says that it did not answer, and nothing else is known, or ctx's end.
func (r *Resolver) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	name = strings.ToLower(strings.TrimSuffix(name, ".")) + "."
	packed, err := dnsmessage.NewName(name)
	if err != nil || !valid(name) {
		return Answer{}, nil // no such name, ever
	}
	f, stale := r.find(key{name, t}, dnsmessage.Question{Name: packed, Type: t, Class: dnsmessage.ClassINET})
	var patience <-chan time.Time
	if stale != nil {
		limit := time.NewTimer(stalePatience)
		defer limit.Stop()
		patience = limit.C
	}
	select {
	case <-f.done:
		return f.answer, f.err
	case <-patience:
		return *stale, nil
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("no answer: %w", ctx.Err())
	}
}

// valid: every label has a length that fits.
func valid(name string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 || strings.ContainsAny(label, " \t\r\n") {
			return false
		}
	}
	return true
}

// find gives the look-up of a question: one that is over, where the answer is
// known; the one under way; or a new one. stale is what may be used if that takes
// long.
func (r *Resolver) find(k key, q dnsmessage.Question) (f *flight, stale *Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	e := r.known[k]
	if e == nil {
		r.sweep(now)
		e = &entry{}
		r.known[k] = e
	}
	switch {
	case now.Before(e.expires):
		return over(e.answer, nil), nil
	case now.Before(e.until):
		return over(e.fallback(now)), nil
	}
	if e.usable(now) {
		a := e.answer
		a.Stale = true
		stale = &a
	}
	if e.flight == nil {
		e.flight = &flight{done: make(chan struct{})}
		if r.closed {
			e.flight.err = context.Canceled
			close(e.flight.done)
			return e.flight, nil
		}
		r.work.Go(func() { r.fly(k, e, q) })
	}
	return e.flight, stale
}

func over(a Answer, err error) *flight {
	f := &flight{done: make(chan struct{}), answer: a, err: err}
	close(f.done)
	return f
}

// usable: there is an answer, not too old.
func (e *entry) usable(now time.Time) bool {
	return !e.expires.IsZero() && now.Before(e.expires.Add(staleLife))
}

// fallback is what serves after a failure.
func (e *entry) fallback(now time.Time) (Answer, error) {
	if e.usable(now) {
		a := e.answer
		a.Stale = true
		return a, nil
	}
	return Answer{}, e.failed
}

// fly looks up and tells who waits.
func (r *Resolver) fly(k key, e *entry, q dnsmessage.Question) {
	a, err := r.follow(r.life, q)
	r.mu.Lock()
	defer r.mu.Unlock()
	now, f := time.Now(), e.flight
	e.flight = nil
	if err == nil {
		e.answer, e.expires, e.failed, e.until = a.Answer, now.Add(a.ttl), nil, time.Time{}
		f.answer = e.answer
		if r.away {
			r.away = false
			r.log.Info("DNS answers again", "name", k.name)
		}
	} else {
		e.failed, e.until = err, now.Add(failureTTL)
		if e.usable(now) {
			e.until = now.Add(staleRetry)
			if !r.away {
				r.away = true
				r.log.Warn("DNS does not answer: going on with what it said before", "name", k.name, "error", err)
			}
		}
		f.answer, f.err = e.fallback(now)
	}
	close(f.done)
}

// follow asks, and asks on where an alias leads.
func (r *Resolver) follow(ctx context.Context, q dnsmessage.Question) (parsed, error) {
	ttl := mostTTL
	for range mostAliases {
		a, err := r.ask(ctx, q)
		if err != nil {
			return parsed{}, err
		}
		if ttl = min(ttl, a.ttl); a.alias == "" {
			a.ttl = ttl
			return a, nil
		}
		if q.Name, err = dnsmessage.NewName(a.alias); err != nil {
			break
		}
	}
	return parsed{}, fmt.Errorf("%s leads from alias to alias without end", q.Name)
}

// sweep makes room for one more. r is locked.
func (r *Resolver) sweep(now time.Time) {
	if len(r.known) < mostKnown {
		return
	}
	var oldest key
	var first time.Time
	for k, e := range r.known {
		switch {
		case e.flight != nil:
		case !now.Before(e.expires) && !now.Before(e.until):
			delete(r.known, k)
		case first.IsZero() || e.expires.Before(first):
			oldest, first = k, e.expires
		}
	}
	if len(r.known) >= mostKnown {
		delete(r.known, oldest)
	}
}
