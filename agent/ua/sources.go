package ua

import (
	"net/netip"
	"sync"
	"time"
)

// sources bounds what each address may ask of us: a bucket of tokens each, that
// fills at the rate and holds two seconds of it. Whoever sends more is not
// answered; a 503 for each would double the flood.
type sources struct {
	mu      sync.Mutex
	rate    float64 // requests a second; 0 = no bound
	buckets map[netip.Addr]bucket
}

type bucket struct {
	tokens float64
	at     time.Time // of the count
}

// mostSources are remembered; more are forgotten together, full buckets and empty
// ones: who can send from so many addresses is not stopped by counting them.
const mostSources = 4096

// burst is how many seconds' worth of requests may come at once.
const burst = 2

func (s *sources) limit(perSecond int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate, s.buckets = float64(max(perSecond, 0)), nil
}

func (s *sources) limited() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rate > 0
}

// allow takes a token. IPv6 sources count by their /64, which is what one host is
// given.
func (s *sources) allow(from netip.Addr, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rate == 0 {
		return true
	}
	from = from.Unmap()
	if from.Is6() {
		if p, err := from.WithZone("").Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	b, known := s.buckets[from]
	switch {
	case known:
		b.tokens = min(b.tokens+s.rate*now.Sub(b.at).Seconds(), burst*s.rate)
	case s.buckets == nil || len(s.buckets) >= mostSources:
		s.buckets = make(map[netip.Addr]bucket)
		fallthrough
	default:
		b.tokens = burst * s.rate
	}
	ok := b.tokens >= 1
	if ok {
		b.tokens--
	}
	b.at = now
	s.buckets[from] = b
	return ok
}

// LimitSources bounds the requests a second that one source address may send; 0 =
// no bound. The lines' servers are not bound by it.
func (e *Endpoint) LimitSources(perSecond int) { e.sources.limit(perSecond) }
