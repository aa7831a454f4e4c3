package account

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
	KindIntCSV   Kind = "intCSV" // ordered numbers without repeats
	KindHost     Kind = "host"   // host[:port]
	KindIP       Kind = "ip"
	KindURL      Kind = "url" // URL template with placeholders
	KindTemplate Kind = "template"
	KindTone     Kind = "tone"    // the call-tone language
	KindSubtree  Kind = "subtree" // a compound node
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

// Row is one node of the schema.
type Row struct {
	// Name is the node's XML name, Aliases are other names it is read by.
	Name    string
	Aliases []string
	// Section groups nodes the way the document does.
	Section string
	Kind    Kind
	// Enum lists the words of an enum or csv node, in the spelling that is written.
	Enum []string
	// Synonyms maps other spellings of enum words to the one in Enum.
	Synonyms map[string]string
	// Default is the value in force when no layer gives one. NoDefault means there is none.
	Default   string
	NoDefault bool
	// Required nodes must not be empty in a complete account.
	Required bool
	// MayBeEmpty allows an explicitly empty value where the kind alone would not.
	MayBeEmpty bool
	// Min and Max bound a number; both 0 means no bound, Max 0 no upper one.
	Min, Max int
	// Secret values are never shown.
	Secret bool
	// Deprecated nodes are migrated to others before merging.
	Deprecated bool
	// KeepsEntries: an explicitly empty value does not replace one with entries.
	KeepsEntries bool
	// Bonus rows are known from shipped defaults, not from the document.
	Bonus bool
	// Effect of a change on a running line, and who honours the node.
	Effect     Effect
	HonouredBy Honour
	// Doc is one line of documentation.
	Doc string
}

// Schema returns the rows in the document's order. The caller must not change them.
func Schema() []Row { return nil }

// Lookup returns the row of a node by its name or an alias.
func Lookup(name string) (Row, bool) { return Row{}, false }

func canonicalName(name string) string { return name }

func trimText(name, text string) string { return text }
