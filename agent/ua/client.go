package ua

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Request sends req in a new client transaction to its destination
// (Candidate.Aim first, or SetDestination("ip:port") for UDP; names are not looked
// up here). Via with
// rport, Max-Forwards, User-Agent and Content-Length are filled in; a Via that
// is there is replaced, except in CANCEL, which must carry its INVITE's.
//
// ctx bounds the sending (dialling, for TCP and TLS), not the transaction.
// From here on req belongs to the transaction: clone it (Retry, req.Clone) to
// send something like it again.
//
// Responses come in order, all of them (see OnResponse, too); retransmitted 2xx through
// OnRetransmission. Done is closed after the last response was read (of an INVITE that
// had a 2xx, 64·T1 later); Err is then ErrTimeout, ErrUnreachable, or one of sipgo's for
// an orderly end. Terminate ends the transaction at any time and is owed by whoever
// stops reading.
func (e *Endpoint) Request(ctx context.Context, req *sip.Request) (sip.ClientTransaction, error) {
	t := newTransaction()
	t.told, _ = ctx.Value(responseKey{}).(func(*sip.Response))
	tx, err := e.send(ctx, req, t)
	if err != nil {
		return nil, err
	}
	t.tx = tx
	return t, nil
}

// Do sends req (no INVITE) and waits for the final response, until ctx ends or
// the transaction times out (64·T1 = 32 s). Errors wrap ErrTimeout,
// ErrUnreachable or ctx's.
func (e *Endpoint) Do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	a := newAsker()
	tx, err := e.send(ctx, req, a)
	if err != nil {
		return nil, err
	}
	// The Completed state only absorbs repeated responses (RFC 3261 §17.1.2.2),
	// which find nobody and are dropped just as well.
	defer tx.Terminate()
	select {
	case res := <-a.final:
		return res, nil
	case err := <-a.over:
		select {
		case res := <-a.final: // an answer is an end, too
			return res, nil
		default:
			return nil, err
		}
	case <-ctx.Done():
		tx.givenUp(ctx.Err())
		return nil, fmt.Errorf("%s not answered: %w", req.Method, ctx.Err())
	}
}

// sentKey is where OnSent keeps its function.
type sentKey struct{}

// OnSent gives a context with which Do and Request call f, once, as soon as the
// request has been given to the network, or the network would not take it. What
// ends before that (a connection that cannot be made) does not call it.
func OnSent(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, sentKey{}, f)
}

// TellSent calls what OnSent has put there. It is for whoever sends.
func TellSent(ctx context.Context) {
	if f, ok := ctx.Value(sentKey{}).(func()); ok {
		f()
	}
}

// responseKey is where OnResponse keeps its function.
type responseKey struct{}

// OnResponse gives a context with which Request tells f every response as it arrives,
// in place of Responses: before anything is looked at that came after it over the same
// socket or connection. f must neither block nor call the transaction.
func OnResponse(ctx context.Context, f func(*sip.Response)) context.Context {
	return context.WithValue(ctx, responseKey{}, f)
}

// TellResponse calls what OnResponse has put there; false = nothing has. It is for
// whoever receives.
func TellResponse(ctx context.Context, res *sip.Response) bool {
	f, ok := ctx.Value(responseKey{}).(func(*sip.Response))
	if ok {
		f(res)
	}
	return ok
}

// Write sends req outside any transaction: the ACK to a 2xx. Headers are
// filled in as for Request.
func (e *Endpoint) Write(req *sip.Request) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	out, err := e.fill(ctx, req)
	if err == nil {
		err = e.writeRequest(out.way, out.raw)
	}
	if err != nil {
		return fmt.Errorf("send %s: %w", req.Method, err)
	}
	return nil
}

// Keepalive sends the double CRLF of RFC 5626 §3.5.1 to a server. Over TCP and TLS
// it is to be answered: a connection where nothing is heard for 10 s after it is
// lost. Without a connection nothing is sent.
func (e *Endpoint) Keepalive(server Candidate) error {
	if server.transport().stream() {
		if s := e.streams.existing(server); s != nil {
			return s.keepalive()
		}
		return nil
	}
	if _, err := e.conn.WriteTo([]byte("\r\n\r\n"), net.UDPAddrFromAddrPort(server.Addr)); err != nil {
		return fmt.Errorf("send keepalive: %w", sendError(err))
	}
	return nil
}

// Attach has lost called, once and from any goroutine, when the connection to a
// server ends over which requests to it go; at once if there is none. It must not
// block. UDP has no connection to lose.
func (e *Endpoint) Attach(server Candidate, lost func(cause error)) (detach func()) {
	if !server.transport().stream() {
		return func() {}
	}
	if s := e.streams.existing(server); s != nil {
		return s.attach(lost)
	}
	go lost(fmt.Errorf("connection to %s lost: %w", server, ErrUnreachable))
	return func() {}
}

// SetTrusts says what TLS connections are made with, by the names that links use.
// A name stands for the same for good. Connections made with what is not among
// them any more end when no line and no call uses them.
func (e *Endpoint) SetTrusts(all map[string]Trust) { e.streams.setTrusts(all) }

// LocalAddrFor gives the source address the kernel would use towards server.
func (e *Endpoint) LocalAddrFor(ctx context.Context, server netip.AddrPort) (netip.Addr, error) {
	if a := e.local.Addr(); !a.IsUnspecified() {
		return a.Unmap(), nil
	}
	// Connecting a UDP socket sends nothing; it only picks the route.
	c, err := new(net.Dialer).DialContext(ctx, "udp", server.String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("no way to %s: %w", server, sendError(err))
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// outgoing is a request that is filled in: where it goes, by which way, and its bytes.
type outgoing struct {
	to  Candidate
	way way
	raw []byte
}

// send fills req in and starts a transaction with it.
func (e *Endpoint) send(ctx context.Context, req *sip.Request, who user) (*clientTx, error) {
	began := time.Now()
	out, err := e.fill(ctx, req)
	if err != nil {
		e.client.health().vain(out.to, began, err)
		return nil, fmt.Errorf("send %s: %w", req.Method, err)
	}
	tx, err := e.client.open(req, out, who)
	TellSent(ctx)
	if err != nil {
		return nil, fmt.Errorf("send %s: %w", req.Method, err)
	}
	return tx, nil
}

// fill completes the headers of req and finds its way: the listening socket, or the
// connection to its destination, which is by then.
func (e *Endpoint) fill(ctx context.Context, req *sip.Request) (out outgoing, err error) {
	to, err := aimOf(req)
	out = outgoing{to: to, way: way{to: to.Addr}}
	if err != nil {
		return out, fmt.Errorf("destination is no address and port: %w", err)
	}
	if req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil {
		return out, errors.New("From, To, Call-ID and CSeq are needed")
	}
	cancel := req.IsCancel() && req.Via() != nil
	if !cancel {
		addr, err := e.LocalAddrFor(ctx, to.Addr)
		if err != nil {
			return out, err
		}
		removeAll(req, "Via")
		at := netip.AddrPortFrom(addr, e.local.Port())
		if to.Via.IsValid() {
			at = to.Via
		}
		req.PrependHeader(e.via(to.Transport, at))
	}
	if req.MaxForwards() == nil {
		maxForwards := sip.MaxForwardsHeader(70)
		req.AppendHeader(&maxForwards)
	}
	if req.GetHeader("User-Agent") == nil {
		req.AppendHeader(sip.NewHeader("User-Agent", e.cfg.UserAgent))
	}
	if req.ContentLength() == nil {
		req.SetBody(req.Body())
	}
	req.SetTransport(strings.ToUpper(string(to.Transport)))
	out.raw = []byte(req.String())
	switch {
	case to.Transport.stream():
		out.way.by, err = e.streams.get(ctx, to)
	case cancel:
		out.way.by = e.large.beside(e, req, to.Addr)
	default:
		if out.way.by = e.large.over(ctx, e, req, len(out.raw), to.Addr); out.way.by != nil {
			out.raw = []byte(req.String())
		}
	}
	return out, err
}

// writeRequest puts a request on its way. An error says why a connection is gone.
func (e *Endpoint) writeRequest(to way, raw []byte) error {
	if err := e.server.write(to, raw); err != nil {
		return to.by.explain(sendError(err))
	}
	return nil
}

// via is the top Via of a request: sent-by is where responses are to come to,
// rport makes servers answer to the port they saw (RFC 3581 §3).
func (e *Endpoint) via(t Transport, at netip.AddrPort) *sip.ViaHeader {
	params := sip.NewParams()
	params.Add("branch", e.branches+randomText(16))
	params.Add("rport", "")
	return &sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(string(t)),
		Host: at.Addr().String(), Port: int(at.Port()), Params: params,
	}
}

// unreachable takes an ICMP error to the transactions that wait for a first
// answer from there. Those that had one already only lost a datagram.
func (e *Endpoint) unreachable(to netip.AddrPort, cause error) {
	e.count.unreachable.Add(1)
	for _, tx := range e.client.pending.take(to) {
		// Whoever writes is told of the errors of others, and may hold one of these.
		go tx.fail(fmt.Errorf("%s to %s: %w: %w", tx.method, to, ErrUnreachable, cause))
	}
}

// sendError gives a socket's error its kind.
func sendError(err error) error {
	if errors.As(err, new(syscall.Errno)) || errors.As(err, new(*net.OpError)) {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}
