package ua

import (
	"context"
	"net/netip"
)

// Transport of SIP messages, as written in a Via or a transport parameter, in lower case.
type Transport string

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
}

// String gives "10.77.0.1:5060/udp".
func (c Candidate) String() string { return c.Addr.String() + "/" + string(c.Transport) }

// Resolve gives the places where the server host[:port] may be found, best
// first, never none without an error. Names are absolute: no search list
// applies. Errors wrap ErrHostNotFound or ErrDNS.
func (e *Endpoint) Resolve(ctx context.Context, hostport string, t Transport) ([]Candidate, error) {
	return nil, nil
}
