package interop

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// domain is the SIP domain of the accounts below; only proxy says where it is.
const domain = "registrar.test"

// way is one transport of an account.
type way struct {
	transport string // as the account writes it
	scheme    string // of its URIs
	wire      string // as a line's server shows it
}

var ways = []way{{"udp", "sip:", "udp"}, {"tcp", "sip:", "tcp"}, {"tls", "sips:", "tls"}, {"tls+sip:", "sip:", "tls"}}

func (w way) secure() bool { return w.wire == "tls" }

// site is a registrar with TLS and what its users have to know of it.
type site struct {
	*kamailio.Registrar
	ca        string // PEM
	cert, key string // files of its certificate
}

// newSite runs a registrar for registrar.test whose certificate is for name.
func newSite(t *testing.T, c kamailio.Config, name string) site {
	t.Helper()
	ca := newIssuer(t)
	cert, key := ca.files(t, name)
	c.TLS, c.Domains = &kamailio.TLS{CertFile: cert, KeyFile: key}, []string{domain}
	r, _ := registrar(t, c, "alice", "bob")
	return site{Registrar: r, ca: ca.pem, cert: cert, key: key}
}

// account of a user over a transport.
func (s site) account(w way, user, password string, more ...string) string {
	at := s.Addr()
	if w.secure() {
		at = s.TLSAddr()
	}
	more = append([]string{"<transport>" + w.transport + "</transport>", "<proxy>" + at.String() + "</proxy>"}, more...)
	return accountXML(user, password, domain, more...)
}

// overEvery runs a test once for every transport, side by side, and puts a row into the table.
func overEvery(t *testing.T, test func(t *testing.T, w way) string) {
	for _, w := range ways {
		t.Run(strings.Trim(w.transport, ":"), func(t *testing.T) {
			t.Parallel()
			outcome(t, "kamailio/"+w.transport, "%s", test(t, w))
		})
	}
}

func TestTransportRegisters(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		s := newSite(t, kamailio.Config{}, domain)
		a := startAgent(t, options{files: map[string]string{"alice.xml": s.account(w, "alice", "secret-alice"), "ca.crt": s.ca}})
		l, took := a.awaitLine("alice", "registered")
		b := awaitBindings(t, s.Registrar, "alice", 1)[0]
		if !strings.HasSuffix(l.Server, "/"+w.wire) || !strings.HasPrefix(l.Contact, w.scheme) || !strings.HasPrefix(b.Socket, w.wire+":") {
			t.Errorf("the line says %+v, the registrar %+v", l, b)
		}
		if named := strings.Contains(l.Contact, ";transport="+w.wire); named != (w.wire != "udp" && w.scheme == "sip:") {
			t.Errorf("Contact %s", l.Contact)
		}
		return "registered with digest in " + ms(took)
	})
}

func TestTransportIntervalTooBrief(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		c := kamailio.Config{MinExpires: 20 * time.Minute, Extra: kamailio.Extra{Modules: `modparam("registrar", "min_expires_mode", 1)`}}
		s := newSite(t, c, domain)
		a := startAgent(t, options{files: map[string]string{"alice.xml": s.account(w, "alice", "secret-alice"), "ca.crt": s.ca}})
		a.awaitLine("alice", "registered")
		b := awaitBindings(t, s.Registrar, "alice", 1)[0]
		if b.Expires < 1100 {
			t.Errorf("the binding lasts %d s", b.Expires)
		}
		return fmt.Sprintf("423: asked again, granted %d s", b.Expires)
	})
}

func TestTransportWrongPassword(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		s := newSite(t, kamailio.Config{}, domain)
		a := startAgent(t, options{files: map[string]string{"alice.xml": s.account(w, "alice", "wrong"), "ca.crt": s.ca}})
		l, _ := a.awaitLine("alice", "unauthorized")
		if l.Problem != "Unauthorized" {
			t.Errorf("the line says %+v", l)
		}
		return "wrong password: " + l.LastReason
	})
}

func TestTransportRejectedCertificate(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		s := newSite(t, kamailio.Config{}, "other.test")
		files := map[string]string{"alice.xml": s.account(w, "alice", "secret-alice")}
		a := startAgent(t, options{files: files})
		if !w.secure() {
			a.awaitLine("alice", "registered")
			return "no certificate is asked for"
		}
		l, _ := a.awaitLine("alice", "error")
		if l.Problem != "Certificate" || !strings.Contains(l.LastReason, "unknown authority") {
			t.Errorf("without the authority the line says %+v", l)
		}
		a.put("ca.crt", s.ca)
		eventually(t, "the name is what is wrong now", func() (bool, string) {
			l = a.line("alice")
			return l.Problem == "Certificate" && strings.Contains(l.LastReason, `is for "other.test", not for registrar.test`), pretty(l)
		})
		return "unknown authority; with it: " + l.LastReason
	})
}

func TestTransportRegistrarRestart(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		c := kamailio.Config{}
		if w.wire == "udp" {
			c.MaxExpires = 10 * time.Second // UDP learns of it at the next refresh
		}
		s := newSite(t, c, domain)
		a := startAgent(t, options{files: map[string]string{"alice.xml": s.account(w, "alice", "secret-alice"), "ca.crt": s.ca}})
		before, _ := a.awaitLine("alice", "registered")
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		awaitBindings(t, s.Registrar, "alice", 1)
		took := time.Since(began)
		if l, _ := a.awaitLine("alice", "registered"); l.Contact != before.Contact {
			t.Errorf("Contact %s after %s", l.Contact, before.Contact)
		}
		return "registrar restarted: bound again " + ms(took) + " after, same Contact"
	})
}

func TestTransportRegistrarSilent(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		s := newSite(t, kamailio.Config{}, domain)
		if err := s.Pause(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		a := startAgent(t, options{files: map[string]string{"alice.xml": s.account(w, "alice", "secret-alice"), "ca.crt": s.ca}})
		var l lineStatus
		for l.Problem == "" && time.Since(began) < 45*time.Second { // 64·T1 = 32 s
			select {
			case <-a.Done():
				t.Fatal("the agent ended")
			case <-time.After(100 * time.Millisecond):
			}
			l = a.line("alice")
		}
		noticed := time.Since(began)
		if l.Problem != "Timeout" || l.State != "error" {
			t.Errorf("the line says %+v", l)
		}
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		_, took := a.awaitLine("alice", "registered")
		return fmt.Sprintf("registrar silent: %s after %s, registered %s after its return", l.Problem, ms(noticed), ms(took))
	})
}

// TestTransportSilentConnection: a registrar that freezes under a registered line
// is found out by the keepalive that nobody answers.
func TestTransportSilentConnection(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		if w.wire == "udp" {
			return "UDP has no pong to miss"
		}
		s := newSite(t, kamailio.Config{}, domain)
		a := startAgent(t, options{files: map[string]string{
			"alice.xml": s.account(w, "alice", "secret-alice", "<keepAlive>1</keepAlive><keepAlivePeriod>5</keepAlivePeriod>"), "ca.crt": s.ca,
		}})
		a.awaitLine("alice", "registered")
		a.awaitLog("the server answers keepalives") // only the silence of one that did says something
		if err := s.Pause(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for a.line("alice").State == "registered" && time.Since(began) < 25*time.Second {
			select {
			case <-a.Done():
				t.Fatal("the agent ended")
			case <-time.After(100 * time.Millisecond):
			}
		}
		noticed := time.Since(began)
		if l := a.line("alice"); l.State == "registered" || !strings.Contains(a.Log(), "no answer to a keepalive") {
			t.Errorf("after %s the line says %+v", noticed, l)
		}
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		a.awaitLine("alice", "registered")
		return "frozen under a registered line: noticed after " + ms(noticed)
	})
}

func TestTransportInvite(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		s := newSite(t, kamailio.Config{}, domain)
		a := startAgent(t, options{files: map[string]string{
			"alice.xml": s.account(w, "alice", "secret-alice", autoAnswer), "bob.xml": s.account(w, "bob", "secret-bob"), "ca.crt": s.ca,
		}})
		a.awaitLine("alice", "registered")
		a.awaitLine("bob", "registered")
		finished(t, callAlice(t, s.Registrar, sipp.Caller{Tone: toneFile(t, 1004), Hold: 2 * time.Second}))
		in := a.awaitIncoming("alice", "of sipp ended", ended)
		if in.End.By != "remote" || in.RTP.Received < 50 {
			t.Errorf("sipp's call: %s", pretty(in))
		}
		out := a.awaitCall(a.dial(`{"line":"bob","to":"alice","seconds":2,"toneHz":852}`), "has ended", ended)
		if !near(out, 852) || out.End.By != "local" || out.End.Code != 200 {
			t.Errorf("bob's call: %s", pretty(out))
		}
		return fmt.Sprintf("INVITE from sipp answered, BYE taken; bob calls alice: echo of %s", heard(out))
	})
}

// TestTransportBaresip: calls with another softphone, both ways, each by its own
// connection to the registrar between them.
func TestTransportBaresip(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		s := newSite(t, kamailio.Config{}, domain)
		a := startAgent(t, options{files: map[string]string{"alice.xml": s.account(w, "alice", "secret-alice", autoAnswer), "ca.crt": s.ca}})
		a.awaitLine("alice", "registered")
		at := s.Addr()
		if w.secure() {
			at = s.TLSAddr()
		}
		b := baresip.ForTest(t, baresip.Config{ToneHz: 700, Account: baresip.Account{
			User: "bob", Host: domain, Password: "secret-bob", Register: true, AutoAnswer: true, Server: at.String(), Transport: w.wire,
		}})
		if bound := awaitBindings(t, s.Registrar, "bob", 1)[0]; !strings.HasPrefix(bound.Socket, w.wire+":") {
			t.Errorf("baresip is registered over %s", bound.Socket)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		must(t, b.Dial(ctx, "alice"))
		a.awaitIncoming("alice", "hears baresip", func(r record) bool { return r.RTP.Received > 100 && near(r, 700) })
		must(t, b.Hangup(ctx))
		in := a.awaitIncoming("alice", "of baresip ended", ended)
		if in.End.By != "remote" || in.End.Code != 200 {
			t.Errorf("baresip's call: %s", pretty(in))
		}
		out := a.awaitCall(a.dial(`{"line":"alice","to":"bob","seconds":3,"toneHz":1004}`), "has ended", ended)
		hz, share := baresipHeard(t, b)
		if !near(out, 700) || out.End.By != "local" || out.End.Code != 200 || math.Abs(hz-1004) > 2 || share < 0.5 {
			t.Errorf("alice's call: %s; baresip heard %.0f Hz with a share of %.2f", pretty(out), hz, share)
		}
		return fmt.Sprintf("baresip calls alice: heard %s; alice calls baresip: it heard %.0f Hz, alice %s", heard(in), hz, heard(out))
	})
}

// TestTransportInTheClear: who knows a line's Contact user may call it past the
// registrar, but not in the clear when it asked for TLS.
func TestTransportInTheClear(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		s := newSite(t, kamailio.Config{}, domain)
		a := startAgent(t, options{files: map[string]string{"alice.xml": s.account(w, "alice", "secret-alice", autoAnswer), "ca.crt": s.ca}})
		l, _ := a.awaitLine("alice", "registered")
		_, user, _ := strings.Cut(l.Contact, ":")
		user, _, _ = strings.Cut(user, "@")
		c, said := sipp.Caller{From: "stranger", Hold: 100 * time.Millisecond}, "taken"
		if w.secure() {
			c, said = sipp.Caller{From: "stranger", Expect: 480}, "refused with 480"
		}
		at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.sip)
		messages := finished(t, sipp.ForTest(t, sipp.Config{Scenario: c.Scenario(), Remote: at, Service: user})).Messages
		if w.secure() != strings.Contains(messages, `Warning: 381 softphone-agent "SIPS Required`) || w.secure() != (len(a.status().Calls) == 0) {
			t.Errorf("%d calls, messages:\n%s", len(a.status().Calls), messages)
		}
		return "INVITE over UDP past the registrar: " + said
	})
}
