package ua

import (
	"bytes"
	"regexp"
	"strings"
)

// blanks are where the grammar allows some and few put any (RFC 3261 §25.1: SWS around
// COLON, SEMI, EQUAL and COMMA; lines folded).
var blanks = [][]byte{[]byte("\r\n "), []byte("\r\n\t"), []byte(" ;"), []byte("\t;"), []byte(" :"), []byte("\t:")}

// straighten rewrites the Vias of a message that has blanks inside them: sipgo's parser
// loses port and parameters of those, and with them the way back. All others, which is
// nearly all, stay as they are.
func straighten(raw []byte) []byte {
	end := bytes.Index(raw, headersEnd)
	if end < 0 {
		return raw
	}
	odd := false
	for _, b := range blanks {
		odd = odd || bytes.Contains(raw[:end], b)
	}
	if !odd {
		return raw
	}
	var b bytes.Buffer
	via := false // the line before was one
	for line := range bytes.SplitSeq(raw[:end], []byte("\r\n")) {
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') && via {
			b.WriteString(" " + string(bytes.TrimSpace(line)))
			continue
		}
		name, _, found := bytes.Cut(line, []byte(":"))
		name = bytes.TrimSpace(name)
		via = found && (bytes.EqualFold(name, []byte("Via")) || bytes.EqualFold(name, []byte("v")))
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.Write(line)
	}
	lines := strings.Split(b.String(), "\r\n")
	for i, line := range lines {
		name, value, found := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); found && (strings.EqualFold(name, "Via") || strings.EqualFold(name, "v")) {
			lines[i] = name + ": " + straightVia(value)
		}
	}
	return append([]byte(strings.Join(lines, "\r\n")), raw[end:]...)
}

var (
	around   = regexp.MustCompile(`[ \t]*([;=,:])[ \t]*`)
	protocol = regexp.MustCompile(`(^|,)[ \t]*([A-Za-z]+)[ \t]*/[ \t]*([0-9.]+)[ \t]*/[ \t]*([A-Za-z0-9-]+)[ \t]+`)
)

// straightVia leaves one blank in each value of a Via: the one before sent-by. A value with
// something in quotes is none that a Via needs, and stays.
func straightVia(value string) string {
	if strings.Contains(value, `"`) {
		return strings.TrimSpace(value)
	}
	value = around.ReplaceAllString(strings.TrimSpace(value), "$1")
	return protocol.ReplaceAllString(value, "$1$2/$3/$4 ")
}
