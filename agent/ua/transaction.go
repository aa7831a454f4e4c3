package ua

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// attempt is a client transaction that ICMP errors can find until it has its
// first response.
type attempt struct {
	*sip.ClientTx
	method  sip.RequestMethod
	to      netip.AddrPort
	by      *stream // nil for UDP
	pending *pending

	candidate Candidate // it was sent to
	sent      time.Time
	health    *health

	mu  sync.Mutex
	err error
}

// settle: from now on an ICMP error says nothing about this transaction.
func (a *attempt) settle() { a.pending.remove(a) }

func (a *attempt) fail(err error) {
	a.mu.Lock()
	a.err = err
	a.mu.Unlock()
	go a.ClientTx.Terminate() // it may wait for the transaction's reader
}

// Err tells why the transaction ended.
func (a *attempt) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	err := a.ClientTx.Err()
	switch {
	case errors.Is(err, sip.ErrTransactionTimeout):
		return fmt.Errorf("%s to %s: %w: %w", a.method, a.to, ErrTimeout, err)
	case errors.Is(err, sip.ErrTransactionTransport):
		return fmt.Errorf("%s to %s: %w", a.method, a.to, a.by.explain(fmt.Errorf("%w: %w", ErrUnreachable, err)))
	}
	return err
}

// pending are the transactions without any response yet, by destination.
type pending struct {
	mu   sync.Mutex
	byTo map[netip.AddrPort]map[*attempt]struct{}
}

func (p *pending) add(a *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byTo == nil {
		p.byTo = make(map[netip.AddrPort]map[*attempt]struct{})
	}
	if p.byTo[a.to] == nil {
		p.byTo[a.to] = make(map[*attempt]struct{})
	}
	p.byTo[a.to][a] = struct{}{}
}

func (p *pending) remove(a *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byTo[a.to], a)
	if len(p.byTo[a.to]) == 0 {
		delete(p.byTo, a.to)
	}
}

// take gives the transactions waiting for this address and forgets them.
func (p *pending) take(to netip.AddrPort) []*attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := make([]*attempt, 0, len(p.byTo[to]))
	for a := range p.byTo[to] {
		waiting = append(waiting, a)
	}
	delete(p.byTo, to)
	return waiting
}

// transaction is what Request gives. sipgo hands a response over while it holds
// the transaction's lock and all its timers wait; here a pump takes it at once
// and keeps it until it is read, so that a slow reader delays nothing and a
// queue that repeats 180 for minutes fills nothing.
type transaction struct {
	*attempt
	responses chan *sip.Response
	done      chan struct{}
	stop      chan struct{}
	stopOnce  sync.Once
}

func (t *transaction) Responses() <-chan *sip.Response { return t.responses }
func (t *transaction) Done() <-chan struct{}           { return t.done }

// Terminate ends the transaction; responses not read yet are lost.
func (t *transaction) Terminate() {
	t.stopOnce.Do(func() { close(t.stop) })
	t.ClientTx.Terminate()
}

// readerPatience bounds how long a transaction that has ended waits for its
// responses to be read.
const readerPatience = 32 * time.Second

// mostProvisional responses are kept for a reader that does not read; further
// ones are dropped, final ones never.
const mostProvisional = 32

func (t *transaction) pump() {
	defer close(t.done)
	defer t.settle()
	var queue []*sip.Response
	ended := t.ClientTx.Done()
	var patience <-chan time.Time
	for {
		var out chan *sip.Response
		var next *sip.Response
		if len(queue) > 0 {
			out, next = t.responses, queue[0]
		} else if ended == nil {
			return
		}
		select {
		case res := <-t.ClientTx.Responses():
			t.settle()
			if !res.IsProvisional() {
				t.heard(res)
			}
			if len(queue) < mostProvisional || !res.IsProvisional() {
				queue = append(queue, res)
			}
		case out <- next:
			queue = queue[1:]
		case <-ended:
			t.health.vain(t.candidate, t.sent, t.Err())
			ended, patience = nil, time.After(readerPatience)
		case <-patience:
			return
		case <-t.stop:
			return
		}
	}
}
