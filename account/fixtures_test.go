package account

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadFixtures: one file per mistake, with the exact messages beside it.
// Nothing here may show a secret; see TestNoSecretIsPrinted.
func TestBadFixtures(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".xml")
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(file, ".xml") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			got := complaints(t, file, Authored)
			if got != string(want) {
				t.Errorf("messages\n%swant\n%s", got, want)
			}
			if got == "" {
				t.Error("a bad document must be complained about")
			}
		})
	}
}

// complaints is everything that reading and validating a file says, a line each.
func complaints(t *testing.T, file string, m Mode) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs, problems, err := Read(bytes.NewReader(data), ReadOptions{Mode: m, File: filepath.Base(file)})
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, d := range docs {
		problems = append(problems, d.Validate(m)...)
	}
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

// readGood reads a good fixture and fails on anything but warnings.
func readGood(t *testing.T, file string) []*Document {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs, problems, err := Read(bytes.NewReader(data), ReadOptions{File: filepath.Base(file)})
	if err != nil || len(Errors(problems)) > 0 {
		t.Fatalf("%v %v", err, problems)
	}
	return docs
}

func goodFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/good/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	return files
}

// TestGoodFixtures: what reading makes of a document, written canonically, stands beside it.
func TestGoodFixtures(t *testing.T) {
	for _, file := range goodFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(file, ".xml") + ".canonical")
			if err != nil {
				t.Fatal(err)
			}
			docs := readGood(t, file)
			got := writeAll(t, docs)
			if got != string(want) {
				t.Errorf("written\n%swant\n%s", got, want)
			}
			again, _, err := ReadString(got, ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if twice := writeAll(t, again); twice != got {
				t.Errorf("written again\n%swant\n%s", twice, got)
			}
			for i, d := range docs {
				if problems := Errors(d.Validate(Authored)); len(problems) > 0 && len(d.Nodes) > 0 {
					t.Errorf("account %d: %v", i+1, problems)
				}
				sameNodes(t, again[i].Nodes, d.Nodes)
			}
		})
	}
}

// sameNodes compares what documents hold in the spelling that is written; places do not count.
func sameNodes(t *testing.T, got, want []Node) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d nodes, want %d", len(got), len(want))
	}
	for i := range want {
		g, w := &got[i], &want[i]
		if g.Name != w.Name || !g.sameValue(w) || g.Priority != w.Priority || g.HasPriority != w.HasPriority ||
			g.Source != w.Source || g.Operation != w.Operation {
			t.Errorf("node %d is %+v, want %+v", i, *g, *w)
		}
	}
}

func writeAll(t *testing.T, docs []*Document) string {
	t.Helper()
	var b strings.Builder
	if err := WriteAll(&b, docs, WriteOptions{Provenance: true}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
