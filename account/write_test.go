package account

import (
	"errors"
	"strings"
	"testing"
)

func TestWriteRefusesWhatXMLCannotHold(t *testing.T) {
	tests := map[string]struct {
		doc  Document
		want string
	}{
		"a name with a space": {Document{Nodes: []Node{{Name: "my node"}}},
			`writing account XML: my node: "my node" is not an XML name`},
		"an empty name": {Document{Nodes: []Node{{}}},
			`writing account XML: "" is not an XML name`},
		"a name that closes the element": {Document{Nodes: []Node{{Name: "a/><b"}}},
			`writing account XML: a/><b: "a/><b" is not an XML name`},
		"a name that brings an attribute": {Document{Nodes: []Node{{Name: "é a='1'"}}},
			`writing account XML: é a='1': "é a='1'" is not an XML name`},
		"a control character": {Document{Nodes: []Node{{Name: "title", Text: "a\x00b"}}},
			`writing account XML: title: character U+0000 cannot be written in XML`},
		"broken UTF-8": {Document{Nodes: []Node{{Name: "title", Text: "a\xffb"}}},
			`writing account XML: title: character U+FFFD cannot be written in XML`},
		"a surrogate": {Document{Nodes: []Node{{Name: "title", Text: "a\xed\xa0\x80b"}}},
			`writing account XML: title: character U+FFFD cannot be written in XML`},
		"a bad attribute": {Document{Nodes: []Node{{Name: "x", Attrs: []Attr{{"1", "v"}}}}},
			`writing account XML: x: "1" is not an XML name`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			err := tt.doc.Write(&b, WriteOptions{})
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if b.Len() > 0 {
				t.Errorf("%q was written all the same", b.String())
			}
		})
	}
}

func TestNamesInOtherAlphabets(t *testing.T) {
	d := Document{Nodes: []Node{{Name: "größe", Text: "1"}, {Name: "v:größe", Text: "2"}}}
	var b strings.Builder
	if err := d.Write(&b, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	docs, _, err := ReadString(b.String(), ReadOptions{})
	if err != nil || docs[0].Nodes[0].Name != "größe" || docs[0].Nodes[1].Name != "v:größe" {
		t.Errorf("%v %v", docs, err)
	}
}

func TestWriteOptions(t *testing.T) {
	d := doc(t, `<title priority="3" source="s" x="1">T</title><password priority="4">hunter2</password><blf operation="subnode-union"><uri>1</uri></blf>`)
	tests := map[string]struct {
		options WriteOptions
		want    string
	}{
		"values only": {WriteOptions{},
			"<account>\n  <title x=\"1\">T</title>\n  <password>hunter2</password>\n  <blf>\n    <uri>1</uri>\n  </blf>\n</account>\n"},
		"masked": {WriteOptions{Mask: true},
			"<account>\n  <title x=\"1\">T</title>\n  <password>********</password>\n  <blf>\n    <uri>1</uri>\n  </blf>\n</account>\n"},
		"with provenance": {WriteOptions{Provenance: true},
			"<account>\n  <title priority=\"3\" source=\"s\" x=\"1\">T</title>\n  <password priority=\"4\">hunter2</password>\n" +
				"  <blf operation=\"subnode-union\">\n    <uri>1</uri>\n  </blf>\n</account>\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := d.Write(&b, tt.options); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimPrefix(b.String(), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"); got != tt.want {
				t.Errorf("written\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestWriteAll(t *testing.T) {
	one := &Document{Nodes: []Node{{Name: "title", Text: "1"}}}
	two := &Document{}
	tests := map[string]struct {
		docs []*Document
		want string
	}{
		"one document stands alone": {[]*Document{one}, "<account>\n  <title>1</title>\n</account>\n"},
		"several stand in a root":   {[]*Document{one, two}, "<accounts>\n  <account>\n    <title>1</title>\n  </account>\n  <account/>\n</accounts>\n"},
		"none give an empty root":   {nil, "<accounts>\n</accounts>\n"},
		"the root they came in stays": {[]*Document{{Root: &Root{Name: "reply", Others: []Element{textElement("token", "t0p")}}}},
			"<reply>\n  <account/>\n  <token>********</token>\n</reply>\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := WriteAll(&b, tt.docs, WriteOptions{Mask: true}); err != nil {
				t.Fatal(err)
			}
			if _, got, _ := strings.Cut(b.String(), "?>\n"); got != tt.want {
				t.Errorf("written\n%swant\n%s", got, tt.want)
			}
		})
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

var errFull = errors.New("no space left")

func TestWriteErrorsAreKept(t *testing.T) {
	if err := (&Document{}).Write(fullDisk{}, WriteOptions{}); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
}

func TestSetAndDelete(t *testing.T) {
	var d Document
	d.Set("title", "  Desk ", 10, "a")
	d.Set("password", " p ", 10, "a")
	d.Set("callForwardingEnabled", "1", 10, "a")
	d.Set("title", "Office", 40, "b")
	d.Set("proxy", "", 0, "c")
	d.SetChildren("acme", []Element{textElement("i", "1")}, 10, "a")
	want := `<title priority="40" source="b">Office</title><password priority="10" source="a"> p </password>` +
		`<forwardingEnabled priority="10" source="a">1</forwardingEnabled><proxy priority="0" source="c"/>` +
		`<acme priority="10" source="a"><i>1</i></acme>`
	if got := inside(t, &d); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if !d.Delete("callForwardingEnabled") || d.Delete("forwardingEnabled") || len(d.Nodes) != 4 {
		t.Errorf("after deleting: %v", d.Nodes)
	}
}

// TestCompoundsRoundTrip: what the setters write is what Effective reads.
func TestCompoundsRoundTrip(t *testing.T) {
	offset := -90
	var d Document
	d.SetHeaders([]Header{{"*", "X-Site", "a \"b\" <c>"}, {"BYE", "X-Empty", ""}}, 40, "gui")
	d.SetDoNotDisturb(&DoNotDisturb{GMTOffsetInMinutes: &offset, Entries: []DNDEntry{
		{Enabled: true, From: "22:00", To: "06:00", Weekdays: 127, Comment: "night",
			Contacts: []DNDContact{{Phone: "+15550100", Name: "Night desk"}, {Identifier: "1", Source: "book", Phone: "2"}}},
		{From: "00:00", To: "23:59"}}}, 40, "gui")
	rules := []Rule{{Conditions: []Clause{{"startsWith", "00"}, {"numeric", ""}}, Actions: []Clause{{"replace", "+"}, {"continue", ""}}}}
	d.SetRewriting("rewriting", rules, 40, "gui")
	d.SetRewriting("incomingRewriting", rules, 40, "gui")
	d.SetBLF([]string{"2001", "sip:2002@h"}, 40, "gui")
	if problems := d.ValidateLayer(Authored); len(problems) > 0 {
		t.Fatal(problems)
	}
	want, _ := Effective(&d)
	var b strings.Builder
	if err := d.Write(&b, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	docs, _, err := ReadString(b.String(), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := Effective(docs[0])
	sameAccount(t, got, want)
	if len(got.Headers) != 2 || len(got.DoNotDisturb.Entries[0].Contacts) != 2 || *got.DoNotDisturb.GMTOffsetInMinutes != -90 ||
		got.DoNotDisturb.Entries[1].Enabled || got.Rewriting[0].Actions[0] != (Clause{"replace", "+"}) || got.BLF[1] != "sip:2002@h" {
		t.Errorf("read back: %#v %#v %#v %#v", got.Headers, got.DoNotDisturb, got.Rewriting, got.BLF)
	}
}
