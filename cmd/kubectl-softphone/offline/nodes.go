package offline

import (
	"strings"

	"github.com/softphone-operator/softphone-operator/account"
)

// mergedJSON is the output of merge -o json.
type mergedJSON struct {
	Nodes []nodeJSON `json:"nodes"`
}

// nodeJSON is a value and where it comes from.
type nodeJSON struct {
	Node     string `json:"node"`
	Value    string `json:"value"`
	Source   string `json:"source"`
	Priority int    `json:"priority"`
	// MigratedFrom names the deprecated node the value was made from.
	MigratedFrom string `json:"migratedFrom,omitempty"`
	// Shadows are the values this one won over, the next in line first.
	Shadows []shadowJSON `json:"shadows,omitempty"`
}

type shadowJSON struct {
	Value    string `json:"value"`
	Source   string `json:"source"`
	Priority int    `json:"priority"`
}

// nodesOf lists the values of a merged document; a subtree is its elements on one line.
func nodesOf(d *account.Document, showSecrets bool) []nodeJSON {
	if !showSecrets {
		d = d.Masked()
	}
	out := []nodeJSON{}
	for _, n := range d.Nodes {
		node := nodeJSON{Node: n.Name, Value: n.Flat(), Source: n.Source, Priority: n.Priority, MigratedFrom: n.MigratedFrom}
		for _, s := range n.Shadows {
			node.Shadows = append(node.Shadows, shadowJSON{Value: s.Flat(), Source: s.Source, Priority: s.Priority})
		}
		out = append(out, node)
	}
	return out
}

// orEmpty shows an empty value as such.
func orEmpty(value string) string {
	if strings.TrimSpace(value) == "" {
		return `"` + value + `"`
	}
	return value
}
