package account

import (
	"io"
	"strings"
	"testing"
)

// fullAccount has every node of the schema.
func fullAccount(tb testing.TB) string {
	var b strings.Builder
	b.WriteString("<account>")
	for _, row := range Schema() {
		if !row.Deprecated() && !row.Untyped {
			b.WriteString(sampleNode(&row))
		}
	}
	b.WriteString("</account>")
	return b.String()
}

func BenchmarkRead(b *testing.B) {
	text := fullAccount(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ReadString(text, ReadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	docs, _, err := ReadString(fullAccount(b), ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := docs[0].Write(io.Discard, WriteOptions{Provenance: true}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMergeOfFiveLayers(b *testing.B) {
	docs, _, err := ReadString(fullAccount(b), ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	var layers []Layer
	for _, priority := range []int{10, 10, 40, 40, 20} {
		layers = append(layers, Layer{docs[0], "layer", priority})
	}
	b.ReportAllocs()
	for b.Loop() {
		if m := Merge(layers...); len(m.Nodes) == 0 {
			b.Fatal("nothing merged")
		}
	}
}

func BenchmarkEffective(b *testing.B) {
	docs, _, err := ReadString(fullAccount(b), ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Effective(docs[0])
	}
}
