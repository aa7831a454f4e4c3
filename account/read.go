package account

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Mode says how strictly a document is judged.
type Mode int

// Authored documents were written for us and must be right; Fetched ones come
// from provisioning services and are read with tolerance.
const (
	Authored Mode = iota
	Fetched
)

// Limits of a document; one that exceeds them is refused as a whole.
const (
	MaxBytes      = 1 << 20 // of the document
	MaxDepth      = 32      // levels of elements, the root included
	MaxAttributes = 64      // of one element
)

// accountElement is the name of the element that holds key nodes.
const accountElement = "account"

// ReadOptions tell Read how to read.
type ReadOptions struct {
	Mode Mode
	// File is the name used in problems.
	File string
}

// Read reads one <account>, or several under one root.
//
// The error is a Problem when the input is malformed or exceeds a limit; nothing
// was read then. The problems are mistakes in single nodes and what can be lived
// with; values are not judged here, see Validate. At most MaxBytes are kept in memory,
// however long the input is.
func Read(r io.Reader, o ReadOptions) ([]*Document, []Problem, error) {
	var data bytes.Buffer
	if known, ok := r.(interface{ Len() int }); ok {
		data.Grow(min(known.Len(), MaxBytes) + bytes.MinRead)
	}
	if _, err := data.ReadFrom(io.LimitReader(r, MaxBytes+1)); err != nil {
		return nil, nil, fmt.Errorf("reading account XML: %w", err)
	}
	if data.Len() > MaxBytes {
		return nil, nil, Problem{File: o.File, Message: "the document is larger than 1 MiB"}
	}
	p := &reader{mode: o.Mode, file: o.File}
	text, err := p.decode(data.Bytes())
	if err != nil {
		return nil, nil, err
	}
	p.tokenizer = newTokenizer(text, p)
	docs, err := p.document()
	if err != nil {
		return nil, nil, err
	}
	return docs, p.problems, nil
}

// ReadString is Read for a document that is in memory.
func ReadString(s string, o ReadOptions) ([]*Document, []Problem, error) {
	return Read(strings.NewReader(s), o)
}

// A reader turns tokens into documents.
type reader struct {
	*tokenizer
	mode     Mode
	file     string
	problems []Problem
	// node is the key node being read, for messages; secret counts the elements
	// around the current place whose content must not be shown.
	node   string
	secret int
}

// fail makes the fatal error at a place. The text of a secret can end up in a message
// about malformed XML, so inside secret nodes the message is always the same.
func (p *reader) fail(at place, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	if p.secret > 0 {
		message = "malformed XML inside a secret value; write & as &amp; and < as &lt;"
	}
	return Problem{File: p.file, Line: at.line, Col: at.col, Node: p.node, Message: message}
}

// note records a mistake: an error in authored documents, a warning in fetched ones.
func (p *reader) note(at place, node, format string, args ...any) {
	p.problems = append(p.problems, Problem{File: p.file, Line: at.line, Col: at.col, Node: node,
		Message: fmt.Sprintf(format, args...), Warning: p.mode == Fetched})
}

func (p *reader) warn(at place, format string, args ...any) {
	p.problems = append(p.problems, Problem{File: p.file, Line: at.line, Col: at.col,
		Message: fmt.Sprintf(format, args...), Warning: true})
}

// document reads everything: prolog, root, and what follows it.
func (p *reader) document() ([]*Document, error) {
	var docs []*Document
	seen := false
	for {
		t, err := p.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch t.kind {
		case startToken:
			if seen {
				return nil, p.fail(t.at, "<%s> after the end of the root element", t.name)
			}
			seen = true
			if docs, err = p.root(t); err != nil {
				return nil, err
			}
		case textToken:
			if len(bytes.Trim(t.text, xmlSpace)) > 0 {
				return nil, p.fail(t.at, "text outside the root element")
			}
		}
	}
	if !seen {
		return nil, p.fail(place{1, 1}, "there is no <account> element")
	}
	return docs, nil
}

// root reads the outermost element: an <account>, or one around several.
func (p *reader) root(start token) ([]*Document, error) {
	if start.name == accountElement {
		d, err := p.account(start)
		return []*Document{d}, err
	}
	root := &Root{Name: start.name, Attrs: start.attrs}
	var docs []*Document
	for {
		t, err := p.child(start.name)
		switch {
		case err != nil:
			return nil, err
		case t.kind == textToken:
			if len(bytes.Trim(t.text, xmlSpace)) > 0 {
				p.note(t.at, "", "text inside <%s> is ignored", start.name)
			}
		case t.kind == endToken && docs == nil:
			return nil, p.fail(start.at, "there is no <account> element in <%s>", start.name)
		case t.kind == endToken:
			return docs, nil
		case t.name == accountElement:
			d, err := p.account(t)
			if err != nil {
				return nil, err
			}
			d.Root = root
			docs = append(docs, d)
		default:
			e, err := p.element(t, false)
			if err != nil {
				return nil, err
			}
			root.Others = append(root.Others, e)
		}
	}
}

// account reads the key nodes of one <account>.
func (p *reader) account(start token) (*Document, error) {
	d := &Document{Attrs: start.attrs, File: p.file, Line: start.at.line, Col: start.at.col}
	seen := newNameIndex()
	for {
		t, err := p.child(accountElement)
		if err != nil {
			return nil, err
		}
		switch t.kind {
		case endToken:
			return d, nil
		case textToken:
			if len(bytes.Trim(t.text, xmlSpace)) > 0 {
				p.note(t.at, "", "text between the nodes of <account> is ignored")
			}
		case startToken:
			n, err := p.keyNode(t)
			if err != nil {
				return nil, err
			}
			if i, twice, _ := seen.put(n.Name, len(d.Nodes)); twice {
				p.duplicate(t.at, d.Nodes[i], n)
				d.Nodes[i] = n
				continue
			}
			if d.Nodes == nil {
				d.Nodes = make([]Node, 0, p.nodesLeft())
			}
			d.Nodes = append(d.Nodes, n)
		}
	}
}

// nodesLeft is about how many nodes are still to come, so that room is made once.
func (p *reader) nodesLeft() int {
	rest := p.data[p.pos:]
	return 1 + min(bytes.Count(rest, []byte("</"))+bytes.Count(rest, []byte("/>")), 256)
}

func (p *reader) duplicate(at place, first, second Node) {
	if p.mode == Fetched {
		p.note(at, second.Name, "written twice, first in line %d; the last one counts", first.Line)
		return
	}
	p.note(at, second.Name, "written twice, first in line %d", first.Line)
}

// keyNode reads one child of <account>.
func (p *reader) keyNode(t token) (Node, error) {
	n := Node{Name: t.name, File: p.file, Line: t.at.line, Col: t.at.col}
	row := t.row
	if row == nil {
		row = rowOf(t.name)
	}
	var secret bool
	if row != nil {
		n.Name, secret = row.Name, row.Secret
	} else {
		secret = soundsSecret(n.Name)
	}
	p.node = n.Name
	e, err := p.element(t, secret)
	p.node = ""
	if err != nil {
		return n, err
	}
	n.Text, n.Children = e.Text, e.Children
	for _, a := range e.Attrs {
		p.keyAttr(&n, a, t.at)
	}
	return n, nil
}

// keyAttr takes one attribute of a key node.
func (p *reader) keyAttr(n *Node, a Attr, at place) {
	switch a.Name {
	case "priority":
		v, err := strconv.ParseInt(strings.TrimSpace(a.Value), 10, 32)
		if err != nil {
			p.note(at, n.Name, "priority %q is not a whole number", a.Value)
			return
		}
		n.Priority, n.HasPriority = int(v), true
	case "source":
		n.Source = a.Value
	case "operation":
		if a.Value != OperationUnion && a.Value != "" {
			p.note(at, n.Name, "operation %q is unknown; there is only %q", a.Value, OperationUnion)
		}
		n.Operation = a.Value
	default:
		n.Attrs = append(n.Attrs, a)
	}
}

// element reads an element and everything in it, up to its end tag. verbatim
// keeps the white space of its text.
func (p *reader) element(start token, verbatim bool) (Element, error) {
	e := Element{Name: start.name, Attrs: start.attrs}
	if verbatim = verbatim || soundsSecret(start.name); verbatim {
		p.secret++ // an error leaves it raised; nothing is read after one
	}
	var text []byte // the run of text since the last child
	for {
		t, err := p.child(start.name)
		if err != nil {
			return e, err
		}
		switch t.kind {
		case textToken:
			if text == nil {
				text = t.text[:len(t.text):len(t.text)] // a copy only if there is more
				break
			}
			text = append(text, t.text...)
		case startToken:
			c, err := p.element(t, verbatim)
			if err != nil {
				return e, err
			}
			if len(text) > 0 {
				e.Children = append(e.Children, Element{Text: string(text)})
				text = nil
			}
			e.Children = append(e.Children, c)
		case endToken:
			e.finish(text, verbatim)
			if verbatim {
				p.secret--
			}
			return e, nil
		}
	}
}

// finish settles what the text of an element is, once it is complete.
func (e *Element) finish(last []byte, verbatim bool) {
	if len(e.Children) == 0 {
		if !verbatim {
			last = bytes.Trim(last, xmlSpace)
		}
		e.Text = string(last)
		return
	}
	if len(last) > 0 {
		e.Children = append(e.Children, Element{Text: string(last)})
	}
	mixed := false
	for _, c := range e.Children {
		mixed = mixed || c.Name == "" && strings.Trim(c.Text, xmlSpace) != ""
	}
	if mixed {
		return
	}
	kept := e.Children[:0] // only white space between elements: layout
	for _, c := range e.Children {
		if c.Name != "" {
			kept = append(kept, c)
		}
	}
	e.Children = kept
}

// child reads the next token inside an element and checks that an end tag is the
// right one.
func (p *reader) child(parent string) (token, error) {
	t, err := p.next()
	if errors.Is(err, io.EOF) {
		return t, p.fail(p.here(), "the document ends inside <%s>", parent)
	}
	if err == nil && t.kind == endToken && t.name != parent {
		return t, p.fail(t.at, "<%s> is closed by </%s>", parent, t.name)
	}
	return t, err
}
