package drill

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAPageKeepsWhatWasNotMeasuredAgain writes a page twice, with other figures.
func TestAPageKeepsWhatWasNotMeasuredAgain(t *testing.T) {
	*directory = t.TempDir()
	t.Cleanup(func() { *directory = "" })
	first := &Page{File: "p.md", Title: "Title", Intro: "Intro.", Notes: "Notes."}
	first.Measured(t, "kept", "%d ms", 1)
	first.Measured(t, "again", "%d ms", 2)
	if err := first.Write(); err != nil {
		t.Fatal(err)
	}
	second := &Page{File: "p.md", Title: "Title", Intro: "Intro.", Notes: "Notes."}
	second.Measured(t, "new", "%d ms", 3)
	second.Measured(t, "again", "%d ms", 4)
	if err := second.Write(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(*directory, "p.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	at := 0
	for _, want := range []string{"# Title\n", "Intro.\n", "Machine: ", "| what | figure | measured |\n|---|---|---|\n", "| kept | 1 ms | ", "| again | 4 ms | ", "| new | 3 ms | ", "Notes.\n"} {
		i := strings.Index(page[at:], want)
		if i < 0 {
			t.Fatalf("%q is not where it belongs in\n%s", want, page)
		}
		at += i + len(want)
	}
	if strings.Contains(page, "2 ms") {
		t.Errorf("an old figure stayed:\n%s", page)
	}
}

// TestAPageOfSeveralColumns keeps a row of two figures, and writes the page anew when its columns change.
func TestAPageOfSeveralColumns(t *testing.T) {
	*directory = t.TempDir()
	t.Cleanup(func() { *directory = "" })
	page := func(columns []string, what, figure string) string {
		t.Helper()
		p := &Page{File: "p.md", Title: "Title", Intro: "Intro.", Columns: columns}
		p.Measured(t, what, "%s", figure)
		if err := p.Write(); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(*directory, "p.md"))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	page([]string{"one", "two"}, "kept", Across("1", "2"))
	both := page([]string{"one", "two"}, "new", Across("3", "4"))
	for _, want := range []string{"| what | one | two | measured |\n|---|---|---|---|\n", "| kept | 1 | 2 | ", "| new | 3 | 4 | "} {
		if !strings.Contains(both, want) {
			t.Errorf("no %q in\n%s", want, both)
		}
	}
	if other := page([]string{"one"}, "new", "5"); strings.Contains(other, "kept") || !strings.Contains(other, "| new | 5 | ") {
		t.Errorf("with another heading:\n%s", other)
	}
}

func TestPickFollowsTheFlag(t *testing.T) {
	t.Cleanup(func() { *times = "short" })
	for says, want := range map[string]int{"short": 1, "long": 2} {
		*times = says
		if got := Pick(1, 2); got != want || Check() != nil {
			t.Errorf("%s: %d, %v", says, got, Check())
		}
	}
	*times = "medium"
	if Check() == nil {
		t.Error("medium is taken")
	}
}
