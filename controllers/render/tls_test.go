package render_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
	"github.com/softphone-operator/softphone-operator/test/pki"
)

func caFrom(configMap string) *v1.CASource {
	return &v1.CASource{ConfigMapKeyRef: &v1.KeyRef{Name: configMap, Key: "ca.crt"}}
}

func TestAnAccountsTLSGoesBeforeItsFleetsNodeByNode(t *testing.T) {
	fleet := &v1.TLS{CARef: caFrom("fleet"), ClientCertificateSecretName: ptr.To(v1.ObjectName("fleet"))}
	for name, c := range map[string]struct {
		own, fleet  *v1.TLS
		ca, clients string
	}{
		"nobody says anything":                {nil, nil, "", ""},
		"the fleet's":                         {nil, fleet, "fleet", "fleet"},
		"its own authorities":                 {&v1.TLS{CARef: caFrom("own")}, fleet, "own", "fleet"},
		"its own certificate":                 {&v1.TLS{ClientCertificateSecretName: ptr.To(v1.ObjectName("own"))}, fleet, "fleet", "own"},
		"its own, in a fleet that has no TLS": {&v1.TLS{CARef: caFrom("own")}, nil, "own", ""},
	} {
		got := render.TLSOf(c.own, c.fleet)
		ca := ""
		if got.CARef != nil {
			ca = got.CARef.ConfigMapKeyRef.Name
		}
		if ca != c.ca || string(ptr.Deref(got.ClientCertificateSecretName, "")) != c.clients {
			t.Errorf("%s: got %s, %v", name, ca, got.ClientCertificateSecretName)
		}
	}
}

func TestMaterialIsJudged(t *testing.T) {
	now := time.Now()
	authority := pki.New(t, "Carrier CA")
	cert, key := authority.Issue(pki.Leaf{Name: "alice"})
	other, otherKey := authority.Issue(pki.Leaf{Name: "bob"})
	old, oldKey := authority.Issue(pki.Leaf{Name: "alice", From: now.AddDate(0, -2, 0), Until: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	served, servedKey := authority.Issue(pki.Leaf{Name: "alice", Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	locked := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	broken := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	for name, c := range map[string]struct {
		ca, cert, key []byte
		reason        string // "" = fine
		message       string // the failure's, or the warning
	}{
		"sound":                        {authority.PEM, cert, key, "", ""},
		"a chain and words around it":  {slices.Concat([]byte("the carrier's\n"), authority.PEM, []byte("\nthe end")), slices.Concat(cert, authority.PEM), slices.Concat([]byte("key:\n"), key), "", ""},
		"no authority":                 {[]byte("hello"), cert, key, v1.ReasonInvalidCertificate, "key ca.crt of ConfigMap ca is not PEM: no BEGIN CERTIFICATE in it"},
		"an authority that is cut off": {slices.Concat(authority.PEM, authority.PEM[:200]), cert, key, v1.ReasonInvalidCertificate, "key ca.crt of ConfigMap ca: certificate 2 is cut off, or is not base64"},
		"one that is not a certificate": {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), cert, key, v1.ReasonInvalidCertificate,
			"key ca.crt of ConfigMap ca: certificate 1 cannot be read: x509: malformed certificate"},
		"no certificate":                {authority.PEM, []byte(""), key, v1.ReasonInvalidCertificate, "key tls.crt of Secret alice is not PEM: no BEGIN CERTIFICATE in it"},
		"no tls.crt":                    {authority.PEM, nil, key, v1.ReasonSecretKeyMissing, "Secret alice has no key tls.crt: add it with the client certificate and its chain"},
		"no tls.key":                    {authority.PEM, cert, nil, v1.ReasonSecretKeyMissing, "Secret alice has no key tls.key: add it with the key of the client certificate"},
		"a key of another certificate":  {authority.PEM, other, key, v1.ReasonInvalidCertificate, "key tls.key of Secret alice does not belong to the certificate in key tls.crt of Secret alice: store both from one issuance"},
		"a key that is no PEM":          {authority.PEM, cert, []byte("secret"), v1.ReasonInvalidCertificate, "key tls.key of Secret alice is not PEM: no BEGIN PRIVATE KEY in it"},
		"a key that cannot be read":     {authority.PEM, cert, broken, v1.ReasonInvalidCertificate, "key tls.key of Secret alice cannot be read as a private key: store it as PEM, PKCS #1, PKCS #8 or SEC 1"},
		"a key with a passphrase":       {authority.PEM, cert, locked, v1.ReasonInvalidCertificate, "key tls.key of Secret alice is encrypted: store it without a passphrase"},
		"too many authorities":          {bytes.Repeat(authority.PEM, 1000), cert, key, v1.ReasonTooLarge, "bytes of certificates, and a line may have 300000: leave out"},
		"one that has expired, alone":   {old, cert, key, "", "no authority in key ca.crt of ConfigMap ca is valid any more"},
		"one of several that has":       {slices.Concat(old, authority.PEM), cert, key, "", ""},
		"an expired certificate":        {authority.PEM, old, oldKey, "", "the client certificate in Secret alice ended on 2026-01-02"},
		"a server's certificate":        {authority.PEM, served, servedKey, "", "the client certificate in Secret alice is not made for client authentication (extended key usage)"},
		"another certificate, its key":  {authority.PEM, other, otherKey, "", ""},
		"a key that stands in tls.crt":  {authority.PEM, slices.Concat(key, cert), key, "", ""},
		"a certificate among many keys": {authority.PEM, cert, slices.Concat(cert, key), "", ""},
	} {
		data := map[string][]byte{}
		for file, content := range map[string][]byte{"tls.crt": c.cert, "tls.key": c.key} {
			if content != nil {
				data[file] = content
			}
		}
		values := render.Values{{Kind: render.ConfigMap, Name: "ca"}: {"ca.crt": c.ca}, {Kind: render.Secret, Name: "alice"}: data}
		m, warnings, err := render.ReadMaterial(v1.TLS{CARef: caFrom("ca"), ClientCertificateSecretName: ptr.To(v1.ObjectName("alice"))}, values, now)
		var failure *render.Failure
		if errors.As(err, &failure) {
			if failure.Reason != c.reason || !strings.Contains(failure.Message, c.message) {
				t.Errorf("%s: got %s %s", name, failure.Reason, failure.Message)
			}
			continue
		}
		if err != nil || c.reason != "" || strings.Join(warnings, "") != c.message {
			t.Errorf("%s: got %v, warnings %q", name, err, warnings)
			continue
		}
		if _, err := tls.X509KeyPair(m.Certificate, m.Key); err != nil || !x509.NewCertPool().AppendCertsFromPEM(m.CA) {
			t.Errorf("%s: what is delivered cannot be used: %v", name, err)
		}
		for _, content := range [][]byte{m.CA, m.Certificate, m.Key} {
			if !bytes.HasPrefix(content, []byte("-----BEGIN ")) || bytes.Contains(content, []byte("\n\n")) || bytes.Contains(content, []byte("carrier's")) {
				t.Errorf("%s: there is something between the blocks", name)
			}
		}
		if bytes.Contains(slices.Concat(m.CA, m.Certificate), []byte("PRIVATE")) {
			t.Errorf("%s: a key is among the certificates", name)
		}
	}
}

func TestOnlyLinesWithTLSAreGivenMaterial(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1.AccountSettings)
		want   bool
	}{
		"UDP":                         {func(*v1.AccountSettings) {}, false},
		"TCP":                         {func(s *v1.AccountSettings) { s.Transport = ptr.To(v1.Transport("tcp")) }, false},
		"TLS with sips":               {func(s *v1.AccountSettings) { s.Transport = ptr.To(v1.Transport("tls")) }, true},
		"TLS with sip":                {func(s *v1.AccountSettings) { s.Transport = ptr.To(v1.Transport("tls+sip:")) }, true},
		"TLS to its outbound proxy":   {func(s *v1.AccountSettings) { proxied(s, "tls") }, true},
		"UDP to its outbound proxy":   {func(s *v1.AccountSettings) { s.Transport = ptr.To(v1.Transport("tls")); proxied(s, "udp") }, false},
		"what is fetched may say TLS": {nil, true},
	} {
		l := layer()
		if c.change == nil {
			l.Extra = map[string]v1.ExtraValue{"extProvUrl": "https://prov.test/alice"}
		} else {
			c.change(l.Account)
		}
		asked := false
		line, err := render.Render(render.Input{Name: "alice", Layer: l, Values: values(), OwnTLS: true, Material: func() (*render.Material, []string, error) {
			asked = true
			return &render.Material{}, []string{"worth telling"}, nil
		}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		said := strings.Join(line.Warnings, "; ")
		if asked != c.want || (line.TLS != nil) != c.want || strings.Contains(said, "worth telling") != c.want || strings.Contains(said, "spec.tls: the line's transport is not TLS") == c.want {
			t.Errorf("%s: asked %v, warnings %q", name, asked, said)
		}
	}
}

func proxied(s *v1.AccountSettings, transport v1.Transport) {
	s.OutboundProxy_enabled, s.OutboundProxy_host, s.OutboundProxy_transport = ptr.To(true), ptr.To(v1.HostPort("proxy.test")), ptr.To(transport)
}
