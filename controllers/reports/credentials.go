package reports

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// ServerName is the name in every agent's certificate. Agents are told apart by
// their certificates, not by names.
const ServerName = "softphone-agent"

// validity of a certificate. It is renewed when a third is left.
const validity = 365 * 24 * time.Hour

// Credentials make the certificate, key and token of one agent's report
// listener, by the names of the files they are delivered as.
func Credentials(now time.Time) (map[string][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of the report listener: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: ServerName},
		DNSNames:     []string{ServerName},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("certificate of the report listener: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("key of the report listener: %w", err)
	}
	token := make([]byte, 32)
	if _, err := rand.Read(token); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	return map[string][]byte{
		delivery.ReportCertFile:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		delivery.ReportKeyFile:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
		delivery.ReportTokenFile: []byte(hex.EncodeToString(token)),
	}, nil
}

// RenewAt is when credentials must be made anew; the zero time when they are
// missing or unreadable.
func RenewAt(files map[string][]byte) time.Time {
	block, _ := pem.Decode(files[delivery.ReportCertFile])
	if block == nil || len(files[delivery.ReportKeyFile]) == 0 || len(files[delivery.ReportTokenFile]) == 0 {
		return time.Time{}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return cert.NotAfter.Add(-validity / 3)
}
