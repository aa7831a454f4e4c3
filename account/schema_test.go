package account

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestEveryNodeOfTheDocumentHasARow holds the table against the document's list of
// nodes: same names, same order, same sections.
func TestEveryNodeOfTheDocumentHasARow(t *testing.T) {
	list, err := os.ReadFile("testdata/nodes.tsv")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(list)), "\n")
	if len(want) != 126 {
		t.Fatalf("the list has %d nodes, the document 126", len(want))
	}
	var got []string
	for _, row := range Schema() {
		if !row.Bonus {
			got = append(got, row.Section+"\t"+row.Name)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows for %d nodes", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("row %d is %q, the document has %q", i+1, got[i], want[i])
		}
	}
}

func TestRowsAreComplete(t *testing.T) {
	names := map[string]bool{}
	for _, row := range Schema() {
		for _, name := range append([]string{row.Name}, row.Aliases...) {
			if names[name] {
				t.Errorf("%s: the name %s is taken", row.Name, name)
			}
			names[name] = true
			if !validName(name) {
				t.Errorf("%s: %q is not an XML name", row.Name, name)
			}
			if found, ok := Lookup(name); !ok || found.Name != row.Name {
				t.Errorf("Lookup(%s) gives %q", name, found.Name)
			}
		}
		if row.Doc == "" || !strings.HasSuffix(row.Doc, ".") || row.Section == "" {
			t.Errorf("%s: documentation %q in section %q", row.Name, row.Doc, row.Section)
		}
		if row.Kind == KindURL && len(row.Schemes) == 0 || row.Kind == KindEnum && len(row.Enum) == 0 {
			t.Errorf("%s: a %s without its words", row.Name, row.Kind)
		}
		if row.HonouredBy == Carried && row.Effect != Nothing {
			t.Errorf("%s is carried only, yet a change has the effect %s", row.Name, row.Effect)
		}
		if row.Deprecated() != isDeprecated(row.Name) {
			t.Errorf("%s: deprecated nodes and migrations differ", row.Name)
		}
		if soundsSecret(row.Name) && !row.Secret {
			t.Errorf("%s sounds like a secret and is none", row.Name)
		}
		for synonym, word := range row.Synonyms {
			if r := judgeText(&row, synonym); r.verdict != fine || word != "" && judgeText(&row, word).verdict != fine {
				t.Errorf("%s: synonym %q of %q: %s", row.Name, synonym, word, r.message)
			}
		}
	}
}

// TestDefaultsAreValid: a default stands in for a value, so it must be one, in the spelling that is written.
func TestDefaultsAreValid(t *testing.T) {
	for _, row := range Schema() {
		if row.NoDefault {
			if row.Default != "" {
				t.Errorf("%s has the default %q and none", row.Name, row.Default)
			}
			continue
		}
		if r := judgeText(&row, row.Default); r.verdict != fine && !row.Required {
			t.Errorf("%s: default %q %s", row.Name, row.Default, r.message)
		}
		if got := canonicalText(&row, row.Default); got != row.Default {
			t.Errorf("%s: default %q is written %q", row.Name, row.Default, got)
		}
	}
}

// fieldTypes are the Go types a node of each kind may have.
var fieldTypes = map[Kind][]reflect.Type{
	KindString:   {reflect.TypeFor[string]()},
	KindBool:     {reflect.TypeFor[bool]()},
	KindTristate: {reflect.TypeFor[*bool]()},
	KindInt:      {reflect.TypeFor[int]()},
	KindIntEmpty: {reflect.TypeFor[*int](), reflect.TypeFor[string]()},
	KindEnum:     {reflect.TypeFor[string](), reflect.TypeFor[Transport]()},
	KindCSV:      {reflect.TypeFor[[]string]()},
	KindIntCSV:   {reflect.TypeFor[[]int]()},
	KindHost:     {reflect.TypeFor[string]()},
	KindIP:       {reflect.TypeFor[string]()},
	KindURL:      {reflect.TypeFor[string]()},
	KindTemplate: {reflect.TypeFor[string]()},
	KindTone:     {reflect.TypeFor[string]()},
	KindSubtree: {reflect.TypeFor[[]Header](), reflect.TypeFor[*DoNotDisturb](),
		reflect.TypeFor[[]Rule](), reflect.TypeFor[[]string]()},
}

// TestAccountMirrorsTheTable: every typed row has a field of a fitting type, and every field a row.
func TestAccountMirrorsTheTable(t *testing.T) {
	fields := map[string][]int{}
	collectFields(reflect.TypeFor[Account](), "", nil, fields)
	for _, row := range Schema() {
		path, ok := fields[row.Name]
		delete(fields, row.Name)
		if row.Untyped || row.Deprecated() {
			if ok {
				t.Errorf("%s has a field it should not have", row.Name)
			}
			continue
		}
		if !ok {
			t.Errorf("%s has no field in Account", row.Name)
			continue
		}
		field := reflect.TypeFor[Account]().FieldByIndex(path)
		fits := false
		for _, typ := range fieldTypes[row.Kind] {
			fits = fits || field.Type == typ
		}
		if !fits {
			t.Errorf("%s is a %s, its field %s a %s", row.Name, row.Kind, field.Name, field.Type)
		}
		if want := goName(row.Name); !strings.Contains(row.Name, ".") && field.Name != want {
			t.Errorf("%s has the field %s, not %s", row.Name, field.Name, want)
		}
	}
	for name := range fields {
		t.Errorf("the field of %q has no row", name)
	}
}

// goName is the XML name with Go's initialisms.
func goName(xml string) string {
	var b strings.Builder
	for _, part := range strings.Split(xml, "_") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return goInitialisms.Replace(b.String())
}

var goInitialisms = strings.NewReplacer("CallerId", "CallerID", "NetworkId", "NetworkID", "Url", "URL", "Sipis", "SIPIS",
	"Icm", "ICM", "Rtp", "RTP", "Dtmf", "DTMF", "Rfc2833", "RFC2833", "Ice", "ICE", "Sdes", "SDES", "Zrtp", "ZRTP", "Dtls", "DTLS",
	"Wcb", "WCB", "CthWs", "CTHWS", "Cth", "CTH", "Vpn", "VPN", "Blf", "BLF", "Fps", "FPS", "Sms", "SMS", "Voice", "Voice")
