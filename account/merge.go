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
	m := merger{index: newNameIndex(), layers: make([]arrived, 0, len(layers))}
	m.makeRoom(layers)
	for _, l := range layers {
		if l.Doc == nil {
			continue
		}
		m.describe(l.Doc)
		nodes := migrate(l.Doc.Nodes)
		m.layers = append(m.layers, arrived{nodes: nodes, source: l.Source})
		m.index.next = 0
		for i := range nodes {
			c := candidate{layer: int32(len(m.layers) - 1), at: int32(i), priority: l.Priority, union: none, before: none}
			if nodes[i].HasPriority {
				c.priority = nodes[i].Priority
			}
			m.arrive(c)
		}
	}
	return m.result()
}

// arrived is a layer as the merger has it.
type arrived struct {
	nodes  []Node
	source string // of those that name none
}

// A candidate is a node of a layer, with the priority it has there. There are many
// of them for a moment; places instead of pointers make that cheap.
type candidate struct {
	priority  int
	layer, at int32
	// union is the place of the children that it became part of; none: it has its own.
	union int32
	// before is the one that arrived before it under the same name, whoever won.
	before int32
}

// none is no place.
const none = -1

// A merger holds what is stored while layers arrive.
type merger struct {
	doc    Document
	index  nameIndex
	layers []arrived
	unions [][]Element
	// held are the values stored, lost the chain of those that each won over, the last to arrive first.
	held []candidate
	lost []candidate
}

// makeRoom for what the layers have: the most of one is about what is kept.
func (m *merger) makeRoom(layers []Layer) {
	most, all := 0, 0
	for _, l := range layers {
		if l.Doc != nil {
			most, all = max(most, len(l.Doc.Nodes)), all+len(l.Doc.Nodes)
		}
	}
	m.held, m.lost = make([]candidate, 0, most), make([]candidate, 0, all-most)
}

func (m *merger) node(c *candidate) *Node { return &m.layers[c.layer].nodes[c.at] }

func (m *merger) children(c *candidate) []Element {
	if c.union != none {
		return m.unions[c.union]
	}
	return m.node(c).Children
}

func (m *merger) unite(c *candidate, stored []Element) {
	m.unions = append(m.unions, union(stored, m.children(c)))
	c.union = int32(len(m.unions) - 1)
}

func (m *merger) empty(c *candidate) bool { return m.node(c).Text == "" && len(m.children(c)) == 0 }

// signed appends a candidate's node with what its layer says of it.
func (m *merger) signed(to []Node, c *candidate) []Node {
	to = append(to, *m.node(c))
	n := &to[len(to)-1]
	n.Priority, n.HasPriority = c.priority, true
	if n.Source == "" {
		n.Source = m.layers[c.layer].source
	}
	if c.union != none {
		n.Children = m.unions[c.union]
	}
	n.Shadows = nil
	return to
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
	node := m.node(&c)
	i, known, row := m.index.put(node.Name, len(m.held))
	if !known {
		if row != nil && !row.NoDefault && c.priority < PriorityDefault {
			m.index.drop(node.Name)
			return
		}
		if node.Operation == OperationUnion {
			m.unite(&c, nil)
		}
		m.held = append(m.held, c)
		return
	}
	stored := &m.held[i]
	wins := c.priority >= stored.priority
	if row != nil && row.Merge == MergeEntries && m.empty(&c) != m.empty(stored) {
		wins = m.empty(stored) // entries win over none, whatever the priorities
	}
	if !wins {
		c.before, stored.before = stored.before, int32(len(m.lost))
		m.lost = append(m.lost, c)
		return
	}
	if node.Operation == OperationUnion && node.Text == "" && m.node(stored).Text == "" { // both are subtrees, or empty
		m.unite(&c, m.children(stored))
	}
	c.before = int32(len(m.lost))
	m.lost = append(m.lost, *stored)
	*stored = c
}

// result gives every node its shadows, the one that would win without it first:
// by priority, and among equal ones the last to arrive.
func (m *merger) result() *Document {
	room := make([]Node, 0, len(m.lost))
	m.doc.Nodes = make([]Node, 0, len(m.held))
	m.index.each(func(i int) {
		c, from := &m.held[i], len(room)
		room = m.shadows(room, c)
		m.doc.Nodes = m.signed(m.doc.Nodes, c)
		if from < len(room) {
			m.doc.Nodes[len(m.doc.Nodes)-1].Shadows = room[from:len(room):len(room)]
		}
	})
	return &m.doc
}

// shadows appends what a candidate has won over.
func (m *merger) shadows(room []Node, c *candidate) []Node {
	var places [16]int32
	if chain, simple := m.chain(places[:0], c); simple {
		for _, at := range chain {
			room = m.signed(room, &m.lost[at])
		}
		return room
	}
	from := len(room)
	room = append(room, m.node(c).Shadows...)
	for at := c.before; at != none; at = m.lost[at].before {
		room = m.signed(room, &m.lost[at])
		room = append(room, m.node(&m.lost[at]).Shadows...)
	}
	slices.SortStableFunc(room[from:], func(a, b Node) int { return cmp.Compare(b.Priority, a.Priority) })
	return room
}

// chain is where those are that a candidate has won over, sorted; not simple: some
// have shadows of their own, of an earlier merge.
func (m *merger) chain(places []int32, c *candidate) (sorted []int32, simple bool) {
	simple = len(m.node(c).Shadows) == 0
	for at := c.before; at != none && simple; at = m.lost[at].before {
		l := &m.lost[at]
		simple = len(m.node(l).Shadows) == 0
		i := len(places)
		for places = append(places, at); i > 0 && m.lost[places[i-1]].priority < l.priority; i-- {
			places[i] = places[i-1]
		}
		places[i] = at
	}
	return places, simple
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
