package trace

import (
	"bytes"
	"strconv"
)

// facts are what of a message tells where it belongs. They point into the message.
type facts struct {
	callID, method, cseq []byte
	code                 int
}

// treatment of a header's value.
type treatment uint8

const (
	plain       treatment = iota // as it is, but for passwords in URIs
	verbatim                     // as it is
	callID                       // and remembered
	cseq                         //
	contentType                  //
	encoding                     // Content-Encoding
	credentials                  // digest: what says who and how stays
	hidden
)

// kept are the parameters of credentials and challenges that are shown: who, for
// where, and how. Neither nonce nor response is: together they let anybody try
// passwords.
func kept(parameter []byte) bool {
	switch string(parameter) {
	case "username", "realm", "algorithm", "uri", "qop", "nc", "stale", "domain", "userhash":
		return true
	}
	return false
}

// mask stands for what is left out; its length says nothing.
const mask = "***"

// treat says what is done with a header, by its name in lower case.
func treat(name []byte) treatment {
	switch string(name) {
	case "via", "v", "max-forwards", "content-length", "l", "allow", "supported", "k", "require", "user-agent", "server", "expires",
		"accept", "date", "event", "o", "session-expires", "x", "min-se", "subscription-state", "reason", "rseq", "rack",
		"min-expires", "accept-encoding", "accept-language", "allow-events", "u", "retry-after", "warning", "unsupported":
		return verbatim
	case "call-id", "i":
		return callID
	case "cseq":
		return cseq
	case "content-type", "c":
		return contentType
	case "content-encoding", "e":
		return encoding
	case "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "authentication-info", "proxy-authentication-info":
		return credentials
	case "from", "f", "to", "t", "contact", "m", "route", "record-route", "path", "service-route", "p-asserted-identity",
		"p-preferred-identity", "remote-party-id", "diversion", "history-info", "refer-to", "r", "referred-by", "b", "replaces", "subject", "s",
		"security-client", "security-server", "security-verify", "p-associated-uri", "alert-info", "call-info":
		return plain
	}
	// Headers of somebody's own: what sounds like a secret is one.
	for _, word := range secretWords {
		if bytes.Contains(name, word) {
			return hidden
		}
	}
	return plain
}

var secretWords = [][]byte{
	[]byte("auth"), []byte("token"), []byte("secret"), []byte("passw"), []byte("pwd"), []byte("pin"), []byte("key"), []byte("cookie"), []byte("credential"),
	[]byte("signature"),
}

// redact appends a message to dst without its secrets, and tells where it belongs.
// It reads whatever came, well formed or not, and looks at each byte about once.
func redact(dst, raw []byte) ([]byte, facts) {
	var f facts
	var kind []byte // of the body
	coded := false
	line, rest := cutLine(raw)
	dst = startLine(dst, line, &f)
	request := f.code == 0
	for len(rest) > 0 {
		line, next := cutHeader(rest)
		if len(trimEnd(line)) == 0 { // the empty line
			dst = append(dst, line...)
			return body(dst, next, f, request, kind, coded), f
		}
		rest = next
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			dst = maskURIs(dst, line)
			continue
		}
		var lower [32]byte
		name := lowered(lower[:0], trimBlank(line[:colon]))
		value := line[colon+1:]
		end := len(trimEnd(value))
		dst = append(dst, line[:colon+1]...)
		switch treat(name) {
		case verbatim:
			dst = append(dst, value...)
			continue
		case callID:
			f.callID = bytes.TrimSpace(value)
			dst = append(dst, value...)
			continue
		case cseq:
			number, method, _ := bytes.Cut(bytes.TrimSpace(value), []byte(" "))
			if f.cseq = number; !request {
				f.method = bytes.TrimSpace(method)
			}
			dst = append(dst, value...)
			continue
		case contentType:
			kind = bytes.TrimSpace(value)
			dst = append(dst, value...)
			continue
		case encoding:
			coded = !bytes.EqualFold(bytes.TrimSpace(value), []byte("identity"))
			dst = append(dst, value...)
			continue
		case credentials:
			dst = maskCredentials(dst, value[:end])
		case hidden:
			dst = append(dst, " "+mask...)
		case plain:
			dst = maskURIs(dst, value[:end])
		}
		dst = append(dst, value[end:]...)
	}
	return dst, f
}

// startLine takes the first line.
func startLine(dst, line []byte, f *facts) []byte {
	if bytes.HasPrefix(line, []byte("SIP/")) {
		_, after, _ := bytes.Cut(line, []byte(" "))
		if len(after) >= 3 {
			f.code, _ = strconv.Atoi(string(after[:3]))
		}
		if f.code == 0 {
			f.code = -1 // a response, whatever it says
		}
		return append(dst, line...)
	}
	f.method, _, _ = bytes.Cut(trimEnd(line), []byte(" "))
	return maskURIs(dst, line)
}

// cutLine cuts after the first line end, which stays.
func cutLine(b []byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i+1], b[i+1:]
	}
	return b, nil
}

// cutHeader cuts after a header with all lines it is folded over (RFC 3261 §7.3.1).
func cutHeader(b []byte) (header, rest []byte) {
	line, rest := cutLine(b)
	if len(trimEnd(line)) == 0 {
		return line, rest
	}
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		more, _ := cutLine(rest)
		line, rest = b[:len(line)+len(more)], rest[len(more):]
	}
	return line, rest
}

// trimEnd cuts line ends off.
func trimEnd(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

// trimBlank cuts blanks off the end.
func trimBlank(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// lowered appends a name in lower case, as much of it as there is room for.
func lowered(dst, name []byte) []byte {
	for _, c := range name[:min(len(name), cap(dst))] {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// maskURIs appends text without the passwords of URIs: what stands between the
// second colon and the @ of "sip:user:password@host" (RFC 3261 §19.1.1). Where
// something else looks like that, it goes, too.
func maskURIs(dst, text []byte) []byte {
	for {
		at := bytes.IndexByte(text, '@')
		if at < 0 {
			return append(dst, text...)
		}
		end := at + len(runOf(text[at:]))
		at = bytes.LastIndexByte(text[:end], '@') // the host has none
		start := at
		for start > 0 && !endsURI(text[start-1]) {
			start--
		}
		first := bytes.IndexByte(text[start:at], ':')
		second := -1
		if first >= 0 {
			second = bytes.IndexByte(text[start+first+1:at], ':')
		}
		if second < 0 {
			dst = append(dst, text[:at+1]...)
		} else {
			dst = append(append(dst, text[:start+first+1+second+1]...), mask+"@"...)
		}
		text = text[at+1:]
	}
}

// runOf is the beginning of text up to what ends a URI.
func runOf(text []byte) []byte {
	for i, c := range text {
		if endsURI(c) {
			return text[:i]
		}
	}
	return text
}

func endsURI(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', '<', '>', '"':
		return true
	}
	return false
}

// maskCredentials appends credentials or a challenge without what a password could be
// tried against.
func maskCredentials(dst, value []byte) []byte {
	trimmed := bytes.TrimLeft(value, " \t\r\n")
	dst = append(dst, value[:len(value)-len(trimmed)]...)
	first := bytes.IndexAny(trimmed, " \t\r\n=")
	if first < 0 || trimmed[first] != '=' { // not the bare parameters of Authentication-Info
		if first < 0 || !bytes.EqualFold(trimmed[:first], []byte("Digest")) {
			return append(append(dst, trimmed[:max(first, 0)]...), " "+mask...)
		}
		dst = append(dst, trimmed[:first]...)
		trimmed = trimmed[first:]
	}
	for i := 0; len(trimmed) > 0; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		end := parameterEnd(trimmed)
		dst = maskParameter(dst, trimmed[:end])
		trimmed = trimmed[min(end+1, len(trimmed)):]
	}
	return dst
}

// parameterEnd is where a parameter ends: at a comma outside quotes.
func parameterEnd(b []byte) int {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case b[i] == ',' && !quoted:
			return i
		}
	}
	return len(b)
}

func maskParameter(dst, parameter []byte) []byte {
	equals := bytes.IndexByte(parameter, '=')
	if equals < 0 {
		return append(dst, mask...)
	}
	var lower [32]byte
	if kept(lowered(lower[:0], bytes.TrimSpace(parameter[:equals]))) {
		return maskURIs(dst, parameter)
	}
	return append(append(dst, parameter[:equals+1]...), mask...)
}
