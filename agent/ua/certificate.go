package ua

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// CertificateError says what is wrong with a certificate, in a sentence without
// a full stop. It is an ErrCertificate.
type CertificateError struct{ Reason string }

func (e *CertificateError) Error() string { return e.Reason }
func (e *CertificateError) Unwrap() error { return ErrCertificate }

// config of a connection to a server that is to be domain; server gets its
// certificate once that was found good.
func (t Trust) config(domain string, server *delivery.Certificate) *tls.Config {
	c := &tls.Config{
		ServerName: domain, MinVersion: tls.VersionTLS12,
		// Verified below: the rules of RFC 5922 differ from those of the Web.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) (err error) {
			*server, err = verify(s.PeerCertificates, t.Roots, domain, time.Now())
			return err
		},
	}
	if t.Certificate != nil {
		// Shown to whoever asks. Left to itself, the library shows none where the
		// server names other authorities, and nobody would learn what is wrong.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return t.Certificate, nil }
	}
	return c
}

// verify holds a server's certificates against the SIP domain it is asked for:
// the path first, then the identity (RFC 5922 §7).
func verify(chain []*x509.Certificate, roots *x509.CertPool, domain string, now time.Time) (delivery.Certificate, error) {
	var good delivery.Certificate
	if len(chain) == 0 {
		return good, &CertificateError{Reason: "the server shows no certificate"}
	}
	leaf, between := chain[0], x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	paths, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return good, &CertificateError{Reason: rejected(leaf, err, now)}
	}
	names := identities(leaf)
	if !slices.ContainsFunc(names, func(n string) bool { return sameDomain(n, domain) }) {
		return good, &CertificateError{Reason: mismatch(names, domain)}
	}
	return delivery.Certificate{Role: delivery.ServerCertificate, Subject: subject(leaf), NotAfter: lastEnd(paths)}, nil
}

// rejected says why there is no path from a certificate to a root.
func rejected(leaf *x509.Certificate, err error, now time.Time) string {
	var invalid x509.CertificateInvalidError
	expired := errors.As(err, &invalid) && invalid.Reason == x509.Expired
	switch {
	case expired && now.After(leaf.NotAfter):
		return "the server's certificate expired on " + leaf.NotAfter.UTC().Format(time.DateOnly)
	case expired && now.Before(leaf.NotBefore):
		return "the server's certificate is not valid before " + leaf.NotBefore.UTC().Format(time.DateOnly)
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Sprintf("the server's certificate is signed by an unknown authority (%.80q)", leaf.Issuer.String())
	}
	return "the server's certificate is not valid: " + strings.TrimPrefix(err.Error(), "x509: ")
}

// mismatch says whom a certificate is for instead.
func mismatch(names []string, domain string) string {
	if len(names) == 0 {
		return fmt.Sprintf("the server's certificate names nobody, not %s either", domain)
	}
	shown := strings.Join(names[:min(len(names), 3)], ", ")
	if i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, "*.") && sameSuffix(n, domain) }); i >= 0 {
		return fmt.Sprintf("the server's certificate is for the wildcard %.120q, which RFC 5922 forbids in SIP: it has to name %s itself", names[i], domain)
	}
	return fmt.Sprintf("the server's certificate is for %.120q, not for %s", shown, domain)
}

// identities are the domains a certificate speaks for (RFC 5922 §7.1): its SIP
// URIs without user; "if and only if" there is none, its DNS names; the common
// name only of one without alternative names. Addresses count for accounts
// whose host is one.
func identities(c *x509.Certificate) []string {
	var names []string
	for _, u := range c.URIs {
		// url.Parse takes sip:example.com for opaque.
		if host := u.Opaque; u.Scheme == "sip" && !strings.Contains(host, "@") {
			names = append(names, hostOnly(host))
		}
	}
	if len(names) == 0 {
		names = slices.Clone(c.DNSNames)
	}
	if len(names) == 0 && len(c.IPAddresses) == 0 && c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// sameDomain compares as RFC 5922 §7.2 wants it: whole names, no case, and
// "implementations MUST NOT match" wildcards.
func sameDomain(name, domain string) bool {
	a, err1 := netip.ParseAddr(name)
	b, err2 := netip.ParseAddr(domain)
	if err1 == nil && err2 == nil {
		return a.Unmap() == b.Unmap()
	}
	return strings.EqualFold(strings.TrimSuffix(name, "."), strings.TrimSuffix(domain, "."))
}

// sameSuffix: *.example.com and sip.example.com.
func sameSuffix(wildcard, domain string) bool {
	_, rest, ok := strings.Cut(domain, ".")
	return ok && strings.EqualFold(rest, strings.TrimPrefix(wildcard, "*."))
}

// handshakeError gives the error of a connection its kind: a server's alert about
// our certificate (it may come with the first message only, in TLS 1.3) is a
// matter of certificates, too.
func handshakeError(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, ErrCertificate):
		return err
	case errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Err.Error(), "certificate"):
		return &CertificateError{Reason: "the server refuses our certificate: " + strings.TrimPrefix(op.Err.Error(), "tls: ")}
	case errors.As(err, new(tls.RecordHeaderError)):
		return fmt.Errorf("%w: the server does not speak TLS there", ErrUnreachable)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}
