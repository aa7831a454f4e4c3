package account

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// An endless reader repeats a piece of XML until it has given out size bytes.
type endless struct {
	piece      string
	size, read int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.read >= e.size {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.piece[(e.read+n)%len(e.piece):])
	}
	e.read += n
	return n, nil
}

// TestHugeInputIsRefusedInConstantMemory: 100 MB of anything is given up after 1 MiB.
func TestHugeInputIsRefusedInConstantMemory(t *testing.T) {
	for name, piece := range map[string]string{
		"elements":    "<a>",
		"nodes":       "<account><title>x</title>",
		"text":        "account",
		"white space": "   \n",
		"attributes":  ` a="1"`,
		"zeros":       "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			input := &endless{piece: piece, size: 100 << 20}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := Read(input, ReadOptions{File: "huge.xml"})
			runtime.ReadMemStats(&after)
			if err == nil || err.Error() != "huge.xml: the document is larger than 1 MiB" {
				t.Errorf("error %v", err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
				t.Errorf("%d bytes were allocated", used)
			}
			if input.read > 2*MaxBytes {
				t.Errorf("%d bytes were read", input.read)
			}
		})
	}
}

// TestCostlyInputIsBounded: documents just under the size limit, built to be expensive.
func TestCostlyInputIsBounded(t *testing.T) {
	fill := func(head, piece, tail string) string {
		return head + strings.Repeat(piece, (MaxBytes-len(head)-len(tail))/len(piece)) + tail
	}
	for name, tt := range map[string]struct{ input, want string }{
		"a nest of elements":      {fill("<account>", "<a>", ""), "nested deeper than 32 levels"},
		"a wall of attributes":    {fill("<account", ` a=""`, "/>"), "more than 64 attributes"},
		"a bomb of entities":      {fill("<!DOCTYPE a [", `<!ENTITY a "&b;&b;">`, "]><account/>"), "refused"},
		"a list of small nodes":   {fill("<account><x>", "<a/>", "</x></account>"), ""},
		"the same node again":     {fill("<account>", "<a/>", "</account>"), ""},
		"one long text":           {fill("<account><x>", "a", "</x></account>"), ""},
		"one text in small steps": {fill("<account><x>", "a<!---->", "</x></account>"), ""},
		"a list of many numbers":  {"<account><codecOrder>" + numbers(150000, ",", "") + "</codecOrder></account>", ""},
		"many unknown nodes":      {"<account>" + numbers(60000, "<n", "/>") + "</account>", ""},
		"many entries to compare": {"<account><blf operation='subnode-union'>" + numbers(50000, "<uri>", "</uri>") + "</blf></account>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			docs, _, err := Read(strings.NewReader(tt.input), ReadOptions{Mode: Fetched})
			for _, d := range docs { // none of this may take time that grows faster than the document
				d.Validate(Fetched)
				Effective(Merge(Layer{Doc: d}, Layer{Doc: d}))
				Diff(d, &Document{})
			}
			runtime.ReadMemStats(&after)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 512<<20 {
				t.Errorf("%d MiB were allocated", used>>20)
			}
		})
	}
}

// numbers is before0after before1after …
func numbers(n int, before, after string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprint(&b, before, i, after)
	}
	return b.String()
}

func TestLimitsAreInclusive(t *testing.T) {
	deep := "<account>" + strings.Repeat("<a>", 31) + strings.Repeat("</a>", 31) + "</account>"
	if _, _, err := ReadString(deep, ReadOptions{}); err != nil {
		t.Errorf("32 levels: %v", err)
	}
	var attrs strings.Builder
	for i := range 64 {
		fmt.Fprintf(&attrs, ` a%d="1"`, i)
	}
	if _, _, err := ReadString("<account"+attrs.String()+"/>", ReadOptions{}); err != nil {
		t.Errorf("64 attributes: %v", err)
	}
	full := "<account><x>" + strings.Repeat("a", MaxBytes-len("<account><x></x></account>")) + "</x></account>"
	if _, _, err := ReadString(full, ReadOptions{}); err != nil || len(full) != MaxBytes {
		t.Errorf("1 MiB: %v", err)
	}
}

func TestReaderErrorsAreKept(t *testing.T) {
	broken := errors.New("connection reset")
	_, _, err := Read(io.MultiReader(strings.NewReader("<account>"), &failing{broken}), ReadOptions{})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	_, _, err = ReadString("<account>", ReadOptions{})
	var p Problem
	if !errors.As(err, &p) {
		t.Errorf("malformed input gives %T", err)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// TestFetchedIsTolerant: what is an error in an authored document is a warning in a fetched one.
func TestFetchedIsTolerant(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"the last of two nodes counts": {`<icm>off</icm><proxy>p</proxy><icm>push</icm>`,
			"f:1:93: icm: warning: written twice, first in line 1; the last one counts"},
		"words for booleans": {`<keepAlive>Yes</keepAlive>`,
			`f:1:63: keepAlive: warning: "Yes" should be 1`},
		"an empty number": {`<expires/>`,
			`f:1:63: expires: warning: must not be empty; it reads as 600`},
		"a priority that is none": {`<icm priority="x">push</icm>`,
			`f:1:63: icm: warning: priority "x" is not a whole number`},
		"an operation that is none": {`<icm operation="x">push</icm>`,
			`f:1:63: icm: warning: operation "x" is unknown; there is only "subnode-union"`},
		"text between nodes": {`stray<icm>push</icm>`,
			`f:1:62: warning: text between the nodes of <account> is ignored`},
		"an empty item of a list": {`<codecOrder>0,,8</codecOrder>`,
			`f:1:63: codecOrder: warning: there is an empty item in the list`},
		"an unknown condition": {`<rewriting><rule><condition type="x"/><action type="drop"/></rule></rewriting>`,
			`f:1:63: rewriting: warning: rule 1: condition "x" is unknown; the rule never matches`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := `<account><title>T</title><username>u</username><host>h</host>` + " " + tt.in + `</account>`
			if _, problems, err := ReadString(text, ReadOptions{Mode: Authored, File: "f"}); err != nil {
				t.Fatal(err)
			} else if docs, _, _ := ReadString(text, ReadOptions{}); len(Errors(append(problems, docs[0].Validate(Authored)...))) != 1 {
				t.Errorf("authored: %v %v", problems, docs[0].Validate(Authored))
			}
			docs, problems, err := ReadString(text, ReadOptions{Mode: Fetched, File: "f"})
			if err != nil {
				t.Fatal(err)
			}
			problems = append(problems, docs[0].Validate(Fetched)...)
			if len(problems) != 1 || problems[0].String() != tt.want {
				t.Errorf("fetched: %v\nwant %s", problems, tt.want)
			}
		})
	}
}

// TestLastOfTwoNodesCounts in place of the first, in both modes.
func TestLastOfTwoNodesCounts(t *testing.T) {
	docs, _, err := ReadString("<account><icm>off</icm><proxy>p</proxy><icm>push</icm></account>", ReadOptions{Mode: Fetched})
	if err != nil {
		t.Fatal(err)
	}
	if got := inside(t, docs[0]); got != "<icm>push</icm><proxy>p</proxy>" {
		t.Error(got)
	}
}

func TestPlaces(t *testing.T) {
	docs, _, err := ReadString("<?xml version='1.0'?>\n<!-- ü\n -->\r\n<account>\n\t<title>ü</title><host\n>h</host> é<x/></account>",
		ReadOptions{Mode: Fetched, File: "f"})
	if err != nil {
		t.Fatal(err)
	}
	d := docs[0]
	got := fmt.Sprint(d.Line, ":", d.Col)
	for _, n := range d.Nodes {
		got += fmt.Sprintf(" %s %s:%d:%d", n.Name, n.File, n.Line, n.Col)
	}
	if want := "4:1 title f:5:2 host f:5:18 x f:6:12"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestLocalisedText(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"the plain value":                 {`<title><value lang="de">D</value><value>P</value></title>`, "P"},
		"else the first":                  {`<title><value lang="de">D</value><value lang="fr">F</value></title>`, "D"},
		"white space around it is layout": {"<title>\n<value>\n P </value></title>", "P"},
		"without children the text":       {`<title> T </title>`, "T"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, problems := Effective(doc(t, tt.in))
			if a.Title != tt.want || len(problems) > 0 {
				t.Errorf("%q %v, want %q", a.Title, problems, tt.want)
			}
		})
	}
}

func TestWhiteSpaceOfSecretsIsKept(t *testing.T) {
	for _, node := range []string{"password", "cloud_password", "STUNPassword", "extProvAuthPassword", "my_secret", "acmeToken"} {
		d := doc(t, "<"+node+"> \tp w\n </"+node+">")
		if n, _ := d.Get(node); n == nil || n.Text != " \tp w\n " {
			t.Errorf("%s is %+v", node, d.Nodes)
		}
		var b strings.Builder
		if err := d.Write(&b, WriteOptions{}); err != nil || !strings.Contains(b.String(), "> \tp w\n </") {
			t.Errorf("%s is written %s", node, b.String())
		}
	}
}

func TestAliasesAreRead(t *testing.T) {
	for _, row := range Schema() {
		for _, alias := range row.Aliases {
			d := doc(t, "<"+alias+"/>")
			if d.Nodes[0].Name != row.Name {
				t.Errorf("%s is read as %s, not %s", alias, d.Nodes[0].Name, row.Name)
			}
			if _, ok := d.Get(alias); !ok {
				t.Errorf("%s is not found under its alias", row.Name)
			}
		}
	}
}
