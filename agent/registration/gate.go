package registration

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Gate is what all lines of an agent pass with every REGISTER, so that together
// they are as bearable to a registrar as one of them: no more requests a second
// than it is said to take, evenly spread; no more under way than that; and no
// crowd of refused passwords (breaker). Lines that start in one moment are spread
// by it, and their refreshes, which have a jitter of their own, stay so.
//
// What is bounded are requests: the answers to challenges, refreshes and
// un-REGISTERs too, by when they were really sent (pace). Repeated datagrams of a
// request without an answer (RFC 3261 §17.1.2.2) are counted, so that new
// requests make room for them, but wait for nobody: the bound on those under way
// is theirs.
type Gate struct {
	mu     sync.Mutex
	bounds delivery.Registrar
	doors  map[netip.AddrPort]*door
}

// NewGate makes a gate with the bounds, absent ones filled in.
func NewGate(bounds delivery.Registrar) *Gate {
	return &Gate{bounds: bounds.Defaults(), doors: make(map[netip.AddrPort]*door)}
}

// Set puts other bounds in force, for those that wait already as well.
func (g *Gate) Set(bounds delivery.Registrar) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bounds = bounds.Defaults()
	for _, d := range g.doors {
		d.move()
	}
}

// Spread is the time that many requests to one server take to go out.
func (g *Gate) Spread(requests int) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Duration(requests) * interval(g.bounds.RequestsPerSecond)
}

// Crowd is how it is before one server.
type Crowd struct {
	// Waiting requests, and those InFlight that have no final answer yet.
	Waiting, InFlight int
	// Held lines wait because Refused lines were, until one of them is let in;
	// the next tries at Next. Zero while nobody is held.
	Held, Refused int
	Next          time.Time
}

// Crowd before a server now.
func (g *Gate) Crowd(server netip.AddrPort) Crowd {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.doors[server]
	if d == nil {
		return Crowd{}
	}
	c := Crowd{InFlight: len(d.flying)}
	for _, q := range d.queues {
		c.Waiting += len(q)
	}
	now := time.Now()
	if d.breaker.open {
		c.Held, c.Refused, c.Next = len(d.held), d.breaker.count, d.breaker.until(now)
	}
	if len(d.doubted) > 0 {
		c.Held, c.Refused = c.Held+len(d.doubted), max(c.Refused, d.relapse.count)
		if next := d.relapse.until(now); c.Next.IsZero() || next.Before(c.Next) {
			c.Next = next
		}
	}
	return c
}

// HeldBackError says that a line was not let through because too many others
// were refused by the server it wants to register with.
type HeldBackError struct {
	Server netip.AddrPort
	// Refused lines, and Until when this one waits unless it is told earlier.
	Refused int
	Until   time.Time
	// Denied: among them this one, with the credentials it still has.
	Denied bool
	// Proven: its credentials have worked there.
	Proven bool
}

func (e *HeldBackError) Error() string {
	return fmt.Sprintf("%s refused %d lines of this agent within a minute", e.Server, e.Refused)
}

// urgency of a request, the most urgent first.
type urgency int

const (
	answering urgency = iota // a challenge: the server waits for it, and its nonce ages
	parting                  // un-REGISTER: an agent that ends has little time
	proven                   // a refresh that comes too late is a call that is lost
	unproven                 // credentials that never worked here
	visiting                 // no REGISTER: what a line subscribes to
	urgencies
)

// result of an attempt, as far as credentials go.
type result int

const (
	undecided result = iota // no answer, or one that says nothing of them
	accepted
	denied
)

// applicant is who wants to pass.
type applicant struct {
	line    *Registration
	urgency urgency
	changed time.Time // when its credentials were
	proved  time.Time // when the server last took them
	denied  bool      // the server refused them before
	repeats bool      // sent again while there is no answer: over UDP
}

// pass is leave for one attempt at a server: a REGISTER, and what its challenges
// lead to. Each of its requests needs a turn; over is owed.
type pass struct {
	applicant
	door    *door
	probe   bool
	turn    time.Time // when its request under way had its turn
	written time.Time // when that was sent; zero = not yet
}

// enter gives the pass for an attempt when its first request may be sent. The
// error is ctx's, a *HeldBackError, or wraps ua.ErrTimeout when the server left
// those before without any answer.
func (g *Gate) enter(ctx context.Context, server netip.AddrPort, a applicant) (*pass, error) {
	g.mu.Lock()
	d := g.door(server)
	d.unhold(a.line)
	p := &pass{applicant: a, door: d}
	w := &waiter{applicant: a, pass: p, ready: make(chan error, 1)}
	g.mu.Unlock()
	return p, d.wait(ctx, w)
}

// again waits for the turn of the answer to a challenge.
func (p *pass) again(ctx context.Context) error {
	w := &waiter{applicant: applicant{line: p.line, urgency: answering}, pass: p, ready: make(chan error, 1)}
	return p.door.wait(ctx, w)
}

// sent tells that the request whose turn it was has been written.
func (p *pass) sent() {
	d, g := p.door, p.door.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if d.flying[p] && p.written.IsZero() {
		p.written = time.Now()
		d.pace.wrote(p.written)
		d.move()
	}
}

// answered ends a request: by a final response, or by the error instead of one.
func (p *pass) answered(err error) {
	d, g := p.door, p.door.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil && d.flying[p] && p.written.IsZero() {
		d.pace.wrote(time.Now()) // nobody said when it was sent, but it was
	}
	p.settle()
	switch {
	case err == nil:
		d.heard = time.Now()
	case errors.Is(err, ua.ErrTimeout) && d.heard.Before(p.turn):
		d.turnAway(fmt.Errorf("%w from %s, nor to the requests before this one", ua.ErrTimeout, d.server))
	}
	d.move()
}

// settle gives the place of the request that is under way back, if one is.
func (p *pass) settle() {
	if !p.door.flying[p] {
		return
	}
	delete(p.door.flying, p)
	if p.repeats && !p.written.IsZero() {
		p.door.pace.wrote(repeats(p.written, time.Now())...)
	}
}

// over ends the attempt.
func (p *pass) over(how result) {
	d, g := p.door, p.door.gate
	g.mu.Lock()
	p.settle()
	now := time.Now()
	if how == denied && d.breaker.refuse(now, p.line, g.bounds.RefusedPerMinute) {
		d.turnBack(now)
	}
	free := d.end(now, p, how)
	d.move()
	g.mu.Unlock()
	for _, line := range free {
		line.release()
	}
}

// peek tells a line that is held so, without a turn.
func (g *Gate) peek(server netip.AddrPort, a applicant) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	d, now := g.doors[server], time.Now()
	if d == nil || d.judge(now, a) != isHeld {
		return nil
	}
	return d.hold(a, now)
}

// forget a line that has ended.
func (g *Gate) forget(line *Registration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.doors {
		d.unhold(line)
	}
}

// mostDoors are kept when nothing happens at them.
const mostDoors = 256

// door gives the one to a server. The gate is locked.
func (g *Gate) door(server netip.AddrPort) *door {
	d := g.doors[server]
	if d == nil {
		if len(g.doors) >= mostDoors {
			g.sweep(time.Now())
		}
		d = &door{
			gate: g, server: server, flying: make(map[*pass]bool),
			held: make(map[*Registration]bool), doubted: make(map[*Registration]bool),
		}
		g.doors[server] = d
	}
	return d
}

func (g *Gate) sweep(now time.Time) {
	for server, d := range g.doors {
		if d.idle(now) {
			delete(g.doors, server)
		}
	}
}
