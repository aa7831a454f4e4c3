package kamailio

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// register registers contact for user with sipsak and returns what sipsak
// said when that failed.
func register(t *testing.T, r *Registrar, user, password, contact string) error {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sipsak", "-U", "-i", "-D", "4", "-s", fmt.Sprintf("sip:%s@%s", user, r.Addr()),
		"-a", password, "-C", contact, "-x", "60", "-vv").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func mustRegister(t *testing.T, r *Registrar, user, password, contact string) {
	t.Helper()
	if err := register(t, r, user, password, contact); err != nil {
		t.Fatalf("register %s: %v", user, err)
	}
}

func contacts(t *testing.T, r *Registrar, user string) []string {
	t.Helper()
	bindings, err := r.Contacts(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, b := range bindings {
		all = append(all, b.Contact)
	}
	return all
}

func TestABindingIsReadBackAsRegistered(t *testing.T) {
	r := ForTest(t, Config{Subscribers: map[string]string{"alice": "secret-alice", "+4930123": `quote"back\slash $x`}})
	mustRegister(t, r, "alice", "secret-alice", "sip:alice@127.0.0.1:5999")
	mustRegister(t, r, "+4930123", `quote"back\slash $x`, "sip:line@127.0.0.1:5998")

	got, err := r.Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].AOR != "+4930123" || got[1].AOR != "alice" {
		t.Fatalf("bindings of +4930123 and alice, in this order, were expected: %+v", got)
	}
	b := got[1]
	if b.Contact != "sip:alice@127.0.0.1:5999" || b.Expires < 50 || b.Expires > 60 || b.CallID == "" || b.CSeq == 0 ||
		!strings.HasPrefix(b.UserAgent, "sipsak") || !strings.HasPrefix(b.Received, "sip:127.0.0.1:") ||
		b.Socket != "udp:"+r.Addr().String() || b.Instance != "" || b.RegID != 0 {
		t.Errorf("the binding is not the one registered: %+v", b)
	}
	if got := contacts(t, r, "alice"); !slices.Equal(got, []string{"sip:alice@127.0.0.1:5999"}) {
		t.Errorf("Contacts of alice: %v", got)
	}
	if got := contacts(t, r, "nobody"); got != nil {
		t.Errorf("a user without a binding has %v", got)
	}
}

func TestOnlyTheRightPasswordRegisters(t *testing.T) {
	r := ForTest(t, Config{Subscribers: map[string]string{"alice": "secret-alice", "bob": "secret-bob"}})
	for name, c := range map[string]struct{ user, password string }{
		"a wrong password":           {"alice", "wrong"},
		"somebody else's password":   {"alice", "secret-bob"},
		"a user nobody has heard of": {"mallory", "secret-mallory"},
	} {
		if err := register(t, r, c.user, c.password, "sip:x@127.0.0.1:5999"); err == nil {
			t.Errorf("%s was let in", name)
		}
	}
	if all, err := r.Dump(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("bindings after refused registrations: %v, %v", all, err)
	}
}

func TestAPasswordRotatesWhileRunningAndStaysOverARestart(t *testing.T) {
	ctx := t.Context()
	r := ForTest(t, Config{Subscribers: map[string]string{"1000": "pw1000"}})
	mustRegister(t, r, "1000", "pw1000", "sip:1000@127.0.0.1:5999")
	if err := r.SetPassword(ctx, "1000", "4711"); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"at once", "after a restart"} {
		if err := register(t, r, "1000", "pw1000", "sip:1000@127.0.0.1:5998"); err == nil {
			t.Errorf("%s: the old password still works", state)
		}
		mustRegister(t, r, "1000", "4711", "sip:1000@127.0.0.1:5999")
		if err := r.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		if got := contacts(t, r, "1000"); got != nil {
			t.Errorf("bindings outlasted the restart: %v", got)
		}
	}
	if err := r.RemoveUser(ctx, "1000"); err != nil {
		t.Fatal(err)
	}
	if err := register(t, r, "1000", "4711", "sip:1000@127.0.0.1:5999"); err == nil {
		t.Error("a removed user still registers")
	}
	if err := r.SetPassword(ctx, "1001", "new"); err != nil {
		t.Fatal(err)
	}
	mustRegister(t, r, "1001", "new", "sip:1001@127.0.0.1:5999")
}

func TestAContactCanBeTakenAway(t *testing.T) {
	r := ForTest(t, Config{Subscribers: map[string]string{"bob": "secret-bob"}})
	mustRegister(t, r, "bob", "secret-bob", "sip:bob@127.0.0.1:5991")
	mustRegister(t, r, "bob", "secret-bob", "sip:bob@127.0.0.1:5992")
	if err := r.RemoveContact(t.Context(), "bob", "sip:bob@127.0.0.1:5991"); err != nil {
		t.Fatal(err)
	}
	if got := contacts(t, r, "bob"); !slices.Equal(got, []string{"sip:bob@127.0.0.1:5992"}) {
		t.Errorf("contacts left: %v", got)
	}
	if err := r.RemoveContact(t.Context(), "bob", "sip:other@127.0.0.1:1"); err == nil {
		t.Error("a contact that does not exist was removed")
	}
}

func TestAMethodCanBeRefused(t *testing.T) {
	ctx := t.Context()
	r := ForTest(t, Config{Subscribers: map[string]string{"bob": "secret-bob"}})
	if err := r.Refuse(ctx, "REGISTER", 503); err != nil {
		t.Fatal(err)
	}
	if err := register(t, r, "bob", "secret-bob", "sip:bob@127.0.0.1:5991"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a 503 was expected: %v", err)
	}
	if err := r.Refuse(ctx, "REGISTER", 0); err != nil {
		t.Fatal(err)
	}
	mustRegister(t, r, "bob", "secret-bob", "sip:bob@127.0.0.1:5991")
}

func TestAPausedRegistrarIsSilentAndAStoppedOneIsGone(t *testing.T) {
	r := ForTest(t, Config{})
	if err := r.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := ping(t.Context(), "udp", r.Addr()); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("a paused registrar should not answer, and its port be open: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Contacts(ctx, "alice"); err == nil || ctx.Err() == nil {
		t.Errorf("a question to a paused registrar should last as long as its context: %v", err)
	}
	if err := r.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Contacts(t.Context(), "alice"); err != nil {
		t.Errorf("after Resume: %v", err)
	}

	for range 2 { // the second Stop has nothing to do
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if r.Running() {
		t.Error("a stopped registrar runs")
	}
	if err := ping(t.Context(), "udp", r.Addr()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("the port of a stopped registrar should be closed: %v", err)
	}
	if _, err := r.Dump(t.Context()); err == nil {
		t.Error("a stopped registrar gave its table")
	}
	if err := r.Restart(t.Context()); err != nil || !r.Running() {
		t.Errorf("start after stop: %v", err)
	}
}

func TestAPausedRegistrarCanBeClosed(t *testing.T) {
	r, err := Start(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
		t.Errorf("the directory is left behind: %v", err)
	}
}

func TestTwoRegistrarsDoNotMeet(t *testing.T) {
	a := ForTest(t, Config{Subscribers: map[string]string{"alice": "one"}})
	b := ForTest(t, Config{Subscribers: map[string]string{"alice": "two"}})
	mustRegister(t, a, "alice", "one", "sip:alice@127.0.0.1:5991")
	mustRegister(t, b, "alice", "two", "sip:alice@127.0.0.1:5992")
	if got := contacts(t, a, "alice"); !slices.Equal(got, []string{"sip:alice@127.0.0.1:5991"}) {
		t.Errorf("the first one holds %v", got)
	}
}

func TestStartSaysWhyItFailed(t *testing.T) {
	taken := ForTest(t, Config{})
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"a taken port":                  {Config{Listen: taken.Addr()}, addressInUse},
		"a line that does not parse":    {Config{Extra: Extra{Globals: "nonsense?"}}, "parse error"},
		"a user name with a quote":      {Config{Subscribers: map[string]string{`a"b`: "x"}}, "a user name is made of"},
		"a subscriber without password": {Config{Subscribers: map[string]string{"alice": ""}}, "a password is not empty"},
	} {
		r, err := Start(t.Context(), c.config)
		if err == nil {
			r.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q was expected in: %v", name, c.want, err)
		}
	}
}

func TestADomainIsAnsweredForWithPortsOnly(t *testing.T) {
	c := Config{Listen: netip.MustParseAddrPort("127.0.0.1:5080"), Domains: []string{"sip.test"}}
	if got, want := c.aliases(), []string{`"sip.test":5060`, `"sip.test":5061`, `"sip.test":5080`}; !slices.Equal(got, want) {
		t.Errorf("aliases %v, want %v", got, want)
	}
}

func TestTLSIsServed(t *testing.T) {
	cert, key := selfSigned(t)
	r := ForTest(t, Config{TLS: &TLS{CertFile: cert, KeyFile: key}})
	conn, err := tls.Dial("tcp", r.TLSAddr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if name := conn.ConnectionState().PeerCertificates[0].DNSNames; !slices.Equal(name, []string{"sip.test"}) {
		t.Errorf("another certificate is served: %v", name)
	}
}

// speaks tells whether the registrar answers over TLS, and with whose certificate.
func speaks(t *testing.T, r *Registrar, ours ...tls.Certificate) (name string, err error) {
	t.Helper()
	conn, err := tls.Dial("tcp", r.TLSAddr().String(), &tls.Config{InsecureSkipVerify: true, Certificates: ours})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "OPTIONS sip:%[1]s SIP/2.0\r\nVia: SIP/2.0/TLS %[2]s;branch=z9hG4bK1\r\nMax-Forwards: 1\r\nFrom: <sip:a@%[1]s>;tag=1\r\n"+
		"To: <sip:%[1]s>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", r.TLSAddr(), conn.LocalAddr())
	if _, err := conn.Read(make([]byte, 1000)); err != nil { // in TLS 1.3 a refusal comes after the handshake
		return "", err
	}
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func TestTLSAsksForCertificatesAndChangesItsOwn(t *testing.T) {
	cert, key := selfSigned(t)
	clientCert, clientKey := selfSigned(t)
	ours, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	r := ForTest(t, Config{TLS: &TLS{CertFile: cert, KeyFile: key, ClientCAFile: clientCert}})
	if _, err := speaks(t, r); err == nil {
		t.Error("answered without a certificate")
	}
	before, err := speaks(t, r, ours)
	if err != nil {
		t.Fatal(err)
	}
	otherCert, otherKey := selfSigned(t)
	for to, from := range map[string]string{cert: otherCert, key: otherKey} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.ReloadTLS(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, err := speaks(t, r, ours); err != nil || after == before {
		t.Errorf("after the change %q is served, %v", after, err)
	}
}

// selfSigned writes a certificate for sip.test and its key.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: rand.Text()}, DNSNames: []string{"sip.test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
