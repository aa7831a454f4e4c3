package ua

import "errors"

// Kinds of failure, for errors.Is.
var (
	ErrHostNotFound = errors.New("no such host")               // DNS says there is no such name
	ErrDNS          = errors.New("name lookup failed")         // DNS did not say
	ErrUnreachable  = errors.New("unreachable")                // ICMP or socket error
	ErrTimeout      = errors.New("no answer")                  // RFC 3261 timer B or F
	ErrRefused      = errors.New("credentials refused")        // challenged again for what we just answered
	ErrNoPassword   = errors.New("no password to answer with") // challenged, but the account has no password
	ErrCertificate  = errors.New("certificate rejected")       // see CertificateError
)

// UnsupportedError says that no challenge of a response can be answered.
type UnsupportedError struct {
	// What the server asked for, e.g. `algorithm "AKAv1-MD5"`.
	What string
}

func (e *UnsupportedError) Error() string { return "unsupported challenge: " + e.What }
