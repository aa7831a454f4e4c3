package call

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/account/rewrite"
)

// reserved headers are what dialogs, transactions and offer/answer are made
// of; nobody may set them from outside. Compact forms are reserved as well.
var reserved = []string{
	"via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "contact", "m", "max-forwards",
	"route", "record-route", "content-length", "l", "content-type", "c", "content-encoding", "e", "content-disposition",
	"authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate",
	"require", "proxy-require", "supported", "k", "unsupported", "allow", "session-expires", "x", "min-se",
	"rack", "rseq", "replaces", "user-agent", "server", "mime-version", "expires",
}

// checkHeader says whether a header may be set from outside.
func checkHeader(name, value string) error {
	switch {
	case name == "" || strings.ContainsFunc(name, notToken):
		return fmt.Errorf("%w: %q is no header name", ErrBadHeader, clip(name))
	case slices.Contains(reserved, strings.ToLower(name)):
		return fmt.Errorf("%w: %s is set by the call itself", ErrBadHeader, name)
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
		return fmt.Errorf("%w: the value of %s has control characters", ErrBadHeader, name)
	case len(value) > 1024:
		return fmt.Errorf("%w: the value of %s is longer than 1024 bytes", ErrBadHeader, name)
	}
	return nil
}

// notToken is what no token has (RFC 3261 §25.1).
func notToken(c rune) bool {
	alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	return !alphanumeric && !strings.ContainsRune("-.!%*_+`'~", c)
}

// checkHeaders checks the headers of a Dial.
func checkHeaders(headers map[string]string) error {
	if len(headers) > 32 {
		return fmt.Errorf("%w: %d headers, 32 allowed", ErrBadHeader, len(headers))
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if err := checkHeader(name, headers[name]); err != nil {
			return err
		}
	}
	return nil
}

// addAccountHeaders adds what the account says for requests of this method.
// Headers that may not be set are left out; badHeaders told so already.
func addAccountHeaders(req *sip.Request, a *account.Account) {
	for _, h := range a.Headers {
		if (h.Method == "*" || strings.EqualFold(h.Method, string(req.Method))) && checkHeader(h.Name, h.Value) == nil {
			req.AppendHeader(sip.NewHeader(h.Name, h.Value))
		}
	}
}

// badHeaders are the account's headers that are never sent, and why.
func badHeaders(a *account.Account) []error {
	var bad []error
	for _, h := range a.Headers {
		if err := checkHeader(h.Name, h.Value); err != nil {
			bad = append(bad, err)
		}
	}
	return bad
}

// addHeaders adds the headers of a Dial, in the order of their names; one that
// the account sets, too, is replaced.
func addHeaders(req *sip.Request, headers map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		setHeader(req, name, headers[name])
	}
}

// headed is a request or a response.
type headed interface {
	GetHeader(name string) sip.Header
	RemoveHeader(name string) bool
	AppendHeader(h sip.Header)
}

// setHeader adds a header in the place of one that is there.
func setHeader(m headed, name, value string) {
	if h := m.GetHeader(name); h != nil {
		m.RemoveHeader(h.Name())
	}
	m.AppendHeader(sip.NewHeader(name, value))
}

// addRuleHeaders adds what rewriting rules set. One that may not be set is left
// out, and the record says so.
func (c *call) addRuleHeaders(m headed, headers []rewrite.Header) {
	for _, h := range headers {
		if err := checkHeader(h.Name, h.Value); err != nil {
			c.rec.Treatment = append(c.rec.Treatment, "setHeader: "+err.Error())
			continue
		}
		setHeader(m, h.Name, h.Value)
	}
}

// quoted escapes a display name (RFC 3261 §25.1, quoted-string); sipgo writes
// the quotes.
func quoted(name string) string {
	name = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, name)
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name)
}
