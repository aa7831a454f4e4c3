package account

import (
	"fmt"
	"strings"
)

// A Problem is one thing wrong with a document, at the place where it was read.
// It never contains the value of a secret node.
type Problem struct {
	// File is the name given in ReadOptions, empty when the document was not read from a file.
	File string
	// Line and Col are 1-based; Col counts characters. Both are 0 when the place is unknown.
	Line, Col int
	// Node is the XML name of the key node; empty for the document itself.
	Node string
	// Message is a sentence without a full stop.
	Message string
	// Warning is true for what works, but is probably not meant.
	Warning bool
}

// String is FILE:LINE:COL: node: message, without the parts that are unknown. The
// message of a warning begins with that word.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		b.WriteByte(':')
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Col)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if p.Node != "" {
		b.WriteString(p.Node)
		b.WriteString(": ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Error makes a Problem an error.
func (p Problem) Error() string { return p.String() }

// Errors returns the problems that are not warnings.
func Errors(all []Problem) []Problem {
	var out []Problem
	for _, p := range all {
		if !p.Warning {
			out = append(out, p)
		}
	}
	return out
}
