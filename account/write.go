package account

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// WriteOptions tell Write how to write.
type WriteOptions struct {
	// Mask writes secret values as asterisks.
	Mask bool
	// Provenance writes priority, source and operation where a node has them.
	// Without it the result is a plain account: values only.
	Provenance bool
}

// Write writes the document as canonical XML: UTF-8, nodes in the document's order,
// known attributes first and the others sorted, values in the schema's spelling.
// The same nodes give the same bytes, and reading them gives the same nodes.
// It fails, before anything is written, on names and characters XML cannot hold.
func (d *Document) Write(w io.Writer, o WriteOptions) error {
	out := newPrinter(o)
	out.document(d, 0)
	return out.flush(w)
}

// WriteAll writes several documents under the root they were read from, or <accounts>.
// A single document without a root is written as Write does.
func WriteAll(w io.Writer, docs []*Document, o WriteOptions) error {
	if len(docs) == 1 && docs[0].Root == nil {
		return docs[0].Write(w, o)
	}
	root := &Root{Name: "accounts"}
	if len(docs) > 0 && docs[0].Root != nil {
		root = docs[0].Root
	}
	out := newPrinter(o)
	out.open(root.Name, sorted(root.Attrs))
	out.raw(">\n")
	for _, d := range docs {
		out.document(d, 1)
	}
	others := root.Others
	if o.Mask {
		others = maskElements(others, false)
	}
	out.children(others, 1)
	out.close(root.Name)
	out.raw("\n")
	return out.flush(w)
}

// String is the document as canonical XML with provenance, secrets masked.
func (d *Document) String() string {
	var b strings.Builder
	if err := d.Write(&b, WriteOptions{Mask: true, Provenance: true}); err != nil {
		return err.Error()
	}
	return b.String()
}

// A printer collects XML and the first error.
type printer struct {
	WriteOptions
	buf  bytes.Buffer
	node string // the key node being written, for errors
	err  error
}

func newPrinter(o WriteOptions) *printer {
	p := &printer{WriteOptions: o}
	p.buf.Grow(8 << 10)
	p.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	return p
}

func (p *printer) flush(w io.Writer) error {
	if p.err != nil {
		return fmt.Errorf("writing account XML: %w", p.err)
	}
	if _, err := p.buf.WriteTo(w); err != nil {
		return fmt.Errorf("writing account XML: %w", err)
	}
	return nil
}

func (p *printer) document(d *Document, level int) {
	p.indent(level)
	p.open(accountElement, sorted(d.Attrs))
	if len(d.Nodes) == 0 {
		p.raw("/>\n")
		return
	}
	p.raw(">\n")
	for i := range d.Nodes {
		p.keyNode(&d.Nodes[i], level+1)
	}
	p.indent(level)
	p.close(accountElement)
	p.raw("\n")
}

func (p *printer) keyNode(n *Node, level int) {
	p.node = n.Name
	if p.Mask {
		masked := n.masked()
		n = &masked
	}
	if n.Name == "" { // an element without a name would be written as text
		p.name(n.Name)
		return
	}
	text, children := n.canonical()
	p.element(Element{Name: n.Name, Text: text, Children: children, Attrs: p.keyAttrs(n)}, level)
	p.node = ""
}

func (p *printer) keyAttrs(n *Node) []Attr {
	others := sorted(n.Attrs)
	if !p.Provenance {
		return others
	}
	attrs := make([]Attr, 0, 3+len(others))
	if n.HasPriority {
		attrs = append(attrs, Attr{"priority", strconv.Itoa(n.Priority)})
	}
	if n.Source != "" {
		attrs = append(attrs, Attr{"source", n.Source})
	}
	if n.Operation != "" {
		attrs = append(attrs, Attr{"operation", n.Operation})
	}
	return append(attrs, others...)
}

func (p *printer) children(list []Element, level int) {
	for _, c := range list {
		c.Attrs = sorted(c.Attrs)
		p.element(c, level)
	}
}

// element writes one element on lines of its own; one with text between its
// elements goes on a single line, because white space counts there.
func (p *printer) element(e Element, level int) {
	p.indent(level)
	p.inline(e, level)
	p.raw("\n")
}

func (p *printer) inline(e Element, level int) {
	if e.Name == "" {
		p.escape(e.Text, false)
		return
	}
	p.open(e.Name, e.Attrs)
	switch {
	case len(e.Children) == 0 && e.Text == "":
		p.raw("/>")
		return
	case len(e.Children) == 0:
		p.raw(">")
		p.escape(e.Text, false)
	case slices.ContainsFunc(e.Children, func(c Element) bool { return c.Name == "" }):
		p.raw(">")
		for _, c := range e.Children {
			c.Attrs = sorted(c.Attrs)
			p.inline(c, level)
		}
	default:
		p.raw(">\n")
		p.children(e.Children, level+1)
		p.indent(level)
	}
	p.close(e.Name)
}

func (p *printer) open(name string, attrs []Attr) {
	p.raw("<")
	p.name(name)
	for _, a := range attrs {
		p.raw(" ")
		p.name(a.Name)
		p.raw(`="`)
		p.escape(a.Value, true)
		p.raw(`"`)
	}
}

func (p *printer) close(name string) { p.raw("</" + name + ">") }

func (p *printer) raw(s string) { p.buf.WriteString(s) }

func (p *printer) indent(level int) {
	for range level {
		p.raw("  ")
	}
}

func (p *printer) name(s string) {
	if !validName(s) {
		p.fail("%q is not an XML name", s)
	}
	p.raw(s)
}

func (p *printer) fail(format string, args ...any) {
	if p.err == nil {
		p.err = Problem{Node: p.node, Message: fmt.Sprintf(format, args...)}
	}
}

// escape writes text, or an attribute's value, so that reading gives it back to the letter.
func (p *printer) escape(s string, attr bool) {
	done := 0
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		if !validChar(r, size) {
			p.fail("character %U cannot be written in XML", r)
			return
		}
		if esc := escaped(r, attr); esc != "" {
			p.raw(s[done:i])
			p.raw(esc)
			done = i + size
		}
		i += size
	}
	p.raw(s[done:])
}

func escaped(r rune, attr bool) string {
	switch {
	case r == '&':
		return "&amp;"
	case r == '<':
		return "&lt;"
	case r == '>':
		return "&gt;"
	case r == '\r':
		return "&#xD;"
	case attr && r == '"':
		return "&quot;"
	case attr && r == '\n':
		return "&#xA;"
	case attr && r == '\t':
		return "&#x9;"
	}
	return ""
}

// validChar is Char of XML 1.0 §2.2.
func validChar(r rune, size int) bool {
	if r == utf8.RuneError && size <= 1 {
		return false
	}
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000
}

// validName tells whether our reader takes s as the name of an element.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '-' || c == '.')) {
			return readableName(s) // prefixes and other alphabets
		}
	}
	return s != ""
}

func readableName(s string) bool {
	t, err := xml.NewDecoder(strings.NewReader("<" + s + "/>")).RawToken()
	start, ok := t.(xml.StartElement)
	return err == nil && ok && len(start.Attr) == 0 && fullName(start.Name) == s
}

// sorted returns attributes by name, without changing the caller's.
func sorted(attrs []Attr) []Attr {
	byName := func(a, b Attr) int { return cmp.Compare(a.Name, b.Name) }
	if slices.IsSortedFunc(attrs, byName) {
		return attrs
	}
	return slices.SortedFunc(slices.Values(attrs), byName)
}
