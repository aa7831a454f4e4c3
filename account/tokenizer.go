package account

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A place in a document; both numbers are 1-based, col counts characters.
type place struct{ line, col int }

type tokenKind int

const (
	startToken tokenKind = iota
	endToken
	textToken
)

// A token is what is left of XML here: comments and processing instructions are
// skipped, document types refused.
type token struct {
	kind  tokenKind
	name  string
	row   *Row // of the name, if it was looked up
	attrs []Attr
	text  []byte // of the document: not to be changed
	at    place
}

// A tokenizer reads raw tokens, so that names keep their prefixes, and knows
// where it is. It enforces the limits on depth and attributes while reading.
//
// Plain tokens, which documents are nearly all made of, are cut out of the data;
// anything else is left to encoding/xml, token by token.
type tokenizer struct {
	data []byte
	pos  int // of the next token
	// plain is off in tests that hold the two ways against each other.
	plain bool
	// open are the names of the elements around pos; closing is set behind <name/>.
	open    []string
	closing bool
	names   nameIndex
	// Where the last counted token began.
	offset int
	at     place
	fail   func(at place, format string, args ...any) error
}

func newTokenizer(data []byte, p *reader) *tokenizer {
	return &tokenizer{data: data, at: place{1, 1}, plain: true, open: make([]string, 0, 8), names: nameIndex{schema: table()}, fail: p.fail}
}

// here is the place of the next token.
func (t *tokenizer) here() place {
	between := t.data[t.offset:t.pos]
	if lines := bytes.Count(between, []byte{'\n'}); lines > 0 {
		t.at.line += lines
		t.at.col = 1
		between = between[bytes.LastIndexByte(between, '\n')+1:]
	}
	t.at.col += utf8.RuneCount(between)
	t.offset = t.pos
	return t.at
}

// next returns the next token, or io.EOF behind the last one.
func (t *tokenizer) next() (token, error) {
	for {
		at := t.here()
		if t.closing {
			t.closing = false
			return t.end(t.open[len(t.open)-1], at), nil
		}
		if t.pos >= len(t.data) {
			return token{}, io.EOF
		}
		if t.plain {
			if plain, ok := t.plainToken(); ok {
				plain.at = at
				return t.accept(plain)
			}
		}
		raw, err := t.rawToken()
		if errors.Is(err, io.EOF) {
			return token{}, io.EOF
		}
		if err != nil {
			return token{}, t.syntax(err)
		}
		switch raw := raw.(type) {
		case xml.StartElement, xml.EndElement, xml.CharData:
			return t.take(raw, at)
		case xml.Directive:
			return token{}, t.fail(at, "document types (<!DOCTYPE>) are refused")
		case xml.ProcInst:
			if strings.EqualFold(raw.Target, "xml") {
				return token{}, t.fail(at, "the XML declaration belongs at the start")
			}
		}
	}
}

// take makes a token of a raw one.
func (t *tokenizer) take(raw xml.Token, at place) (token, error) {
	switch raw := raw.(type) {
	case xml.StartElement:
		next := token{kind: startToken, name: fullName(raw.Name), at: at}
		for _, a := range raw.Attr {
			next.attrs = append(next.attrs, Attr{Name: fullName(a.Name), Value: a.Value})
		}
		return t.accept(next)
	case xml.EndElement:
		return t.end(fullName(raw.Name), at), nil
	}
	return token{kind: textToken, text: raw.(xml.CharData), at: at}, nil
}

// accept enters and leaves elements, within the limits.
func (t *tokenizer) accept(next token) (token, error) {
	switch next.kind {
	case endToken:
		return t.end(next.name, next.at), nil
	case textToken:
		return next, nil
	}
	if t.open = append(t.open, next.name); len(t.open) > MaxDepth {
		return token{}, t.fail(next.at, "elements are nested deeper than %d levels", MaxDepth)
	}
	if len(next.attrs) > MaxAttributes {
		return token{}, t.fail(next.at, "<%s> has more than %d attributes", next.name, MaxAttributes)
	}
	for i, a := range next.attrs {
		for _, before := range next.attrs[:i] {
			if before.Name == a.Name {
				return token{}, t.fail(next.at, "<%s> has the attribute %s twice", next.name, a.Name)
			}
		}
	}
	return next, nil
}

// end leaves an element. A wrong name is the reader's to see.
func (t *tokenizer) end(name string, at place) token {
	if len(t.open) > 0 {
		t.open = t.open[:len(t.open)-1]
	}
	return token{kind: endToken, name: name, at: at}
}

// rawToken lets encoding/xml read the token at pos.
func (t *tokenizer) rawToken() (xml.Token, error) {
	d := xml.NewDecoder(bytes.NewReader(t.data[t.pos:]))
	raw, err := d.RawToken()
	t.pos += int(d.InputOffset())
	if _, start := raw.(xml.StartElement); start {
		t.closing = t.data[t.pos-2] == '/' // attributes end in a quote
	}
	return raw, err
}

// syntax turns the tokenizer's error into ours, at the place where it gave up.
func (t *tokenizer) syntax(err error) error {
	token := t.offset
	at := t.here()
	var s *xml.SyntaxError
	if !errors.As(err, &s) {
		return t.fail(at, "malformed XML: %v", err)
	}
	switch {
	case s.Msg == "unexpected EOF":
		return t.fail(at, "malformed XML: the document ends too early")
	case s.Msg == "invalid UTF-8":
		return t.fail(at.back(t.data[token:t.offset]), "not UTF-8; ISO-8859-1 must be declared: <?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>")
	}
	if entity, found := strings.CutPrefix(s.Msg, "invalid character entity &"); found {
		return t.fail(at, "malformed XML: %s", badEntity(entity))
	}
	return t.fail(at, "malformed XML: %s", s.Msg)
}

// badEntity words the mistakes people make with &. What follows it is shown only
// when it is a name of HTML: it could be part of a secret.
func badEntity(rest string) string {
	name, semicolon := strings.CutSuffix(rest, ";")
	if _, html := xml.HTMLEntity[name]; html && semicolon {
		return "the entity &" + rest + " exists in HTML only"
	}
	return "& must be written as &amp;"
}

// back moves a place from the end of a piece of text to its first byte that is
// not UTF-8, if it is on the same line.
func (p place) back(text []byte) place {
	text = text[bytes.LastIndexByte(text, '\n')+1:]
	p.col -= utf8.RuneCount(text)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			break
		}
		p.col++
		text = text[size:]
	}
	return p
}

// fullName is the name as written, with its prefix.
func fullName(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

var (
	declaration = regexp.MustCompile(`^<\?xml\s([^?]*)\?>`)
	version     = regexp.MustCompile(`(?:^|\s)version\s*=\s*["']([^"']*)["']`)
	encoding    = regexp.MustCompile(`(?:^|\s)encoding\s*=\s*["']([^"']*)["']`)
)

// decode takes the byte order mark and the XML declaration off and returns UTF-8.
// The declaration is blanked out rather than cut, so that places stay right.
func (p *reader) decode(data []byte) ([]byte, error) {
	start := place{1, 1}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(data, []byte("\xfe\xff")) || bytes.HasPrefix(data, []byte("\xff\xfe")) {
		return nil, p.fail(start, "UTF-16 is not supported; use UTF-8 or ISO-8859-1")
	}
	space := len(data) - len(bytes.TrimLeft(data, xmlSpace))
	found := declaration.FindSubmatch(data[space:])
	if found == nil {
		return data, nil
	}
	if space > 0 {
		p.warn(start, "there is white space before the XML declaration")
	}
	declared := string(found[1])
	for i := range found[0] {
		if c := &data[space+i]; *c != '\n' {
			*c = ' '
		}
	}
	if v := version.FindStringSubmatch(declared); v == nil || v[1] != "1.0" {
		if v == nil || v[1] != "1.1" {
			return nil, p.fail(start, "the XML version must be 1.0")
		}
		p.warn(start, "XML 1.1 is read as 1.0")
	}
	if e := encoding.FindStringSubmatch(declared); e != nil {
		return p.toUTF8(data, e[1])
	}
	return data, nil
}

func (p *reader) toUTF8(data []byte, encoding string) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return data, nil
	case "iso-8859-1", "latin1", "latin-1":
		out := make([]byte, 0, len(data)+len(data)/8)
		for _, b := range data {
			out = utf8.AppendRune(out, rune(b))
		}
		return out, nil
	}
	return nil, p.fail(place{1, 1}, "encoding %q is not supported; use UTF-8 or ISO-8859-1", encoding)
}
