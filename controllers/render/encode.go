package render

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/softphone-operator/softphone-operator/account"
	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// weekdays in the order of their bits: 1 Monday … 64 Sunday.
var weekdays = []v1.Weekday{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

// encodeNode makes the node of a field that is set and no secret.
func encodeNode(node string, field reflect.Value) account.Node {
	n := account.Node{Name: node}
	switch value := field.Interface().(type) {
	case []v1.SIPHeader:
		for _, h := range value {
			n.Children = append(n.Children, element("header", "method", &h.Method, "name", &h.Name, "value", &h.Value))
		}
	case *v1.DoNotDisturb:
		n.Children = dndElements(value.Entries)
		if value.GMTOffsetInMinutes != nil {
			n.Attrs = []account.Attr{{Name: "gmtOffsetInMinutes", Value: strconv.Itoa(int(*value.GMTOffsetInMinutes))}}
		}
	case []v1.RewritingRule:
		n.Children = ruleElements(value)
	case []v1.BLFTarget:
		for _, uri := range value {
			n.Children = append(n.Children, account.Element{Name: "uri", Text: trim(string(uri))})
		}
	default:
		n.Text = trim(text(field))
	}
	return n
}

// trim drops what reading a document would.
func trim(text string) string { return strings.Trim(text, " \t\r\n") }

// element is <name a="…" b="…"/> from pairs of a name and a value that may be nil.
func element(name string, pairs ...any) account.Element {
	e := account.Element{Name: name}
	for pair := range slices.Chunk(pairs, 2) {
		if value := pair[1].(*string); value != nil {
			e.Attrs = append(e.Attrs, account.Attr{Name: pair[0].(string), Value: *value})
		}
	}
	return e
}

func dndElements(entries []v1.DNDEntry) []account.Element {
	var out []account.Element
	for _, entry := range entries {
		e := account.Element{Name: "dndEntry"}
		add := func(name, text string) {
			e.Children = append(e.Children, account.Element{Name: name, Text: trim(text)})
		}
		if entry.Enabled != nil {
			add("enabled", boolText(*entry.Enabled))
		}
		add("from", entry.From)
		add("to", entry.To)
		mask := 0
		for _, day := range entry.Weekdays {
			mask |= 1 << max(0, slices.Index(weekdays, day))
		}
		add("weekdays", strconv.Itoa(mask))
		contacts := account.Element{Name: "contacts"}
		for _, c := range entry.Contacts {
			contacts.Children = append(contacts.Children, element("contactInfo",
				"identifier", c.Identifier, "source", c.Source, "phone", c.Phone, "name", c.Name))
		}
		e.Children = append(e.Children, contacts)
		if entry.Comment != nil {
			add("comment", *entry.Comment)
		}
		out = append(out, e)
	}
	return out
}

func ruleElements(rules []v1.RewritingRule) []account.Element {
	var out []account.Element
	for _, r := range rules {
		conditions, actions := account.Element{Name: "conditions"}, account.Element{Name: "actions"}
		for _, c := range r.Conditions {
			conditions.Children = append(conditions.Children, element("condition", "type", &c.Type, "param", c.Param))
		}
		for _, a := range r.Actions {
			actions.Children = append(actions.Children, element("action", "type", &a.Type, "param", a.Param))
		}
		out = append(out, account.Element{Name: "rule", Children: []account.Element{conditions, actions}})
	}
	return out
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
		return boolText(v.Bool())
	case reflect.Int32:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.String:
		return v.String()
	}
	panic(fmt.Sprintf("no XML text for fields of type %s", v.Type())) // a new field's type, caught by the test over all fields
}

func boolText(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
