package account

// A Document is one mergeable account XML: key nodes in document order.
// The zero value is an empty document, ready to use.
type Document struct {
	Nodes []Node
	// Attrs are the attributes of the <account> element.
	Attrs []Attr
	// Root is the element around several <account>s; nil when <account> is the root.
	Root *Root
	// File, Line and Col tell where the <account> element was read.
	File      string
	Line, Col int
}

// ID is the id attribute of the <account> element, which tells several accounts of
// one file apart; "" when there is none.
func (d *Document) ID() string {
	for _, a := range d.Attrs {
		if a.Name == "id" {
			return a.Value
		}
	}
	return ""
}

// A Root is the element around several <account>s of one file. The documents of
// one file share it.
type Root struct {
	Name  string
	Attrs []Attr
	// Others are children that are not <account>, kept to be written back.
	Others []Element
}

// A Node is one key node. Its value is Text, or Children when it is a subtree.
// A node with neither is a value as well: explicitly empty.
type Node struct {
	// Name is the schema's name of the node (aliases are replaced), or the name as written when the schema knows none.
	Name string
	// Priority decides who wins; see Merge. It counts only when HasPriority is set.
	Priority    int
	HasPriority bool
	// Source is free text saying where the value comes from; empty when the node says nothing.
	Source string
	// Operation is empty (replace) or OperationUnion.
	Operation string
	// Attrs are the node's other attributes, kept as they are.
	Attrs []Attr
	// Text is the value of a node without child elements.
	Text string
	// Children are the child elements; see Element for text between them.
	Children []Element
	// Shadows are the values this one won over, the strongest first. Merge fills it; it is never written.
	Shadows []Node
	// MigratedFrom names the deprecated node this one was made from, if any.
	MigratedFrom string
	// File, Line and Col tell where the node was read.
	File      string
	Line, Col int
}

// OperationUnion adds the children that are not there yet, instead of replacing.
const OperationUnion = "subnode-union"

// An Element is one XML element inside a key node. An Element without a name is a
// run of text between elements.
type Element struct {
	Name     string
	Attrs    []Attr
	Text     string
	Children []Element
}

// An Attr is one attribute; Name keeps its prefix, if any.
type Attr struct{ Name, Value string }

// Get returns the node of that name (aliases of the schema are understood).
func (d *Document) Get(name string) (*Node, bool) {
	name = canonicalName(name)
	for i := range d.Nodes {
		if d.Nodes[i].Name == name {
			return &d.Nodes[i], true
		}
	}
	return nil, false
}

// Set gives a node a text value with a priority and a source, replacing what the
// document had under that name. An empty text is a value: explicitly empty.
func (d *Document) Set(name, text string, priority int, source string) {
	d.put(Node{Name: name, Text: trimText(name, text), Priority: priority, HasPriority: true, Source: source})
}

// SetChildren is Set for a subtree.
func (d *Document) SetChildren(name string, children []Element, priority int, source string) {
	d.put(Node{Name: name, Children: children, Priority: priority, HasPriority: true, Source: source})
}

// Delete removes the node of that name and tells whether there was one.
func (d *Document) Delete(name string) bool {
	name = canonicalName(name)
	for i := range d.Nodes {
		if d.Nodes[i].Name == name {
			d.Nodes = append(d.Nodes[:i], d.Nodes[i+1:]...)
			return true
		}
	}
	return false
}

func (d *Document) put(n Node) {
	n.Name = canonicalName(n.Name)
	if old, ok := d.Get(n.Name); ok {
		*old = n
		return
	}
	d.Nodes = append(d.Nodes, n)
}

// Value is the effective text of the node: its text, or for localised
// <value lang> children the plain <value>, else the first one.
func (n *Node) Value() string {
	if len(n.Children) == 0 {
		return n.Text
	}
	first, found := "", false
	for _, c := range n.Children {
		if c.Name != "value" {
			continue
		}
		if _, localised := c.Attr("lang"); !localised {
			return c.Text
		}
		if !found {
			first, found = c.Text, true
		}
	}
	return first
}
