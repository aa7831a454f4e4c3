package call

import (
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account/rewrite"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// mostTarget bounds what somebody may ask to dial.
const mostTarget = 256

// parseTarget gives the URI a call to "to" goes to: a SIP URI as it is, a
// number (a tel URI, too, and any other user) at the account's host.
func parseTarget(to, host string) (sip.Uri, error) {
	to = strings.TrimSpace(to)
	if err := dialable(to); err != nil {
		return sip.Uri{}, err
	}
	scheme, rest, _ := strings.Cut(to, ":")
	switch strings.ToLower(scheme) {
	case "sip":
		return parseSIP(to)
	case "sips":
		// TLS all the way (RFC 3261 §19.1): not from a line without.
		return sip.Uri{}, fmt.Errorf("%w: sips needs a line with TLS: %q", ErrBadTarget, clip(to))
	case "tel":
		number, _, _ := strings.Cut(rest, ";")
		return parseTarget(number, host)
	}
	if strings.Contains(to, "@") {
		return parseSIP("sip:" + to)
	}
	user := rewrite.Plain(to)
	if user == "" || strings.ContainsAny(user, ":/?;") {
		return sip.Uri{}, fmt.Errorf("%w: %q", ErrBadTarget, clip(to))
	}
	return ua.URI(user, host), nil
}

// dialable refuses what can be neither a number nor a URI.
func dialable(to string) error {
	if to = strings.TrimSpace(to); to == "" || len(to) > mostTarget || strings.ContainsFunc(to, forbidden) {
		return fmt.Errorf("%w: %q", ErrBadTarget, clip(to))
	}
	return nil
}

// targetOf is parseTarget for a line, which may have TLS.
func targetOf(to, host string, link ua.Link) (sip.Uri, error) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(to), ":")
	if link.Transport != ua.TLS || !strings.EqualFold(scheme, "sips") {
		return parseTarget(to, host)
	}
	u, err := parseTarget("sip:"+rest, host)
	u.Scheme = "sips"
	return u, err
}

func parseSIP(s string) (sip.Uri, error) {
	var u sip.Uri
	if err := sip.ParseUri(s, &u); err != nil || u.Host == "" || u.Wildcard || u.Port < 0 || u.Port > 65535 || strings.ContainsRune(s, ' ') {
		return sip.Uri{}, fmt.Errorf("%w: %q", ErrBadTarget, clip(s))
	}
	// Headers would add to our request whatever they say (RFC 3261 §19.1.5).
	u.Headers = nil
	u.Password = ""
	return u, nil
}

// forbidden are the characters that could end a header or a URI in one.
func forbidden(c rune) bool {
	return c < ' ' || c == 0x7f || c > 0x7e || strings.ContainsRune(`<>"\`, c)
}

// clip shortens what goes into messages for people.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
