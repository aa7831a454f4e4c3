package render

import (
	"bytes"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/softphone-operator/softphone-operator/account"
	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

func valueOf(v any) reflect.Value  { return reflect.ValueOf(v) }
func zeroOf(f Field) reflect.Value { return reflect.Zero(f.Type) }
func length(text string) int       { return utf8.RuneCountInString(text) }
func atMost(n int, texts ...*string) bool {
	return !slices.ContainsFunc(texts, func(t *string) bool { return t != nil && length(*t) > n })
}

// decode sets a field from a node when the field can say everything the node says
// and the API server takes it; else it leaves the field alone.
func decode(s *v1.AccountSettings, f Field, n *account.Node) bool {
	row, ok := account.Lookup(n.Name)
	if !ok {
		return false
	}
	value, ok := typed(f.Type, row, n)
	if !ok {
		return false
	}
	back := encodeNode(n.Name, value)
	if written(&back) != written(n) {
		return false
	}
	f.Set(s, value)
	return true
}

// written is the canonical XML of one node; equal for nodes that are equal.
func written(n *account.Node) string {
	var out bytes.Buffer
	if err := (&account.Document{Nodes: []account.Node{*n}}).Write(&out, account.WriteOptions{}); err != nil {
		return n.Name + ": " + err.Error()
	}
	return out.String()
}

// typed makes the value of a field of a node.
func typed(t reflect.Type, row account.Row, n *account.Node) (reflect.Value, bool) {
	switch t {
	case reflect.TypeFor[[]v1.SIPHeader]():
		headers, ok := decodeHeaders(n)
		return valueOf(headers), ok
	case reflect.TypeFor[*v1.DoNotDisturb]():
		dnd, ok := decodeDND(n)
		return valueOf(dnd), ok
	case reflect.TypeFor[[]v1.RewritingRule]():
		rules, ok := decodeRules(n)
		return valueOf(rules), ok
	case reflect.TypeFor[[]v1.BLFTarget]():
		targets, ok := decodeBLF(n)
		return valueOf(targets), ok
	}
	if len(n.Children) > 0 || len(n.Attrs) > 0 {
		return reflect.Value{}, false
	}
	if t.Kind() == reflect.Slice {
		return typedList(t, row, n.Text)
	}
	return typedScalar(t, row, canonical(n))
}

// canonical is the node's text in the schema's spelling.
func canonical(n *account.Node) string {
	docs, _, err := account.ReadString(written(n), account.ReadOptions{Mode: account.Fetched})
	if err != nil || len(docs) != 1 || len(docs[0].Nodes) != 1 {
		return n.Text
	}
	return docs[0].Nodes[0].Text
}

func typedScalar(t reflect.Type, row account.Row, text string) (reflect.Value, bool) {
	v := reflect.New(t.Elem())
	switch t.Elem().Kind() {
	case reflect.Bool:
		v.Elem().SetBool(text == "1")
		return v, text == "0" || text == "1"
	case reflect.Int32:
		i, err := strconv.ParseInt(text, 10, 32)
		v.Elem().SetInt(i)
		in := row.Range == nil || int(i) >= row.Range.Min && int(i) <= row.Range.Max || slices.Contains(row.Also, int(i))
		return v, err == nil && in
	}
	v.Elem().SetString(text)
	return v, fits(row, text)
}

func typedList(t reflect.Type, row account.Row, text string) (reflect.Value, bool) {
	var words []string
	for w := range strings.SplitSeq(text, ",") {
		words = append(words, trim(w))
	}
	out := reflect.MakeSlice(t, len(words), len(words))
	seen := map[string]bool{}
	for i, w := range words {
		if seen[w] {
			return out, false
		}
		seen[w] = true
		if t.Elem() != reflect.TypeFor[intstr.IntOrString]() {
			out.Index(i).SetString(w)
			if !slices.Contains(row.Enum, w) {
				return out, false
			}
			continue
		}
		number, err := strconv.Atoi(w)
		if err != nil || number < 0 || number > 127 {
			return out, false
		}
		codec := intstr.FromInt32(int32(number))
		if name := account.CodecName(number); name != "" && slices.Contains(row.Enum, w) {
			codec = intstr.FromString(name)
		}
		out.Index(i).Set(reflect.ValueOf(codec))
	}
	return out, len(words) <= 16 && (!row.Permutation || len(words) == len(row.Enum))
}

// The API server's own rules for texts; see the markers in api/v1.
var (
	hostPort  = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	port      = regexp.MustCompile(`:([0-9]+)$`)
	notAUser  = regexp.MustCompile(`[\s<>@]`)
	webURL    = regexp.MustCompile(`^[Hh][Tt][Tt][Pp][Ss]?://[^/\s][^\s]*$`)
	extProv   = regexp.MustCompile(`^([Hh][Tt][Tt][Pp][Ss]?|[Ll][Uu][Aa])://[^/\s][^\s]*$`)
	callTone  = regexp.MustCompile(`^\s*(sine|silence|wav|periodic|compound)\s*\(.*\)\s*$`)
	method    = regexp.MustCompile(`^([A-Z]+|\*)$`)
	token     = regexp.MustCompile("^[A-Za-z0-9.!%*_+`'~-]+$")
	timeOfDay = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
)

// fits tells whether the API server takes a text for a row's field.
func fits(row account.Row, text string) bool {
	if text == "" {
		return false // spec.merge says it
	}
	switch row.Kind {
	case account.KindEnum:
		return slices.Contains(row.Enum, text)
	case account.KindHost:
		p := port.FindStringSubmatch(text)
		number := 1
		if p != nil {
			number, _ = strconv.Atoi(p[1])
		}
		return length(text) <= 262 && hostPort.MatchString(text) && number >= 1 && number <= 65535
	case account.KindIP:
		ip, err := netip.ParseAddr(text)
		return err == nil && ip.Zone() == "" && !ip.Is4In6() && length(text) <= 64
	case account.KindURL:
		pattern := webURL
		if slices.Contains(row.Schemes, "lua") {
			pattern = extProv
		}
		return length(text) <= 2048 && pattern.MatchString(text)
	case account.KindTemplate:
		return length(text) <= 16384
	case account.KindTone:
		return length(text) <= 1024 && callTone.MatchString(text)
	}
	if row.Name == "username" && (strings.HasPrefix(text, "sip:") || strings.HasPrefix(text, "sips:")) {
		return false
	}
	if (row.Name == "username" || row.Name == "userCallerId") && notAUser.MatchString(text) {
		return false
	}
	return length(text) <= 256 && !strings.ContainsFunc(text, unicode.IsControl)
}

func decodeHeaders(n *account.Node) ([]v1.SIPHeader, bool) {
	var out []v1.SIPHeader
	for i := range n.Children {
		e := &n.Children[i]
		h := v1.SIPHeader{Method: attr(e, "method"), Name: attr(e, "name"), Value: attr(e, "value")}
		if e.Name != "header" || !method.MatchString(h.Method) || length(h.Method) > 32 || !token.MatchString(h.Name) || length(h.Name) > 128 ||
			reserved[strings.ToLower(h.Name)] || length(h.Value) > 1024 || strings.ContainsAny(h.Value, "\r\n") {
			return nil, false
		}
		out = append(out, h)
	}
	return out, len(out) > 0 && len(out) <= 32
}

// reserved are the headers that the CRD's rule names.
var reserved = func() map[string]bool {
	out := map[string]bool{}
	for _, name := range []string{"via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "contact", "m", "route", "record-route", "max-forwards",
		"content-length", "l", "content-type", "c", "authorization", "proxy-authorization"} {
		out[name] = true
	}
	return out
}()

func attr(e *account.Element, name string) string { v, _ := e.Attr(name); return v }

// attrOf is nil for an attribute that is not there.
func attrOf(e *account.Element, name string) *string {
	if v, ok := e.Attr(name); ok {
		return &v
	}
	return nil
}

func decodeDND(n *account.Node) (*v1.DoNotDisturb, bool) {
	out := &v1.DoNotDisturb{}
	for _, a := range n.Attrs {
		v, err := strconv.ParseInt(a.Value, 10, 32)
		if a.Name != "gmtOffsetInMinutes" || err != nil || v < -1440 || v > 1440 {
			return nil, false
		}
		out.GMTOffsetInMinutes = ptr.To(int32(v))
	}
	for i := range n.Children {
		entry, ok := decodeEntry(&n.Children[i])
		if !ok {
			return nil, false
		}
		out.Entries = append(out.Entries, entry)
	}
	return out, len(out.Entries) <= 64
}

func decodeEntry(e *account.Element) (v1.DNDEntry, bool) {
	entry := v1.DNDEntry{Weekdays: []v1.Weekday{}}
	for i := range e.Children {
		c := &e.Children[i]
		switch c.Name {
		case "enabled":
			entry.Enabled = ptr.To(c.Text == "1")
		case "from":
			entry.From = c.Text
		case "to":
			entry.To = c.Text
		case "comment":
			entry.Comment = ptr.To(c.Text)
		case "weekdays":
			mask, err := strconv.Atoi(c.Text)
			if err != nil || mask < 0 || mask > 127 {
				return entry, false
			}
			for bit, day := range weekdays {
				if mask&(1<<bit) != 0 {
					entry.Weekdays = append(entry.Weekdays, day)
				}
			}
		case "contacts":
			for j := range c.Children {
				k := &c.Children[j]
				entry.Contacts = append(entry.Contacts, v1.DNDContact{Identifier: contact(k, "identifier"), Source: contact(k, "source"),
					Phone: contact(k, "phone"), Name: contact(k, "name")})
			}
		}
	}
	for _, c := range entry.Contacts {
		if !atMost(256, c.Identifier, c.Source, c.Phone, c.Name) {
			return entry, false
		}
	}
	return entry, e.Name == "dndEntry" && timeOfDay.MatchString(entry.From) && timeOfDay.MatchString(entry.To) &&
		len(entry.Contacts) <= 64 && atMost(1024, entry.Comment)
}

// contact is a field of a contact: an attribute, or a child element.
func contact(e *account.Element, name string) *string {
	if v := attrOf(e, name); v != nil {
		return v
	}
	if c := e.Child(name); c != nil {
		return &c.Text
	}
	return nil
}

func decodeRules(n *account.Node) ([]v1.RewritingRule, bool) {
	var out []v1.RewritingRule
	for i := range n.Children {
		e := &n.Children[i]
		r := v1.RewritingRule{}
		for _, c := range clauses(e, "condition") {
			r.Conditions = append(r.Conditions, v1.RewritingCondition{Type: attr(c, "type"), Param: attrOf(c, "param")})
			if !slices.Contains(account.RuleConditions(), attr(c, "type")) || !atMost(256, attrOf(c, "param")) {
				return nil, false
			}
		}
		for _, a := range clauses(e, "action") {
			r.Actions = append(r.Actions, v1.RewritingAction{Type: attr(a, "type"), Param: attrOf(a, "param")})
			if !slices.Contains(account.RuleActions(), attr(a, "type")) || !atMost(1024, attrOf(a, "param")) {
				return nil, false
			}
		}
		if e.Name != "rule" || len(r.Conditions) > 16 || len(r.Actions) > 16 {
			return nil, false
		}
		out = append(out, r)
	}
	return out, len(out) > 0 && len(out) <= 64
}

// clauses are the conditions or actions of a rule, wrapped or directly under it.
func clauses(rule *account.Element, name string) []*account.Element {
	var out []*account.Element
	for i := range rule.Children {
		switch e := &rule.Children[i]; e.Name {
		case name:
			out = append(out, e)
		case name + "s":
			out = append(out, clauses(e, name)...)
		}
	}
	return out
}

func decodeBLF(n *account.Node) ([]v1.BLFTarget, bool) {
	var out []v1.BLFTarget
	for _, e := range n.Children {
		if e.Name != "uri" || e.Text == "" || length(e.Text) > 256 || slices.Contains(out, v1.BLFTarget(e.Text)) {
			return nil, false
		}
		out = append(out, v1.BLFTarget(e.Text))
	}
	return out, len(out) > 0 && len(out) <= 200
}
