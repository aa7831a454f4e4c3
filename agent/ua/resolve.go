package ua

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"
)

// Transport of SIP messages, as written in a Via or a transport parameter, in lower case.
type Transport string

// The transports.
const (
	UDP Transport = "udp"
	TCP Transport = "tcp"
	TLS Transport = "tls"
)

// DefaultPort of the transport (RFC 3261 §19.1.2).
func (t Transport) DefaultPort() uint16 {
	if t == TLS {
		return 5061
	}
	return 5060
}

// Candidate is one place a server may be found at.
type Candidate struct {
	Transport Transport
	Addr      netip.AddrPort
	// Name the certificate must be good for (RFC 5922); "" for addresses.
	Name string
	// Trust names what a TLS connection is made with (Link.Trust).
	Trust string
	// Via is what the Via of requests says instead of the socket's address; the zero
	// value, nothing. It is no part of what a candidate is.
	Via netip.AddrPort
	// Rank among those it was found with: others of the same are as good, those of
	// a higher one are for when these fail. It is no part of what a candidate is
	// (Link.Through drops it).
	Rank int
}

// String gives "10.77.0.1:5060/udp".
func (c Candidate) String() string { return c.Addr.String() + "/" + string(c.Transport) }

// Resolve gives the places where the server host[:port] may be found, best
// first, never none without an error: by SRV where it has such records and the
// port is not named, else by its addresses (RFC 3263 §4.2). Those that lately did
// not answer come last. Names are absolute: no search list applies. Errors wrap
// ErrHostNotFound or ErrDNS.
func (e *Endpoint) Resolve(ctx context.Context, hostport string, t Transport) ([]Candidate, error) {
	if t == "" {
		t = UDP
	}
	local := e.local.Addr()
	can := family{v4: local.Is4() || local.IsUnspecified(), v6: local.Is6()}
	found, err := e.cfg.Locator.locate(ctx, hostport, t, can)
	if err != nil {
		return nil, err
	}
	if can.v4 && can.v6 {
		e.reachableFirst(ctx, found)
	}
	e.cfg.Locator.health.order(found, time.Now())
	return found, nil
}

// reachableFirst puts the addresses to which there is no way (those of a family
// that this host does not have) behind the others of the same rank.
func (e *Endpoint) reachableFirst(ctx context.Context, found []Candidate) {
	lost := make(map[netip.Addr]int, len(found))
	for _, c := range found {
		if _, err := e.LocalAddrFor(ctx, c.Addr); err != nil {
			lost[c.Addr.Addr()] = 1
		}
	}
	slices.SortStableFunc(found, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(lost[a.Addr.Addr()], lost[b.Addr.Addr()]))
	})
}

// Settle puts the server that is in use before others that are no better, so that
// nobody moves without need; one that better ones are back for stays where it is.
func Settle(found []Candidate, inUse netip.AddrPort) {
	i := slices.IndexFunc(found, func(c Candidate) bool { return c.Addr == inUse })
	if i > 0 && found[i].Rank == found[0].Rank {
		used := found[i]
		copy(found[1:], found[:i])
		found[0] = used
	}
}
