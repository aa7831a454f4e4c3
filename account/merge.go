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
	m := merger{index: newNameIndex(), layers: len(layers)}
	for _, l := range layers {
		if l.Doc == nil {
			continue
		}
		m.describe(l.Doc)
		m.doc.Nodes = slices.Grow(m.doc.Nodes, max(0, len(l.Doc.Nodes)-len(m.doc.Nodes)))
		for _, n := range migrate(l.Doc.Nodes) {
			m.arrive(l.sign(n))
		}
	}
	return m.result()
}

// sign gives a node the layer's priority and source where it has none of its own.
func (l Layer) sign(n Node) Node {
	if !n.HasPriority {
		n.Priority, n.HasPriority = l.Priority, true
	}
	if n.Source == "" {
		n.Source = l.Source
	}
	return n
}

// A merger holds what is stored while layers arrive.
type merger struct {
	doc   Document
	index nameIndex
	// lost are, per stored node, the values that lost against it, in order of arrival.
	lost   [][]Node
	layers int
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
func (m *merger) arrive(n Node) {
	i, known, row := m.index.put(n.Name, len(m.doc.Nodes))
	if !known {
		if row != nil && !row.NoDefault && n.Priority < PriorityDefault {
			m.index.drop(n.Name)
			return
		}
		if n.Operation == OperationUnion {
			n.Children = union(nil, n.Children)
		}
		m.doc.Nodes = append(m.doc.Nodes, n)
		m.lost = append(m.lost, nil)
		return
	}
	stored := &m.doc.Nodes[i]
	wins := n.Priority >= stored.Priority
	if row != nil && row.Merge == MergeEntries && n.empty() != stored.empty() {
		wins = stored.empty() // entries win over none, whatever the priorities
	}
	if !wins {
		m.lose(i, n)
		return
	}
	if n.Operation == OperationUnion && n.mayUnite(stored) {
		n.Children = union(stored.Children, n.Children)
	}
	m.lose(i, *stored)
	*stored = n
}

// lose notes a value that lost against the stored node i.
func (m *merger) lose(i int, n Node) {
	if m.lost[i] == nil {
		m.lost[i] = make([]Node, 0, m.layers-1)
	}
	m.lost[i] = appendLost(m.lost[i], n)
}

// appendLost adds a value and what it had won over itself, which arrived before it.
func appendLost(list []Node, n Node) []Node {
	for _, s := range slices.Backward(n.Shadows) {
		list = append(list, s)
	}
	n.Shadows = nil
	return append(list, n)
}

// result gives every node its shadows, the one that would win without it first:
// by priority, and among equal ones the last to arrive.
func (m *merger) result() *Document {
	for i, lost := range m.lost {
		n := &m.doc.Nodes[i]
		if len(lost) == 0 {
			continue
		}
		for _, s := range slices.Backward(n.Shadows) {
			lost = append(lost, s)
		}
		slices.Reverse(lost)
		slices.SortStableFunc(lost, func(a, b Node) int { return cmp.Compare(b.Priority, a.Priority) })
		n.Shadows = lost
	}
	m.doc.Nodes = m.index.ordered(m.doc.Nodes)
	return &m.doc
}

func (n *Node) empty() bool { return n.Text == "" && len(n.Children) == 0 }

// mayUnite tells whether both values are subtrees, an empty one included.
func (n *Node) mayUnite(stored *Node) bool { return n.Text == "" && stored.Text == "" }

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
