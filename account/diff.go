package account

import (
	"slices"
	"strings"
)

// Change is one difference between two documents. Diff masks secrets, so a
// changed one looks the same in Old and New.
type Change struct {
	Node string
	// Old and New are the values: text, or the elements of a subtree on one line.
	Old, New string
	// Added and Removed tell that only one of the documents has the node.
	Added, Removed bool
	// Effect of the change on a running line. It is Nothing when the value in force stays
	// the same, because a default is spelled out, say.
	Effect Effect
}

// Diff compares two documents node by node, in the schema's order. Priorities and
// sources do not count. Deprecated nodes are compared as what they become.
func Diff(a, b *Document) []Change { return diff(a, b, Node.masked) }

// DiffUnmasked is Diff with the values of secrets.
func DiffUnmasked(a, b *Document) []Change { return diff(a, b, func(n Node) Node { return n }) }

func diff(a, b *Document, show func(Node) Node) []Change {
	older, newer := a.byName(), b.byName()
	var names []Node
	for name, n := range older {
		names = append(names, Node{Name: name})
		if other := newer[name]; other != nil && n.sameValue(other) {
			names = names[:len(names)-1]
		}
	}
	for name := range newer {
		if older[name] == nil {
			names = append(names, Node{Name: name})
		}
	}
	slices.SortFunc(names, bySchema)
	var out []Change
	for _, n := range names {
		out = append(out, change(n.Name, older[n.Name], newer[n.Name], show))
	}
	return out
}

// MaxEffect is the strongest effect among the changes.
func MaxEffect(changes []Change) Effect {
	strongest := Nothing
	for _, c := range changes {
		strongest = max(strongest, c.Effect)
	}
	return strongest
}

func (d *Document) byName() map[string]*Node {
	if d == nil {
		return nil
	}
	nodes := migrate(d.Nodes)
	out := make(map[string]*Node, len(nodes))
	for i := range nodes {
		out[nodes[i].Name] = &nodes[i]
	}
	return out
}

// sameValue compares values and unknown attributes in the spelling that is written.
func (n *Node) sameValue(other *Node) bool {
	textA, childrenA := n.canonical()
	textB, childrenB := other.canonical()
	return textA == textB && slices.Equal(sorted(n.Attrs), sorted(other.Attrs)) && keys(childrenA) == keys(childrenB)
}

// change describes how a node differs; either side may be nil.
func change(name string, older, newer *Node, show func(Node) Node) Change {
	c := Change{Node: name, Old: older.shown(show), New: newer.shown(show), Added: older == nil, Removed: newer == nil}
	if row := rowOf(name); row != nil && inForce(row, older) != inForce(row, newer) {
		c.Effect = row.Effect
	}
	return c
}

// inForce is the value a running line uses, in a form that can be compared.
func inForce(row *Row, n *Node) string {
	switch {
	case row.Kind != KindSubtree && n == nil:
		return row.Default
	case row.Kind != KindSubtree:
		return usable(row, n)
	case n == nil:
		return keys(nil)
	}
	_, children := n.canonical()
	e := Element{Attrs: n.Attrs, Children: children}
	return e.key()
}

// shown is Flat of what may be shown of the node; nothing of none.
func (n *Node) shown(show func(Node) Node) string {
	if n == nil {
		return ""
	}
	visible := show(*n)
	return visible.Flat()
}

// Flat is the value in the spelling that is written: the text, or the elements of a
// subtree on one line. Secrets are not masked; see Document.Masked.
func (n *Node) Flat() string {
	text, children := n.canonical()
	if len(children) == 0 {
		return text
	}
	p := &printer{}
	for _, e := range children {
		p.flat(e)
	}
	return strings.TrimSpace(p.buf.String())
}

// flat writes an element without any layout.
func (p *printer) flat(e Element) {
	if e.Name == "" {
		p.escape(e.Text, false)
		return
	}
	p.open(e.Name, sorted(e.Attrs))
	if len(e.Children) == 0 && e.Text == "" {
		p.raw("/>")
		return
	}
	p.raw(">")
	p.escape(e.Text, false)
	for _, c := range e.Children {
		p.flat(c)
	}
	p.close(e.Name)
}
