package controllers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/delivery"
	"github.com/softphone-operator/softphone-operator/test/pki"
)

// tlsSecret is a Secret as cert-manager writes it.
func tlsSecret(name string, certificate, key []byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": certificate, "tls.key": key}}
}

// bundle is a ConfigMap as trust-manager writes it.
func bundle(name string, content []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"ca.crt": string(content)}}
}

func trusting(configMap string) *v1.TLS {
	return &v1.TLS{CARef: &v1.CASource{ConfigMapKeyRef: &v1.KeyRef{Name: configMap, Key: "ca.crt"}}}
}

func showing(t *v1.TLS, secret string) *v1.TLS {
	t.ClientCertificateSecretName = ptr.To(v1.ObjectName(secret))
	return t
}

// secureLine is a line over TLS in a fleet.
func secureLine(name, fleet string) *v1.SoftphoneAccount {
	acc := line(name)
	acc.Spec.Fleet = ptr.To(fleet)
	acc.Spec.Account.Transport = ptr.To(v1.Transport("tls"))
	return acc
}

// row is the line's row of agent.json, and material what its files hold.
func (w *world) row(agent, line string) (row delivery.Line, ca, certificate, key []byte) {
	w.t.Helper()
	files := w.files(agent)
	var settings delivery.Agent
	must(w.t, json.Unmarshal(files[delivery.AgentFile], &settings))
	row = settings.Lines[line]
	return row, files[row.TLS.CA], files[row.TLS.Certificate], files[row.TLS.Key]
}

func (w *world) tlsFiles(agent string) int {
	n := 0
	for name := range w.files(agent) {
		if strings.HasPrefix(name, "tls-") {
			n++
		}
	}
	return n
}

func TestCertificatesAreDeliveredOnceAndRotatedWhereTheyAreUsed(t *testing.T) {
	w := newWorld(t)
	carrier, next := pki.New(t, "Carrier CA"), pki.New(t, "Next CA")
	cert, key := carrier.Issue(pki.Leaf{Name: "edge"})
	own, ownKey := carrier.Issue(pki.Leaf{Name: "carol"})
	w.apply(bundle("carrier", carrier.PEM), tlsSecret("edge", cert, key), tlsSecret("carol-tls", own, ownKey))
	w.apply(&v1.SoftphoneFleet{ObjectMeta: metav1.ObjectMeta{Name: "edge"}, Spec: v1.SoftphoneFleetSpec{TLS: showing(trusting("carrier"), "edge")}})
	w.apply(&v1.SoftphoneFleet{ObjectMeta: metav1.ObjectMeta{Name: "plain"}, Spec: v1.SoftphoneFleetSpec{TLS: showing(trusting("carrier"), "edge")}})
	w.apply(&v1.SoftphoneFleet{ObjectMeta: metav1.ObjectMeta{Name: "other"}})
	carol := secureLine("carol", "edge")
	carol.Spec.TLS = &v1.TLS{ClientCertificateSecretName: ptr.To(v1.ObjectName("carol-tls"))}
	dave := line("dave")
	dave.Spec.Fleet = ptr.To("plain")
	erin := secureLine("erin", "other")
	for _, acc := range []*v1.SoftphoneAccount{secureLine("alice", "edge"), secureLine("bob", "edge"), carol, dave, erin} {
		w.apply(secret(acc.Name, unique(acc.Name)), acc)
		w.registered(acc.Name)
	}
	alice, ca, aliceCert, aliceKey := w.row("edge-0", "alice")
	bob, _, _, _ := w.row("edge-0", "bob")
	if !bytes.Equal(ca, carrier.PEM) || !bytes.Equal(aliceCert, cert) || !bytes.Equal(aliceKey, key) || alice.TLS != bob.TLS {
		t.Errorf("alice has %+v, bob %+v", alice.TLS, bob.TLS)
	}
	mine, _, carolCert, carolKey := w.row("edge-0", "carol")
	if mine.TLS.CA != alice.TLS.CA || !bytes.Equal(carolCert, own) || !bytes.Equal(carolKey, ownKey) {
		t.Errorf("carol has %+v", mine.TLS)
	}
	if n := w.tlsFiles("edge-0"); n != 5 { // one bundle, two pairs
		t.Errorf("%d TLS files for three lines", n)
	}
	for _, c := range [][2]string{{"plain-0", "dave"}, {"other-0", "erin"}} {
		if row, _, _, _ := w.row(c[0], c[1]); row.TLS != (delivery.TLS{}) || w.tlsFiles(c[0]) != 0 {
			t.Errorf("%s is given %+v", c[1], row.TLS)
		}
	}

	// cert-manager renews the fleet's certificate, then the carrier's authorities change.
	before := w.secretVersions("plain-0", "other-0")
	renewed, renewedKey := carrier.Issue(pki.Leaf{Name: "edge"})
	edit(w, "edge", &corev1.Secret{}, func(s *corev1.Secret) { s.Data["tls.crt"], s.Data["tls.key"] = renewed, renewedKey })
	await(w, podspec.SecretName("edge-0"), &corev1.SecretList{}, func(*corev1.Secret) bool {
		row, _, c, k := w.row("edge-0", "alice")
		return bytes.Equal(c, renewed) && bytes.Equal(k, renewedKey) && row.TLS.Certificate != alice.TLS.Certificate
	})
	w.registered("alice")
	if row, _, c, _ := w.row("edge-0", "carol"); row.TLS != mine.TLS || !bytes.Equal(c, own) {
		t.Errorf("carol has %+v now, had %+v", row.TLS, mine.TLS)
	}
	if w.files("edge-0")[alice.TLS.Key] != nil {
		t.Error("the key before is still delivered")
	}
	edit(w, "carrier", &corev1.ConfigMap{}, func(m *corev1.ConfigMap) { m.Data["ca.crt"] = string(next.PEM) })
	await(w, podspec.SecretName("edge-0"), &corev1.SecretList{}, func(*corev1.Secret) bool {
		_, a, _, _ := w.row("edge-0", "alice")
		_, c, _, _ := w.row("edge-0", "carol")
		return bytes.Equal(a, next.PEM) && bytes.Equal(c, next.PEM)
	})
	w.registered("carol")

	if after := w.secretVersions("plain-0", "other-0"); after != before {
		t.Errorf("agents without these certificates were written: before %s, after %s", before, after)
	}
	w.quietUntil("dave", "plain-0")
}

// secretVersions of agents' files.
func (w *world) secretVersions(agents ...string) string {
	w.t.Helper()
	var out []string
	for _, a := range agents {
		s := &corev1.Secret{}
		must(w.t, api.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: podspec.SecretName(a)}, s))
		out = append(out, a+" "+s.ResourceVersion)
	}
	return strings.Join(out, ", ")
}

// quietUntil edits a line and wants the very next write of its agent's files to be that edit's.
func (w *world) quietUntil(name, agent string) {
	w.t.Helper()
	s := &corev1.Secret{}
	must(w.t, api.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: podspec.SecretName(agent)}, s))
	edit(w, name, &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) { a.Spec.Account.Expires = ptr.To(int32(321)) })
	first := await(w, podspec.SecretName(agent), &corev1.SecretList{}, func(now *corev1.Secret) bool { return now.ResourceVersion != s.ResourceVersion })
	if got := expires(string(first.Data[delivery.LineFile(name)])); got != "321" {
		w.t.Errorf("the files of %s were written without anything to write; expires is %q", agent, got)
	}
}

func TestBadCertificatesAreTheUsersToMendAndTheLastGoodStayInForce(t *testing.T) {
	w := newWorld(t)
	carrier := pki.New(t, "Carrier CA")
	cert, key := carrier.Issue(pki.Leaf{Name: "alice"})
	_, otherKey := carrier.Issue(pki.Leaf{Name: "mallory"})
	alice := secureLine("alice", v1.DefaultFleet)
	alice.Spec.TLS = showing(trusting("carrier"), "alice-tls")
	w.apply(secret("alice", unique("alice")), alice)
	missing := w.account("alice", isStalled(v1.ReasonConfigMapNotFound))
	if got, want := condition(missing.Status.Conditions, v1.ConditionStalled).Message, "ConfigMap carrier does not exist: create it with a bundle of PEM certificates under key ca.crt"; got != want {
		t.Errorf("got %s", got)
	}
	w.apply(bundle("carrier", carrier.PEM))
	w.account("alice", isStalled(v1.ReasonSecretNotFound))
	w.apply(tlsSecret("alice-tls", cert, key))
	w.registered("alice")
	good, _, _, _ := w.row("default-0", "alice")

	edit(w, "alice-tls", &corev1.Secret{}, func(s *corev1.Secret) { s.Data["tls.key"] = otherKey })
	bad := w.account("alice", isStalled(v1.ReasonInvalidCertificate))
	want := "key tls.key of Secret alice-tls does not belong to the certificate in key tls.crt of Secret alice-tls: store both from one issuance (the line keeps running with its last good settings)"
	if got := condition(bad.Status.Conditions, v1.ConditionStalled).Message; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	edit(w, "alice", &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) { a.Spec.Account.Expires = ptr.To(int32(90)) })
	w.account("alice", isStalled(v1.ReasonInvalidCertificate))
	if row, _, c, k := w.row("default-0", "alice"); row.TLS != good.TLS || !bytes.Equal(c, cert) || !bytes.Equal(k, key) {
		t.Errorf("the last good certificate is not in force: %+v, was %+v", row.TLS, good.TLS)
	}
	ended, endedKey := carrier.Issue(pki.Leaf{Name: "alice", From: time.Now().Add(-48 * time.Hour), Until: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)})
	edit(w, "alice-tls", &corev1.Secret{}, func(s *corev1.Secret) { s.Data["tls.crt"], s.Data["tls.key"] = ended, endedKey })
	mended := w.registered("alice") // expired is the server's to refuse
	if c := condition(mended.Status.Conditions, v1.ConditionAccepted); !strings.Contains(c.Message, "the client certificate in Secret alice-tls ended on 2026-01-02") {
		t.Errorf("got %s", c.Message)
	}
	edit(w, "alice", &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) { a.Spec.TLS = nil })
	await(w, podspec.SecretName("default-0"), &corev1.SecretList{}, func(*corev1.Secret) bool { return w.tlsFiles("default-0") == 0 })
	w.registered("alice")
}

func TestAFleetThatGoesLeavesItsCertificates(t *testing.T) {
	w := newWorld(t)
	carrier := pki.New(t, "Carrier CA")
	fleet := &v1.SoftphoneFleet{ObjectMeta: metav1.ObjectMeta{Name: "edge"}, Spec: v1.SoftphoneFleetSpec{TLS: trusting("carrier"), Registrar: &v1.Registrar{RequestsPerSecond: ptr.To(int32(7))}}}
	w.apply(bundle("carrier", carrier.PEM), fleet, secret("alice", unique("alice")), secureLine("alice", "edge"))
	w.registered("alice")
	must(t, api.Delete(t.Context(), fleet))
	w.account("alice", func(a *v1.SoftphoneAccount) bool {
		return condition(a.Status.Conditions, v1.ConditionRegistered).Status == "True"
	})
	edit(w, "alice", &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) { a.Spec.Account.Expires = ptr.To(int32(222)) })
	await(w, podspec.SecretName("edge-0"), &corev1.SecretList{}, func(s *corev1.Secret) bool { return expires(string(s.Data["alice.xml"])) == "222" })
	if _, ca, _, _ := w.row("edge-0", "alice"); !bytes.Equal(ca, carrier.PEM) || w.settings("edge-0").Registrar.RequestsPerSecond != 7 {
		t.Errorf("the agent has %s, %+v", ca, w.settings("edge-0").Registrar)
	}
}

func TestACertificateThatEndsSoonIsAConditionAndAnEvent(t *testing.T) {
	w := newWorld(t)
	until := time.Now().Add(14*24*time.Hour + 3*time.Second).UTC().Truncate(time.Second)
	var certificate = delivery.Certificate{Role: delivery.ServerCertificate, Subject: "CN=sip.carrier.test", NotAfter: until}
	w.kubelet.setRegistrar(func(string, string) delivery.LineReport {
		return delivery.LineReport{State: delivery.Registered, LastCode: 200, LastReason: "OK", Certificates: []delivery.Certificate{certificate}}
	})
	w.apply(secret("alice", unique("alice")), secureLine("alice", v1.DefaultFleet))
	if c := condition(w.registered("alice").Status.Conditions, v1.ConditionCertificateExpiring); c.Type != "" && time.Until(until) > 14*24*time.Hour {
		t.Errorf("told too soon: %+v", c)
	}
	// Nothing happens any more: it is time alone that makes it so.
	acc := w.account("alice", func(a *v1.SoftphoneAccount) bool {
		return condition(a.Status.Conditions, v1.ConditionCertificateExpiring).Status == "True"
	})
	message := fmt.Sprintf("the server certificate CN=sip.carrier.test of the line's TLS connection ends on %s: whoever runs the SIP server must renew it", until.Format(time.RFC3339))
	if c := condition(acc.Status.Conditions, v1.ConditionCertificateExpiring); c.Reason != v1.ReasonCertificateExpiring || c.Message != message {
		t.Errorf("got %+v", c)
	}
	w.event("alice", "Warning", v1.ReasonCertificateExpiring, message)
	if c := condition(acc.Status.Conditions, v1.ConditionReady); c.Status != "True" {
		t.Errorf("a line that works is not ready: %+v", c)
	}
	w.kubelet.setRegistrar(nil)
	w.account("alice", func(a *v1.SoftphoneAccount) bool {
		return condition(a.Status.Conditions, v1.ConditionCertificateExpiring).Type == ""
	})
}
