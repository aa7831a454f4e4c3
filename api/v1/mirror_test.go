package v1_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/softphone-operator/softphone-operator/account"
	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// schema is the part of a CRD's schema that the tests look at.
type schema struct {
	Type, Description string
	Properties        map[string]*schema
	Items             *schema
	Enum              []string
	Minimum, Maximum  *int
	MaxLength         *int
	MinLength         *int
	ListType          string `json:"x-kubernetes-list-type"`
	IntOrString       bool   `json:"x-kubernetes-int-or-string"`
	Rules             []struct{ Rule, Message string }
}

// accountSchema is spec.account of a kind, as the API server sees it.
func accountSchema(t *testing.T, plural string) *schema {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "config/crd/bases", v1.GroupVersion.Group+"_"+plural+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema schema `json:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := yaml.Unmarshal(content, &crd); err != nil {
		t.Fatal(err)
	}
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["account"]
}

// goFields are the fields of spec.account by the node each mirrors.
func goFields(typ reflect.Type, prefix string) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if options != "omitempty" {
			out[prefix+name+" is not optional"] = f.Type
		}
		if f.Type == reflect.TypeFor[*v1.OpusOptions]() {
			for nested, t := range goFields(f.Type.Elem(), name+".") {
				out[nested] = t
			}
			continue
		}
		out[prefix+name] = f.Type
	}
	return out
}

// find is the schema at a node's place.
func (s *schema) find(node string) *schema {
	for _, name := range strings.Split(node, ".") {
		if s = s.Properties[name]; s == nil {
			return nil
		}
	}
	return s
}

// Row by row: the table, the Go types, and the CRDs that are made of them say the same.
func TestTheTableTheTypesAndTheCRDsAgree(t *testing.T) {
	fields := goFields(reflect.TypeFor[v1.AccountSettings](), "")
	for _, plural := range []string{"softphoneaccounts", "softphoneprofiles"} {
		crd := accountSchema(t, plural)
		documented, known := 0, map[string]bool{}
		for _, row := range account.Schema() {
			known[row.Name] = true
			if !row.Bonus {
				documented++
			}
			field, ok := fields[row.Name]
			if !ok {
				t.Errorf("%s has no field", row.Name)
				continue
			}
			got := crd.find(row.Name)
			if got == nil {
				t.Errorf("%s: %s is not in the CRD", plural, row.Name)
				continue
			}
			for _, wrong := range append(disagreements(row, field, got), undocumented(row, got)...) {
				t.Errorf("%s: %s: %s", plural, row.Name, wrong)
			}
		}
		if documented != 126 {
			t.Errorf("%d nodes of the document are mirrored", documented)
		}
		for node := range fields {
			if !known[node] {
				t.Errorf("field %s mirrors no node", node)
			}
		}
		if properties := len(crd.Properties) + len(crd.Properties["opusOptions"].Properties) + len(crd.Properties["opusOptions3G"].Properties) - 2; properties != len(known) {
			t.Errorf("%s: %d fields for %d nodes", plural, properties, len(known))
		}
	}
}

// undocumented: the field has one sentence, and it is the table's.
func undocumented(row account.Row, got *schema) []string {
	said := strings.ReplaceAll(strings.Join(strings.Fields(got.Description), " "), " ", "")
	words := strings.ReplaceAll(strings.TrimSuffix(strings.ReplaceAll(row.Doc, " on Wi-Fi", ""), "."), " ", "")
	if strings.HasPrefix(row.Name, "opusOptions3G.") {
		words = "Opus" // shared with the Wi-Fi set, which is held to the letter
	}
	if !strings.Contains(strings.ToLower(strings.ReplaceAll(said, "onWi-Fi", "")), strings.ToLower(strings.ReplaceAll(words, "onWi-Fi", ""))) {
		return []string{fmt.Sprintf("the description is %q, the table says %q", got.Description, row.Doc)}
	}
	if !strings.HasSuffix(said, ".") {
		return []string{"the description is no sentence"}
	}
	return nil
}

// disagreements between a row, its Go field and its schema.
func disagreements(row account.Row, field reflect.Type, got *schema) []string {
	var out []string
	want := func(ok bool, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	if row.Secret {
		want(field == reflect.TypeFor[*v1.SecretValue]() && got.Properties["secretKeyRef"] != nil, "a secret in a field of type %s", field)
		return out
	}
	switch row.Kind {
	case account.KindBool, account.KindTristate:
		want(field == reflect.TypeFor[*bool]() && got.Type == "boolean", "%s, %s in the CRD", field, got.Type)
	case account.KindInt, account.KindIntEmpty:
		want(field == reflect.TypeFor[*int32]() && got.Type == "integer", "%s, %s in the CRD", field, got.Type)
		numbers := append([]int{row.Range.Min, row.Range.Max}, row.Also...)
		want(got.Minimum != nil && *got.Minimum == slices.Min(numbers) && got.Maximum != nil && *got.Maximum == slices.Max(numbers), "bounds are not %+v", *row.Range)
	case account.KindEnum:
		words := slices.Clone(row.Enum)
		if row.MayBeEmpty && field != reflect.TypeFor[*v1.Transport]() { // a transport is emptied by spec.merge
			words = append(words, "")
		}
		want(sameWords(got.Enum, words), "the CRD takes %q, the table %q", got.Enum, words)
	case account.KindCSV:
		want(got.Type == "array" && got.ListType == "atomic" && sameWords(got.Items.Enum, row.Enum), "the CRD takes %+v", got.Items)
	case account.KindIntCSV:
		want(got.Type == "array" && got.ListType == "atomic" && got.Items.IntOrString, "the CRD takes %+v", got.Items)
	case account.KindSubtree:
		want(got.Type == "array" && got.ListType != "" || got.Type == "object", "the CRD takes %s (%s)", got.Type, got.ListType)
	default:
		want(got.Type == "string" && got.MaxLength != nil, "the CRD takes %s without a bound", got.Type)
		want(!row.Required || got.MinLength != nil && *got.MinLength == 1, "may be empty")
	}
	return out
}

func sameWords(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
