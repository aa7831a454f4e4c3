package ua

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// large sends over TCP what UDP would have to cut into fragments, which NATs and
// firewalls lose (RFC 3261 §18.1.1): "If a request is within 200 bytes of the path MTU,
// or if it is larger than 1300 bytes and the path MTU is unknown, the request MUST be
// sent using an RFC 2914 congestion controlled transport protocol, such as TCP." Where
// there is no TCP it goes over UDP all the same, in fragments: "if the attempt to
// establish the connection generates either an ICMP Protocol Not Supported, or results
// in a TCP reset, the element SHOULD retry the request, using UDP". A firewall that
// swallows the attempt is taken for one that refuses it, after largePatience.
//
// The Via says TCP then, since the responses come by that connection. The Contact stays
// as it was: it names no transport, and is true over both, as one port serves both.
type large struct {
	mu      sync.Mutex
	refused map[netip.AddrPort]time.Time // until when TCP is not tried
}

const (
	// mostOverUDP is the size in bytes above which a request goes over TCP, and
	// mtuMargin how far below a path's MTU it has to stay.
	mostOverUDP = 1300
	mtuMargin   = 200
	// leastMTU of any path that is asked for: IPv6's (RFC 8200 §5).
	leastMTU = 1280
	// largePatience bounds the attempt at TCP, and largeMemory how long others need
	// not make one in vain.
	largePatience = 3 * time.Second
	largeMemory   = 10 * time.Minute
	mostRefused   = 1024
)

// over gives the connection for a request that is too large for UDP; nil for one that
// is not, or where there is none to be had. It puts that into the Via.
func (l *large) over(ctx context.Context, e *Endpoint, req *sip.Request, size int, to netip.AddrPort) *stream {
	if size <= leastMTU-mtuMargin || size <= mostOverUDP && size <= pathMTU(ctx, to)-mtuMargin || !l.worthwhile(to) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, largePatience)
	defer cancel()
	by, err := e.streams.get(ctx, Candidate{Transport: TCP, Addr: to})
	if err != nil {
		e.log.Debug("request too large for one datagram, and no TCP to send it over", "server", to, "bytes", size, "error", err)
		l.refuse(to)
		return nil
	}
	req.Via().Transport = "TCP"
	return by
}

// beside gives the connection that the INVITE of a CANCEL went over; nil for UDP.
func (l *large) beside(e *Endpoint, cancel *sip.Request, to netip.AddrPort) *stream {
	if cancel.Via().Transport != "TCP" {
		return nil
	}
	return e.streams.existing(Candidate{Transport: TCP, Addr: to})
}

func (l *large) worthwhile(to netip.AddrPort) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !time.Now().Before(l.refused[to])
}

func (l *large) refuse(to netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused == nil || len(l.refused) >= mostRefused {
		l.refused = make(map[netip.AddrPort]time.Time)
	}
	l.refused[to] = time.Now().Add(largeMemory)
}
