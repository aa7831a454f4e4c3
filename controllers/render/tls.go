package render

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/softphone-operator/softphone-operator/account"
	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// Most bytes of TLS material, without what stands between the PEM blocks. The
// authorities of a common browser have 220 kB.
const (
	maxBundle = 300_000
	maxChain  = 30_000
)

// Material is what a line's TLS connections are made with: PEM, and nothing
// between the blocks, so that what is the same is delivered once.
type Material struct {
	// CA are authorities beside the well-known ones; nil = none.
	CA []byte
	// Certificate is the client certificate with its chain, Key its key; nil = none.
	Certificate, Key []byte
}

// TLSOf is the account's TLS, and the fleet's where that says nothing.
func TLSOf(own, fleet *v1.TLS) v1.TLS {
	var t v1.TLS
	for _, from := range []*v1.TLS{fleet, own} {
		if from == nil {
			continue
		}
		if from.CARef != nil {
			t.CARef = from.CARef
		}
		if from.ClientCertificateSecretName != nil {
			t.ClientCertificateSecretName = from.ClientCertificateSecretName
		}
	}
	return t
}

// TLSReferences lists what TLS refers to.
func TLSReferences(t v1.TLS) []Reference {
	var refs []Reference
	if ref, ok := caReference(t); ok {
		refs = append(refs, ref)
	}
	if t.ClientCertificateSecretName != nil {
		name := string(*t.ClientCertificateSecretName)
		refs = append(refs, Reference{Secret, name, corev1.TLSCertKey}, Reference{Secret, name, corev1.TLSPrivateKeyKey})
	}
	return refs
}

func caReference(t v1.TLS) (Reference, bool) { return xmlReference((*v1.XMLSource)(t.CARef)) }

// usesTLS tells whether the line's transport is TLS, or may become so by what is
// fetched from outside.
func usesTLS(merged *account.Document) bool {
	effective, _ := account.Effective(merged)
	_, _, _, transport := effective.Server()
	return transport == account.TLS || transport == account.TLSSIP || effective.ExtProvURL != ""
}

// ReadMaterial makes what TLS refers to ready for delivery; values cover its
// TLSReferences. What has expired by now is a warning. The error is a *Failure.
func ReadMaterial(t v1.TLS, values Values, now time.Time) (*Material, []string, error) {
	m := &Material{}
	var warnings []string
	if ref, ok := caReference(t); ok {
		bundle, err := values.get(ref, "a bundle of PEM certificates")
		if err != nil {
			return nil, nil, err
		}
		certificates, err := readCertificates(bundle, ref)
		if err != nil {
			return nil, nil, err
		}
		if m.CA = encode(certificates); len(m.CA) > maxBundle {
			return nil, nil, fail(v1.ReasonTooLarge, "%s has %d bytes of certificates, and a line may have %d: leave out authorities that no SIP server uses", ref, len(m.CA), maxBundle)
		}
		if !slices.ContainsFunc(certificates, func(c *x509.Certificate) bool { return now.Before(c.NotAfter) }) {
			warnings = append(warnings, fmt.Sprintf("no authority in %s is valid any more", ref))
		}
	}
	if t.ClientCertificateSecretName == nil {
		return m, warnings, nil
	}
	leaf, err := m.addClient(string(*t.ClientCertificateSecretName), values)
	if err != nil {
		return nil, nil, err
	}
	return m, append(warnings, judgeClient(leaf, string(*t.ClientCertificateSecretName), now)...), nil
}

// addClient adds the pair of a kubernetes.io/tls Secret. What is wrong with a key
// is said without any of it.
func (m *Material) addClient(name string, values Values) (*x509.Certificate, error) {
	at, keyAt := Reference{Secret, name, corev1.TLSCertKey}, Reference{Secret, name, corev1.TLSPrivateKeyKey}
	chain, err := values.get(at, "the client certificate and its chain")
	if err != nil {
		return nil, err
	}
	certificates, err := readCertificates(chain, at)
	if err != nil {
		return nil, err
	}
	if m.Certificate = encode(certificates); len(m.Certificate) > maxChain {
		return nil, fail(v1.ReasonTooLarge, "%s has %d bytes of certificates, and a chain may have %d", at, len(m.Certificate), maxChain)
	}
	key, err := values.get(keyAt, "the key of the client certificate")
	if err != nil {
		return nil, err
	}
	if m.Key, err = readKey(key, keyAt); err != nil {
		return nil, err
	}
	if _, err := tls.X509KeyPair(m.Certificate, m.Key); err != nil {
		if strings.Contains(err.Error(), "does not match") {
			return nil, fail(v1.ReasonInvalidCertificate, "%s does not belong to the certificate in %s: store both from one issuance", keyAt, at)
		}
		return nil, fail(v1.ReasonInvalidCertificate, "%s cannot be read as a private key: store it as PEM, PKCS #1, PKCS #8 or SEC 1", keyAt)
	}
	return certificates[0], nil
}

// readCertificates reads all of a bundle or chain.
func readCertificates(content []byte, at Reference) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for block, rest := pem.Decode(content); ; block, rest = pem.Decode(rest) {
		if block == nil {
			if bytes.Contains(rest, []byte("-----BEGIN CERTIFICATE")) {
				return nil, fail(v1.ReasonInvalidCertificate, "%s: certificate %d is cut off, or is not base64", at, len(all)+1)
			}
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fail(v1.ReasonInvalidCertificate, "%s: certificate %d cannot be read: %v", at, len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fail(v1.ReasonInvalidCertificate, "%s is not PEM: no BEGIN CERTIFICATE in it", at)
	}
	return all, nil
}

func encode(certificates []*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range certificates {
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}); err != nil {
			panic(err) // a block without headers always encodes
		}
	}
	return out.Bytes()
}

// readKey finds the private key among PEM blocks.
func readKey(content []byte, at Reference) ([]byte, error) {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return nil, fail(v1.ReasonInvalidCertificate, "%s is encrypted: store it without a passphrase", at)
		case block.Type == "PRIVATE KEY" || strings.HasSuffix(block.Type, " PRIVATE KEY"):
			return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}), nil
		}
	}
	return nil, fail(v1.ReasonInvalidCertificate, "%s is not PEM: no BEGIN PRIVATE KEY in it", at)
}

// judgeClient warns of what a server will likely refuse.
func judgeClient(leaf *x509.Certificate, secret string, now time.Time) []string {
	var warnings []string
	switch {
	case now.After(leaf.NotAfter):
		warnings = append(warnings, fmt.Sprintf("the client certificate in Secret %s ended on %s", secret, day(leaf.NotAfter)))
	case now.Before(leaf.NotBefore):
		warnings = append(warnings, fmt.Sprintf("the client certificate in Secret %s is not valid before %s", secret, day(leaf.NotBefore)))
	}
	if usages := leaf.ExtKeyUsage; len(usages) > 0 && !slices.Contains(usages, x509.ExtKeyUsageClientAuth) && !slices.Contains(usages, x509.ExtKeyUsageAny) {
		warnings = append(warnings, fmt.Sprintf("the client certificate in Secret %s is not made for client authentication (extended key usage)", secret))
	}
	return warnings
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
