package ua

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Probe sends a keepalive that a server has promised to answer (RFC 5626 §4.4): over
// TCP and TLS the double CRLF, after which a connection without an answer within 10 s
// ends (Attach tells); over UDP a STUN Binding request, sent again as RFC 5389 §7.2.1
// has it. result is called when there is an answer, with our address by it (UDP
// only), or, over UDP, with the reason why there is none. It may be called from any
// goroutine, and never if the endpoint closes. Probes of many lines at one time are
// one to the server.
func (e *Endpoint) Probe(server Candidate, result func(mapped netip.AddrPort, err error)) {
	if !server.transport().stream() {
		e.probes.start(e, server.Addr, result)
		return
	}
	if s := e.streams.existing(server); s != nil {
		s.probe(func() { result(netip.AddrPort{}, nil) })
	}
}

// probes are the Binding requests without an answer.
type probes struct {
	mu     sync.Mutex
	byID   map[stunID]*probe
	byAddr map[netip.AddrPort]*probe
	closed bool
}

// probe of one server.
type probe struct {
	id      stunID
	to      netip.AddrPort
	request []byte
	sent    int
	timer   *time.Timer
	results []func(netip.AddrPort, error)
}

const (
	// stunRTO, doubled each time, is the wait before a request is sent again,
	// stunRequests how often it is sent in all, and stunLast how many stunRTO the
	// last one waits (RFC 5389 §7.2.1: 500 ms, Rc 7, Rm 16).
	stunRTO      = 500 * time.Millisecond
	stunRequests = 7
	stunLast     = 16
)

func (p *probes) start(e *Endpoint, to netip.AddrPort, result func(netip.AddrPort, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	one := p.byAddr[to]
	if one == nil {
		one = &probe{to: to}
		one.id, one.request = newBinding()
		if p.byID == nil {
			p.byID, p.byAddr = make(map[stunID]*probe), make(map[netip.AddrPort]*probe)
		}
		p.byID[one.id], p.byAddr[to] = one, one
		one.timer = time.AfterFunc(0, func() { p.send(e, one) })
	}
	one.results = append(one.results, result)
}

// send sends a request, again and again until there is an answer. What the socket
// says of it is no more than that one was lost.
func (p *probes) send(e *Endpoint, one *probe) {
	p.mu.Lock()
	if p.closed || p.byID[one.id] != one {
		p.mu.Unlock()
		return
	}
	if one.sent == stunRequests {
		p.forget(one)
		p.mu.Unlock()
		one.tell(netip.AddrPort{}, fmt.Errorf("%w: %s does not answer keepalives", ErrTimeout, one.to))
		return
	}
	one.sent++
	wait := stunRTO << (one.sent - 1)
	if one.sent == stunRequests {
		wait = stunLast * stunRTO
	}
	one.timer.Reset(wait)
	p.mu.Unlock()
	_ = e.conn.send(one.request, one.to)
}

// receive takes a STUN message off the socket. Only an answer to a request of ours,
// from where that went, says something.
func (p *probes) receive(message []byte, from netip.AddrPort) {
	id, mapped, ok, err := readBinding(message)
	if !ok {
		return
	}
	p.mu.Lock()
	one := p.byID[id]
	if one == nil || one.to != from {
		p.mu.Unlock()
		return
	}
	p.forget(one)
	p.mu.Unlock()
	one.tell(mapped, err)
}

// forget a probe that is over. p is locked.
func (p *probes) forget(one *probe) {
	one.timer.Stop()
	delete(p.byID, one.id)
	delete(p.byAddr, one.to)
}

func (o *probe) tell(mapped netip.AddrPort, err error) {
	for _, result := range o.results {
		result(mapped, err)
	}
}

func (p *probes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, one := range p.byID {
		p.forget(one)
	}
}
