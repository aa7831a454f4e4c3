package provisioning

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// Certificates are what lines' TLS connections are made with.
type Certificates struct {
	// Roots: the system's and those delivered; nil = the system's alone.
	Roots *x509.CertPool
	// Client certificate for servers that ask for one; nil = none.
	Client *tls.Certificate
	// Hash tells them apart; "" = none were given.
	Hash string
}

// certificateFiles of the directory.
var certificateFiles = []string{delivery.CAFile, delivery.ClientCertFile, delivery.ClientKeyFile}

// takeCertificates reads the certificates that were given. A broken one leaves
// the last good ones in force.
func (s *Source) takeCertificates(raw rawFiles) {
	h := sha256.New()
	given := false
	for _, name := range append([]string{bundle}, certificateFiles...) {
		if err := raw.failed[name]; err != nil {
			s.reject(shownName(name), err)
			return
		}
		content, there := raw.content[name]
		given = given || there
		fmt.Fprintf(h, "%s %t %d\n", name, there, len(content))
		h.Write(content)
	}
	sum := ""
	if given {
		sum = hex.EncodeToString(h.Sum(nil)[:16])
	}
	if sum == s.certificates.Hash {
		return
	}
	roots, err := readRoots(raw)
	if err != nil {
		s.reject(delivery.CAFile, err)
		return
	}
	client, err := readClient(raw)
	if err != nil {
		s.reject(delivery.ClientCertFile, err)
		return
	}
	s.certificates = Certificates{Roots: roots, Client: client, Hash: sum}
}

// readRoots adds the delivered authorities to the system's.
func readRoots(raw rawFiles) (*x509.CertPool, error) {
	var pool *x509.CertPool
	for _, name := range []string{bundle, delivery.CAFile} {
		content, there := raw.content[name]
		if !there {
			continue
		}
		if pool == nil {
			var err error
			if pool, err = x509.SystemCertPool(); err != nil {
				pool = x509.NewCertPool()
			}
		}
		if !pool.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("no PEM certificate in %s", shownName(name))
		}
	}
	return pool, nil
}

// readClient pairs certificate and key. What is wrong is said without any of it.
func readClient(raw rawFiles) (*tls.Certificate, error) {
	cert, hasCert := raw.content[delivery.ClientCertFile]
	key, hasKey := raw.content[delivery.ClientKeyFile]
	switch {
	case !hasCert && !hasKey:
		return nil, nil
	case !hasCert || !hasKey:
		return nil, fmt.Errorf("%s and %s belong together, one is missing", delivery.ClientCertFile, delivery.ClientKeyFile)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, errors.New("certificate and key do not fit each other, or are no PEM")
	}
	return &pair, nil
}

// bundle is the name of the CA bundle from outside the directory (Options.CAFile);
// no file in it can have it.
const bundle = "/ca"

func shownName(name string) string {
	if name == bundle {
		return "CA bundle"
	}
	return name
}
