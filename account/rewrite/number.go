package rewrite

import (
	"net/url"
	"strings"
)

// Target is what rules compare of a destination that somebody wants to call: a
// number without visual separators, the number of a tel URI, or the user part of a
// SIP URI at the account's own domain, which is the same as dialling that user. A
// SIP URI of somebody else is no number: ok is false.
func Target(to, domain string) (number string, ok bool) {
	to = strings.TrimSpace(to)
	scheme, rest, found := strings.Cut(to, ":")
	switch s := strings.ToLower(scheme); {
	case found && s == "tel":
		number, _, _ = strings.Cut(rest, ";")
		return Plain(number), true
	case found && (s == "sip" || s == "sips"):
		to = rest
	case !strings.Contains(to, "@"):
		return Plain(to), true
	}
	user, host, at := strings.Cut(to, "@")
	if !at || !strings.EqualFold(hostOf(host), hostOf(domain)) {
		return "", false
	}
	return Plain(userOf(user)), true
}

// Caller is what rules compare of who calls: the number, or the user part of a URI.
func Caller(from string) string {
	from = strings.Trim(from, " \t<>")
	if scheme, rest, ok := strings.Cut(from, ":"); ok {
		switch strings.ToLower(scheme) {
		case "sip", "sips", "tel":
			from = rest
		}
	}
	user, _, _ := strings.Cut(from, "@")
	return Plain(userOf(user))
}

// userOf is a user part without parameters and password, its escapes read.
func userOf(user string) string {
	user, _, _ = strings.Cut(user, ";")
	user, _, _ = strings.Cut(user, ":")
	if decoded, err := url.PathUnescape(user); err == nil {
		return decoded
	}
	return user
}

// hostOf is a host[:port] without port, parameters and headers.
func hostOf(hostport string) string {
	hostport = strings.TrimSpace(hostport)
	if end := strings.IndexAny(hostport, ";?>"); end >= 0 {
		hostport = hostport[:end]
	}
	if strings.HasPrefix(hostport, "[") {
		host, _, _ := strings.Cut(hostport[1:], "]")
		return host
	}
	if strings.Count(hostport, ":") > 1 {
		return hostport // an IPv6 address without brackets
	}
	host, _, _ := strings.Cut(hostport, ":")
	return strings.TrimSuffix(host, ".")
}

// Plain takes the visual separators (RFC 3966 §5.1.1) out of a telephone number;
// what is no number stays as it is.
func Plain(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9' || c == '+' || c == '*' || c == '#':
			b.WriteRune(c)
		case strings.ContainsRune(" -.()/", c):
		default:
			return s
		}
	}
	return b.String()
}
