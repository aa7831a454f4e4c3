package ua

import (
	"bytes"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// verdict about a message.
type verdict int

const (
	drop         verdict = iota // not to be looked at any further
	takeResponse                // to one of our requests
	takeRequest                 // for a line
)

// admit says whether a message is worth parsing: a response to one of our
// requests, a request that names a bound Contact user, or anything from a
// line's server. Scanners name neither, and hear nothing: any answer would
// tell them that a phone is here (RFC 3261 §26.1.5).
func (e *Endpoint) admit(raw []byte, from netip.AddrPort) verdict {
	e.count.received.Add(1)
	if len(bytes.Trim(raw, "\r\n\x00")) == 0 {
		e.count.keepalives.Add(1)
		return drop
	}
	if isResponse(raw) {
		// Only who saw our request knows how its branch begins.
		switch {
		case !bytes.Contains(raw, []byte(e.branches)):
			e.count.stray.Add(1)
		case oversized(raw):
			e.count.malformed.Add(1)
		default:
			return takeResponse
		}
		return drop
	}
	user, ok := requestUser(raw)
	named := ok && e.lines.bound(user)
	switch {
	case !named && !e.lines.isServer(from.Addr()):
		e.count.dropped.Add(1)
		return drop
	case named && e.sources.limited() && !e.lines.isServer(from.Addr()) && !e.sources.allow(from.Addr(), time.Now()):
		e.count.limited.Add(1)
		return drop
	}
	return takeRequest
}

// Bounds of a message, far above what any SIP element sends: a request may pass
// 70 hops (Max-Forwards, RFC 3261 §8.1.1.6), each with a Via.
const (
	mostHeaders     = 256       // lines
	mostHeaderBytes = 32 * 1024 // of all headers together
	mostVias        = 72
)

// oversized tells whether a message is more than we care to handle; looking at it
// costs little, unlike parsing it.
func oversized(raw []byte) bool {
	headers := raw
	if end := bytes.Index(raw, headersEnd); end >= 0 {
		headers = raw[:end]
	}
	return len(headers) > mostHeaderBytes || bytes.Count(headers, []byte("\n")) > mostHeaders || vias(headers) > mostVias
}

// firstHeaders is what of a message is looked at when it is oversized: enough to
// refuse it.
func firstHeaders(raw []byte) []byte {
	var kept []byte
	for i, line := range bytes.Split(raw, []byte("\r\n")) {
		if i >= mostHeaders || len(line) == 0 || len(kept)+len(line) > mostHeaderBytes {
			break
		}
		name, _, _ := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if !bytes.EqualFold(name, []byte("Content-Length")) && !bytes.EqualFold(name, []byte("l")) {
			kept = append(append(kept, line...), "\r\n"...)
		}
	}
	return append(kept, "\r\n"...)
}

// vias counts hops; one header may hold several, and has a compact form (§7.3.3).
func vias(headers []byte) int {
	n := 0
	for line := range bytes.SplitSeq(headers, []byte("\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if ok && (bytes.EqualFold(name, []byte("Via")) || bytes.EqualFold(name, []byte("v"))) {
			n += 1 + bytes.Count(value, []byte(","))
		}
	}
	return n
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
	if i := bytes.LastIndexByte(userinfo, ':'); i >= 0 {
		userinfo = userinfo[:i] // there is one at most; the parser, too, takes the last
	}
	return unescapeUser(string(userinfo)), true
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
