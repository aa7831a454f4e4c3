package account

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// doc reads the inside of an <account> and fails on anything but warnings.
func doc(t testing.TB, inside string) *Document {
	t.Helper()
	docs, problems, err := ReadString("<account>"+inside+"</account>", ReadOptions{})
	if err != nil || len(Errors(problems)) > 0 {
		t.Fatalf("%s: %v %v", inside, err, problems)
	}
	return docs[0]
}

// inside writes the nodes of a document on one line, with provenance.
func inside(t testing.TB, d *Document) string {
	t.Helper()
	var b strings.Builder
	if err := d.Write(&b, WriteOptions{Provenance: true}); err != nil {
		t.Fatal(err)
	}
	_, nodes, _ := strings.Cut(b.String(), "<account>")
	nodes, _, _ = strings.Cut(nodes, "</account>")
	var lines []string
	for line := range strings.SplitSeq(nodes, "\n") {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "")
}

// layer reads "source priority: nodes".
func layer(t testing.TB, text string) Layer {
	t.Helper()
	head, nodes, found := strings.Cut(text, ": ")
	var l Layer
	if _, err := fmt.Sscanf(head, "%s %d", &l.Source, &l.Priority); err != nil || !found {
		t.Fatalf("layer %q: %v", text, err)
	}
	l.Doc = doc(t, nodes)
	return l
}

func TestMerge(t *testing.T) {
	tests := map[string]struct {
		layers []string
		want   string
	}{
		"the worked example: title stays, icm is replaced, blf is added": {
			[]string{`gui 40: <title priority="40" source="gui">My line</title><icm priority="0" source="default">auto</icm>`,
				`extProv 20: <title>Office</title><icm>push</icm><blf priority="40" operation="subnode-union"><uri>12</uri></blf>`},
			`<title priority="40" source="gui">My line</title><icm priority="20" source="extProv">push</icm>` +
				`<blf priority="40" source="extProv" operation="subnode-union"><uri>12</uri></blf>`},
		"a higher priority replaces": {
			[]string{`provisioning 10: <proxy>a</proxy>`, `gui 40: <proxy>b</proxy>`},
			`<proxy priority="40" source="gui">b</proxy>`},
		"an equal priority replaces: ties go to the later arrival": {
			[]string{`provisioning 10: <proxy>a</proxy>`, `carrier 10: <proxy>b</proxy>`},
			`<proxy priority="10" source="carrier">b</proxy>`},
		"a lower priority replaces nothing, although it arrives last": {
			[]string{`gui 40: <proxy>a</proxy>`, `extProv 20: <proxy>b</proxy>`},
			`<proxy priority="40" source="gui">a</proxy>`},
		"a name not stored yet is added whatever its priority": {
			[]string{`gui 40: <proxy>a</proxy>`, `extProv -5: <username>100</username><x>1</x>`},
			`<username priority="-5" source="extProv">100</username><proxy priority="40" source="gui">a</proxy><x priority="-5" source="extProv">1</x>`},
		"below the default's priority a value loses against the default": {
			[]string{`shipped -1: <expires>900</expires>`},
			``},
		"a node's own priority goes before its layer's": {
			[]string{`gui 40: <proxy>a</proxy><host priority="5">h1</host>`, `extProv 20: <proxy priority="50">b</proxy><host>h2</host>`},
			`<host priority="20" source="extProv">h2</host><proxy priority="50" source="extProv">b</proxy>`},
		"a node's own priority can be zero": {
			[]string{`gui 40: <icm priority="0">off</icm>`, `provisioning 10: <icm>push</icm>`},
			`<icm priority="10" source="provisioning">push</icm>`},
		"a node's own source goes before its layer's": {
			[]string{`gui 40: <proxy source="import">a</proxy>`},
			`<proxy priority="40" source="import">a</proxy>`},
		"the kept node carries the newcomer's attributes and only those": {
			[]string{`provisioning 10: <proxy site="north">a</proxy>`, `gui 40: <proxy lang="en">b</proxy>`},
			`<proxy priority="40" source="gui" lang="en">b</proxy>`},
		"an explicitly empty value is a value and replaces": {
			[]string{`provisioning 10: <proxy>a</proxy>`, `gui 40: <proxy/>`},
			`<proxy priority="40" source="gui"/>`},
		"an explicitly empty value is replaced like any other": {
			[]string{`gui 40: <proxy/>`, `extProv 40: <proxy>a</proxy>`},
			`<proxy priority="40" source="extProv">a</proxy>`},
		"a subtree is one value and replaces as a whole": {
			[]string{`provisioning 10: <headers><header method="*" name="A" value="1"/></headers>`,
				`gui 40: <headers><header method="*" name="B" value="2"/></headers>`},
			`<headers priority="40" source="gui"><header method="*" name="B" value="2"/></headers>`},
		"an empty subtree other than blf clears": {
			[]string{`provisioning 10: <headers><header method="*" name="A" value="1"/></headers>`, `gui 40: <headers/>`},
			`<headers priority="40" source="gui"/>`},
		"a union appends the children that are not there yet, order kept": {
			[]string{`provisioning 10: <blf><uri>2</uri><uri>1</uri></blf>`,
				`gui 40: <blf operation="subnode-union"><uri>3</uri><uri>1</uri><uri>0</uri></blf>`},
			`<blf priority="40" source="gui" operation="subnode-union"><uri>2</uri><uri>1</uri><uri>3</uri><uri>0</uri></blf>`},
		"a union compares children whole, attributes in any order": {
			[]string{`provisioning 10: <headers><header method="*" name="A" value="1"/></headers>`,
				`gui 40: <headers operation="subnode-union"><header value="1" name="A" method="*"/><header method="BYE" name="A" value="1"/></headers>`},
			`<headers priority="40" source="gui" operation="subnode-union"><header method="*" name="A" value="1"/><header method="BYE" name="A" value="1"/></headers>`},
		"a union of equal priority is applied": {
			[]string{`a 10: <blf><uri>1</uri></blf>`, `b 10: <blf operation="subnode-union"><uri>2</uri></blf>`},
			`<blf priority="10" source="b" operation="subnode-union"><uri>1</uri><uri>2</uri></blf>`},
		"a union of lower priority adds nothing": {
			[]string{`gui 40: <blf><uri>1</uri></blf>`, `extProv 20: <blf operation="subnode-union"><uri>2</uri></blf>`},
			`<blf priority="40" source="gui"><uri>1</uri></blf>`},
		"duplicates inside one union are dropped": {
			[]string{`gui 40: <blf operation="subnode-union"><uri>1</uri><uri>1</uri></blf>`},
			`<blf priority="40" source="gui" operation="subnode-union"><uri>1</uri></blf>`},
		"duplicates without a union stay": {
			[]string{`gui 40: <blf><uri>1</uri><uri>1</uri></blf>`},
			`<blf priority="40" source="gui"><uri>1</uri><uri>1</uri></blf>`},
		"a union works for unknown subtrees": {
			[]string{`a 10: <acme><i>1</i></acme>`, `b 20: <acme operation="subnode-union"><i>2</i></acme>`},
			`<acme priority="20" source="b" operation="subnode-union"><i>1</i><i>2</i></acme>`},
		"a union onto a text replaces it": {
			[]string{`a 10: <acme>text</acme>`, `b 20: <acme operation="subnode-union"><i>2</i></acme>`},
			`<acme priority="20" source="b" operation="subnode-union"><i>2</i></acme>`},
		"an empty blf replaces nothing": {
			[]string{`provisioning 10: <blf><uri>1</uri></blf>`, `gui 40: <blf/>`},
			`<blf priority="10" source="provisioning"><uri>1</uri></blf>`},
		"an empty blf keeps nothing out": {
			[]string{`gui 40: <blf/>`, `provisioning 10: <blf><uri>1</uri></blf>`},
			`<blf priority="10" source="provisioning"><uri>1</uri></blf>`},
		"an empty blf replaces an empty one": {
			[]string{`a 10: <blf/>`, `b 20: <blf/>`},
			`<blf priority="20" source="b"/>`},
		"deprecated nodes become icm inside their layer, with its priority": {
			[]string{`gui 40: <incomingDisabled>1</incomingDisabled>`, `extProv 20: <icm>push</icm>`},
			`<icm priority="40" source="gui">off</icm>`},
		"an explicit icm of a stronger layer beats deprecated nodes of a weaker one": {
			[]string{`provisioning 10: <pushMethod>tunnel</pushMethod>`, `gui 40: <icm>off</icm>`},
			`<icm priority="40" source="gui">off</icm>`},
		"deprecated nodes of a stronger layer beat an explicit icm of a weaker one": {
			[]string{`provisioning 10: <icm>off</icm>`, `gui 40: <pushMethod>tunnel</pushMethod>`},
			`<icm priority="40" source="gui">push</icm>`},
		"nodes stand in the schema's order, unknown ones last and by name": {
			[]string{`a 10: <zeta/><icm>off</icm><alpha/><title>T</title>`},
			`<title priority="10" source="a">T</title><icm priority="10" source="a">off</icm><alpha priority="10" source="a"/><zeta priority="10" source="a"/>`},
		"unknown nodes merge like known ones": {
			[]string{`gui 40: <acme>a</acme>`, `extProv 20: <acme>b</acme><other>c</other>`},
			`<acme priority="40" source="gui">a</acme><other priority="20" source="extProv">c</other>`},
		"a layer without a document is no layer": {
			[]string{`a 10: <title>T</title>`}, `<title priority="10" source="a">T</title>`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			layers := []Layer{{}}
			for _, text := range tt.layers {
				layers = append(layers, layer(t, text))
			}
			if got := inside(t, Merge(layers...)); got != tt.want {
				t.Errorf("merged\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestMigration(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"incomingUseGlobalSettings=1 is auto and wins": {
			`<incomingDisabled>1</incomingDisabled><pushMethod>tunnel</pushMethod><incomingUseGlobalSettings>1</incomingUseGlobalSettings>`, `icm=auto`},
		"incomingDisabled=1 is off and goes before push": {
			`<pushMethod>tunnel</pushMethod><incomingDisabled>1</incomingDisabled>`, `icm=off`},
		"pushMethod=tunnel is push and goes before keepAwake": {
			`<keepAwake>1</keepAwake><pushMethod>tunnel</pushMethod>`, `icm=push`},
		"keepAwake=1 is keepAwake": {
			`<keepAwake>1</keepAwake>`, `icm=keepAwake`},
		"registerWhenIncomingOff=1 is off with registration for outgoing calls": {
			`<registerWhenIncomingOff>1</registerWhenIncomingOff>`, `requiresRegistrationForOutgoingCalls=1 icm=off`},
		"registerWhenIncomingOff=1 adds to incomingDisabled=1": {
			`<incomingDisabled>1</incomingDisabled><registerWhenIncomingOff>1</registerWhenIncomingOff>`,
			`requiresRegistrationForOutgoingCalls=1 icm=off`},
		"registerWhenIncomingOff=1 changes nothing when calls come in": {
			`<keepAwake>1</keepAwake><registerWhenIncomingOff>1</registerWhenIncomingOff>`, `icm=keepAwake`},
		"an explicit requiresRegistrationForOutgoingCalls stays": {
			`<requiresRegistrationForOutgoingCalls>0</requiresRegistrationForOutgoingCalls><registerWhenIncomingOff>1</registerWhenIncomingOff>`,
			`requiresRegistrationForOutgoingCalls=0 icm=off`},
		"an explicit icm beats all of them": {
			`<icm>push</icm><incomingDisabled>1</incomingDisabled><registerWhenIncomingOff>1</registerWhenIncomingOff>`, `icm=push`},
		"switched off, none of them says anything": {
			`<incomingDisabled>0</incomingDisabled><pushMethod>off</pushMethod><keepAwake>0</keepAwake><incomingUseGlobalSettings>0</incomingUseGlobalSettings>`, ``},
		"words for booleans count as well": {
			`<incomingDisabled>true</incomingDisabled>`, `icm=off`},
		"aliases count as well": {
			`<incomingCallsDisabled>1</incomingCallsDisabled>`, `icm=off`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			nodes := Merge(Layer{Doc: doc(t, tt.in)}).Nodes
			for _, n := range slices.Backward(nodes) {
				got = append(got, n.String())
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("%s, want %s", s, tt.want)
			}
		})
	}
}

// TestMigratedNodesKeepTheirProvenance: the node that decided gives priority and source.
func TestMigratedNodesKeepTheirProvenance(t *testing.T) {
	m := Merge(layer(t, `gui 40: <incomingUseGlobalSettings>0</incomingUseGlobalSettings><keepAwake priority="7" source="old phone">1</keepAwake>`))
	n, ok := m.Get("icm")
	if !ok || n.Priority != 7 || n.Source != "old phone" || n.MigratedFrom != "keepAwake" || len(m.Nodes) != 1 {
		t.Errorf("icm has priority %d, source %q, from %q; %d nodes", n.Priority, n.Source, n.MigratedFrom, len(m.Nodes))
	}
}

// TestShadows: a value knows whom it beat, the next in line first.
func TestShadows(t *testing.T) {
	m := WithDefaults(Merge(
		layer(t, `carrier 10: <expires>100</expires>`),
		layer(t, `site 10: <expires>200</expires>`),
		layer(t, `gui 40: <expires>400</expires>`),
		layer(t, `extProv 20: <expires>300</expires>`),
	))
	n, _ := m.Get("expires")
	var got []string
	for _, s := range n.Shadows {
		got = append(got, fmt.Sprintf("%s %d %s", s.Source, s.Priority, s.Text))
	}
	want := "extProv 20 300, site 10 200, carrier 10 100, default 0 600"
	if n.Text != "400" || strings.Join(got, ", ") != want {
		t.Errorf("%s shadows %s, want 400 and %s", n.Text, strings.Join(got, ", "), want)
	}
	// Each shadow is what would be in force without those before it.
	rest := Merge(layer(t, `carrier 10: <expires>100</expires>`), layer(t, `site 10: <expires>200</expires>`),
		layer(t, `extProv 20: <expires>300</expires>`))
	if n, _ := rest.Get("expires"); n.Text != "300" {
		t.Errorf("without gui the value is %s", n.Text)
	}
}

// TestShadowsOfMergedDocuments: merging in steps loses no provenance.
func TestShadowsOfMergedDocuments(t *testing.T) {
	a, b := layer(t, `carrier 10: <proxy>a</proxy>`), layer(t, `site 10: <proxy>b</proxy>`)
	c, d := layer(t, `gui 40: <proxy>c</proxy>`), layer(t, `extProv 20: <proxy>d</proxy>`)
	want, _ := Merge(a, b, c, d).Get("proxy")
	got, _ := Merge(Layer{Doc: Merge(a, b)}, Layer{Doc: Merge(c, d)}).Get("proxy")
	if fmt.Sprint(got.Shadows) != fmt.Sprint(want.Shadows) || len(want.Shadows) != 3 {
		t.Errorf("in steps %v, at once %v", got.Shadows, want.Shadows)
	}
}

// TestFallBack: a value that leaves extProv falls back to what it shadowed.
func TestFallBack(t *testing.T) {
	stored := layer(t, `provisioning 10: <proxy>a</proxy>`)
	with := Merge(stored, layer(t, `extProv 20: <proxy>b</proxy>`))
	without := Merge(stored, layer(t, `extProv 20: <title>T</title>`))
	if n, _ := with.Get("proxy"); n.Text != "b" {
		t.Errorf("with: %s", n.Text)
	}
	if n, _ := without.Get("proxy"); n.Text != "a" {
		t.Errorf("without: %s", n.Text)
	}
}

func TestMergeChangesNoLayer(t *testing.T) {
	a := layer(t, `a 10: <blf><uri>1</uri></blf><pushMethod>tunnel</pushMethod>`)
	b := layer(t, `b 20: <blf operation="subnode-union"><uri>2</uri></blf>`)
	before := inside(t, a.Doc) + inside(t, b.Doc)
	Merge(a, b)
	Merge(a, b)
	if after := inside(t, a.Doc) + inside(t, b.Doc); after != before {
		t.Errorf("the layers were\n%s\nand are\n%s", before, after)
	}
}

func TestWithDefaults(t *testing.T) {
	d := WithDefaults(&Document{})
	for _, row := range Schema() {
		n, ok := d.Get(row.Name)
		want := !row.NoDefault && !row.Deprecated()
		if ok != want {
			t.Errorf("%s: present %v, want %v", row.Name, ok, want)
			continue
		}
		if ok && (n.Text != row.Default || n.Priority != 0 || n.Source != "default") {
			t.Errorf("%s is %v", row.Name, *n)
		}
	}
}

// randomLayer draws nodes from a small set of names, so that layers collide.
// Unions are left out: what they add depends on the order of arrival by definition.
func randomLayer(r *rand.Rand, priority int) Layer {
	names := []string{"title", "icm", "expires", "blf", "acme", "proxy", "headers", "other"}
	d := &Document{}
	for _, name := range names {
		switch value := fmt.Sprint(r.IntN(3)); {
		case r.IntN(2) == 0:
		case name == "blf" && r.IntN(3) > 0:
			d.SetBLF([]string{value}, priority, fmt.Sprint("layer", priority))
		case name == "blf":
			d.SetChildren(name, nil, priority, fmt.Sprint("layer", priority))
		case name == "acme":
			d.SetChildren(name, []Element{textElement("i", value)}, priority, fmt.Sprint("layer", priority))
		default:
			d.Set(name, value, priority, fmt.Sprint("layer", priority))
		}
	}
	return Layer{Doc: d}
}

// TestMergeProperties: merging is idempotent, does not depend on the order of
// layers of distinct priorities, may be done in steps, and loses no name.
func TestMergeProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var layers []Layer
		for i := range 1 + r.IntN(5) {
			layers = append(layers, randomLayer(r, 10*i))
		}
		merged := Merge(layers...)
		want := inside(t, merged)
		if got := inside(t, Merge(append(layers, layers...)...)); got != want {
			t.Fatalf("not idempotent:\n%s\n%s", got, want)
		}
		if got := inside(t, Merge(Layer{Doc: merged}, Layer{Doc: merged})); got != want {
			t.Fatalf("the result merged with itself changes:\n%s\n%s", got, want)
		}
		shuffled := slices.Clone(layers)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got := inside(t, Merge(shuffled...)); got != want {
			t.Fatalf("the order counts:\n%s\n%s", got, want)
		}
		cut := r.IntN(len(layers) + 1)
		if got := inside(t, Merge(Layer{Doc: Merge(layers[:cut]...)}, Layer{Doc: Merge(layers[cut:]...)})); got != want {
			t.Fatalf("in steps:\n%s\n%s", got, want)
		}
		for _, l := range layers {
			for _, n := range l.Doc.Nodes {
				if _, ok := merged.Get(n.Name); !ok {
					t.Fatalf("%s was lost", n.Name)
				}
			}
		}
	}
}

// TestUnionsInStepsAndTwice: with unions the order counts, but neither steps nor repetition do.
func TestUnionsInStepsAndTwice(t *testing.T) {
	layers := []Layer{
		layer(t, `a 10: <blf><uri>1</uri></blf>`),
		layer(t, `b 20: <blf operation="subnode-union"><uri>2</uri></blf>`),
		layer(t, `c 20: <blf operation="subnode-union"><uri>3</uri><uri>1</uri></blf>`),
	}
	want := `<blf priority="20" source="c" operation="subnode-union"><uri>1</uri><uri>2</uri><uri>3</uri></blf>`
	for name, got := range map[string]*Document{
		"at once":  Merge(layers...),
		"in steps": Merge(Layer{Doc: Merge(layers[:2]...)}, layers[2]),
		"twice":    Merge(Layer{Doc: Merge(layers...)}, Layer{Doc: Merge(layers...)}),
	} {
		if s := inside(t, got); s != want {
			t.Errorf("%s: %s", name, s)
		}
	}
}
