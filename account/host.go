package account

import (
	"crypto/sha1"
	"encoding/hex"
	"net/netip"
	"strings"
)

// splitHost takes host[:port] apart. IPv6 addresses may stand in brackets, and
// must when a port follows. The port is 0 when there is none; ok is false when
// the text is no host name, no address or the port is out of range.
func splitHost(text string) (host string, port int, ok bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.String(), 0, true
	}
	if rest, found := strings.CutPrefix(text, "["); found {
		inner, after, closed := strings.Cut(rest, "]")
		addr, err := netip.ParseAddr(inner)
		if !closed || err != nil || !addr.Is6() {
			return "", 0, false
		}
		if after == "" {
			return addr.String(), 0, true
		}
		digits, colon := strings.CutPrefix(after, ":")
		port, ok = parsePort(digits)
		return addr.String(), port, colon && ok
	}
	name, digits, found := strings.Cut(text, ":")
	if found {
		if port, ok = parsePort(digits); !ok {
			return "", 0, false
		}
	}
	return name, port, validHost(name)
}

func parsePort(digits string) (int, bool) {
	v, ok := parseInt(digits)
	return v, ok && v >= 1 && v <= 65535
}

// validHost checks a host name (RFC 1123 §2.1; underscores are met in practice)
// or an IPv4 address.
func validHost(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if !validLabel(label) {
			return false
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		_, err := netip.ParseAddr(name)
		return err == nil
	}
	return true
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func judgeHost(text string) remark {
	if _, _, ok := splitHost(text); ok {
		return remark{}
	}
	if strings.Contains(text, "://") || strings.HasPrefix(strings.ToLower(text), "sip:") {
		return remarkf(wrong, "%s is a URL; only a host name or address is meant, with a port if need be", quote(text))
	}
	return remarkf(wrong, "%s is not a host name or address with an optional port", quote(text))
}

// Default SIP ports (RFC 3261 §19.1.2).
const (
	portSIP  = 5060
	portSIPS = 5061
)

// Secure tells whether the transport is protected by TLS.
func (t Transport) Secure() bool { return t == TLS || t == TLSSIP }

// DefaultPort is the port of a server that names none.
func (t Transport) DefaultPort() int {
	if t.Secure() {
		return portSIPS
	}
	return portSIP
}

// Server is where all SIP traffic of the account goes: the outbound proxy if it is
// enabled and set, else proxy, else host. IPv6 addresses come without brackets.
// Without a port in the account, explicitPort is false and port is the transport's
// default: a name is then looked up by SRV first (RFC 3263 §4.2).
func (a *Account) Server() (host string, port int, explicitPort bool, t Transport) {
	t = a.Transport
	address := a.Host
	switch {
	case a.OutboundProxyEnabled && a.OutboundProxyHost != "":
		address = a.OutboundProxyHost
		if a.OutboundProxyTransport != "" {
			t = a.OutboundProxyTransport
		}
	case a.Proxy != "":
		address = a.Proxy
	}
	host, port, _ = splitHost(address)
	if port == 0 {
		return host, t.DefaultPort(), false, t
	}
	return host, port, true, t
}

// Domain is the host part of the account's own URIs: host without its port.
func (a *Account) Domain() string {
	host, _, _ := splitHost(a.Host)
	return host
}

// Selector is the hex SHA-1 of username:password:host, as UTF-8 and as written. It
// stands for the credentials, so it is a secret.
func (a *Account) Selector() string {
	sum := sha1.Sum([]byte(a.Username + ":" + a.Password + ":" + a.Host))
	return hex.EncodeToString(sum[:])
}

// PushRelay is the host of the push relay: sipisHost, behind s- and the first digits
// of the selector when the relay is spread over several servers.
func (a *Account) PushRelay() string {
	digits := min(a.SIPISHostPrefixLength, 2*sha1.Size)
	if a.SIPISHost == "" || digits <= 0 {
		return a.SIPISHost
	}
	return "s-" + a.Selector()[:digits] + "." + a.SIPISHost
}
