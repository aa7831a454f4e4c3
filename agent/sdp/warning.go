package sdp

import "errors"

// Codes of SIP's Warning header for descriptions (RFC 3261 §20.43).
const (
	warnTransport = 302 // incompatible transport protocol: the profile
	warnNoMedia   = 304 // media type not available
	warnFormat    = 305 // incompatible media format
	warnOther     = 399
)

// unacceptable says why an offer cannot be taken.
type unacceptable struct {
	code int
	why  string
}

func (u unacceptable) Error() string { return u.why }

// Warning is code and text of a Warning header that says why an offer was not acceptable.
func Warning(err error) (code int, text string) {
	var u unacceptable
	if errors.As(err, &u) {
		return u.code, u.why
	}
	return warnOther, err.Error()
}
