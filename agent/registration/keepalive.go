package registration

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// Bounds of keepalives on a flow of RFC 5626 (§4.4), where the server does not say
// how long it lets one be silent.
const (
	leastStreamPeriod, mostStreamPeriod     = 95 * time.Second, 120 * time.Second
	leastDatagramPeriod, mostDatagramPeriod = 24 * time.Second, 29 * time.Second
	// firstProbe bounds the wait for the first one: only a flow with an answered
	// keepalive counts as good (§4.5), so it is not to wait for long.
	leastFirstProbe, mostFirstProbe = time.Second, 3 * time.Second
	// mostFlowTimer is the longest silence that a server may have us keep.
	mostFlowTimer = time.Hour
	// provenFlow is how long a connection has to last that nobody answers
	// keepalives on, to count as good.
	provenFlow = 30 * time.Second
)

// keepalivePeriod is the time to the next keepalive; 0 = none is to be sent. The
// account's period counts as far as the server does not need a shorter one.
func (n *runner) keepalivePeriod() time.Duration {
	if !n.state.bound(time.Now()) {
		return 0
	}
	var period time.Duration
	if n.cfg.KeepAlive {
		period = n.cfg.KeepAlivePeriod
	}
	if n.way == nil || !n.way.Outbound && n.way.FlowTimer == 0 {
		return period
	}
	flow := n.flowPeriod()
	if n.way.Outbound && !n.tried {
		flow = between(leastFirstProbe, mostFirstProbe)
	}
	if period == 0 {
		return flow
	}
	return min(period, flow)
}

// flowPeriod is the time between two keepalives on a flow. RFC 5626 §4.4: with a
// Flow-Timer "between 80% and 100%" of it; without, over streams 95 to 120 seconds,
// else 24 to 29.
func (n *runner) flowPeriod() time.Duration {
	switch t := n.way.FlowTimer; {
	case t > 0:
		return between(scale(t, 0.8), t)
	case n.cfg.Link.Transport == ua.UDP:
		return between(leastDatagramPeriod, mostDatagramPeriod)
	}
	return between(leastStreamPeriod, mostStreamPeriod)
}

func between(least, most time.Duration) time.Duration {
	return least + scale(most-least, rand.Float64())
}

// tune starts or stops the keepalive as state and configuration want it. What is due
// sooner stays so.
func (n *runner) tune() {
	if n.state.phase == stopped {
		return
	}
	period := n.keepalivePeriod()
	switch next := time.Now().Add(period); {
	case period == 0:
		stopTimer(n.keepalive)
		n.nextBeat = time.Time{}
	case n.nextBeat.IsZero() || next.Before(n.nextBeat):
		n.setBeat(period)
	}
}

func (n *runner) setBeat(after time.Duration) {
	n.nextBeat = time.Now().Add(after)
	if n.keepalive == nil {
		n.keepalive = time.AfterFunc(after, func() { n.post(message{kind: beat}) })
		return
	}
	n.keepalive.Reset(after)
}

// sendKeepalive keeps the mapping of a NAT on the way open; on a flow of RFC 5626 it
// asks for an answer, whose absence is the flow's end.
func (n *runner) sendKeepalive() {
	servers := n.r.places()
	n.tried = true
	period := n.keepalivePeriod()
	if len(servers) == 0 || period == 0 {
		n.nextBeat = time.Time{}
		return
	}
	n.setBeat(period)
	if n.way.outbound() {
		flow := n.flow
		n.r.ep.Probe(servers[0], func(mapped netip.AddrPort, err error) {
			n.post(message{kind: probed, sequence: flow, now: mapped, cause: err})
		})
		return
	}
	if err := n.r.ep.Keepalive(servers[0]); err != nil {
		n.cfg.Log.Debug("keepalive not sent", "line", n.cfg.Name, "error", err)
	}
}

// probed takes what became of a keepalive on a flow. RFC 5626 §4.4.2: "If the
// XOR-MAPPED-ADDRESS in the STUN Binding Response changes, the UA MUST treat this
// event as a failure on the flow."
func (n *runner) probed(m message) {
	switch {
	case m.cause != nil:
		n.loseFlow(m.cause)
	case n.mapped.IsValid() && m.now.IsValid() && m.now != n.mapped:
		n.proved = true
		n.loseFlow(fmt.Errorf("address changed from %s to %s", n.mapped, m.now))
	default:
		n.proved, n.mapped = true, m.now
		n.cfg.Log.Debug("the flow answers", "line", n.cfg.Name, "seenAs", m.now)
	}
}

// flowProved tells whether the flow that the binding leads to was good for a time.
func (n *runner) flowProved() bool {
	return n.proved || !n.way.outbound() && !n.began.IsZero() && time.Since(n.began) >= provenFlow
}

// loseFlow takes the end of the flow that the binding leads to, once.
func (n *runner) loseFlow(cause error) {
	if n.began.IsZero() {
		return
	}
	n.cfg.Log.Info("connection lost", "line", n.cfg.Name, "error", cause)
	n.step(lost, nil)
	n.began, n.tried, n.proved, n.mapped = time.Time{}, false, false, netip.AddrPort{}
}
