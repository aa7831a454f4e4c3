package account

import (
	"strings"
	"unicode/utf8"
)

// Validate checks a complete account: every value, the nodes that must be there,
// and the rules across nodes. Warnings are among the problems; see Errors.
func (d *Document) Validate(m Mode) []Problem {
	c := checker{doc: d, mode: m}
	c.required()
	c.values()
	c.rules()
	return c.problems
}

// ValidateLayer checks a document that is only part of an account: required nodes
// may be missing, and rules across nodes are left to the merged result.
func (d *Document) ValidateLayer(m Mode) []Problem {
	c := checker{doc: d, mode: m}
	c.values()
	return c.problems
}

// A checker collects problems.
type checker struct {
	doc      *Document
	mode     Mode
	problems []Problem
}

// add turns a remark into a problem at the node, or at the document when n is nil.
func (c *checker) add(n *Node, name string, r remark) {
	if r.verdict == fine {
		return
	}
	p := Problem{File: c.doc.File, Line: c.doc.Line, Col: c.doc.Col, Node: name, Message: r.message}
	if n != nil {
		p.File, p.Line, p.Col = n.File, n.Line, n.Col
	}
	p.Warning = r.verdict == odd || r.verdict == sloppy && c.mode == Fetched
	c.problems = append(c.problems, p)
}

func (c *checker) required() {
	for i := range table().rows {
		row := &table().rows[i]
		if !row.Required {
			continue
		}
		if _, ok := c.doc.Get(row.Name); !ok {
			c.add(nil, row.Name, remark{wrong, "is missing"})
		}
	}
}

func (c *checker) values() {
	for i := range c.doc.Nodes {
		n := &c.doc.Nodes[i]
		for _, r := range judgeNode(n) {
			c.add(n, n.Name, r)
		}
	}
}

// judgeNode is everything there is to say about one node.
func judgeNode(n *Node) []remark {
	var out []remark
	if !validName(n.Name) {
		out = append(out, remarkf(wrong, "%s is not an XML name", quote(n.Name)))
	}
	if r := judgeCharacters(n.Text); r.verdict != fine {
		out = append(out, r)
	}
	if n.Operation == OperationUnion && n.Text != "" {
		out = append(out, remark{odd, "subnode-union adds elements; a text replaces"})
	}
	row := rowOf(n.Name)
	switch {
	case row == nil:
		return append(out, judgeUnknown(n.Name)...)
	case row.Kind == KindSubtree:
		return append(out, judgeCompound(n)...)
	}
	for _, e := range n.Children {
		if e.Name != "value" {
			return append(out, remark{wrong, "holds elements where text is meant"})
		}
	}
	if r := judgeText(row, n.Value()); r.verdict != fine {
		out = append(out, r)
	}
	return out
}

func judgeCharacters(text string) remark {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if !validChar(r, size) {
			return remark{wrong, "contains a character that XML cannot hold"}
		}
		i += size
	}
	return remark{}
}

// judgeUnknown helps with names that are known in another case.
func judgeUnknown(name string) []remark {
	if row, ok := table().folded[strings.ToLower(name)]; ok {
		return []remark{remarkf(odd, "is unknown and carried unused; %s is known", table().rows[row].Name)}
	}
	return nil
}
