package ua

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// server is a listener that speaks what the test types.
type server struct {
	t *testing.T
	net.Listener
}

func newServer(t *testing.T, config *tls.Config) *server {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &server{t, l}
}

func (s *server) addr() netip.AddrPort { return s.Addr().(*net.TCPAddr).AddrPort() }

// accept takes a connection; its bytes are read with a deadline.
func (s *server) accept() *line {
	s.t.Helper()
	c, err := s.Accept()
	if err != nil {
		s.t.Error(err)
		return nil
	}
	return newLine(s.t, c)
}

// line is one end of a connection.
type line struct {
	t *testing.T
	net.Conn
	*bufio.Reader
}

func newLine(t *testing.T, c net.Conn) *line {
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return &line{t, c, bufio.NewReader(c)}
}

func (l *line) Read(b []byte) (int, error) { return l.Reader.Read(b) }

func (l *line) send(text string) {
	if _, err := l.Conn.Write([]byte(text)); err != nil {
		l.t.Error(err)
	}
}

// headers reads up to the end of a message without body.
func (l *line) headers() string {
	var b strings.Builder
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		c, err := l.ReadByte()
		if err != nil {
			l.t.Errorf("after %q: %v", b.String(), err)
			return b.String()
		}
		b.WriteByte(c)
	}
	return b.String()
}

// answer answers the next request.
func (l *line) answer(code int) *sip.Request {
	msg, err := sip.ParseMessage([]byte(l.headers()))
	if err != nil {
		l.t.Error(err)
		return nil
	}
	req := msg.(*sip.Request)
	l.send(sip.NewResponseFromRequest(req, code, "Because", nil).String())
	return req
}

func registerTo(to Candidate) *sip.Request {
	req := request(sip.REGISTER, to.Addr)
	to.Aim(req)
	return req
}

func TestRequestsShareTheConnectionToTheirServer(t *testing.T) {
	e, s := listen(t), newServer(t, nil)
	to := Link{Transport: TCP}.To(s.addr())
	served := make(chan *line, 1)
	go func() {
		l := s.accept()
		for range 2 {
			if via := l.answer(200).Via(); via.Transport != "TCP" || via.Port != e.Port() {
				t.Errorf("Via %s", via)
			}
		}
		served <- l
	}()
	for range 2 {
		if res, err := e.Do(t.Context(), registerTo(to)); err != nil || res.StatusCode != 200 {
			t.Fatal(res, err)
		}
	}
	l := <-served
	bind(t, e, "contact", &testLine{aorUser: "alice"})
	l.send("OPTIONS sip:contact@a SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:1;branch=z9hG4bKback;rport\r\nFrom: <sip:p@a>;tag=1\r\nTo: <sip:a@a>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
	if got := l.headers(); !strings.HasPrefix(got, "SIP/2.0 200") || !strings.Contains(got, "branch=z9hG4bKback") {
		t.Errorf("by the connection that we made came\n%s", got)
	}
}

func TestLostConnectionIsToldAtOnce(t *testing.T) {
	e, s := listen(t), newServer(t, nil)
	to := Link{Transport: TCP}.To(s.addr())
	go func() { l := s.accept(); l.answer(200); l.headers(); _ = l.Conn.Close() }()
	if _, err := e.Do(t.Context(), registerTo(to)); err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 2)
	defer e.Attach(to, func(cause error) { lost <- cause })()
	_, err := e.Do(t.Context(), registerTo(to)) // is read, and the connection closed
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "closed by the other end") {
		t.Errorf("the request ends with %v", err)
	}
	if err := <-lost; !errors.Is(err, ErrUnreachable) {
		t.Errorf("the line hears %v", err)
	}
	e.Attach(to, func(cause error) { lost <- cause })
	if err := <-lost; err == nil {
		t.Error("a line on no connection is told so at once")
	}
}

func TestKeepaliveOnAStream(t *testing.T) {
	e, s := listen(t), newServer(t, nil)
	to := Link{Transport: TCP}.To(s.addr())
	pinged := make(chan string, 1)
	go func() {
		l := s.accept()
		l.answer(200)
		l.send("\r\n\r\n") // a ping of theirs: the pong comes before ours
		b := make([]byte, 2)
		_, _ = io.ReadFull(l, b)
		pinged <- string(b)
		pinged <- l.headers()
		l.send("\r\n")
		l.answer(200)
	}()
	if _, err := e.Do(t.Context(), registerTo(to)); err != nil {
		t.Fatal(err)
	}
	if got := <-pinged; got != "\r\n" {
		t.Errorf("a ping is answered by %q", got)
	}
	st := e.streams.existing(to)
	st.mu.Lock()
	st.used = time.Time{} // as if nothing had come for long
	st.mu.Unlock()
	if err := e.Keepalive(to); err != nil {
		t.Fatal(err)
	}
	if got := <-pinged; got != "\r\n\r\n" {
		t.Errorf("our ping is %q", got)
	}
	eventually(t, "the pong ends the watch", func() bool { st.mu.Lock(); defer st.mu.Unlock(); return st.watch == nil })
	if _, err := e.Do(t.Context(), registerTo(to)); err != nil {
		t.Errorf("the connection serves on: %v", err)
	}
}

func TestNoPongIsALostConnection(t *testing.T) {
	e, s := listen(t), newServer(t, nil)
	to := Link{Transport: TCP}.To(s.addr())
	go func() { s.accept().answer(200) }()
	if _, err := e.Do(t.Context(), registerTo(to)); err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 1)
	e.Attach(to, func(cause error) { lost <- cause })
	st := e.streams.existing(to)
	lives := func(why string) {
		select {
		case err := <-lost:
			t.Fatalf("a connection is ended although %s: %v", why, err)
		default:
		}
	}
	st.missed(time.Now().Add(time.Hour))
	lives("its server never answered a ping, and may not know them")
	st.mu.Lock()
	st.pongs = true
	st.mu.Unlock()
	st.missed(time.Now().Add(-time.Hour)) // something came since that ping
	lives("something came since the ping")
	st.missed(time.Now().Add(time.Hour))
	if err := <-lost; !errors.Is(err, errNoPong) {
		t.Errorf("the line hears %v", err)
	}
}

func TestConnectionsToOurPort(t *testing.T) {
	const headers = "Via: SIP/2.0/TCP 127.0.0.1:1;branch=z9hG4bKin;rport\r\nFrom: <sip:p@a>;tag=1\r\nTo: <sip:a@a>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
	for says, row := range map[string]struct{ send, want string }{
		"a request for a line is answered":              {"OPTIONS sip:contact@a SIP/2.0\r\n" + headers + "Content-Length: 0\r\n\r\n", "SIP/2.0 200"},
		"one for nobody hears nothing":                  {"OPTIONS sip:1000@a SIP/2.0\r\n" + headers + "Content-Length: 0\r\n\r\n", ""},
		"a message without length is refused":           {"OPTIONS sip:contact@a SIP/2.0\r\n" + headers + "\r\n", "SIP/2.0 400"},
		"such a message for nobody hears nothing":       {"OPTIONS sip:1000@a SIP/2.0\r\n" + headers + "\r\n", ""},
		"what is too large is not read":                 {"OPTIONS sip:contact@a SIP/2.0\r\nContent-Length: 99999999\r\n\r\n", ""},
		"what is no SIP hears nothing":                  {"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", ""},
		"a request in halves after a CRLF is answered":  {"\r\n", ""},
		"a response to what we never asked has no echo": {"SIP/2.0 200 OK\r\n" + headers + "Content-Length: 0\r\n\r\n", ""},
	} {
		t.Run(says, func(t *testing.T) {
			e := listen(t)
			bind(t, e, "contact", &testLine{aorUser: "alice"})
			c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", e.Port()))
			if err != nil {
				t.Fatal(err)
			}
			l := newLine(t, c)
			if row.send == "\r\n" {
				l.send("\r\nOPTIONS sip:con")
				l.send("tact@a SIP/2.0\r\n" + headers + "Content-Length: 0\r\n\r\n")
				row.want = "SIP/2.0 200"
			} else {
				l.send(row.send)
			}
			if row.want != "" {
				if got := l.headers(); !strings.HasPrefix(got, row.want) {
					t.Errorf("answered\n%s", got)
				}
				return
			}
			if b, _ := io.ReadAll(l); len(b) != 0 {
				t.Errorf("answered %q", b)
			}
		})
	}
}

// authority signs certificates for the test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return authority{cert, key}
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// sign gives a certificate for one hour, edited.
func (a authority) sign(t *testing.T, edit func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	edit(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

func dnsNames(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func TestServerCertificates(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	uri := func(s string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs, c.DNSNames = []*url.URL{u}, []string{"sip.test"}
		}
	}
	for says, row := range map[string]struct {
		signer authority
		edit   func(*x509.Certificate)
		want   string // in the reason; "" = accepted
	}{
		"a DNS name is the domain":              {ours, dnsNames("other.test", "SIP.test"), ""},
		"a SIP URI is the domain":               {ours, uri("sip:sip.test"), ""},
		"a SIP URI for another counts alone":    {ours, uri("sip:other.test"), `is for "other.test", not for sip.test`},
		"a SIP URI with a user does not count":  {ours, uri("sip:alice@other.test"), ""},
		"a common name serves without others":   {ours, func(c *x509.Certificate) { c.Subject.CommonName = "sip.test" }, ""},
		"a common name beside others does not":  {ours, func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = "sip.test", []string{"a.test"} }, "not for sip.test"},
		"another name is a mismatch":            {ours, dnsNames("pbx.example"), `is for "pbx.example", not for sip.test`},
		"a wildcard does not count":             {ours, dnsNames("*.test"), `is for the wildcard "*.test", which RFC 5922 forbids in SIP: it has to name sip.test itself`},
		"an authority nobody knows":             {others, dnsNames("sip.test"), "unknown authority"},
		"a certificate whose time has passed":   {ours, func(c *x509.Certificate) { dnsNames("sip.test")(c); c.NotAfter = time.Now().Add(-time.Minute) }, "expired on "},
		"a certificate whose time has not come": {ours, func(c *x509.Certificate) { dnsNames("sip.test")(c); c.NotBefore = time.Now().Add(time.Minute) }, "not valid before"},
	} {
		t.Run(says, func(t *testing.T) {
			e := listen(t)
			e.SetTrusts(map[string]Trust{"t": {Roots: ours.pool()}})
			s := newServer(t, &tls.Config{Certificates: []tls.Certificate{row.signer.sign(t, row.edit)}})
			go func() {
				if l := s.accept(); row.want == "" {
					l.answer(200)
				} else {
					_, _ = io.Copy(io.Discard, l)
				}
			}()
			_, err := e.Do(t.Context(), registerTo(Link{Transport: TLS, Domain: "sip.test:5061", Trust: "t"}.To(s.addr())))
			var rejected *CertificateError
			switch {
			case row.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case row.want != "" && (!errors.As(err, &rejected) || !strings.Contains(rejected.Reason, row.want)):
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func TestClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	config := &tls.Config{
		Certificates: []tls.Certificate{ca.sign(t, dnsNames("sip.test"))}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(),
	}
	e, s := listen(t), newServer(t, config)
	mine := ca.sign(t, dnsNames("alice"))
	e.SetTrusts(map[string]Trust{"none": {Roots: ca.pool()}, "mine": {Roots: ca.pool(), Certificate: &mine}})
	link := Link{Transport: TLS, Domain: "sip.test", Trust: "none"}
	go func() { _, _ = io.Copy(io.Discard, s.accept()) }()
	if _, err := e.Do(t.Context(), registerTo(link.To(s.addr()))); !errors.Is(err, ErrCertificate) || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v", err)
	}
	link.Trust = "mine"
	go func() { s.accept().answer(200) }()
	if _, err := e.Do(t.Context(), registerTo(link.To(s.addr()))); err != nil {
		t.Errorf("with one: %v", err)
	}
}
