// Package ua is the SIP user agent of an agent process: the sockets all its
// lines share, the way out (source port = Contact port, digest, server
// location) and the way in (which line a request is for, and what strangers
// hear). It exists so that a line is told apart by its unguessable Contact
// user alone, and so that nothing the network sends can take the process down.
//
// The parser, the transports and the transactions are sipgo's; dialogs and
// registrations are built on this package by others.
package ua

import (
	"context"
	"log/slog"
	"net"
	"net/netip"

	"github.com/emiago/sipgo/sip"
)

// Config of an Endpoint.
type Config struct {
	// Bind address of the UDP socket; port 0 = any.
	Bind netip.AddrPort
	// UserAgent is sent in User-Agent and Server headers; "" = softphone-agent.
	UserAgent string
	// Allow lists the methods that lines handle; empty = DefaultAllow. A Line
	// that is Capable overrides it.
	Allow []sip.RequestMethod
	// Resolver of names; nil = the system's.
	Resolver *net.Resolver
	// Log for what the endpoint has to say; nil = discard.
	Log *slog.Logger
}

// DefaultAllow are the methods a call line handles.
var DefaultAllow = []sip.RequestMethod{sip.INVITE, sip.ACK, sip.CANCEL, sip.BYE, sip.OPTIONS, sip.INFO}

// Endpoint is one shared UDP socket with everything above it. All methods may
// be called from any goroutine.
type Endpoint struct{}

// Listen opens the socket and starts reading; requests of bound lines are
// served from now on. Close it.
func Listen(cfg Config) (*Endpoint, error) { return nil, nil }

// Serve blocks until ctx ends or the socket fails, and closes the endpoint.
// The error is nil when ctx ended.
func (e *Endpoint) Serve(ctx context.Context) error { return nil }

// Close ends all transactions and the socket, and waits for the reader.
func (e *Endpoint) Close() error { return nil }

// Port the socket is bound to, the port of every Contact and Via.
func (e *Endpoint) Port() int { return 0 }

// LocalAddrFor gives the source address the kernel would use towards server.
func (e *Endpoint) LocalAddrFor(ctx context.Context, server netip.AddrPort) (netip.Addr, error) {
	return netip.Addr{}, nil
}

// Stats of the endpoint since Listen.
func (e *Endpoint) Stats() Stats { return Stats{} }

// Stats counts what an endpoint has seen; all values only grow.
type Stats struct {
	Received    uint64 // datagrams
	Keepalives  uint64 // datagrams of CRLF or zeros only
	Dropped     uint64 // datagrams of strangers, never answered
	Malformed   uint64 // messages of a server or for a line that are not SIP as in RFC 3261
	Stray       uint64 // responses no transaction waits for
	Unreachable uint64 // ICMP errors
	Panics      uint64 // panics caught at a line's boundary or in the parser
	Lines       int    // bound now
}
