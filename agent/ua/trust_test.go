package ua

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// tlsServer is a server of sip.test that counts its connections and answers every
// request on them with 200.
func tlsServer(t *testing.T, ca authority, edit func(*x509.Certificate)) (addr netip.AddrPort, open *atomic.Int32, renew func(func(*x509.Certificate))) {
	t.Helper()
	var current atomic.Pointer[tls.Certificate]
	renew = func(edit func(*x509.Certificate)) {
		c := ca.sign(t, func(c *x509.Certificate) { c.DNSNames = []string{"sip.test"}; edit(c) })
		current.Store(&c)
	}
	renew(edit)
	s := newServer(t, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil }})
	open = new(atomic.Int32)
	go func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			open.Add(1)
			go answerAll(c, open)
		}
	}()
	return s.addr(), open, renew
}

// answerAll answers requests until the connection ends.
func answerAll(c net.Conn, open *atomic.Int32) {
	defer open.Add(-1)
	defer c.Close()
	frames := framer{r: c}
	for {
		u, frame, err := frames.next()
		if err != nil {
			return
		}
		if u != message {
			continue
		}
		if m, err := sip.ParseMessage(frame); err == nil {
			if req, ok := m.(*sip.Request); ok {
				_, _ = io.WriteString(c, sip.NewResponseFromRequest(req, 200, "OK", nil).String())
			}
		}
	}
}

func same(*x509.Certificate) {}

// securedLine is a line over TLS with a call, or without.
type securedLine struct {
	testLine
	calls atomic.Bool
}

func (l *securedLine) TLSOnly() bool              { return true }
func (l *securedLine) UsesTrust(name string) bool { return l.calls.Load() && name == "old" }

func TestConnectionsAreSharedByTrust(t *testing.T) {
	ca := newAuthority(t)
	addr, open, _ := tlsServer(t, ca, same)
	e := listen(t)
	trust := Trust{Roots: ca.pool()}
	e.SetTrusts(map[string]Trust{"a": trust, "b": trust})
	for _, l := range []Link{
		{Transport: TLS, Domain: "sip.test", Trust: "a"}, {Transport: TLS, Domain: "SIP.test:5061", SIPS: true, Trust: "a"}, {Transport: TLS, Domain: "sip.test", Trust: "b"},
	} {
		if _, err := e.Do(t.Context(), registerTo(l.To(addr))); err != nil {
			t.Fatal(err)
		}
	}
	if n := open.Load(); n != 2 {
		t.Errorf("%d connections for two kinds of trust, want 2", n)
	}
	if _, err := e.Do(t.Context(), registerTo(Link{Transport: TLS, Domain: "sip.test"}.To(addr))); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a line without roots of its own: %v", err)
	}
	if _, err := e.Do(t.Context(), registerTo(Link{Transport: TLS, Domain: "sip.test", Trust: "c"}.To(addr))); err == nil || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("a trust that nobody gave: %v", err)
	}
}

// TestReplacedTrustServesWhoNeedsIt: the connection made with certificates that were
// replaced stays for the line that is registered over it, and for its call, and no longer.
func TestReplacedTrustServesWhoNeedsIt(t *testing.T) {
	ca := newAuthority(t)
	addr, open, _ := tlsServer(t, ca, same)
	e := listen(t)
	e.streams.retiredLife = 50 * time.Millisecond
	old, fresh := Link{Transport: TLS, Domain: "sip.test", Trust: "old"}.To(addr), Link{Transport: TLS, Domain: "sip.test", Trust: "new"}.To(addr)
	e.SetTrusts(map[string]Trust{"old": {Roots: ca.pool()}})
	l := &securedLine{testLine: testLine{aorUser: "alice"}}
	l.calls.Store(true)
	bind(t, e, "contact", l)
	if _, err := e.Do(t.Context(), registerTo(old)); err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 1)
	detach := e.Attach(old, func(cause error) { lost <- cause })
	was := e.streams.existing(old)
	e.SetTrusts(map[string]Trust{"new": {Roots: ca.pool()}})
	if _, err := e.Do(t.Context(), registerTo(fresh)); err != nil {
		t.Fatal(err)
	}
	stays := func(why string) {
		t.Helper()
		was.mu.Lock()
		was.used = time.Time{} // as if nothing had come for long
		was.mu.Unlock()
		was.expire()
		if _, err := e.Do(t.Context(), registerTo(old)); err != nil || was.err() != nil {
			t.Fatalf("the old connection is gone, although %s: %v", why, err)
		}
	}
	stays("a line is registered over it")
	detach()
	stays("a call uses it")
	l.calls.Store(false)
	eventually(t, "the old connection ends", func() bool { return was.err() != nil && open.Load() == 1 })
	select {
	case err := <-lost:
		t.Errorf("the line that had left is told: %v", err)
	default:
	}
	if _, err := e.Do(t.Context(), registerTo(fresh)); err != nil {
		t.Errorf("the new connection: %v", err)
	}
}

func TestTrustThatComesBackIsNotRetired(t *testing.T) {
	ca := newAuthority(t)
	addr, open, _ := tlsServer(t, ca, same)
	e := listen(t)
	to := Link{Transport: TLS, Domain: "sip.test", Trust: "a"}.To(addr)
	all := map[string]Trust{"a": {Roots: ca.pool()}}
	e.SetTrusts(all)
	if _, err := e.Do(t.Context(), registerTo(to)); err != nil {
		t.Fatal(err)
	}
	e.SetTrusts(nil)
	e.SetTrusts(all)
	s := e.streams.existing(to)
	s.mu.Lock()
	retired := s.retired
	s.mu.Unlock()
	if retired || open.Load() != 1 {
		t.Errorf("retired %t, %d connections", retired, open.Load())
	}
}

func TestFormerTrustsAreForgottenInTheEnd(t *testing.T) {
	var all trusts
	began := time.Now()
	all.replace(map[string]Trust{"a": {}}, began)
	all.replace(map[string]Trust{"b": {}}, began)
	if _, ok := all.named("a"); !ok || all.inForce("a") || !all.inForce("b") || !all.inForce("") {
		t.Error("what was just replaced is known, but not in force")
	}
	all.replace(map[string]Trust{"b": {}}, began.Add(formerLife+time.Second))
	if _, ok := all.named("a"); ok {
		t.Error("what was replaced long ago is still known")
	}
}

// TestServerCertificateEnds: the first certificate of the chain to end decides, and
// one that the server has renewed is noticed on a connection that stays.
func TestServerCertificateEnds(t *testing.T) {
	ca := newAuthority(t) // for one hour
	addr, open, renew := tlsServer(t, ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(10 * time.Minute) })
	e := listen(t)
	e.SetTrusts(map[string]Trust{"t": {Roots: ca.pool()}})
	to := Link{Transport: TLS, Domain: "sip.test", Trust: "t"}.To(addr)
	if _, ok := e.ServerCertificate(to); ok {
		t.Error("a certificate without a connection")
	}
	if _, err := e.Do(t.Context(), registerTo(to)); err != nil {
		t.Fatal(err)
	}
	left := func() time.Duration {
		t.Helper()
		c, ok := e.ServerCertificate(to)
		if !ok || c.Role != delivery.ServerCertificate || c.Subject != "CN=leaf" {
			t.Fatalf("%+v %t", c, ok)
		}
		return time.Until(c.NotAfter)
	}
	if d := left(); d > 10*time.Minute || d < 8*time.Minute {
		t.Errorf("it ends in %s, as the leaf does in 10 m", d)
	}
	renew(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(24 * time.Hour) })
	e.CheckCertificates(t.Context(), time.Now().Add(time.Minute))
	if d := left(); d > 10*time.Minute {
		t.Errorf("it was looked at before its time: %s", d)
	}
	e.CheckCertificates(t.Context(), time.Now().Add(14*24*time.Hour))
	if d := left(); d > time.Hour || d < 58*time.Minute {
		t.Errorf("it ends in %s, as its authority does in 1 h", d)
	}
	eventually(t, "only the line's connection is open", func() bool { return open.Load() == 1 })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	e.CheckCertificates(gone, time.Now().Add(14*24*time.Hour)) // changes nothing
	if d := left(); d < 58*time.Minute {
		t.Errorf("a look that failed: %s", d)
	}
}

// TestNothingInTheClearForALineWithTLS: it hears requests over its own connections
// only, even from its server's address and by its Contact user.
func TestNothingInTheClearForALineWithTLS(t *testing.T) {
	e, p := listen(t), newPeer(t)
	l := &securedLine{testLine: testLine{aorUser: "alice", servers: []netip.AddrPort{p.addr()}}}
	bind(t, e, "contact", l)
	for says, uri := range map[string]string{"by Contact user": "sip:contact@a", "by address of record": "sip:alice@a", "as the only line": "sips:anyone@a"} {
		res := p.ask(e, p.message("MESSAGE", uri))
		if warning := res.GetHeader("Warning"); res.StatusCode != 480 || warning == nil || !strings.HasPrefix(warning.Value(), "381 ") {
			t.Errorf("UDP, %s: answered\n%s", says, res)
		}
	}
	c, err := net.Dial("tcp4", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(e.Port())).String())
	if err != nil {
		t.Fatal(err)
	}
	stream := newLine(t, c)
	stream.send(strings.ReplaceAll(p.message("INVITE", "sip:contact@a"), "SIP/2.0/UDP", "SIP/2.0/TCP"))
	if got := stream.headers(); !strings.HasPrefix(got, "SIP/2.0 480") {
		t.Errorf("TCP: answered\n%s", got)
	}
	stream.send(strings.ReplaceAll(p.message("ACK", "sip:contact@a"), "SIP/2.0/UDP", "SIP/2.0/TLS")) // a Via may say what it likes
	stream.send(strings.ReplaceAll(p.message("OPTIONS", "sip:contact@a"), "SIP/2.0/UDP", "SIP/2.0/TLS"))
	if got := stream.headers(); !strings.HasPrefix(got, "SIP/2.0 480") {
		t.Errorf("TCP that calls itself TLS: answered\n%s", got)
	}
	if got := l.got(); len(got) != 0 {
		t.Errorf("the line got %d requests, the first:\n%s", len(got), got[0])
	}
}
