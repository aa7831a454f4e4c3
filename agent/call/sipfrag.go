package call

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// mediaSIPFrag is the part of a SIP message that tells what became of a REFER
// (RFC 3420, RFC 3515 §2.4.5).
const mediaSIPFrag = "message/sipfrag"

// fragment is the status line that a NOTIFY carries.
func fragment(code int, reason string) []byte {
	return fmt.Appendf(nil, "SIP/2.0 %d %s\r\n", code, reason)
}

// readFragment reads the status line of a fragment; what stands behind it is
// nobody's business.
func readFragment(body []byte) (code int, reason string, ok bool) {
	line, _, _ := strings.Cut(string(body), "\n")
	version, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	number, reason, _ := strings.Cut(strings.TrimSpace(rest), " ")
	code, err := strconv.Atoi(number)
	if !strings.EqualFold(version, "SIP/2.0") || err != nil || code < 100 || code > 699 {
		return 0, "", false
	}
	return code, clip(printable(strings.TrimSpace(reason))), true
}

// eventRefer is the event package of REFER.
const eventRefer = "refer"

// eventOf reads Event: a package and which of several subscriptions to it
// (RFC 6665 §8.2.1).
func eventOf(req *sip.Request) (name, id string) {
	parts := strings.Split(valueIn(req, "Event", "o"), ";")
	for _, p := range parts[1:] {
		if k, v, _ := strings.Cut(p, "="); strings.EqualFold(strings.TrimSpace(k), "id") {
			id = strings.TrimSpace(v)
		}
	}
	return strings.ToLower(strings.TrimSpace(parts[0])), id
}

// eventNamed writes Event.
func eventNamed(name, id string) sip.Header {
	if id != "" {
		name += ";id=" + id
	}
	return sip.NewHeader("Event", name)
}

// terminated says whether a NOTIFY is the last of its subscription (RFC 6665 §4.1.3).
func terminated(req *sip.Request) bool {
	state, _, _ := strings.Cut(valueIn(req, "Subscription-State", ""), ";")
	return strings.EqualFold(strings.TrimSpace(state), "terminated")
}

// valuesIn are the values of all headers of a name, which may be written in a
// compact form.
func valuesIn(m interface{ GetHeaders(string) []sip.Header }, name, compact string) []string {
	var values []string
	for _, n := range []string{name, compact} {
		if n == "" {
			continue
		}
		for _, h := range m.GetHeaders(n) {
			values = append(values, strings.TrimSpace(h.Value()))
		}
	}
	return values
}

// valueIn is the first of them, "" when there is none.
func valueIn(m interface{ GetHeaders(string) []sip.Header }, name, compact string) string {
	if values := valuesIn(m, name, compact); len(values) > 0 {
		return values[0]
	}
	return ""
}
