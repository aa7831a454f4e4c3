package account

import (
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
)

// Kind says what a node's text may look like.
type Kind string

// The kinds of nodes.
const (
	KindString   Kind = "string"
	KindBool     Kind = "bool"     // 0 or 1
	KindTristate Kind = "tristate" // 0, 1 or empty
	KindInt      Kind = "int"
	KindIntEmpty Kind = "intOrEmpty"
	KindEnum     Kind = "enum"
	KindCSV      Kind = "csv"    // ordered words without repeats
	KindIntCSV   Kind = "intCSV" // ordered payload numbers without repeats
	KindHost     Kind = "host"   // host[:port]
	KindIP       Kind = "ip"
	KindURL      Kind = "url"      // URL with placeholders
	KindTemplate Kind = "template" // text with placeholders, several lines if need be
	KindTone     Kind = "tone"     // the call-tone language
	KindSubtree  Kind = "subtree"  // a compound node
)

// Effect is what a change of a value does to a running line. The order counts.
type Effect int

// The effects, the mildest first.
const (
	Nothing    Effect = iota // the line does not notice
	Live                     // used from the next request, call or packet on
	Reregister               // the binding at the registrar is made anew
	Restart                  // sockets are opened anew
)

// String is the word shown to users.
func (e Effect) String() string {
	return [...]string{"nothing", "live", "re-register", "restart"}[e]
}

// Honour says who acts on a node today.
type Honour string

// Who may honour a node. Carried nodes pass through unused.
const (
	ByAgent    Honour = "agent"
	ByOperator Honour = "operator"
	Carried    Honour = "carried"
)

// MergeKind says how a node that arrives meets the one that is stored.
type MergeKind string

// The ways of merging. OperationUnion on a node goes before all of them.
const (
	MergeReplace MergeKind = "replace" // the newcomer takes the place
	MergeEntries MergeKind = "entries" // as replace, but a newcomer without entries replaces nothing
	MergeMigrate MergeKind = "migrate" // deprecated: becomes other nodes inside its own layer
)

// Range bounds a number, both ends included.
type Range struct{ Min, Max int }

// NoMax is the upper end of a Range that has none. Numbers are 32 bits wide.
const NoMax = math.MaxInt32

func from(minimum int) *Range             { return &Range{minimum, NoMax} }
func between(minimum, maximum int) *Range { return &Range{minimum, maximum} }

// Row is one node of the schema.
type Row struct {
	// Name is the node's XML name, Aliases are other names it is read by.
	Name    string
	Aliases []string
	// Section groups nodes the way the document does.
	Section string
	Kind    Kind
	// Enum lists the words of an enum or csv node, in the spelling that is written;
	// for a list of payload numbers, the ones that may be offered.
	Enum []string
	// FoldCase reads enum words in any case.
	FoldCase bool
	// Synonyms maps other spellings of enum words to the one that is written.
	Synonyms map[string]string
	// Else is what any other word of an enum reads as; empty: other words are errors.
	Else string
	// Permutation asks a csv node for every word of Enum.
	Permutation bool
	// Schemes lists what a URL may start with.
	Schemes []string
	// Default is the value in force when no layer gives one. NoDefault means there is none.
	Default   string
	NoDefault bool
	// Required nodes must not be empty in a complete account.
	Required bool
	// MayBeEmpty allows an explicitly empty value where the kind alone would not.
	MayBeEmpty bool
	// Range bounds a number (nil: 32 bits), Also are numbers allowed outside of it.
	Range *Range
	Also  []int
	// Secret values are never shown.
	Secret bool
	Merge  MergeKind
	// Bonus rows are known from shipped defaults, not from the document.
	Bonus bool
	// Untyped rows have no field in Account; they are read by name.
	Untyped bool
	// Effect of a change on a running line, and who honours the node.
	Effect     Effect
	HonouredBy Honour
	// Doc is one line of documentation.
	Doc string
}

// Deprecated tells whether the node is migrated to others before merging.
func (r *Row) Deprecated() bool { return r.Merge == MergeMigrate }

// allowsEmpty tells whether an explicitly empty value means something.
func (r *Row) allowsEmpty() bool {
	switch r.Kind {
	case KindString, KindTristate, KindIntEmpty, KindURL, KindTemplate, KindTone, KindSubtree:
		return true
	}
	return r.MayBeEmpty
}

type schema struct {
	rows []Row
	// index finds a row by name and alias, folded by either in lower case.
	index, folded map[string]int
}

var table = sync.OnceValue(buildSchema)

func buildSchema() schema {
	s := schema{index: map[string]int{}, folded: map[string]int{}}
	for i, sec := range slices.Concat(documentRows, bonusRows) {
		for _, row := range sec.rows {
			row.Section, row.Bonus = sec.name, i >= len(documentRows)
			if row.Merge == "" {
				row.Merge = MergeReplace
			}
			if row.HonouredBy == "" {
				row.HonouredBy = Carried
			}
			for _, name := range append([]string{row.Name}, row.Aliases...) {
				s.index[name] = len(s.rows)
				s.folded[strings.ToLower(name)] = len(s.rows)
			}
			s.rows = append(s.rows, row)
		}
	}
	return s
}

// Schema returns the rows in the document's order, those it does not describe last.
func Schema() []Row { return slices.Clone(table().rows) }

// Lookup returns the row of a node by its name or an alias.
func Lookup(name string) (Row, bool) {
	if row := rowOf(name); row != nil {
		return *row, true
	}
	return Row{}, false
}

// rowOf is Lookup without the copy; nil when the schema does not know the node.
func rowOf(name string) *Row {
	s := table()
	if i, ok := s.index[name]; ok {
		return &s.rows[i]
	}
	return nil
}

// A nameIndex finds nodes of a document by name.
type nameIndex struct {
	schema  schema
	known   []int32 // by row, 1-based; 0 is not there
	unknown map[string]int
	// next is the row behind the last one: documents that are written by machines
	// follow the schema, and need no look into the map.
	next int
}

func newNameIndex() nameIndex {
	s := table()
	return nameIndex{schema: s, known: make([]int32, len(s.rows))}
}

// number of the row of that name.
func (x *nameIndex) number(name string) (int, bool) {
	number, ok := x.next, x.next < len(x.schema.rows) && x.schema.rows[x.next].Name == name
	if !ok {
		if number, ok = x.schema.index[name]; !ok {
			return 0, false
		}
	}
	x.next = number + 1
	return number, true
}

// put notes that the node of that name stands at i, unless there is one already;
// it returns where the first one stands, whether it was there before, and its row, if any.
func (x *nameIndex) put(name string, i int) (int, bool, *Row) {
	if number, ok := x.number(name); ok {
		row := &x.schema.rows[number]
		if at := x.known[number]; at > 0 {
			return int(at) - 1, true, row
		}
		x.known[number] = int32(i) + 1
		return i, false, row
	}
	if at, ok := x.unknown[name]; ok {
		return at, true, nil
	}
	if x.unknown == nil {
		x.unknown = map[string]int{}
	}
	x.unknown[name] = i
	return i, false, nil
}

// drop forgets a known node.
func (x *nameIndex) drop(name string) { x.known[x.schema.index[name]] = 0 }

// each goes through the places of the nodes in the schema's order, unknown ones last and by name.
func (x *nameIndex) each(visit func(at int)) {
	for _, at := range x.known {
		if at > 0 {
			visit(int(at) - 1)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.unknown)) {
		visit(x.unknown[name])
	}
}

// canonicalName replaces an alias by the name it stands for.
func canonicalName(name string) string {
	if row := rowOf(name); row != nil {
		return row.Name
	}
	return name
}

// trimText drops white space around a value; secrets are kept to the letter.
func trimText(node, text string) string {
	if IsSecret(node) {
		return text
	}
	return strings.Trim(text, xmlSpace)
}

// xmlSpace is the white space of XML 1.0 §2.3.
const xmlSpace = " \t\r\n"
