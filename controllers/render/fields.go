package render

import (
	"reflect"
	"strings"
	"sync"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// A Field is a field of v1.AccountSettings, or of a struct in it, that mirrors one node.
type Field struct {
	// Node is the XML name of the node.
	Node string
	// Path is the JSON path below spec.account.
	Path []string
	// Type of the field; a nil value of it says nothing.
	Type  reflect.Type
	index []int
}

// Fields lists the fields that mirror nodes, in the order of v1.AccountSettings.
func Fields() []Field { return mirrored() }

var mirrored = sync.OnceValue(func() []Field {
	return collect(reflect.TypeFor[v1.AccountSettings](), nil, nil)
})

// fieldOf finds the field of a node.
var fieldOf = sync.OnceValue(func() map[string]Field {
	out := map[string]Field{}
	for _, f := range mirrored() {
		out[f.Node] = f
	}
	return out
})

// collect goes into the structs that hold several nodes; the names of those nodes
// have the struct's in front.
func collect(t reflect.Type, path []string, index []int) []Field {
	var out []Field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := append(append([]int(nil), index...), i)
		below := append(append([]string(nil), path...), name)
		if f.Type == reflect.TypeFor[*v1.OpusOptions]() {
			out = append(out, collect(f.Type.Elem(), below, at)...)
			continue
		}
		out = append(out, Field{Node: strings.Join(below, "."), Path: below, Type: f.Type, index: at})
	}
	return out
}

// Get gives the field of the settings; it is nil when the field, or the struct it
// is in, is not set.
func (f Field) Get(s *v1.AccountSettings) reflect.Value {
	v := reflect.ValueOf(s).Elem()
	for i, at := range f.index {
		if i > 0 {
			if v.IsNil() {
				return reflect.Zero(f.Type)
			}
			v = v.Elem()
		}
		v = v.Field(at)
	}
	return v
}

// Set sets the field; a nil value of its type takes it out.
func (f Field) Set(s *v1.AccountSettings, value reflect.Value) {
	v := reflect.ValueOf(s).Elem()
	for i, at := range f.index {
		if i > 0 {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(at)
	}
	v.Set(value)
}
