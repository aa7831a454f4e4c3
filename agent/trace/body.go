package trace

import "bytes"

// body appends a body without its secrets. Its length stays what Content-Length says.
func body(dst, b []byte, f facts, request bool, kind []byte, coded bool) []byte {
	switch {
	case coded, request && string(f.method) == "MESSAGE", has(kind, "dtmf") && string(f.method) != "INFO", has(kind, "kpml"):
		return blot(dst, b) // what cannot be read, what people write, and digits
	case request && string(f.method) == "INFO":
		return eachLine(dst, b, digits)
	}
	return eachLine(dst, b, description)
}

// has looks for a word in lower case, whatever the case of text. Long texts are taken
// to have it.
func has(text []byte, word string) bool {
	var lower [128]byte
	return len(text) > len(lower) || bytes.Contains(lowered(lower[:0], text), []byte(word))
}

func eachLine(dst, b []byte, line func(dst, line []byte) []byte) []byte {
	for len(b) > 0 {
		var one []byte
		one, b = cutLine(b)
		dst = line(dst, one)
	}
	return dst
}

// blot appends text with everything but white space replaced.
func blot(dst, text []byte) []byte {
	for _, c := range text {
		if c > ' ' {
			c = '*'
		}
		dst = append(dst, c)
	}
	return dst
}

// digits of an INFO (application/dtmf-relay: Signal=5, Duration=160; others: 5) are what
// people type: PINs and card numbers. How long they press stays.
func digits(dst, line []byte) []byte {
	name, _, ok := bytes.Cut(line, []byte("="))
	switch name = bytes.TrimSpace(name); {
	case ok && bytes.EqualFold(name, []byte("Duration")):
		return append(dst, line...)
	case ok && bytes.EqualFold(name, []byte("Signal")):
		equals := bytes.IndexByte(line, '=') + 1
		return blot(append(dst, line[:equals]...), line[equals:])
	}
	return blot(dst, line)
}

// description is a line of SDP: keys of SRTP (RFC 4568 §6.1, RFC 4567), the password of
// ICE, and k= (RFC 4566 §5.12) go.
func description(dst, line []byte) []byte {
	text := line
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	from := -1
	switch {
	case len(text) < 2:
	case text[0] == 'k' && text[1] == '=':
		from = 2
	case text[0] != 'a' && text[0] != 'A':
	case len(text) < 3 || bytes.IndexByte([]byte("cCiIkK"), text[2]) < 0: // most lines
	case starts(text, "a=crypto:"):
		if from = bytes.Index(text, inline) + len(inline); from < len(inline) {
			from = len("a=crypto:")
		}
	case starts(text, "a=ice-pwd:"), starts(text, "a=key-mgmt:"):
		from = bytes.IndexByte(text, ':') + 1
	}
	if from < 0 {
		if from = bytes.Index(text, inline) + len(inline); from < len(inline) {
			return append(dst, line...)
		}
	}
	from += len(line) - len(text)
	return blot(append(dst, line[:from]...), line[from:])
}

var inline = []byte("inline:")

func starts(text []byte, with string) bool {
	return len(text) >= len(with) && bytes.EqualFold(text[:len(with)], []byte(with))
}
