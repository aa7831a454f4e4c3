package account

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Effective gives the typed account: the document's values, deprecated nodes
// migrated, schema defaults filled in, Opus presets expanded. A value that cannot
// be used gives its default and a problem; what a fetched document may get away
// with gives a warning.
func Effective(d *Document) (*Account, []Problem) {
	return effective(d), d.ValidateLayer(Fetched)
}

// A binding ties a row to a field of Account.
type binding struct {
	row   *Row
	field []int
}

// bindings are the typed rows with their fields, in the schema's order.
var bindings = sync.OnceValue(func() []binding {
	fields := map[string][]int{}
	collectFields(reflect.TypeFor[Account](), "", nil, fields)
	var out []binding
	for i := range table().rows {
		row := &table().rows[i]
		if field, ok := fields[row.Name]; ok {
			out = append(out, binding{row, field})
		}
	}
	return out
})

// collectFields maps node tags to field paths; a tag that ends in a dot is the
// prefix of a nested struct's tags.
func collectFields(t reflect.Type, prefix string, path []int, into map[string][]int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + f.Tag.Get("node")
		at := append(append([]int(nil), path...), i)
		if f.Anonymous {
			collectFields(f.Type.Elem(), prefix, at, into)
			continue
		}
		if strings.HasSuffix(name, ".") {
			collectFields(f.Type, name, at, into)
			continue
		}
		into[name] = at
	}
}

// defaults is the account that says nothing. Accounts are never written to, so what
// they do not say themselves is its: its lists are there once, not once an account.
var defaults = sync.OnceValue(func() *Account {
	a := &Account{Settings: new(Settings)}
	v := reflect.ValueOf(a).Elem()
	for _, b := range bindings() {
		if b.row.Kind != KindSubtree {
			setField(v.FieldByIndex(b.field), b.row, b.row.Default)
		}
	}
	return a
})

func effective(d *Document) *Account {
	nodes := map[string]*Node{}
	migrated := migrate(d.Nodes)
	for i := range migrated {
		nodes[migrated[i].Name] = &migrated[i]
	}
	a, settings := *defaults(), *defaults().Settings
	a.Settings = &settings
	v := reflect.ValueOf(&a).Elem()
	for _, b := range bindings() {
		if n := nodes[b.row.Name]; n != nil && b.row.Kind != KindSubtree {
			setField(v.FieldByIndex(b.field), b.row, usable(b.row, n))
		}
	}
	a.setCompounds(nodes)
	a.OpusOptions.expand()
	a.OpusOptions3G.expand()
	return &a
}

// usable is the text of a node in the schema's spelling, or the default when the
// text means nothing.
func usable(row *Row, n *Node) string {
	text := canonicalText(row, n.Value())
	if text == "" && !row.allowsEmpty() {
		return row.Default
	}
	if judgeText(row, text).verdict != wrong {
		return text
	}
	return row.Default
}

// setField puts a text that was judged into a field.
func setField(f reflect.Value, row *Row, text string) {
	switch p := f.Addr().Interface().(type) {
	case *int:
		*p, _ = parseInt(text)
	case *bool:
		*p = text == "1"
	case **int:
		*p = nil
		if v, ok := parseInt(text); ok {
			*p = &v
		}
	case **bool:
		*p = nil
		if b, ok := parseBool(text); ok {
			*p = &b
		}
	case *[]string:
		*p = splitCSV(text)
	case *[]int:
		*p = nil
		for _, item := range splitCSV(text) {
			if v, ok := parseInt(item); ok && slices.Contains(row.Enum, item) {
				*p = append(*p, v)
			}
		}
	default: // string and Transport
		if row.Else != "" {
			if _, ok := enumWord(row, text); !ok {
				text = row.Else
			}
		}
		f.SetString(text)
	}
}

func (a *Account) setCompounds(nodes map[string]*Node) {
	if n := nodes["headers"]; n != nil {
		a.Headers = slices.DeleteFunc(decodeHeaders(n.Children), func(h Header) bool { return badHeader(h.Name, h.Value) != "" })
	}
	if n := nodes["doNotDisturb"]; n != nil {
		a.DoNotDisturb = decodeDoNotDisturb(n)
	}
	if n := nodes["rewriting"]; n != nil {
		a.Rewriting = decodeRules(n.Children)
	}
	if n := nodes["incomingRewriting"]; n != nil {
		a.IncomingRewriting = decodeRules(n.Children)
	}
	if n := nodes["blf"]; n != nil {
		a.BLF = decodeBLF(n.Children)
	}
}

// automaticBitrate is one of the two ways to ask Opus for its own choice.
const automaticBitrate = -1000

// expand applies the preset: while class is set, the detailed nodes do not count.
func (o *Opus) expand() {
	if o.Class != "" {
		*o = Opus{Class: o.Class, Bandwidth: o.Class, FEC: true, DTX: true, VBR: true, ExpectedPacketLoss: 5}
	}
	if o.Bitrate != nil && *o.Bitrate == automaticBitrate {
		o.Bitrate = nil
	}
}
