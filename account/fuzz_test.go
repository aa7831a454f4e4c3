package account

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// seed adds every fixture, good and bad.
func seed(f *testing.F, add func(data []byte)) {
	f.Helper()
	for _, pattern := range []string{"testdata/good/*.xml", "testdata/bad/*.xml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			add(data)
		}
	}
}

// FuzzRead: whatever is read can be judged, shown and written, and reading what was
// written gives the same nodes and the same bytes again.
func FuzzRead(f *testing.F) {
	seed(f, func(data []byte) { f.Add(data, true); f.Add(data, false) })
	f.Fuzz(func(t *testing.T, data []byte, fetched bool) {
		o := ReadOptions{File: "f"}
		if fetched {
			o.Mode = Fetched
		}
		docs, _, err := Read(bytes.NewReader(data), o)
		if err != nil {
			return
		}
		for _, d := range docs {
			d.Validate(o.Mode)
			Effective(d)
			_ = d.String()
		}
		first := writeAll(t, docs)
		again, problems, err := ReadString(first, ReadOptions{Mode: Fetched})
		if tooBig(err, first) {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, first)
		}
		for i, d := range docs {
			sameNodes(t, again[i].Nodes, d.Nodes)
		}
		if second := writeAll(t, again); second != first {
			t.Fatalf("%v written\n%s\nwritten again\n%s", problems, first, second)
		}
	})
}

// tooBig: layout and escapes can push a document over a limit it just kept.
func tooBig(err error, written string) bool { return err != nil && len(written) > MaxBytes }

// FuzzMerge: merging is idempotent, loses no name, is written and read alike, and
// says the same about itself when nothing differs.
func FuzzMerge(f *testing.F) {
	seed(f, func(data []byte) { f.Add(data, data, 10, 40) })
	f.Add([]byte(`<account><title priority="40" source="gui">My line</title><icm priority="0" source="default">auto</icm></account>`),
		[]byte(`<account><title>Office</title><icm>push</icm><blf priority="40" operation="subnode-union"><uri>12</uri></blf></account>`), 40, 20)
	f.Fuzz(func(t *testing.T, a, b []byte, pa, pb int) {
		first, _, errA := Read(bytes.NewReader(a), ReadOptions{Mode: Fetched})
		second, _, errB := Read(bytes.NewReader(b), ReadOptions{Mode: Fetched})
		if errA != nil || errB != nil {
			return
		}
		layers := []Layer{{first[0], "a", int(int32(pa))}, {second[0], "b", int(int32(pb))}}
		merged := Merge(layers...)
		want := writeAll(t, []*Document{merged})
		for _, l := range layers {
			for _, n := range l.Doc.Nodes {
				row := rowOf(n.Name)
				if _, ok := merged.Get(n.Name); !ok && row == nil {
					t.Fatalf("%s was lost", n.Name)
				}
			}
		}
		if got := writeAll(t, []*Document{Merge(Layer{Doc: merged}, Layer{Doc: merged})}); got != want {
			t.Fatalf("merged with itself\n%s\nwant\n%s", got, want)
		}
		docs, _, err := ReadString(want, ReadOptions{})
		if tooBig(err, want) {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, want)
		}
		if changes := Diff(merged, docs[0]); len(changes) > 0 {
			t.Fatalf("delivered, it differs: %v", changes)
		}
		got, _ := Effective(docs[0])
		inForce, _ := Effective(merged)
		sameAccount(t, got, inForce)
	})
}
