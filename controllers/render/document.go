package render

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/softphone-operator/softphone-operator/account"
	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// ownDocument is the layer that the account itself writes: spec.account, spec.extra, spec.merge.
func ownDocument(l *v1.AccountLayer, values Values) (*account.Document, error) {
	doc := &account.Document{}
	if l.Account != nil {
		if err := addSettings(doc, l.Account, values); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Extra)) {
		if err := addExtra(doc, name, string(l.Extra[name])); err != nil {
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
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		field := v.Field(i)
		if field.IsNil() {
			continue
		}
		node := NodeName(v.Type().Field(i))
		switch value := field.Interface().(type) {
		case *v1.SecretValue:
			text, err := secretValue(node, value, values)
			if err != nil {
				return err
			}
			set(doc, node, text)
		case []v1.SIPHeader:
			doc.SetChildren(node, headerElements(value), account.PriorityGUI, account.SourceGUI)
		default:
			set(doc, node, text(field))
		}
	}
	return nil
}

// NodeName is the XML node that a field of AccountSettings mirrors.
func NodeName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func set(doc *account.Document, node, text string) {
	doc.Set(node, text, account.PriorityGUI, account.SourceGUI)
}

// text is the XML text of a scalar or list field.
func text(field reflect.Value) string {
	if field.Kind() == reflect.Pointer {
		return scalar(field.Elem())
	}
	items := make([]string, field.Len())
	for i := range items {
		items[i] = item(field.Index(i))
	}
	return strings.Join(items, ",")
}

func item(v reflect.Value) string {
	codec, ok := v.Interface().(intstr.IntOrString)
	if !ok {
		return scalar(v)
	}
	if number, known := account.CodecNumber(codec.StrVal); known && codec.Type == intstr.String {
		return strconv.Itoa(number)
	}
	return codec.String()
}

func scalar(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return "1"
		}
		return "0"
	case reflect.Int32:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.String:
		return v.String()
	}
	panic(fmt.Sprintf("no XML text for fields of type %s", v.Type())) // a new field's type, caught by the test over all fields
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

func headerElements(headers []v1.SIPHeader) []account.Element {
	elements := make([]account.Element, len(headers))
	for i, h := range headers {
		elements[i] = account.Element{Name: "header", Attrs: []account.Attr{
			{Name: "method", Value: h.Method}, {Name: "name", Value: h.Name}, {Name: "value", Value: h.Value},
		}}
	}
	return elements
}

// addExtra adds a node that spec.account has no field for: its text, or its whole element.
func addExtra(doc *account.Document, name, value string) error {
	where := "spec.extra." + name
	before := len(doc.Nodes)
	if _, taken := doc.Get(name); taken {
		return fail(v1.ReasonInvalidAccount, "%s: the node is given twice, here and in spec.account or under another of its names: remove one", where)
	}
	if !strings.HasPrefix(strings.TrimSpace(value), "<"+name) {
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
	node := read.Nodes[0]
	if _, taken := doc.Get(node.Name); taken {
		return fail(v1.ReasonInvalidAccount, "%s: the node is given twice, here and in spec.account or under another of its names: remove one", where)
	}
	if !node.HasPriority {
		node.Priority, node.HasPriority = account.PriorityGUI, true
	}
	if node.Source == "" {
		node.Source = account.SourceGUI
	}
	doc.Nodes = append(doc.Nodes[:before], node)
	return nil
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
	if l.Account != nil && l.Account.Password != nil && l.Account.Password.Value != nil {
		nodes = append(nodes, "spec.account.password")
	}
	for _, name := range slices.Sorted(maps.Keys(l.Extra)) {
		if account.IsSecret(name) && l.Extra[name] != "" {
			nodes = append(nodes, "spec.extra."+name)
		}
	}
	if l.XMLFrom == nil || l.XMLFrom.ConfigMapKeyRef == nil || fromXML == nil {
		return nodes
	}
	for _, n := range fromXML.Nodes {
		if account.IsSecret(n.Name) && n.Value() != "" {
			nodes = append(nodes, n.Name+" in ConfigMap "+l.XMLFrom.ConfigMapKeyRef.Name)
		}
	}
	return nodes
}
