package render

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/softphone-operator/softphone-operator/account"
	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// Document is what a layer says itself: spec.account, extra, extraFrom, merge.
// Values answers its references. Nodes carry the priority and source that merge
// gives them, and no other: they are signed by the layer they arrive in. The
// error is a *Failure.
//
// Layer is the way back.
func Document(l *v1.AccountLayer, values Values) (*account.Document, error) {
	doc := &account.Document{}
	for _, name := range slices.Sorted(maps.Keys(l.Attributes)) {
		doc.Attrs = append(doc.Attrs, account.Attr{Name: name, Value: string(l.Attributes[name])})
	}
	if l.Account != nil {
		if err := addSettings(doc, l.Account, values); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Extra)) {
		if err := addExtra(doc, "spec.extra."+name, name, string(l.Extra[name])); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.ExtraFrom)) {
		ref := l.ExtraFrom[name].SecretKeyRef
		value, err := values.extraText(secret(&ref), name)
		if err != nil {
			return nil, err
		}
		if err := addExtra(doc, "spec.extraFrom."+name, name, value); err != nil {
			return nil, err
		}
	}
	for _, rule := range l.Merge {
		if err := applyMerge(doc, rule); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

// addSettings writes every field that is set under its node's name.
func addSettings(doc *account.Document, s *v1.AccountSettings, values Values) error {
	for _, f := range mirrored() {
		field := f.Get(s)
		if field.IsNil() {
			continue
		}
		if value, ok := field.Interface().(*v1.SecretValue); ok {
			text, err := secretValue(f.Node, value, values)
			if err != nil {
				return err
			}
			set(doc, f.Node, text)
			continue
		}
		doc.Nodes = append(doc.Nodes, encodeNode(f.Node, field))
	}
	return nil
}

// set gives a node a text; its layer signs it.
func set(doc *account.Document, node, text string) {
	doc.Set(node, text, 0, "")
	n, _ := doc.Get(node)
	n.HasPriority = false
}

func secretValue(node string, value *v1.SecretValue, values Values) (string, error) {
	if value.SecretKeyRef != nil {
		return values.secretText(secret(value.SecretKeyRef), node)
	}
	if value.Value == nil {
		return "", nil
	}
	return *value.Value, nil
}

// addExtra adds a node that spec.account has no field for: its text, or its whole element.
func addExtra(doc *account.Document, where, name, value string) error {
	if _, taken := doc.Get(name); taken {
		return fail(v1.ReasonInvalidAccount, "%s: the node is given twice, here and in spec.account or under another of its names: remove one", where)
	}
	if !isElement(name, value) {
		set(doc, name, value)
		return nil
	}
	read, err := readOne([]byte("<account>"+value+"</account>"), where)
	if err != nil {
		return err
	}
	if len(read.Nodes) != 1 {
		return fail(v1.ReasonInvalidXML, "%s: has %d elements, must be the one element <%s>", where, len(read.Nodes), name)
	}
	if _, taken := doc.Get(read.Nodes[0].Name); taken {
		return fail(v1.ReasonInvalidAccount, "%s: the node is given twice, here and in spec.account or under another of its names: remove one", where)
	}
	doc.Nodes = append(doc.Nodes, read.Nodes[0])
	return nil
}

// isElement tells whether a value of extra is the whole element of that name.
func isElement(name, value string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSpace(value), "<"+name)
	return ok && rest != "" && strings.ContainsAny(rest[:1], " \t\r\n/>")
}

// applyMerge puts on a node what spec.merge says of it.
func applyMerge(doc *account.Document, rule v1.NodeMerge) error {
	empty := rule.Empty != nil && *rule.Empty
	node, given := doc.Get(rule.Node)
	switch {
	case given && empty:
		return fail(v1.ReasonInvalidAccount, "spec.merge[%s]: empty is true, but spec.account or spec.extra gives the node a value: remove one", rule.Node)
	case empty:
		set(doc, rule.Node, "")
		node, _ = doc.Get(rule.Node)
	case !given:
		return fail(v1.ReasonInvalidAccount, "spec.merge[%s]: neither spec.account nor spec.extra gives this node: give it, or say empty: true", rule.Node)
	}
	if rule.Priority != nil {
		node.Priority, node.HasPriority = int(*rule.Priority), true
	}
	if rule.Source != nil {
		node.Source = *rule.Source
	}
	if rule.Operation != nil {
		node.Operation = string(*rule.Operation)
	}
	return nil
}

// importedDocument is the layer of spec.xmlFrom, nil when there is none.
func importedDocument(from *v1.XMLSource, values Values) (*account.Document, error) {
	ref, ok := xmlReference(from)
	if !ok {
		return nil, nil
	}
	content, err := values.get(ref, "the account XML")
	if err != nil {
		return nil, err
	}
	return readOne(content, ref.String())
}

// readOne reads a text that must hold one account.
func readOne(content []byte, where string) (*account.Document, error) {
	docs, problems, err := account.Read(bytes.NewReader(content), account.ReadOptions{Mode: account.Authored, File: where})
	if err != nil {
		return nil, fail(v1.ReasonInvalidXML, "%v", err)
	}
	if errs := account.Errors(problems); len(errs) > 0 {
		return nil, fail(v1.ReasonInvalidXML, "%v", errs[0])
	}
	if len(docs) != 1 {
		return nil, fail(v1.ReasonInvalidXML, "%s: has %d accounts, must have exactly one", where, len(docs))
	}
	return docs[0], nil
}

// inlineSecrets names the nodes whose secret anyone who may read the objects can read.
func inlineSecrets(l *v1.AccountLayer, fromXML *account.Document) []string {
	var nodes []string
	if l.Account != nil {
		for _, f := range mirrored() {
			field := f.Get(l.Account)
			if field.IsNil() {
				continue
			}
			value, isSecret := field.Interface().(*v1.SecretValue)
			switch {
			case isSecret:
				isSecret = value.Value != nil && *value.Value != ""
			default:
				n := encodeNode(f.Node, field)
				isSecret = n.HoldsSecret()
			}
			if isSecret {
				nodes = append(nodes, "spec.account."+f.Node)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Extra)) {
		if holdsSecret(name, string(l.Extra[name])) {
			nodes = append(nodes, "spec.extra."+name)
		}
	}
	if l.XMLFrom == nil || l.XMLFrom.ConfigMapKeyRef == nil || fromXML == nil {
		return nodes
	}
	for _, n := range fromXML.Nodes {
		if n.HoldsSecret() {
			nodes = append(nodes, n.Name+" in ConfigMap "+l.XMLFrom.ConfigMapKeyRef.Name)
		}
	}
	return nodes
}

// holdsSecret judges a value of extra.
func holdsSecret(name, value string) bool {
	doc := &account.Document{}
	if err := addExtra(doc, "", name, value); err != nil {
		return false // it is not rendered anyway
	}
	return doc.Nodes[0].HoldsSecret()
}
