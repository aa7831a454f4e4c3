package ua

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// listen opens an endpoint on loopback that ends with the test.
func listen(t *testing.T, edit ...func(*Config)) *Endpoint {
	t.Helper()
	cfg := Config{Bind: netip.MustParseAddrPort("127.0.0.1:0"), UserAgent: "test/1", Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, f := range edit {
		f(&cfg)
	}
	e, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

// peer is a bare socket that speaks what the test types.
type peer struct {
	t    *testing.T
	conn *net.UDPConn
	seen map[string]bool // requests received
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &peer{t, c, make(map[string]bool)}
}

func (p *peer) addr() netip.AddrPort { return p.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p *peer) send(e *Endpoint, text string) {
	p.t.Helper()
	p.sendTo(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(e.Port())), text)
}

func (p *peer) sendTo(to netip.AddrPort, text string) {
	p.t.Helper()
	if _, err := p.conn.WriteToUDPAddrPort([]byte(text), to); err != nil {
		p.t.Fatal(err)
	}
}

// receive gives the next datagram and where it came from.
func (p *peer) receive() (string, netip.AddrPort) {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	b := make([]byte, 65536)
	n, from, err := p.conn.ReadFromUDPAddrPort(b)
	if err != nil {
		p.t.Fatalf("nothing received: %v", err)
	}
	return string(b[:n]), from
}

func (p *peer) response() *sip.Response {
	p.t.Helper()
	text, _ := p.receive()
	msg, err := sip.ParseMessage([]byte(text))
	if err != nil {
		p.t.Fatalf("%v in\n%s", err, text)
	}
	res, ok := msg.(*sip.Response)
	if !ok {
		p.t.Fatalf("no response:\n%s", text)
	}
	return res
}

func (p *peer) request() (*sip.Request, netip.AddrPort) {
	p.t.Helper()
	text, from := p.receive()
	msg, err := sip.ParseMessage([]byte(text))
	if err != nil {
		p.t.Fatalf("%v in\n%s", err, text)
	}
	req, ok := msg.(*sip.Request)
	if !ok {
		p.t.Fatalf("no request:\n%s", text)
	}
	return req, from
}

// fresh gives the next request that is not one sent again.
func (p *peer) fresh() (*sip.Request, netip.AddrPort) {
	p.t.Helper()
	for {
		req, from := p.request()
		key := string(req.Method) + req.Via().Value()
		if !p.seen[key] {
			p.seen[key] = true
			return req, from
		}
	}
}

// ask sends a request and gives the response to it, whatever else comes.
func (p *peer) ask(e *Endpoint, text string) *sip.Response {
	p.t.Helper()
	p.send(e, text)
	for {
		res := p.response()
		if branch, _ := res.Via().Params.Get("branch"); strings.Contains(text, ";branch="+branch+";") {
			return res
		}
	}
}

// next gives a transaction's next response.
func next(t *testing.T, tx sip.ClientTransaction) *sip.Response {
	t.Helper()
	select {
	case res := <-tx.Responses():
		return res
	case <-tx.Done():
		t.Fatalf("no response: %v", tx.Err())
		return nil
	}
}

// answer sends a response to a request that was received.
func (p *peer) answer(req *sip.Request, to netip.AddrPort, code int) {
	p.t.Helper()
	res := sip.NewResponseFromRequest(req, code, "Because", nil)
	p.sendTo(to, res.String())
}

var branches int

// message types a request; edits are pairs of old and new text.
func (p *peer) message(method, uri string, edits ...string) string {
	branches++
	text := strings.Join([]string{
		method + " " + uri + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bKpeer%d;rport", p.addr(), branches),
		"From: <sip:peer@sip.test>;tag=1",
		"To: <sip:alice@sip.test>",
		fmt.Sprintf("Call-ID: call-%d", branches),
		"CSeq: 1 " + method,
		"Max-Forwards: 70",
		"Content-Length: 0",
	}, "\r\n") + "\r\n\r\n"
	return strings.NewReplacer(edits...).Replace(text)
}

// testLine remembers what it got and answers as it is told.
type testLine struct {
	servers  []netip.AddrPort
	aorUser  string
	aorHost  string
	onHandle func(*sip.Request, sip.ServerTransaction)

	mu       sync.Mutex
	requests []*sip.Request
}

func (l *testLine) HandleRequest(req *sip.Request, tx sip.ServerTransaction) {
	l.mu.Lock()
	l.requests = append(l.requests, req)
	l.mu.Unlock()
	if l.onHandle != nil {
		l.onHandle(req, tx)
		return
	}
	if !req.IsAck() {
		_ = tx.Respond(sip.NewResponseFromRequest(req, 200, "Line "+l.aorUser, nil))
	}
}

func (l *testLine) ServerAddrs() []netip.AddrPort { return l.servers }
func (l *testLine) AOR() (string, string)         { return l.aorUser, l.aorHost }

func (l *testLine) got() []*sip.Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*sip.Request(nil), l.requests...)
}

func (l *testLine) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = nil
}

func bind(t *testing.T, e *Endpoint, user string, l Line) {
	t.Helper()
	unbind, err := e.Bind(user, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unbind)
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// logBuffer is a log that goroutines may share.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
