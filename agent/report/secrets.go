package report

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// secrets are the listener's certificate, key and token, read from files that
// change under us. They are tiny and rarely asked for: each question reads the
// files, and parses the certificate only when its bytes differ.
type secrets struct {
	dir string

	mu       sync.Mutex
	cert     *tls.Certificate
	pem, key []byte
}

// certificate gives the certificate of now. While the files do not fit together
// (a swap by hand, half done) the last good one serves on.
func (s *secrets) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pem, errPEM := os.ReadFile(filepath.Join(s.dir, delivery.ReportCertFile))
	key, errKey := os.ReadFile(filepath.Join(s.dir, delivery.ReportKeyFile))
	err := errors.Join(errPEM, errKey)
	if err == nil && s.cert != nil && bytes.Equal(pem, s.pem) && bytes.Equal(key, s.key) {
		return s.cert, nil
	}
	if err == nil {
		var cert tls.Certificate
		if cert, err = tls.X509KeyPair(pem, key); err == nil {
			s.cert, s.pem, s.key = &cert, pem, key
			return s.cert, nil
		}
	}
	if s.cert != nil {
		return s.cert, nil
	}
	return nil, fmt.Errorf("report certificate: %w", err)
}

// token gives the bearer token of now; never an empty one.
func (s *secrets) token() ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(s.dir, delivery.ReportTokenFile))
	if err != nil {
		return nil, err
	}
	if raw = bytes.TrimSpace(raw); len(raw) == 0 {
		return nil, fmt.Errorf("%s is empty", delivery.ReportTokenFile)
	}
	return raw, nil
}
