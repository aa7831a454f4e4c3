package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/pki"
)

// domain is the SIP domain that a secure site's certificate is for.
const domain = "registrar.test"

// secureSite is a registrar that lets nobody in without a client certificate,
// and logs whose it saw.
type secureSite struct {
	*kamailio.Registrar
	authority *pki.Authority
}

func newSecureSite(t *testing.T, port uint16, users ...string) secureSite {
	t.Helper()
	node := registrar.Addr().Addr()
	s := secureSite{authority: pki.New(t, "Carrier CA")}
	cert, key := s.authority.Issue(pki.Leaf{Name: domain, Addresses: []net.IP{node.AsSlice()}, Until: time.Now().AddDate(0, 2, 0)})
	files := map[string][]byte{"ca.crt": s.authority.PEM, "tls.crt": cert, "tls.key": key}
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	passwords := map[string]string{}
	for _, u := range users {
		passwords[u] = "secret-" + u
	}
	s.Registrar = kamailio.ForTest(t, kamailio.Config{
		Listen: netip.AddrPortFrom(node, 0), Domains: []string{domain}, Subscribers: passwords,
		TLS: &kamailio.TLS{
			Listen: netip.AddrPortFrom(node, port), CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), ClientCAFile: filepath.Join(dir, "ca.crt"),
		},
		Extra: kamailio.Extra{Request: `if (is_method("REGISTER")) xlog("L_WARN", "REGISTER of $fU by $tls_peer_subject_cn\n");`},
	})
	return s
}

// bundle is a ConfigMap with the site's authority.
func (s secureSite) bundle(name string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata:\n  ca.crt: |\n%s", name, indented(s.authority.PEM))
}

// client is a Secret with a client certificate, as cert-manager writes it.
func (s secureSite) client(secret, name string, until time.Time) string {
	cert, key := s.authority.Issue(pki.Leaf{Name: name, Until: until})
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: %s}\nstringData:\n  tls.crt: |\n%s  tls.key: |\n%s", secret, indented(cert), indented(key))
}

func indented(content []byte) string {
	return indent(strings.Split(strings.TrimSpace(string(content)), "\n"), "    ")
}

// line over TLS to this site.
func (s secureSite) line(user string) string {
	text := line(user, "secret-"+user, "transport: tls", fmt.Sprintf("proxy: %q", s.TLSAddr()))
	text = strings.Replace(text, fmt.Sprintf("host: %q", registrar.Addr()), "host: "+domain, 1)
	return strings.Replace(text, "spec:\n", "spec:\n  tls: {caRef: {configMapKeyRef: {name: carrier-ca, key: ca.crt}}, clientCertificateSecretName: client}\n", 1)
}

// sees waits until the site has been shown a certificate by a user.
func (s secureSite) sees(t *testing.T, user, name string) {
	t.Helper()
	until(t, fmt.Sprintf("%s registers with the certificate of %s", user, name), func() (bool, string) {
		log, err := os.ReadFile(s.LogFile())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(log), "REGISTER of "+user+" by "+name+"\n"), "not in the log"
	})
}

func TestARotatedClientCertificateIsShownAtOnce(t *testing.T) {
	ns := newNamespace(t)
	site := newSecureSite(t, 0, "secured")
	apply(t, ns, site.bundle("carrier-ca"))
	apply(t, ns, site.line("secured"))
	stalled := awaitAccount(t, ns, "secured", "stalled without its certificate", func(a *voipv1.SoftphoneAccount) bool {
		return because(a, voipv1.ConditionStalled, voipv1.ReasonSecretNotFound)
	})
	t.Logf("without the Secret: %s", meta.FindStatusCondition(stalled.Status.Conditions, voipv1.ConditionStalled).Message)
	apply(t, ns, site.client("client", "first", time.Now().AddDate(0, 3, 0)))
	before := awaitAccount(t, ns, "secured", "registered", registered)
	site.sees(t, "secured", "first")
	if !strings.HasSuffix(before.Status.Server, "/tls") || meta.FindStatusCondition(before.Status.Conditions, voipv1.ConditionCertificateExpiring) != nil {
		t.Errorf("the line is %s", statusOf(before))
	}
	pod := podOf(t, before)

	started := time.Now()
	apply(t, ns, site.client("client", "second", time.Now().AddDate(0, 0, 7)))
	site.sees(t, "secured", "second")
	measured(t, "client certificate renewed in the Secret → shown to the registrar", "%s", time.Since(started).Round(time.Millisecond))
	after := awaitAccount(t, ns, "secured", "registered, and told that a week is short", func(a *voipv1.SoftphoneAccount) bool {
		return registered(a) && a.Status.ReportedHash == a.Status.DeliveredHash && because(a, voipv1.ConditionCertificateExpiring, voipv1.ReasonCertificateExpiring)
	})
	said := meta.FindStatusCondition(after.Status.Conditions, voipv1.ConditionCertificateExpiring).Message
	t.Logf("a week before the end: %s", said)
	if !strings.Contains(said, "client certificate CN=second") {
		t.Errorf("the condition names another one: %s", said)
	}
	if now := podOf(t, after); now.UID != pod.UID || restarts(now) != 0 {
		t.Errorf("pod %s was replaced or restarted", pod.Name)
	}
	contacts, err := site.Contacts(t.Context(), "secured")
	if err != nil || len(contacts) != 1 {
		t.Errorf("the registrar has %v, %v: want one contact", contacts, err)
	}
}
