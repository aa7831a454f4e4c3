package delivery

import (
	"fmt"
	"strings"
	"time"
)

// TLS names the files in the agent's directory that a line's TLS connections
// are made with, all PEM. Lines with the same material name the same files, so
// that a bundle of authorities is delivered once however many lines trust it.
type TLS struct {
	// CA are authorities beside the system's; "" = the agent's CAFile, if there is one.
	CA string `json:"ca,omitempty"`
	// Certificate and Key are shown to servers that ask for a client
	// certificate; "" = the agent's ClientCertFile and ClientKeyFile.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
}

func (t TLS) validate() error {
	for _, f := range []struct{ field, file string }{{"ca", t.CA}, {"certificate", t.Certificate}, {"key", t.Key}} {
		if strings.ContainsAny(f.file, "/\\\x00") || strings.HasPrefix(f.file, ".") {
			return fmt.Errorf("tls.%s: %q is not the name of a file in the agent's directory", f.field, f.file)
		}
	}
	if (t.Certificate == "") != (t.Key == "") {
		return fmt.Errorf("tls: a certificate needs its key, and a key its certificate")
	}
	return nil
}

// CertificateRole says whose certificate a Certificate is.
type CertificateRole string

// The roles.
const (
	ServerCertificate CertificateRole = "server"
	ClientCertificate CertificateRole = "client"
)

// Certificate is one that a line's connection was made with, or would be made with
// now that a server has renewed its own.
type Certificate struct {
	Role CertificateRole `json:"role"`
	// Subject, e.g. "CN=sip.example.com".
	Subject string `json:"subject,omitempty"`
	// NotAfter is when it, or the first certificate of the chain it was
	// verified by, ends.
	NotAfter time.Time `json:"notAfter"`
}
