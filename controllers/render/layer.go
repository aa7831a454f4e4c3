package render

import (
	"bytes"
	"fmt"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/softphone-operator/softphone-operator/account"
	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// LayerOptions say how a document becomes a layer.
type LayerOptions struct {
	// Secret is the name of the Secret that the layer's references point to.
	Secret string
	// Priority and Source are those of the layer it becomes; a node that has the same need not say so.
	Priority int
	Source   string
}

// SecretEntry is a value that belongs into the Secret of a layer.
type SecretEntry struct {
	// Node the value is of.
	Node string
	// Key in the Secret.
	Key string
	// Value to store there. It must not be shown.
	Value string
}

// What the fields of a layer hold at most; the API server refuses more.
const (
	maxExtra     = 200
	maxExtraFrom = 64
	maxMerge     = 400
	maxAttrs     = 64
	maxExtraText = 65536
	maxPriority  = 1_000_000
	maxSource    = 64
)

// Layer turns a document into what a SoftphoneAccount or SoftphoneProfile says of
// it, with nothing lost: Document gives back the same canonical XML. A node that
// spec.account has no field for, or whose value does not fit the field's type,
// goes into extra to the letter. Values that must not be read by everyone are
// returned apart. It fails, without showing a value, on documents larger than an
// object may be; xmlFrom takes those.
func Layer(d *account.Document, o LayerOptions) (v1.AccountLayer, []SecretEntry, error) {
	b := layerBuilder{o: o, keys: map[string]bool{}}
	for _, a := range d.Attrs {
		if b.layer.Attributes == nil {
			b.layer.Attributes = map[string]v1.AttributeValue{}
		}
		b.layer.Attributes[a.Name] = v1.AttributeValue(a.Value)
	}
	for i := range d.Nodes {
		if err := b.add(&d.Nodes[i]); err != nil {
			return v1.AccountLayer{}, nil, err
		}
	}
	if b.settings.Password != nil || b.anySet {
		b.layer.Account = &b.settings
	}
	b.separate()
	return b.layer, b.secrets, b.tooMuch()
}

type layerBuilder struct {
	o        LayerOptions
	layer    v1.AccountLayer
	settings v1.AccountSettings
	anySet   bool
	secrets  []SecretEntry
	keys     map[string]bool
}

// add puts one node where it fits.
func (b *layerBuilder) add(n *account.Node) error {
	f, known := fieldOf()[n.Name]
	plain := account.Node{Name: n.Name, Attrs: n.Attrs, Text: n.Text, Children: n.Children}
	switch {
	case !b.sayable(n):
		return b.extra(n, true)
	case len(n.Attrs) == 0 && n.Text == "" && len(n.Children) == 0:
		rule := b.provenance(n)
		rule.Empty = ptr.To(true)
		b.layer.Merge = append(b.layer.Merge, rule)
		return nil
	case known && account.IsSecret(n.Name) && len(n.Attrs) == 0 && len(n.Children) == 0:
		f.Set(&b.settings, valueOf(&v1.SecretValue{SecretKeyRef: b.store(n.Name, n.Text)}))
	case known && !n.HoldsSecret() && decode(&b.settings, f, &plain):
	default:
		return b.extra(n, false)
	}
	b.anySet = true
	b.merge(n)
	return nil
}

// sayable tells whether spec.merge can say what the node says of itself.
func (b *layerBuilder) sayable(n *account.Node) bool {
	return (!n.HasPriority || n.Priority >= 0 && n.Priority <= maxPriority) && len([]rune(n.Source)) <= maxSource &&
		(n.Operation == "" || n.Operation == account.OperationUnion)
}

// provenance is what spec.merge has to say of a node.
func (b *layerBuilder) provenance(n *account.Node) v1.NodeMerge {
	rule := v1.NodeMerge{Node: n.Name}
	if n.HasPriority && n.Priority != b.o.Priority {
		rule.Priority = ptr.To(int32(n.Priority))
	}
	if n.Source != "" && n.Source != b.o.Source {
		rule.Source = ptr.To(n.Source)
	}
	if n.Operation != "" {
		rule.Operation = ptr.To(v1.MergeOperation(n.Operation))
	}
	return rule
}

func (b *layerBuilder) merge(n *account.Node) {
	if rule := b.provenance(n); rule != (v1.NodeMerge{Node: n.Name}) {
		b.layer.Merge = append(b.layer.Merge, rule)
	}
}

// extra carries a node to the letter: its text, or, where that does not say it all,
// its element. whole keeps what the node says of itself in the element.
func (b *layerBuilder) extra(n *account.Node, whole bool) error {
	value := n.Text
	if whole || len(n.Attrs) > 0 || len(n.Children) > 0 || isElement(n.Name, value) {
		var err error
		if value, err = elementText(n); err != nil {
			return err
		}
	} else {
		b.merge(n)
	}
	if len([]rune(value)) > maxExtraText {
		return fmt.Errorf("%s: the value has %d characters, and an object takes %d: keep the document in a Secret and name it in xmlFrom", n.Name, len([]rune(value)), maxExtraText)
	}
	if n.HoldsSecret() {
		if b.layer.ExtraFrom == nil {
			b.layer.ExtraFrom = map[string]v1.ExtraSource{}
		}
		b.layer.ExtraFrom[n.Name] = v1.ExtraSource{SecretKeyRef: *b.store(n.Name, value)}
		return nil
	}
	if b.layer.Extra == nil {
		b.layer.Extra = map[string]v1.ExtraValue{}
	}
	b.layer.Extra[n.Name] = v1.ExtraValue(value)
	return nil
}

// elementText is the canonical XML of one node, with its attributes.
func elementText(n *account.Node) (string, error) {
	var out bytes.Buffer
	if err := (&account.Document{Nodes: []account.Node{*n}}).Write(&out, account.WriteOptions{Provenance: true}); err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(out.String(), "<account>")
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "</account>")), nil
}

// store puts a value into the Secret and refers to it.
func (b *layerBuilder) store(node, value string) *v1.KeyRef {
	key := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return r
		}
		return '_'
	}, node)
	for b.keys[key] {
		key += "_"
	}
	b.keys[key] = true
	b.secrets = append(b.secrets, SecretEntry{Node: node, Key: key, Value: value})
	return &v1.KeyRef{Name: b.o.Secret, Key: key}
}

// separate moves values to extra that the API server would not take together.
func (b *layerBuilder) separate() {
	s := &b.settings
	less := func(upper, lower *int32, least int32) bool {
		return upper != nil && lower != nil && *upper-*lower < least
	}
	required := func(values ...*string) bool {
		n := 0
		for _, v := range values {
			if v != nil && *v == "required" {
				n++
			}
		}
		return n > 1
	}
	for node, clash := range map[string]bool{
		"rtpPortRangeEnd":  less(s.RtpPortRangeEnd, s.RtpPortRangeStart, 4),
		"videoMaxKbpsWifi": less(s.VideoMaxKbpsWifi, s.VideoMinKbpsWifi, 0),
		"videoMaxKbps3G":   less(s.VideoMaxKbps3G, s.VideoMinKbps3G, 0),
		"zrtpIncoming":     required(s.ZrtpIncoming, s.SdesIncoming, s.DtlsIncoming),
		"sdesIncoming":     required(s.ZrtpIncoming, s.SdesIncoming, s.DtlsIncoming),
		"zrtpOutgoing":     required(s.ZrtpOutgoing, s.SdesOutgoing, s.DtlsOutgoing),
		"sdesOutgoing":     required(s.ZrtpOutgoing, s.SdesOutgoing, s.DtlsOutgoing),
	} {
		f := fieldOf()[node]
		value := f.Get(s)
		if !clash || value.IsNil() {
			continue
		}
		if b.layer.Extra == nil {
			b.layer.Extra = map[string]v1.ExtraValue{}
		}
		b.layer.Extra[node] = v1.ExtraValue(text(value))
		f.Set(s, zeroOf(f))
	}
}

// tooMuch says when the layer is more than an object may hold.
func (b *layerBuilder) tooMuch() error {
	for _, c := range []struct {
		what      string
		have, may int
	}{
		{"nodes without a field", len(b.layer.Extra), maxExtra},
		{"secret nodes without a field", len(b.layer.ExtraFrom), maxExtraFrom},
		{"nodes with a priority, source or operation of their own, or explicitly empty", len(b.layer.Merge), maxMerge},
		{"attributes of <account>", len(b.layer.Attributes), maxAttrs},
	} {
		if c.have > c.may {
			return fmt.Errorf("the document has %d %s, and an object takes %d: keep it in a Secret and name it in xmlFrom", c.have, c.what, c.may)
		}
	}
	return nil
}
