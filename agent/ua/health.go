package ua

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// health remembers which servers did not answer, so that what one line has learned
// by waiting all lines know (RFC 3263 §4.3), and when each is worth another try.
type health struct {
	mu    sync.Mutex
	spots map[spot]*condition
}

// spot is where a server is.
type spot struct {
	transport Transport
	addr      netip.AddrPort
}

// condition of a server.
type condition struct {
	heard  time.Time     // an answer of it
	failed time.Time     // the last failure
	until  time.Time     // others come first
	pause  time.Duration // the last one
	// overloaded: it said so itself.
	overloaded bool
}

const (
	// firstAvoid and mostAvoid bound how long others come first. The pause doubles
	// with every failure after one, until the server was good for mostAvoid.
	firstAvoid = 30 * time.Second
	mostAvoid  = 10 * time.Minute
	// mostSpots are remembered.
	mostSpots = 4096
	// avoided is added to the rank of a server that others come before.
	avoided = 1 << 20
	// leastWait is how long a request has waited whose end in vain says something.
	leastWait = 4 * time.Second
)

// order puts the servers that are to be avoided last, and says so in their rank.
func (h *health) order(found []Candidate, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, c := range found {
		if k := h.spots[spot{c.transport(), c.Addr}]; k != nil && now.Before(k.until) {
			found[i] = c.Avoid()
		}
	}
	slices.SortStableFunc(found, func(a, b Candidate) int { return cmp.Compare(a.Rank, b.Rank) })
}

// Avoid is the candidate as one that others come before; Avoided tells such.
func (c Candidate) Avoid() Candidate {
	c.Rank += avoided
	return c
}

// Avoided tells whether the candidate lately did not answer (Endpoint.Resolve).
func (c Candidate) Avoided() bool { return c.Rank >= avoided }

// answered notes an answer. A server that was avoided stays so for a while, or
// lines would go to and fro with one that is half dead; an OPTIONS that it answers
// says no more than that it is there.
func (h *health) answered(to Candidate, method sip.RequestMethod, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.condition(to, now)
	if method != sip.OPTIONS {
		k.heard = now
	}
	if now.Sub(k.failed) >= firstAvoid && (method != sip.OPTIONS || !k.overloaded) {
		k.until = time.Time{}
	}
}

// failing notes that a request that left at a time came to nothing, or found a
// server that has too much to do. Where others had answers since, it says nothing
// of the server.
func (h *health) failing(to Candidate, sent, now time.Time, overloaded bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.condition(to, now)
	if k.heard.After(sent) {
		return
	}
	switch {
	case now.Before(k.until): // another who tried at the same time
	case k.failed.IsZero() || now.Sub(k.failed) > k.pause+mostAvoid:
		k.pause = firstAvoid
	default:
		k.pause = min(2*k.pause, mostAvoid)
	}
	k.failed, k.overloaded = now, overloaded
	if until := now.Add(k.pause); until.After(k.until) {
		k.until = until
	}
}

// condition gives what is known of a server. h is locked.
func (h *health) condition(to Candidate, now time.Time) *condition {
	at := spot{to.transport(), to.Addr}
	k := h.spots[at]
	if k != nil {
		return k
	}
	if h.spots == nil {
		h.spots = make(map[spot]*condition)
	}
	if len(h.spots) >= mostSpots {
		for other, c := range h.spots {
			if now.Sub(c.failed) > 2*mostAvoid {
				delete(h.spots, other)
			}
		}
	}
	if len(h.spots) >= mostSpots {
		clear(h.spots)
	}
	k = &condition{}
	h.spots[at] = k
	return k
}

// heard notes a final response. One that says 503 (RFC 3261 §21.5.4) has too much to
// do; from that on other requests, a proxy may only pass it on.
func (tx *clientTx) heard(res *sip.Response) {
	h := tx.client.health()
	switch {
	case res.StatusCode != sip.StatusServiceUnavailable:
		h.answered(tx.to, tx.method, time.Now())
	case tx.method == sip.REGISTER:
		h.failing(tx.to, tx.sent, time.Now(), true)
	}
}

// silent notes that nothing has come so far.
func (tx *clientTx) silent() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.state == trying && !tx.large() {
		tx.client.health().failing(tx.to, tx.sent, time.Now(), false)
	}
}

// vain notes that there is no answer, for this reason. A certificate that is not
// good for one domain may be for others, and what never left says nothing.
func (h *health) vain(to Candidate, sent time.Time, err error) {
	if errors.Is(err, ErrUnreachable) || errors.Is(err, ErrTimeout) {
		h.failing(to, sent, time.Now(), false)
	}
}

// givenUp notes that somebody waits no longer.
func (tx *clientTx) givenUp(why error) {
	if errors.Is(why, context.DeadlineExceeded) && time.Since(tx.sent) >= leastWait {
		tx.client.health().failing(tx.to, tx.sent, time.Now(), false)
	}
}
