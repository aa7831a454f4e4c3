package ua

import (
	"context"
	"net/netip"

	"github.com/emiago/sipgo/sip"
)

// Request sends req in a new client transaction to its destination
// (req.SetDestination("ip:port") first; FQDNs are not looked up here). Via with
// rport, Max-Forwards, User-Agent and Content-Length are filled in; a Via that
// is there is replaced, except in CANCEL, which must carry its INVITE's.
//
// ctx bounds the sending (dialling, for TCP and TLS), not the transaction.
// From here on req belongs to the transaction: clone it (Retry, req.Clone) to
// send something like it again. Whoever asks for an INVITE transaction reads
// Responses() until it ends, or calls Terminate: sipgo's timers wait for the reader.
//
// The transaction's Err is ErrTimeout, ErrUnreachable or sipgo's.
func (e *Endpoint) Request(ctx context.Context, req *sip.Request) (sip.ClientTransaction, error) {
	return nil, nil
}

// Do sends req (no INVITE) and waits for the final response, until ctx ends or
// the transaction times out (64·T1 = 32 s). Errors wrap ErrTimeout,
// ErrUnreachable or ctx's.
func (e *Endpoint) Do(ctx context.Context, req *sip.Request) (*sip.Response, error) { return nil, nil }

// Write sends req outside any transaction: the ACK to a 2xx. Headers are
// filled in as for Request.
func (e *Endpoint) Write(req *sip.Request) error { return nil }

// Keepalive sends the double CRLF of RFC 5626 §3.5.1 to server.
func (e *Endpoint) Keepalive(server netip.AddrPort) error { return nil }

// Guard calls f and turns a panic in it into a log line and a count.
func (e *Endpoint) Guard(line string, f func()) (panicked bool) { f(); return false }
