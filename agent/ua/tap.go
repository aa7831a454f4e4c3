package ua

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Tap sees every message that goes out, retransmissions included, and every one that
// comes in and is for a line, whether or not it can be parsed: as it is on the wire, in
// the order it happens. What strangers send, who hear nothing, it does not see. It must
// not block, nor keep raw.
type Tap interface {
	// Message is told before it is sent, or parsed. transport is UDP, TCP or TLS.
	Message(sent bool, transport string, local, remote netip.AddrPort, raw []byte)
	// NotSent is told when the network did not take a message after all.
	NotSent(remote netip.AddrPort, raw []byte, cause error)
}

// received shows a message that came to the tap.
func (e *Endpoint) received(raw []byte, from netip.AddrPort, by *stream) {
	switch {
	case e.cfg.Tap == nil:
	case by != nil:
		e.cfg.Tap.Message(false, by.network(), by.local, by.peer, raw)
	default:
		e.cfg.Tap.Message(false, "UDP", e.facing.addr(e, from), from, raw)
	}
}

// sending shows a message that goes out to the tap.
func (e *Endpoint) sending(to way, raw []byte) {
	switch {
	case e.cfg.Tap == nil:
	case to.by != nil:
		e.cfg.Tap.Message(true, to.by.network(), to.by.local, to.by.peer, raw)
	default:
		e.cfg.Tap.Message(true, "UDP", e.facing.addr(e, to.to), to.to, raw)
	}
}

// notSent takes that back.
func (e *Endpoint) notSent(to way, raw []byte, cause error) {
	if e.cfg.Tap == nil {
		return
	}
	remote := to.to
	if to.by != nil {
		remote = to.by.peer
	}
	e.cfg.Tap.NotSent(remote, raw, cause)
}

// facing knows which of our addresses faces another: a datagram does not tell, and
// asking the system costs more than a message may.
type facing struct {
	mu    sync.Mutex
	known map[netip.Addr]netip.Addr
	until time.Time
}

const (
	// facingAge bounds how long a change of routes may stay unknown here.
	facingAge  = time.Minute
	mostFacing = 1024
)

func (f *facing) addr(e *Endpoint, other netip.AddrPort) netip.AddrPort {
	if a := e.local.Addr(); !a.IsUnspecified() {
		return netip.AddrPortFrom(a.Unmap(), e.local.Port())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); f.known == nil || len(f.known) >= mostFacing || now.After(f.until) {
		f.known, f.until = make(map[netip.Addr]netip.Addr), now.Add(facingAge)
	}
	ours, ok := f.known[other.Addr()]
	if !ok {
		var err error
		if ours, err = e.LocalAddrFor(context.Background(), other); err != nil {
			ours = e.local.Addr()
		}
		f.known[other.Addr()] = ours
	}
	return netip.AddrPortFrom(ours, e.local.Port())
}
