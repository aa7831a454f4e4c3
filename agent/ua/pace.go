package ua

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// pacer spreads what goes to one destination: a thousand lines that start, or
// come back after an outage, at the same moment would overrun the registrar's
// socket buffer, and every datagram lost there costs its line half a second.
type pacer struct {
	interval time.Duration
	mu       sync.Mutex
	next     map[netip.AddrPort]time.Time // when the next one may leave
}

// Turn returns when another REGISTER may go to server (Config.RegisterRate), or
// with ctx's error. Take it before building the request.
func (e *Endpoint) Turn(ctx context.Context, server netip.AddrPort) error {
	return e.pace.wait(ctx, server)
}

// wait returns when it is the caller's turn, or with ctx's error.
func (p *pacer) wait(ctx context.Context, to netip.AddrPort) error {
	turn := p.turn(to, time.Now())
	if turn <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(turn)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turn takes the next turn and tells how long it is until then.
func (p *pacer) turn(to netip.AddrPort, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil || len(p.next) > mostDestinations {
		p.next = make(map[netip.AddrPort]time.Time)
	}
	at := p.next[to]
	if at.Before(now) {
		at = now
	}
	p.next[to] = at.Add(p.interval)
	return at.Sub(now)
}

// mostDestinations are remembered; more are forgotten together.
const mostDestinations = 4096
