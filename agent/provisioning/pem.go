package provisioning

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// parseCertificates reads all certificates of a PEM file, in order; one that is
// broken breaks the file, since nobody would look for what is missing of a bundle.
// Those whose time is over are no mistake of the file: what was good yesterday
// must not stop a line that starts today.
func parseCertificates(content []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if bytes.Contains(rest, []byte("-----BEGIN ")) {
				return nil, fmt.Errorf("what follows certificate %d is cut off, or no PEM", len(all))
			}
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("there is a %.40q in it, where certificates are expected", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it cannot be read: %s", len(all)+1, strings.TrimPrefix(err.Error(), "x509: "))
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errNoCertificate
	}
	return all, nil
}

// parseKey reads a private key. What is wrong is said without any of it.
func parseKey(content []byte) (crypto.Signer, error) {
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("no PEM private key in it")
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, errors.New("the private key is encrypted, and nobody is here to type its passphrase: deliver it without one")
		case block.Type == "PRIVATE KEY" || strings.HasSuffix(block.Type, " PRIVATE KEY"):
			return decodeKey(block.Bytes)
		}
		// EC PARAMETERS and certificates may stand before it.
	}
}

func decodeKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errors.New("the private key cannot be read: neither RSA, ECDSA nor Ed25519")
}

// belongs tells whether a key is a certificate's.
func belongs(key crypto.Signer, c *x509.Certificate) bool {
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		return public.Equal(c.PublicKey)
	case *ecdsa.PublicKey:
		return public.Equal(c.PublicKey)
	case ed25519.PublicKey:
		return public.Equal(c.PublicKey)
	}
	return false
}
