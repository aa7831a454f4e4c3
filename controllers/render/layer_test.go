package render_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/account"
	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

// subtrees are samples of compound nodes, in their canonical form.
var subtrees = map[string]string{
	"headers": `<header method="*" name="X-Site" value="&quot;north&quot; &amp; &lt;south&gt;"/><header method="INVITE" name="X-B" value=""/>`,
	"doNotDisturb": `<dndEntry><enabled>1</enabled><from>22:00</from><to>06:00</to><weekdays>31</weekdays>` +
		`<contacts><contactInfo phone="+15550100"/></contacts><comment>Quiet</comment></dndEntry>` +
		`<dndEntry><from>00:00</from><to>23:59</to><weekdays>0</weekdays><contacts/></dndEntry>`,
	"rewriting":         `<rule><conditions><condition type="startsWith" param="00"/></conditions><actions><action type="replace" param="+"/><action type="continue"/></actions></rule>`,
	"incomingRewriting": `<rule><conditions/><actions><action type="rejectCall"/></actions></rule>`,
	"blf":               `<uri>2001</uri><uri>sip:2002@pbx.example.org</uri>`,
}

// sample is a value that a row's node may have.
func sample(row account.Row) string {
	switch row.Kind {
	case account.KindBool, account.KindTristate:
		return "1"
	case account.KindInt, account.KindIntEmpty:
		return fmt.Sprint(row.Range.Min + 3)
	case account.KindEnum:
		return row.Enum[len(row.Enum)-1]
	case account.KindCSV, account.KindIntCSV:
		return strings.Join(row.Enum, ",")
	case account.KindHost:
		return "edge.example.org:5070"
	case account.KindIP:
		return "192.0.2.1"
	case account.KindURL:
		return "https://example.org/x?u=%account[username]%"
	case account.KindTone:
		return "periodic(sine(2000ms,2000,440Hz,480Hz),silence(4000ms))"
	case account.KindSubtree:
		return subtrees[row.Name]
	}
	return "x-" + row.Name
}

func element(name, content string) string { return "<" + name + ">" + content + "</" + name + ">" }

// read gives the one document of an XML.
func read(t testing.TB, xml string) *account.Document {
	t.Helper()
	docs, _, err := account.ReadString(xml, account.ReadOptions{Mode: account.Fetched})
	if err != nil {
		t.Fatalf("%v\n%s", err, xml)
	}
	return docs[0]
}

// canonical is the document as XML, nodes in one order, with what each says of itself.
func canonical(t testing.TB, d *account.Document) string {
	t.Helper()
	sorted := *d
	sorted.Nodes = slices.SortedStableFunc(slices.Values(d.Nodes), func(a, b account.Node) int { return strings.Compare(a.Name, b.Name) })
	var out strings.Builder
	if err := sorted.Write(&out, account.WriteOptions{Provenance: true}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// secretOf is the Secret that a layer's values go to.
func secretOf(entries []render.SecretEntry) render.Values {
	data := map[string][]byte{}
	for _, e := range entries {
		data[e.Key] = []byte(e.Value)
	}
	return render.Values{{Kind: render.Secret, Name: "kept"}: data}
}

// there and back: a document as a layer, and as a document again.
func thereAndBack(t testing.TB, d *account.Document) (v1.AccountLayer, *account.Document, error) {
	t.Helper()
	l, secrets, err := render.Layer(d, render.LayerOptions{Secret: "kept"})
	if err != nil {
		t.Fatal(err)
	}
	back, err := render.Document(&l, secretOf(secrets))
	return l, back, err
}

func TestEveryNodeHasAFieldThatHoldsItsValue(t *testing.T) {
	for _, row := range account.Schema() {
		d := read(t, element("account", element(row.Name, sample(row))))
		l, back, err := thereAndBack(t, d)
		if err != nil {
			t.Errorf("%s: %v", row.Name, err)
			continue
		}
		if len(l.Extra)+len(l.ExtraFrom)+len(l.Merge) > 0 || l.Account == nil {
			t.Errorf("%s: its value is not in its field: %+v", row.Name, l)
			continue
		}
		for _, f := range render.Fields() {
			if set := !f.Get(l.Account).IsNil(); set != (f.Node == row.Name) {
				t.Errorf("%s: field %s is set: %v", row.Name, f.Node, set)
			}
		}
		if got, want := canonical(t, back), canonical(t, d); got != want {
			t.Errorf("%s:\n got %s\nwant %s", row.Name, got, want)
		}
	}
}

func TestWhatDoesNotFitIsCarriedToTheLetter(t *testing.T) {
	for what, c := range map[string]struct{ xml, extra string }{
		"an unknown node":                  {`<myNode>a  b</myNode>`, "a  b"},
		"a node with a prefix":             {`<x:myNode>a</x:myNode>`, "a"},
		"a number with leading zeros":      {`<expires>0600</expires>`, "0600"},
		"a number out of bounds":           {`<expires>5</expires>`, "5"},
		"a word that is none":              {`<transport>sctp</transport>`, "sctp"},
		"a user with a domain":             {`<username>alice@example.org</username>`, "alice@example.org"},
		"an attribute":                     {`<title x="y">A</title>`, `<title x="y">A</title>`},
		"languages":                        {`<title><value lang="de">Büro</value><value>Office</value></title>`, "<title>\n    <value lang=\"de\">Büro</value>\n    <value>Office</value>\n  </title>"},
		"text that looks like its element": {`<mine>&lt;mine&gt;</mine>`, `<mine>&lt;mine&gt;</mine>`},
		"a payload number twice":           {`<codecOrder>8,8</codecOrder>`, "8,8"},
		"a header nobody may set":          {`<headers><header method="*" name="Via" value="x"/></headers>`, "<headers>\n    <header method=\"*\" name=\"Via\" value=\"x\"/>\n  </headers>"},
		"a rule with a stranger":           {`<rewriting><rule><conditions/><actions/><note/></rule></rewriting>`, "<rewriting>\n    <rule>\n      <conditions/>\n      <actions/>\n      <note/>\n    </rule>\n  </rewriting>"},
		"an extension twice":               {`<blf><uri>1</uri><uri>1</uri></blf>`, "<blf>\n    <uri>1</uri>\n    <uri>1</uri>\n  </blf>"},
		"a priority out of bounds":         {`<title priority="-3">A</title>`, `<title priority="-3">A</title>`},
		"an attribute of a union":          {`<blf operation="subnode-union" x="y"><uri>1</uri></blf>`, "<blf operation=\"subnode-union\" x=\"y\">\n    <uri>1</uri>\n  </blf>"},
	} {
		d := read(t, element("account", c.xml))
		l, back, err := thereAndBack(t, d)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		var got []string
		for _, v := range l.Extra {
			got = append(got, string(v))
		}
		if len(got) != 1 || got[0] != c.extra || l.Account != nil {
			t.Errorf("%s: got extra %q and fields %v, want extra %q", what, got, l.Account, c.extra)
		}
		if got, want := canonical(t, back), canonical(t, d); got != want {
			t.Errorf("%s:\n got %s\nwant %s", what, got, want)
		}
	}
}

func TestWhatANodeSaysOfItselfGoesToMerge(t *testing.T) {
	d := read(t, `<account site="n"><title priority="40" source="gui">A</title><blf priority="50" operation="subnode-union"><uri>1</uri></blf><proxy/><mine source="me"/></account>`)
	l, secrets, err := render.Layer(d, render.LayerOptions{Priority: 40, Source: "gui"})
	if err != nil || len(secrets) > 0 {
		t.Fatal(err, secrets)
	}
	var got []string
	for _, m := range l.Merge {
		s := m.Node
		if m.Priority != nil {
			s += fmt.Sprintf(" priority %d", *m.Priority)
		}
		if m.Source != nil {
			s += " source " + *m.Source
		}
		if m.Operation != nil {
			s += " " + string(*m.Operation)
		}
		if m.Empty != nil {
			s += " empty"
		}
		got = append(got, s)
	}
	want := []string{"blf priority 50 subnode-union", "proxy empty", "mine source me empty"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if l.Attributes["site"] != "n" {
		t.Errorf("the attribute of the account is lost: %v", l.Attributes)
	}
}

func TestSecretsAreReturnedApart(t *testing.T) {
	const hush = "hunter2"
	xml := `<account><username>a</username><host>h</host><password> hunter2 </password><cloud_password>hunter2</cloud_password>
<extProvUrl>https://u:hunter2@example.org/p</extProvUrl><x:my_token xmlns:x="u">hunter2</x:my_token>
<headers><header method="*" name="X-Token" value="hunter2"/></headers><genericBalanceCheckPostData>a=1
password=hunter2</genericBalanceCheckPostData><site><secret>hunter2</secret></site></account>`
	d := read(t, xml)
	l, secrets, err := render.Layer(d, render.LayerOptions{Secret: "kept"})
	if err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%+v %v", l, l.Extra) + spell(reflect.ValueOf(l)); strings.Contains(shown, hush) {
		t.Errorf("a secret is in the object: %s", shown)
	}
	nodes := map[string]bool{}
	for _, s := range secrets {
		nodes[s.Node] = true
		if !strings.Contains(s.Value, hush) || strings.Trim(s.Key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
			t.Errorf("%s under key %s", s.Node, s.Key)
		}
	}
	want := []string{"cloud_password", "extProvUrl", "genericBalanceCheckPostData", "headers", "password", "site", "x:my_token"}
	if got := slices.Sorted(maps.Keys(nodes)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	back, err := render.Document(&l, secretOf(secrets))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := canonical(t, back), canonical(t, d); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	refs := render.References(&l)
	if len(refs) != len(secrets) {
		t.Errorf("%d references, %d secrets", len(refs), len(secrets))
	}
}

// spell writes every string in a value, behind pointers too.
func spell(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return spell(v.Elem())
	case reflect.Struct:
		var out strings.Builder
		for i := range v.NumField() {
			out.WriteString(spell(v.Field(i)))
		}
		return out.String()
	case reflect.Slice:
		var out strings.Builder
		for i := range v.Len() {
			out.WriteString(spell(v.Index(i)))
		}
		return out.String()
	case reflect.Map:
		var out strings.Builder
		for _, k := range v.MapKeys() {
			out.WriteString(k.String() + "=" + spell(v.MapIndex(k)) + "\n")
		}
		return out.String()
	case reflect.String:
		return v.String() + "\n"
	}
	return ""
}

func TestClashesAreLeftToTheMergedAccount(t *testing.T) {
	d := read(t, `<account><rtpPortRangeStart>20000</rtpPortRangeStart><rtpPortRangeEnd>20001</rtpPortRangeEnd><sdesIncoming>required</sdesIncoming><dtlsIncoming>required</dtlsIncoming></account>`)
	l, back, err := thereAndBack(t, d)
	if err != nil {
		t.Fatal(err)
	}
	if l.Extra["rtpPortRangeEnd"] != "20001" || l.Extra["sdesIncoming"] != "required" || l.Account.RtpPortRangeEnd != nil {
		t.Errorf("the API server would refuse %+v", l)
	}
	if got, want := canonical(t, back), canonical(t, d); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestDocumentsTooLargeForAnObjectAreRefused(t *testing.T) {
	var many strings.Builder
	for i := range 201 {
		fmt.Fprintf(&many, "<n%d>x</n%d>", i, i)
	}
	for want, xml := range map[string]string{
		"the document has 201 nodes without a field": many.String(),
		"mine: the value has 70000 characters":       element("mine", strings.Repeat("x", 70000)),
	} {
		_, _, err := render.Layer(read(t, element("account", xml)), render.LayerOptions{})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
}

// FuzzLayer: any document becomes a layer that says the same.
func FuzzLayer(f *testing.F) {
	for _, row := range account.Schema() {
		f.Add(element("account", element(row.Name, sample(row))))
	}
	f.Add(`<account a="b"><x:y priority="3" source="s" operation="subnode-union" z="1"><a/>t</x:y><password priority="2"> p </password></account>`)
	f.Fuzz(func(t *testing.T, xml string) {
		docs, _, err := account.ReadString(xml, account.ReadOptions{Mode: account.Fetched})
		if err != nil {
			return
		}
		for _, d := range docs {
			l, secrets, err := render.Layer(d, render.LayerOptions{Secret: "kept"})
			if err != nil {
				continue // larger than an object may be
			}
			for i := range d.Nodes {
				if d.Nodes[i].Operation != "" && d.Nodes[i].Operation != account.OperationUnion {
					return // carried in an element, and an error of the author
				}
			}
			back, err := render.Document(&l, secretOf(secrets))
			if err != nil {
				if strings.Contains(err.Error(), "line break") || strings.Contains(err.Error(), "control characters") {
					continue // a password nobody can have meant
				}
				t.Fatalf("%v\n%s\n%+v", err, xml, l)
			}
			if got, want := canonical(t, back), canonical(t, d); got != want {
				t.Fatalf("\n got %s\nwant %s", got, want)
			}
		}
	})
}
