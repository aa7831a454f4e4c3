package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func testImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := Image("/program", File{"/program", 0o755, []byte("\x7fELF")}, File{"/etc/ssl/certs/ca-certificates.crt", 0o644, []byte("PEM")})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func TestAnImageHasWhatAStaticProgramNeedsAndNoMore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "images", "program.tar")
	if err := Write(path, "voip.softphone.dev/program:dev", testImage(t)); err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; !slices.Equal(c.Entrypoint, []string{"/program"}) || c.User != "65532:65532" || config.OS != "linux" {
		t.Errorf("configuration: %+v", config)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatal(layers, err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
		if header.Name == "tmp/" && header.Mode != 0o1777 {
			t.Errorf("/tmp has mode %o", header.Mode)
		}
		if header.ModTime.Unix() != 0 {
			t.Errorf("%s has a time: %s", header.Name, header.ModTime)
		}
	}
	if want := []string{"etc/", "etc/passwd", "etc/ssl/", "etc/ssl/certs/", "etc/ssl/certs/ca-certificates.crt", "program", "tmp/"}; !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
}

func TestTheSameImageHasTheSameBytes(t *testing.T) {
	var archives [2][]byte
	for i := range archives {
		path := filepath.Join(t.TempDir(), "program.tar")
		if err := Write(path, "voip.softphone.dev/program:dev", testImage(t)); err != nil {
			t.Fatal(err)
		}
		var err error
		if archives[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of one image differ")
	}
}

func TestAReferenceWithoutARegistryIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program.tar")
	if err := Write(path, "program", testImage(t)); err == nil || !strings.Contains(err.Error(), "image reference") {
		t.Errorf("%v", err)
	}
}

func TestAnArchiveIsWrittenWhenItsProgramChanges(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.org/program\n\ngo 1.26\n")
	write("main.go", "package main\n\nvar version string\n\nfunc main() { print(version) }\n")
	p := Program{Name: "program", Package: ".", Reference: "voip.softphone.dev/program:dev"}
	for _, step := range []struct {
		name    string
		do      func()
		version string
		written bool
	}{
		{"the first time", func() {}, "v1", true},
		{"nothing changed", func() {}, "v1", false},
		{"another version", func() {}, "v2", true},
		{"another program", func() { write("main.go", "package main\n\nvar version string\n\nfunc main() { print(version, 2) }\n") }, "v2", true},
		{"the archive was removed", func() { os.Remove(filepath.Join(root, ".cluster/images/program.tar")) }, "v2", true},
		{"nothing changed since", func() {}, "v2", false},
	} {
		step.do()
		path, written, err := p.Build(t.Context(), root, step.version)
		if err != nil {
			t.Fatal(step.name, err)
		}
		if written != step.written {
			t.Errorf("%s: written: %v", step.name, written)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	write("main.go", "package main\n\nfunc main() { undefined() }\n")
	if _, _, err := p.Build(t.Context(), root, "v2"); err == nil || !strings.Contains(err.Error(), "build .") {
		t.Errorf("a program that does not compile: %v", err)
	}
}
