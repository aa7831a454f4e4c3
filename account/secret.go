package account

import (
	"regexp"
	"slices"
	"strings"
)

// masked is shown in place of every secret, whatever its length.
const masked = "********"

// IsSecret tells whether the values of a node of this name are never shown: the
// schema says so, or the name of a custom node ends like that of a secret.
func IsSecret(node string) bool {
	if row := rowOf(node); row != nil {
		return row.Secret
	}
	return soundsSecret(node)
}

// soundsSecret judges names the schema does not know, in any case.
func soundsSecret(name string) bool {
	for _, end := range [...]string{"pass", "password", "secret", "token"} {
		if len(name) >= len(end) && strings.EqualFold(name[len(name)-len(end):], end) {
			return true
		}
	}
	return false
}

// mask hides a secret; an empty one stays empty, so that it can be told from a set one.
func mask(s string) string {
	if s == "" {
		return ""
	}
	return masked
}

// Credentials written into URLs and bodies: user:password@ and password=value.
// A placeholder (%account[password]%) is not a secret.
var (
	userInfo   = regexp.MustCompile(`(://[^/\s:@]*:)([^/\s@]+)(@)`)
	assignment = regexp.MustCompile(`(?i)([\w.\-\[\]]*(?:pass|password|secret|token)"?\s*[=:]\s*"?)([^&\s"'<>%][^&\s"'<>]*)`)
)

// maskText hides what a text shows of secrets, given the node it is the value of.
func maskText(node, text string) string {
	if IsSecret(node) {
		return mask(text)
	}
	if row := rowOf(node); row != nil && row.Kind == KindString {
		return text
	}
	return maskWritten(text)
}

// maskWritten hides credentials that are written into a text.
func maskWritten(text string) string {
	if !strings.ContainsAny(text, ":=") {
		return text
	}
	text = userInfo.ReplaceAllString(text, "${1}"+masked+"${3}")
	return assignment.ReplaceAllString(text, "${1}"+masked)
}

// maskElements copies a subtree with its secrets hidden. hide is set inside a secret node.
func maskElements(list []Element, hide bool) []Element {
	out := make([]Element, len(list))
	for i, e := range list {
		out[i] = maskElement(e, hide)
	}
	return out
}

// maskElement hides text and attributes of elements that are named like a secret,
// and the value of a header or setting (name="X-Token" value="…") that is.
func maskElement(e Element, hide bool) Element {
	hide = hide || soundsSecret(e.Name)
	named, _ := e.Attr("name")
	hideValue := hide || soundsSecret(named) || strings.HasSuffix(strings.ToLower(named), "authorization")
	attrs := make([]Attr, len(e.Attrs))
	for i, a := range e.Attrs {
		if hide && a.Name != "lang" || hideValue && a.Name == "value" || soundsSecret(a.Name) {
			a.Value = mask(a.Value)
		}
		a.Value = maskWritten(a.Value)
		attrs[i] = a
	}
	e.Attrs = attrs
	if e.Text = maskWritten(e.Text); hide {
		e.Text = mask(e.Text)
	}
	e.Children = maskElements(e.Children, hide)
	return e
}

// Masked returns a copy of the document in which no secret can be read.
func (d *Document) Masked() *Document {
	out := *d
	out.Nodes = make([]Node, len(d.Nodes))
	for i, n := range d.Nodes {
		out.Nodes[i] = n.masked()
	}
	return &out
}

// HoldsSecret tells whether the node's value, or a part of it, is one that is never shown.
func (n *Node) HoldsSecret() bool {
	if IsSecret(n.Name) {
		return n.Text != "" || len(n.Children) > 0 || len(n.Attrs) > 0
	}
	masked := n.masked()
	if masked.Text != n.Text || keys(masked.Children) != keys(n.Children) {
		return true
	}
	return !slices.Equal(masked.Attrs, n.Attrs)
}

func (n Node) masked() Node {
	hide := IsSecret(n.Name)
	n.Text = maskText(n.Name, n.Text)
	n.Children = maskElements(n.Children, hide)
	attrs := make([]Attr, len(n.Attrs))
	for i, a := range n.Attrs {
		if hide || soundsSecret(a.Name) {
			a.Value = mask(a.Value)
		}
		attrs[i] = a
	}
	n.Attrs = attrs
	shadows := make([]Node, len(n.Shadows))
	for i, s := range n.Shadows {
		shadows[i] = s.masked()
	}
	n.Shadows = shadows
	return n
}
