package ua

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
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
}

// String gives "10.77.0.1:5060/udp".
func (c Candidate) String() string { return c.Addr.String() + "/" + string(c.Transport) }

// Resolve gives the places where the server host[:port] may be found, best
// first, never none without an error. Names are absolute: no search list
// applies. Errors wrap ErrHostNotFound or ErrDNS.
func (e *Endpoint) Resolve(ctx context.Context, hostport string, t Transport) ([]Candidate, error) {
	if t == "" {
		t = UDP
	}
	target := URI("", hostport)
	port := uint16(target.Port)
	if port == 0 {
		port = t.DefaultPort()
	}
	if a, err := netip.ParseAddr(target.Host); err == nil {
		return []Candidate{{Transport: t, Addr: netip.AddrPortFrom(a.Unmap(), port)}}, nil
	}
	addrs, err := e.lookup(ctx, target.Host)
	if err != nil {
		return nil, err
	}
	candidates := make([]Candidate, len(addrs))
	for i, a := range addrs {
		candidates[i] = Candidate{Transport: t, Addr: netip.AddrPortFrom(a.Unmap(), port), Name: target.Host}
	}
	return candidates, nil
}

// lookup asks for the addresses of a name that our socket can send to.
func (e *Endpoint) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	family := "ip"
	if e.local.Addr().Is4() {
		family = "ip4"
	}
	addrs, err := e.cfg.Resolver.LookupNetIP(ctx, family, strings.TrimSuffix(host, ".")+".")
	var dns *net.DNSError
	switch {
	case err == nil && len(addrs) > 0:
		return addrs, nil
	case err == nil, errors.As(err, &dns) && dns.IsNotFound:
		return nil, fmt.Errorf("%w: %s", ErrHostNotFound, host)
	case errors.As(err, &dns):
		return nil, fmt.Errorf("%w: %s: %s", ErrDNS, host, dns.Err)
	default:
		return nil, fmt.Errorf("%w: %s: %w", ErrDNS, host, err)
	}
}
