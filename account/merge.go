package account

import (
	"cmp"
	"slices"
)

// Sources of values, and the priority each has when nothing else is said.
const (
	SourceDefault      = "default"
	SourceProvisioning = "provisioning"
	SourceExtProv      = "extProv"
	SourceGUI          = "gui"

	PriorityDefault      = 0
	PriorityProvisioning = 10
	PriorityExtProv      = 20
	PriorityGUI          = 40
)

// Layer is one document in a merge. Source and Priority hold for nodes that say none.
type Layer struct {
	Doc      *Document
	Source   string
	Priority int
}

// Merge merges layers in their order of arrival.
//
// A node replaces the one stored under its name when its priority is higher or
// equal; a name not stored yet is added whatever its priority, unless it loses
// against the schema's default (priority 0). Operation subnode-union adds the
// children that are not there yet instead. Deprecated nodes become icm inside
// their layer first. The node kept carries the priority, source and attributes
// of the last newcomer that won, and in Shadows the ones it won over.
//
// Nodes of the result stand in the schema's order, then unknown ones by name.
// The schema's defaults are not part of it; see WithDefaults. The layers'
// documents are not changed.
func Merge(layers ...Layer) *Document {
	m := merger{index: newNameIndex()}
	for _, l := range layers {
		if l.Doc == nil {
			continue
		}
		m.describe(l.Doc)
		m.held = slices.Grow(m.held, max(0, len(l.Doc.Nodes)-len(m.held)))
		nodes := migrate(l.Doc.Nodes)
		for i := range nodes {
			m.arrive(l.sign(&nodes[i]))
		}
	}
	return m.result()
}

// A candidate is a node of a layer, with the priority and source it has there.
type candidate struct {
	node     *Node
	priority int
	source   string
	// children are the node's own, or the union they became part of.
	children []Element
	// before is the one that arrived before it under the same name, whoever won; -1: none.
	before int32
}

// sign gives a node the layer's priority and source where it has none of its own.
func (l Layer) sign(n *Node) candidate {
	c := candidate{node: n, priority: l.Priority, source: l.Source, children: n.Children, before: -1}
	if n.HasPriority {
		c.priority = n.Priority
	}
	if n.Source != "" {
		c.source = n.Source
	}
	return c
}

// signed is the node with what its layer says of it.
func (c *candidate) signed() Node {
	n := *c.node
	n.Priority, n.HasPriority, n.Source, n.Children, n.Shadows = c.priority, true, c.source, c.children, nil
	return n
}

func (c *candidate) empty() bool { return c.node.Text == "" && len(c.children) == 0 }

// A merger holds what is stored while layers arrive.
type merger struct {
	doc   Document
	index nameIndex
	// held are the values stored, lost the chain of those that each won over, the last to arrive first.
	held []candidate
	lost []candidate
}

// describe takes over what a document says about itself; the later wins.
func (m *merger) describe(d *Document) {
	if m.doc.File == "" {
		m.doc.File, m.doc.Line, m.doc.Col = d.File, d.Line, d.Col
	}
	for _, a := range d.Attrs {
		same := func(b Attr) bool { return a.Name == b.Name }
		if i := slices.IndexFunc(m.doc.Attrs, same); i >= 0 {
			m.doc.Attrs[i] = a
		} else {
			m.doc.Attrs = append(m.doc.Attrs, a)
		}
	}
}

// arrive lets one node meet what is stored.
func (m *merger) arrive(c candidate) {
	i, known, row := m.index.put(c.node.Name, len(m.held))
	if !known {
		if row != nil && !row.NoDefault && c.priority < PriorityDefault {
			m.index.drop(c.node.Name)
			return
		}
		if c.node.Operation == OperationUnion {
			c.children = union(nil, c.children)
		}
		m.held = append(m.held, c)
		return
	}
	stored := &m.held[i]
	wins := c.priority >= stored.priority
	if row != nil && row.Merge == MergeEntries && c.empty() != stored.empty() {
		wins = stored.empty() // entries win over none, whatever the priorities
	}
	if !wins {
		c.before, stored.before = stored.before, int32(len(m.lost))
		m.lost = append(m.lost, c)
		return
	}
	if c.node.Operation == OperationUnion && c.node.Text == "" && stored.node.Text == "" { // both are subtrees, or empty
		c.children = union(stored.children, c.children)
	}
	c.before = int32(len(m.lost))
	m.lost = append(m.lost, *stored)
	*stored = c
}

// result gives every node its shadows, the one that would win without it first:
// by priority, and among equal ones the last to arrive.
func (m *merger) result() *Document {
	room := make([]Node, 0, len(m.lost)+8)
	m.doc.Nodes = make([]Node, 0, len(m.held))
	m.index.each(func(i int) {
		c := &m.held[i]
		n := c.signed()
		from := len(room)
		room = append(room, c.node.Shadows...)
		for at := c.before; at >= 0; at = m.lost[at].before {
			room = append(room, m.lost[at].signed())
			room = append(room, m.lost[at].node.Shadows...)
		}
		if shadows := room[from:len(room):len(room)]; len(shadows) > 0 {
			byPriority := func(a, b Node) int { return cmp.Compare(b.Priority, a.Priority) }
			if !slices.IsSortedFunc(shadows, byPriority) {
				slices.SortStableFunc(shadows, byPriority)
			}
			n.Shadows = shadows
		}
		m.doc.Nodes = append(m.doc.Nodes, n)
	})
	return &m.doc
}

// union is stored with the children of added that are not there yet, compared
// whole, order kept.
func union(stored, added []Element) []Element {
	out := slices.Clone(stored)
	seen := map[string]bool{}
	for _, e := range stored {
		seen[e.key()] = true
	}
	for _, e := range added {
		if key := e.key(); !seen[key] {
			seen[key] = true
			out = append(out, e)
		}
	}
	return out
}

// bySchema orders nodes as the schema does, unknown ones last and by name.
func bySchema(a, b Node) int {
	index := table().index
	i, knownA := index[a.Name]
	j, knownB := index[b.Name]
	switch {
	case knownA && knownB:
		return cmp.Compare(i, j)
	case knownA:
		return -1
	case knownB:
		return 1
	}
	return cmp.Compare(a.Name, b.Name)
}

// WithDefaults returns a copy in which every node that has a default is present,
// with source "default" and priority 0. Nodes that are set shadow their default.
func WithDefaults(d *Document) *Document {
	out := *d
	out.Nodes = slices.Clone(d.Nodes)
	index := map[string]int{}
	for i, n := range out.Nodes {
		index[n.Name] = i
	}
	for _, row := range table().rows {
		if row.NoDefault || row.Deprecated() {
			continue
		}
		n := Node{Name: row.Name, Text: row.Default, Priority: PriorityDefault, HasPriority: true, Source: SourceDefault}
		if i, set := index[row.Name]; set {
			out.Nodes[i].Shadows = append(slices.Clip(out.Nodes[i].Shadows), n)
			continue
		}
		out.Nodes = append(out.Nodes, n)
	}
	slices.SortFunc(out.Nodes, bySchema)
	return &out
}
