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
// Responses come in order, all of them; retransmitted 2xx through
// OnRetransmission. Done is closed after the last response was read; Err is then
// ErrTimeout, ErrUnreachable, or sipgo's for an orderly end. Terminate ends the
// transaction at any time and is owed by whoever stops reading.
func (e *Endpoint) Request(ctx context.Context, req *sip.Request) (sip.ClientTransaction, error) {
	a, err := e.send(ctx, req)
	if err != nil {
		return nil, err
	}
	t := &transaction{attempt: a, responses: make(chan *sip.Response), done: make(chan struct{}), stop: make(chan struct{})}
	go t.pump()
	return t, nil
}

// Do sends req (no INVITE) and waits for the final response, until ctx ends or
// the transaction times out (64·T1 = 32 s). Errors wrap ErrTimeout,
// ErrUnreachable or ctx's.
func (e *Endpoint) Do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	a, err := e.send(ctx, req)
	if err != nil {
		return nil, err
	}
	// The Completed state only absorbs repeated responses (RFC 3261 §17.1.2.2),
	// which find nobody and are dropped just as well; sipgo would keep it 32 s.
	defer a.ClientTx.Terminate()
	defer a.settle()
	for {
		select {
		case res := <-a.ClientTx.Responses():
			a.settle()
			if !res.IsProvisional() {
				a.heard(res)
				// Err waits until sipgo is done with the response. Terminated before
				// that, it would set timer D all the same and keep everything for 32 s.
				_ = a.ClientTx.Err()
				return res, nil
			}
		case <-a.ClientTx.Done():
			err := a.Err()
			a.health.vain(a.candidate, a.sent, err)
			return nil, err
		case <-ctx.Done():
			a.givenUp(ctx.Err())
			return nil, fmt.Errorf("%s not answered: %w", req.Method, ctx.Err())
		}
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

// Write sends req outside any transaction: the ACK to a 2xx. Headers are
// filled in as for Request.
func (e *Endpoint) Write(req *sip.Request) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	to, _, err := e.fill(ctx, req)
	if err != nil {
		return err
	}
	write := func() error { return e.tp.WriteMsg(req) }
	if to.Transport.stream() {
		err = write() // which may take a while
	} else {
		err = e.whileOpen(write)
	}
	if err != nil {
		return fmt.Errorf("send %s: %w", req.Method, sendError(err))
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

// send fills req in and starts a transaction with it.
func (e *Endpoint) send(ctx context.Context, req *sip.Request) (*attempt, error) {
	health, sent := &e.cfg.Locator.health, time.Now()
	to, by, err := e.fill(ctx, req)
	if err != nil {
		health.vain(to, sent, err)
		return nil, err
	}
	var tx *sip.ClientTx
	err = e.whileOpen(func() (err error) { tx, err = e.txl.NewClientTransaction(ctx, req); return err })
	if err != nil {
		return nil, fmt.Errorf("send %s: %w", req.Method, by.explain(sendError(err)))
	}
	a := &attempt{ClientTx: tx, method: req.Method, to: to.Addr, by: by, pending: &e.pending,
		candidate: to, sent: sent, health: health}
	e.pending.add(a)
	err = tx.Init()
	TellSent(ctx)
	if err != nil {
		a.settle()
		tx.Terminate()
		err = by.explain(sendError(err))
		health.vain(to, sent, err)
		return nil, fmt.Errorf("send %s: %w", req.Method, err)
	}
	return a, nil
}

// whileOpen calls f unless the endpoint is closed. sipgo would otherwise open a
// socket of its own in place of ours, and nobody would ever close that.
func (e *Endpoint) whileOpen(f func() error) error {
	e.sending.RLock()
	defer e.sending.RUnlock()
	if e.closing.Load() {
		return net.ErrClosed
	}
	return f()
}

// fill completes the headers of req and makes it leave from the listening socket,
// or by the connection to its destination, which is by then.
func (e *Endpoint) fill(ctx context.Context, req *sip.Request) (to Candidate, by *stream, err error) {
	to, err = aimOf(req)
	if err != nil {
		return to, nil, fmt.Errorf("send %s: destination is no address and port: %w", req.Method, err)
	}
	if req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil {
		return to, nil, fmt.Errorf("send %s: From, To, Call-ID and CSeq are needed", req.Method)
	}
	if !req.IsCancel() || req.Via() == nil {
		addr, err := e.LocalAddrFor(ctx, to.Addr)
		if err != nil {
			return to, nil, fmt.Errorf("send %s: %w", req.Method, err)
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
	// With a local address sipgo takes the connection of that address, which is
	// the listening socket; without, it would open another port.
	req.Laddr = sip.Addr{IP: e.local.Addr().AsSlice(), Port: int(e.local.Port()), Hostname: to.label()}
	if to.Transport.stream() {
		if by, err = e.streams.get(ctx, to); err != nil {
			return to, nil, fmt.Errorf("send %s: %w", req.Method, err)
		}
		req.Laddr = by.laddr(to)
	}
	return to, by, nil
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
	for _, a := range e.pending.take(to) {
		a.fail(fmt.Errorf("%s to %s: %w: %w", a.method, to, ErrUnreachable, cause))
	}
}

// sendError gives a socket's error its kind.
func sendError(err error) error {
	if errors.As(err, new(syscall.Errno)) || errors.As(err, new(*net.OpError)) {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}
