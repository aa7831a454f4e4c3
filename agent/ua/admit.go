package ua

import (
	"bytes"
	"net/netip"
	"net/url"
	"strings"
)

// admit says whether a datagram is worth parsing: a response to one of our
// requests, a request that names a bound Contact user, or anything from a
// line's server. Scanners name neither, and hear nothing: any answer would
// tell them that a phone is here (RFC 3261 §26.1.5).
func (e *Endpoint) admit(datagram []byte, from netip.AddrPort) bool {
	e.count.received.Add(1)
	if len(bytes.Trim(datagram, "\r\n\x00")) == 0 {
		e.count.keepalives.Add(1)
		return false
	}
	if isResponse(datagram) {
		// Only who saw our request knows how its branch begins.
		if bytes.Contains(datagram, []byte(e.branches)) {
			return true
		}
		e.count.stray.Add(1)
		return false
	}
	if user, ok := requestUser(datagram); ok && e.lines.bound(user) {
		return true
	}
	if e.lines.isServer(from.Addr()) {
		return true
	}
	e.count.dropped.Add(1)
	return false
}

func isResponse(message []byte) bool { return bytes.HasPrefix(message, []byte("SIP/")) }

// requestUser finds the user part of the Request-URI in a raw request:
// METHOD SP scheme ":" user [":" password] "@" …
func requestUser(datagram []byte) (string, bool) {
	line, _, _ := bytes.Cut(datagram, []byte("\r\n"))
	_, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return "", false
	}
	uri, _, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return "", false
	}
	_, uri, ok = bytes.Cut(uri, []byte(":"))
	if !ok {
		return "", false
	}
	userinfo, _, ok := bytes.Cut(uri, []byte("@"))
	if !ok {
		return "", false
	}
	user, _, _ := bytes.Cut(userinfo, []byte(":"))
	return unescapeUser(string(user)), true
}

// unescapeUser undoes RFC 3261 §19.1.2 escapes; what is no escape stays.
func unescapeUser(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}
