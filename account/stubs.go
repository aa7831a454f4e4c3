package account

import "io"

// Mode says how strictly a document is judged.
type Mode int

// Authored documents were written for us and must be right; Fetched ones come
// from provisioning services and are read with tolerance.
const (
	Authored Mode = iota
	Fetched
)

// ReadOptions tell Read how to read.
type ReadOptions struct {
	Mode Mode
	// File is the name used in problems.
	File string
}

// Read reads one <account>, or several under one root.
// The error is a Problem when the input is malformed or over a limit, and then
// nothing was read; problems are what can be lived with, and mistakes in single nodes.
func Read(r io.Reader, o ReadOptions) ([]*Document, []Problem, error) { return nil, nil, nil }

// WriteOptions tell Write how to write.
type WriteOptions struct {
	// Mask writes secret values as asterisks.
	Mask bool
	// Provenance writes priority, source and operation where a node has them.
	Provenance bool
}

// Write writes the document as canonical XML: the same nodes give the same bytes.
func (d *Document) Write(w io.Writer, o WriteOptions) error { return nil }

// WriteAll writes several documents under the root they were read from, or <accounts>.
func WriteAll(w io.Writer, docs []*Document, o WriteOptions) error { return nil }

// Layer is one document in a merge. Source and Priority hold for nodes that say none.
type Layer struct {
	Doc      *Document
	Source   string
	Priority int
}

// Sources and their priorities.
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

// Merge merges layers in their order of arrival.
func Merge(layers ...Layer) *Document { return &Document{} }

// WithDefaults returns a copy in which every node that has a default is present.
func WithDefaults(d *Document) *Document { return d }

// Validate checks a complete account.
func (d *Document) Validate(m Mode) []Problem { return nil }

// ValidateLayer checks a document that is only part of an account: required
// nodes may be missing, and rules across nodes are left to the merged result.
func (d *Document) ValidateLayer(m Mode) []Problem { return nil }

// Effective gives the typed account, schema defaults filled in.
func Effective(d *Document) (*Account, []Problem) { return &Account{}, nil }

// Change is one difference between two documents. Values of secrets are masked.
type Change struct {
	Node     string
	Old, New string
	Effect   Effect
}

// Diff compares two documents node by node.
func Diff(a, b *Document) []Change { return nil }

// MaxEffect is the strongest effect among the changes.
func MaxEffect(changes []Change) Effect { return Nothing }

// Server is where the account's SIP traffic goes. The port is the default one
// of the transport when explicitPort is false.
func (a *Account) Server() (host string, port int, explicitPort bool, t Transport) {
	return "", 0, false, UDP
}

// IsSecret tells whether the values of a node of this name are never shown.
func IsSecret(node string) bool { return false }
