package call_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// proxy is a stateless SIP proxy (RFC 3261 §16.11) on loopback that asks every
// caller for digest credentials and stays in the way of dialogs.
type proxy struct {
	t    *testing.T
	conn *net.UDPConn
	done chan struct{}

	mu        sync.Mutex
	contacts  map[string]netip.AddrPort // where users are
	users     map[string]string         // the Contact user behind each
	passwords map[string]string
	lose      func(m sip.Message) bool // datagrams that get lost
	log       []string
}

func newProxy(t *testing.T) *proxy {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, conn: conn, done: make(chan struct{}),
		contacts: make(map[string]netip.AddrPort), users: make(map[string]string), passwords: make(map[string]string)}
	go p.serve()
	t.Cleanup(func() {
		_ = conn.Close()
		<-p.done
	})
	return p
}

func (p *proxy) addr() netip.AddrPort { return p.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p *proxy) register(user, password, contactUser string, at netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.contacts[user], p.users[user], p.passwords[user] = at, contactUser, password
}

func (p *proxy) serve() {
	defer close(p.done)
	buf := make([]byte, 65536)
	parser := sip.NewParser()
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n == 0 || buf[0] < 'A' || buf[0] > 'z' {
			continue // STUN or RTP of somebody on this machine who talks to who had the port before
		}
		m, err := parser.ParseSIP(append([]byte(nil), buf[:n]...))
		if err != nil {
			p.t.Errorf("%v in\n%s", err, buf[:n])
			continue
		}
		p.mu.Lock()
		lost := p.lose != nil && p.lose(m)
		p.log = append(p.log, strings.SplitN(m.String(), "\r\n", 2)[0])
		p.mu.Unlock()
		if lost {
			continue
		}
		switch m := m.(type) {
		case *sip.Request:
			p.request(m, from)
		case *sip.Response:
			m.RemoveHeader("Via")
			if via := m.Via(); via != nil {
				p.write(m, netip.AddrPortFrom(netip.MustParseAddr(via.Host), uint16(via.Port)))
			}
		}
	}
}

func (p *proxy) write(m sip.Message, to netip.AddrPort) {
	_, _ = p.conn.WriteToUDPAddrPort([]byte(m.String()), to)
}

func (p *proxy) request(req *sip.Request, from netip.AddrPort) {
	_, inDialog := req.To().Params.Get("tag")
	var to netip.AddrPort
	switch {
	case req.Route() != nil:
		req.RemoveHeader("Route") // it names us
		to = netip.MustParseAddrPort(fmt.Sprintf("%s:%d", req.Recipient.Host, req.Recipient.Port))
	case req.IsAck() && inDialog && tagOfProxy(req):
		return // of our own response
	default:
		if req.IsInvite() && !p.authorized(req) {
			p.challenge(req, from)
			return
		}
		p.mu.Lock()
		at, ok := p.contacts[req.Recipient.User]
		user := p.users[req.Recipient.User]
		p.mu.Unlock()
		if !ok {
			if !req.IsAck() {
				p.answer(req, 404, "Not Found", from)
			}
			return
		}
		req.Recipient = sip.Uri{Scheme: "sip", User: user, Host: at.Addr().String(), Port: int(at.Port())}
		to = at
		if req.IsInvite() {
			params := sip.NewParams()
			params.Add("lr", "")
			req.PrependHeader(&sip.RecordRouteHeader{Address: sip.Uri{Scheme: "sip", Host: p.addr().Addr().String(), Port: int(p.addr().Port()), UriParams: params}})
		}
	}
	params := sip.NewParams()
	params.Add("branch", "z9hG4bKp"+req.Via().Params.GetOr("branch", ""))
	req.PrependHeader(&sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP",
		Host: p.addr().Addr().String(), Port: int(p.addr().Port()), Params: params})
	p.write(req, to)
}

func tagOfProxy(req *sip.Request) bool { return req.To().Params.GetOr("tag", "") == "proxy" }

const proxyNonce = "4711"

func (p *proxy) challenge(req *sip.Request, from netip.AddrPort) {
	p.answer(req, 407, "Proxy Authentication Required", from,
		sip.NewHeader("Proxy-Authenticate", `Digest realm="pbx.test", nonce="`+proxyNonce+`", algorithm=MD5, qop="auth"`))
}

func (p *proxy) answer(req *sip.Request, code int, reason string, to netip.AddrPort, headers ...sip.Header) {
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	res.To().Params.Add("tag", "proxy")
	for _, h := range headers {
		res.AppendHeader(h)
	}
	p.write(res, to)
}

var digestParam = regexp.MustCompile(`(\w+)="?([^",]*)"?`)

// authorized checks RFC 2617 credentials, by the book and by hand.
func (p *proxy) authorized(req *sip.Request) bool {
	h := req.GetHeader("Proxy-Authorization")
	if h == nil {
		return false
	}
	d := make(map[string]string)
	for _, m := range digestParam.FindAllStringSubmatch(strings.TrimPrefix(h.Value(), "Digest "), -1) {
		d[m[1]] = m[2]
	}
	sum := func(s string) string { b := md5.Sum([]byte(s)); return hex.EncodeToString(b[:]) }
	p.mu.Lock()
	ha1 := sum(d["username"] + ":pbx.test:" + p.passwords[d["username"]])
	p.mu.Unlock()
	want := sum(ha1 + ":" + d["nonce"] + ":" + d["nc"] + ":" + d["cnonce"] + ":" + d["qop"] + ":" + sum("INVITE:"+d["uri"]))
	return d["nonce"] == proxyNonce && d["response"] == want
}
