package agent

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

const (
	// reachGood is how long what was found out is taken for true, and reachKept how
	// long it is remembered for lines that may come.
	reachGood = 10 * time.Minute
	reachKept = time.Hour
	// reachPatience bounds the finding out.
	reachPatience = 10 * time.Second
	// mostReaches and mostReports bound what is kept.
	mostReaches = 4096
	mostReports = 1024
)

// reaches knows where audio can be reached before there is a call. It asks the servers
// that calls would ask, once for all lines that would ask the same, since the answer is
// the network's and not the line's.
type reaches struct {
	mu      sync.Mutex
	known   map[reachKey]*reachEntry
	reports map[delivery.MediaReport]*delivery.MediaReport // each once, however many lines say it
	asking  sync.WaitGroup
}

// reachKey is what an answer depends on.
type reachKey struct {
	local, seen                netip.Addr
	mode, server, domain, user string
	password                   ua.Secret
	ignoreSymmetric            bool
	ports                      media.PortRange
	trust                      string
}

type reachEntry struct {
	report  *delivery.MediaReport // nil = not known yet
	at      time.Time
	asked   bool // the answer is on its way
	waiting map[*line]struct{}
}

// of gives what is known for a line, nil for nothing, and has the line look again when
// there is more.
func (r *reaches) of(l *line, key reachKey, ask func(context.Context) delivery.MediaReport) *delivery.MediaReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[reachKey]*reachEntry{}
	}
	e := r.known[key]
	if e == nil {
		r.tidy()
		e = &reachEntry{waiting: map[*line]struct{}{}}
		r.known[key] = e
	}
	if !e.at.IsZero() && time.Since(e.at) < reachGood || l.life.Err() != nil {
		return e.report
	}
	e.waiting[l] = struct{}{}
	if !e.asked {
		e.asked = true
		r.asking.Go(func() { r.find(l.life, e, ask) })
	}
	return e.report
}

func (r *reaches) find(ctx context.Context, e *reachEntry, ask func(context.Context) delivery.MediaReport) {
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	found := ask(ctx)
	r.mu.Lock()
	e.report, e.at, e.asked = r.one(found), time.Now(), false
	waiting := e.waiting
	e.waiting = map[*line]struct{}{}
	r.mu.Unlock()
	for l := range waiting {
		l.poke()
	}
}

// tidy forgets what nobody asked for in a while.
func (r *reaches) tidy() {
	maps.DeleteFunc(r.known, func(_ reachKey, e *reachEntry) bool {
		return !e.asked && time.Since(e.at) > reachKept || len(r.known) > mostReaches && !e.asked
	})
}

// share gives one copy of a report to all.
func (r *reaches) share(m delivery.MediaReport) *delivery.MediaReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.one(m)
}

func (r *reaches) one(m delivery.MediaReport) *delivery.MediaReport {
	if p := r.reports[m]; p != nil {
		return p
	}
	if r.reports == nil || len(r.reports) >= mostReports {
		r.reports = map[delivery.MediaReport]*delivery.MediaReport{}
	}
	r.reports[m] = &m
	return &m
}

// close waits for those who ask; the context of the lines has ended.
func (r *reaches) close() { r.asking.Wait() }

// mediaReport is what is known of the way of audio to a registered line. public is the
// address that its server sees.
func (l *line) mediaReport(in *incarnation, public string) *delivery.MediaReport {
	servers := in.reg.Servers()
	if len(servers) == 0 {
		return nil
	}
	local := in.localTo(l.life, servers[0])
	if !local.IsValid() {
		return nil
	}
	seen, _ := netip.ParseAddrPort(public)
	t := l.applied
	ask := natOf(t, in.socket)
	if ask == nil {
		if !seen.IsValid() {
			return nil
		}
		return l.env.reaches.share(withoutSTUN(local, seen.Addr().Unmap(), ""))
	}
	a := t.Account
	key := reachKey{
		local: local, seen: seen.Addr().Unmap(), mode: a.NatTraversal, server: a.STUN, domain: a.Domain(), user: a.STUNUsername,
		password: ua.Secret(a.STUNPassword), ignoreSymmetric: a.IgnoreSymmetricNat,
		ports: media.PortRange{First: a.RTPPortRangeStart, Last: a.RTPPortRangeEnd}, trust: trustOf(t),
	}
	return l.env.reaches.of(l, key, func(ctx context.Context) delivery.MediaReport { return probeReach(ctx, key, ask) })
}

// localTo is our address on the way to a server, which does not change while the
// server is the same: where it does, the registration moves to another Contact.
func (in *incarnation) localTo(ctx context.Context, server netip.AddrPort) netip.Addr {
	if in.towards != server {
		if local, err := in.socket.LocalAddrFor(ctx, server); err == nil {
			in.towards, in.local = server, local
		}
	}
	return in.local
}

// probeReach does what a call does to be reached, and no more.
func probeReach(ctx context.Context, k reachKey, ask func(context.Context) (media.NAT, error)) delivery.MediaReport {
	session, err := media.Open(media.Config{Local: k.local, Ports: k.ports})
	if err != nil {
		return delivery.MediaReport{Reach: delivery.MediaUnreachable, Finding: delivery.MediaNoPorts, Detail: err.Error()}
	}
	defer func() { _ = session.Close() }()
	servers, lookup := ask(ctx)
	r, err := session.Reach(ctx, servers)
	if err != nil {
		return delivery.MediaReport{Reach: delivery.MediaUnreachable, Finding: delivery.MediaNoRelay, Address: k.local.String(), Detail: errors.Join(err, lookup).Error()}
	}
	return found(k.local, k.seen, r, lookup)
}

// found reads what a session found out.
func found(local, seen netip.Addr, r media.Reach, lookup error) delivery.MediaReport {
	m := delivery.MediaReport{Reach: delivery.MediaReachable, Way: r.Via, Address: r.RTP.Addr().String()}
	relayed := r.ICE != nil && slices.ContainsFunc(r.ICE.Candidates, func(c sdp.Candidate) bool { return c.Type == "relay" })
	switch {
	case r.Via == media.ViaTURN, relayed && r.Behind != media.BehindNothing && r.Behind != media.BehindNAT:
		m.Finding = delivery.MediaRelayed
	case r.ICE != nil && r.Behind == media.BehindNAT:
		m.Finding = delivery.MediaMapped
	case r.Via == media.ViaSTUN && r.Behind == media.BehindSymmetric:
		m.Finding, m.Reach = delivery.MediaSymmetricNAT, delivery.MediaUnsure
	case r.Via == media.ViaSTUN:
		m.Finding = delivery.MediaMapped
	case r.Behind == media.BehindNothing:
		m.Finding = delivery.MediaDirect
	case r.Behind == media.BehindSymmetric:
		m.Finding, m.Reach = delivery.MediaSymmetricNAT, delivery.MediaUnreachable
	default:
		why := r.Why
		if lookup != nil {
			why = lookup.Error()
		}
		return withoutSTUN(local, seen, why)
	}
	return m
}

// withoutSTUN is what the server's view of the line tells, when nobody else does.
func withoutSTUN(local, seen netip.Addr, why string) delivery.MediaReport {
	m := delivery.MediaReport{Reach: delivery.MediaReachable, Way: media.ViaPlain, Finding: delivery.MediaDirect, Address: local.String(), Detail: why}
	switch {
	case !seen.IsValid():
		m.Reach = delivery.MediaUnsure
	case seen != local:
		m.Reach, m.Finding, m.Seen = delivery.MediaUnsure, delivery.MediaBehindNAT, seen.String()
	}
	return m
}
