package ua

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// request builds one for the peer.
func request(method sip.RequestMethod, to netip.AddrPort) *sip.Request {
	req := sip.NewRequest(method, URI("bob", to.String()))
	from := &sip.FromHeader{Address: URI("alice", "sip.test"), Params: sip.NewParams()}
	from.Params.Add("tag", NewTag())
	callID := sip.CallIDHeader(NewCallID())
	req.AppendHeader(from)
	req.AppendHeader(&sip.ToHeader{Address: URI("bob", "sip.test")})
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: method})
	req.SetDestination(to.String())
	return req
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	p := newPeer(t)
	to := p.addr()
	if err := p.conn.Close(); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestRequestsLeaveFromTheListeningPort(t *testing.T) {
	// Bound to all addresses, as in a pod: Via names the one towards the peer.
	e := listen(t, func(c *Config) { c.Bind = netip.AddrPort{} })
	p := newPeer(t)
	go func() {
		req, from := p.fresh()
		if int(from.Port()) != e.Port() {
			t.Errorf("sent from port %d, listening on %d", from.Port(), e.Port())
		}
		via := req.Via()
		if rport, ok := via.Params.Get("rport"); via.Host != "127.0.0.1" || via.Port != e.Port() || !ok || rport != "" {
			t.Errorf("Via: %s", via.Value())
		}
		for header, want := range map[string]string{"Max-Forwards": "70", "User-Agent": "test/1", "Content-Length": "0"} {
			if h := req.GetHeader(header); h == nil || h.Value() != want {
				t.Errorf("%s is %v, want %s", header, h, want)
			}
		}
		p.answer(req, from, 100)
		p.answer(req, from, 200)
	}()
	res, err := e.Do(t.Context(), request(sip.INFO, p.addr()))
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v, %v", res, err)
	}
}

func TestOnlyTheEndpointWritesVia(t *testing.T) {
	e, p := listen(t), newPeer(t)
	req := request(sip.OPTIONS, p.addr())
	for range 2 {
		req.AppendHeader(&sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: "192.0.2.1", Params: sip.NewParams()})
	}
	go func() {
		got, from := p.fresh()
		if vias := got.GetHeaders("Via"); len(vias) != 1 || got.Via().Host != "127.0.0.1" {
			t.Errorf("Via: %v", vias)
		}
		p.answer(got, from, 200)
	}()
	if _, err := e.Do(t.Context(), req); err != nil {
		t.Error(err)
	}
}

func TestRetransmissionUntilAnswered(t *testing.T) {
	e, p := listen(t), newPeer(t)
	go func() {
		first, _ := p.request()
		again, from := p.request()
		if first.Via().Value() != again.Via().Value() {
			t.Errorf("sent again as another transaction: %s, %s", first.Via().Value(), again.Via().Value())
		}
		p.answer(again, from, 486)
	}()
	res, err := e.Do(t.Context(), request(sip.OPTIONS, p.addr()))
	if err != nil || res.StatusCode != 486 {
		t.Fatalf("%v, %v", res, err)
	}
}

func TestSentIsToldOnceAndOnlyThen(t *testing.T) {
	e, p := listen(t), newPeer(t)
	told := 0
	ctx := OnSent(t.Context(), func() { told++ })
	go func() {
		p.request()
		req, from := p.request() // it was sent again, which is not told
		p.answer(req, from, 200)
	}()
	if _, err := e.Do(ctx, request(sip.OPTIONS, p.addr())); err != nil || told != 1 {
		t.Errorf("told %d times, %v", told, err)
	}
	req := request(sip.OPTIONS, closedPort(t))
	Candidate{Transport: TCP, Addr: closedPort(t)}.Aim(req)
	if _, err := e.Do(ctx, req); !errors.Is(err, ErrUnreachable) || told != 1 {
		t.Errorf("told %d times of one that could not be sent, %v", told-1, err)
	}
}

// What a peer sends right after a response finds whoever asked told of the response: a
// re-INVITE after the 491 to ours must not be refused for being too early.
func TestAResponseIsToldBeforeTheRequestBehindIt(t *testing.T) {
	e, p := listen(t), newPeer(t)
	var mu sync.Mutex
	var order []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	handled := make(chan struct{})
	bind(t, e, "k3x", &testLine{servers: []netip.AddrPort{p.addr()}, aorUser: "alice", aorHost: "sip.test", onHandle: func(req *sip.Request, tx sip.ServerTransaction) {
		note("request")
		_ = tx.Respond(sip.NewResponseFromRequest(req, 200, "OK", nil))
		handled <- struct{}{}
	}})
	for i := range 100 {
		order = nil
		ctx := OnResponse(t.Context(), func(res *sip.Response) { note(strconv.Itoa(res.StatusCode)) })
		invite := request(sip.INVITE, p.addr())
		id := invite.CallID().Value()
		tx, err := e.Request(ctx, invite)
		if err != nil {
			t.Fatal(err)
		}
		text, from := p.receive()
		for !strings.HasPrefix(text, "INVITE ") || !strings.Contains(text, id) { // the last one's ACK, and our 200
			text, from = p.receive()
		}
		m, err := sip.ParseMessage([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		req := m.(*sip.Request)
		p.answer(req, from, 180)
		p.answer(req, from, 491)
		p.send(e, p.message("INFO", "sip:k3x@127.0.0.1"))
		<-handled
		mu.Lock()
		if got := strings.Join(order, " "); got != "180 491 request" {
			t.Fatalf("%d: in the order %s", i, got)
		}
		mu.Unlock()
		tx.Terminate()
	}
}

func TestSilenceIsATimeout(t *testing.T) {
	e, p := listen(t), newPeer(t)
	if _, err := e.Do(t.Context(), request(sip.OPTIONS, p.addr())); !errors.Is(err, ErrTimeout) || errors.Is(err, ErrUnreachable) {
		t.Errorf("Do: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Do(ctx, request(sip.OPTIONS, p.addr())); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Do: %v", err)
	}
	tx, err := e.Request(t.Context(), request(sip.INVITE, p.addr()))
	if err != nil {
		t.Fatal(err)
	}
	<-tx.Done()
	if !errors.Is(tx.Err(), ErrTimeout) {
		t.Errorf("INVITE: %v", tx.Err())
	}
}

func TestClosedPortIsUnreachableAtOnce(t *testing.T) {
	e, dead, p := listen(t), closedPort(t), newPeer(t)
	began := time.Now()
	_, err := e.Do(t.Context(), request(sip.OPTIONS, dead))
	if !errors.Is(err, ErrUnreachable) || !strings.HasSuffix(err.Error(), "connection refused") {
		t.Errorf("Do: %v", err)
	}
	if d := time.Since(began); d > 64*sip.T1/2 {
		t.Errorf("known after %s only", d)
	}
	// Another line's request, at the same time, is none the worse for it.
	go func() {
		req, from := p.fresh()
		for range 20 {
			_ = e.Keepalive(Candidate{Addr: dead})
		}
		p.answer(req, from, 200)
	}()
	if _, err := e.Do(t.Context(), request(sip.OPTIONS, p.addr())); err != nil {
		t.Errorf("to somebody else: %v", err)
	}
	eventually(t, "ICMP errors are counted", func() bool { return e.Stats().Unreachable > 0 })
	tx, err := e.Request(t.Context(), request(sip.INVITE, dead))
	if err != nil {
		t.Fatal(err)
	}
	<-tx.Done()
	if !errors.Is(tx.Err(), ErrUnreachable) {
		t.Errorf("INVITE: %v", tx.Err())
	}
}

// A peer that has answered is there; a datagram it did not get is another matter.
func TestUnreachableAfterAnAnswerIsNoFailure(t *testing.T) {
	e, p := listen(t), newPeer(t)
	tx, err := e.Request(t.Context(), request(sip.INVITE, p.addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Terminate()
	invite, from := p.fresh()
	p.answer(invite, from, 180)
	if res := next(t, tx); res.StatusCode != 180 {
		t.Fatalf("%d", res.StatusCode)
	}
	e.unreachable(p.addr(), errors.New("connection refused"))
	p.answer(invite, from, 200)
	if res := next(t, tx); res.StatusCode != 200 {
		t.Errorf("%d", res.StatusCode)
	}
}

func TestNoWayOut(t *testing.T) {
	e := listen(t)
	// An IPv4 socket cannot send there.
	if _, err := e.Do(t.Context(), request(sip.OPTIONS, netip.MustParseAddrPort("[2001:db8::1]:5060"))); !errors.Is(err, ErrUnreachable) {
		t.Errorf("to IPv6: %v", err)
	}
	if err := e.Keepalive(Candidate{Addr: netip.MustParseAddrPort("[2001:db8::1]:5060")}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("keepalive to IPv6: %v", err)
	}
	req := request(sip.OPTIONS, netip.MustParseAddrPort("127.0.0.1:5060"))
	req.SetDestination("sip.test:5060")
	if _, err := e.Do(t.Context(), req); err == nil || !strings.Contains(err.Error(), "destination is no address") {
		t.Errorf("to a name: %v", err)
	}
	req = sip.NewRequest(sip.OPTIONS, URI("", "127.0.0.1"))
	req.SetDestination("127.0.0.1:5060")
	if _, err := e.Do(t.Context(), req); err == nil || !strings.Contains(err.Error(), "are needed") {
		t.Errorf("without headers: %v", err)
	}
}

// Calls carry SDP that passes 1,300 bytes, both ways.
func TestLargeMessages(t *testing.T) {
	e, p := listen(t), newPeer(t)
	body := strings.Repeat("a=candidate\r\n", 1500)
	go func() {
		req, from := p.fresh()
		res := sip.NewResponseFromRequest(req, 200, "OK", req.Body())
		p.sendTo(from, res.String())
	}()
	req := request(sip.INFO, p.addr())
	req.SetBody([]byte(body))
	res, err := e.Do(t.Context(), req)
	if err != nil || string(res.Body()) != body {
		t.Errorf("%d bytes came back, %v", len(res.Body()), err)
	}
}

func TestTerminateEndsATransactionNobodyReads(t *testing.T) {
	e, p := listen(t), newPeer(t)
	tx, err := e.Request(t.Context(), request(sip.INVITE, p.addr()))
	if err != nil {
		t.Fatal(err)
	}
	invite, from := p.fresh()
	p.answer(invite, from, 180)
	tx.Terminate()
	tx.Terminate()
	<-tx.Done()
}

func TestCancelAndAck(t *testing.T) {
	e, p := listen(t), newPeer(t)
	invite := request(sip.INVITE, p.addr())
	invite.AppendHeader(&sip.RouteHeader{Address: URI("", "proxy.test")})
	tx, err := e.Request(t.Context(), invite)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Terminate()
	got, from := p.fresh()
	p.answer(got, from, 180)
	next(t, tx)
	go func() {
		cancel, from := p.fresh()
		for header, want := range map[string]string{
			"Via": got.Via().Value(), "From": got.From().Value(), "To": got.To().Value(), "Call-ID": got.CallID().Value(),
			"CSeq": "1 CANCEL", "Route": "<sip:proxy.test>",
		} {
			if h := cancel.GetHeader(header); h == nil || h.Value() != want {
				t.Errorf("CANCEL's %s is %v, want %s", header, h, want)
			}
		}
		p.answer(cancel, from, 200)
	}()
	if res, err := e.Do(t.Context(), Cancel(invite)); err != nil || res.StatusCode != 200 {
		t.Errorf("CANCEL: %v, %v", res, err)
	}
	ack := request(sip.ACK, p.addr())
	if err := e.Write(ack); err != nil {
		t.Fatal(err)
	}
	if req, from := p.fresh(); !req.IsAck() || int(from.Port()) != e.Port() || req.Via().Value() == got.Via().Value() {
		t.Errorf("ACK from port %d:\n%s", from.Port(), req)
	}
}

func TestKeepalive(t *testing.T) {
	e, p := listen(t), newPeer(t)
	if err := e.Keepalive(Candidate{Addr: p.addr()}); err != nil {
		t.Fatal(err)
	}
	if text, from := p.receive(); text != "\r\n\r\n" || int(from.Port()) != e.Port() {
		t.Errorf("%q from port %d", text, from.Port())
	}
}

func TestDigestOverTheWire(t *testing.T) {
	e, p := listen(t), newPeer(t)
	go func() {
		req, from := p.fresh()
		res := sip.NewResponseFromRequest(req, 407, "Proxy Authentication Required", nil)
		res.AppendHeader(sip.NewHeader("Proxy-Authenticate", `Digest realm="sip.test", nonce="n", qop="auth"`))
		p.sendTo(from, res.String())
		// An INVITE's refusal is acknowledged by the transaction layer.
		if ack, _ := p.fresh(); !ack.IsAck() {
			t.Errorf("no ACK but %s", ack.StartLine())
		}
		again, from := p.fresh()
		if h := again.GetHeader("Proxy-Authorization"); h == nil || again.CSeq().SeqNo != 2 || again.Via().Value() == req.Via().Value() {
			t.Errorf("second attempt:\n%s", again)
		}
		p.answer(again, from, 603)
	}()
	session := Credentials{"alice", "secret"}.Session(nil)
	req := request(sip.INVITE, p.addr())
	for {
		tx, err := e.Request(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Terminate()
		res := next(t, tx)
		if res.StatusCode == 603 {
			return
		}
		if req, err = session.Next(req, res); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContactAndURI(t *testing.T) {
	e := listen(t)
	uri, err := e.Contact(t.Context(), "k3x", netip.MustParseAddrPort("127.0.0.1:5060"))
	if err != nil || uri.String() != fmt.Sprintf("sip:k3x@127.0.0.1:%d", e.Port()) {
		t.Errorf("%s, %v", uri.String(), err)
	}
	for _, tt := range []struct{ user, host, want string }{
		{"alice", "sip.test", "sip:alice@sip.test"},
		{"alice", "sip.test:5070", "sip:alice@sip.test:5070"},
		{"", "[2001:db8::1]:5070", "sip:[2001:db8::1]:5070"},
		{"", "2001:db8::1", "sip:[2001:db8::1]"},
		{"a b@c:d\r\n%é", "x", "sip:a%20b%40c%3Ad%0D%0A%25%C3%A9@x"},
		{"+1(555)#", "x", "sip:+1(555)%23@x"},
	} {
		u := URI(tt.user, tt.host)
		if u.String() != tt.want {
			t.Errorf("URI(%q, %q) = %s, want %s", tt.user, tt.host, u.String(), tt.want)
		}
		if back := unescapeUser(u.User); back != tt.user {
			t.Errorf("%s names %q", u.String(), back)
		}
	}
	if a, b := NewContactUser(), NewContactUser(); a == b || len(a) != 20 {
		t.Errorf("%q, %q", a, b)
	}
}
