// Package archive builds container images without a container engine: a static
// Go program, the few files it needs around it, and nothing else. Where no
// base image can be pulled that is the only way, and everywhere it is a fast
// one.
//
// The same program and settings give the same bytes: no clock and no host name
// goes into an archive.
package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// User is the numeric user and group that images run as. Kubernetes can hold
// runAsNonRoot only against a number.
const User = "65532"

const passwd = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"

// File is one regular file of an image.
type File struct {
	Path string // absolute
	Mode int64
	Data []byte
}

// Image makes an image of one layer that runs entrypoint as User.
func Image(entrypoint string, files ...File) (v1.Image, error) {
	layer, err := layerOf(append(files, File{"/etc/passwd", 0o644, []byte(passwd)}))
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer(layer, types.OCIUncompressedLayer))
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: []string{entrypoint}, User: User + ":" + User, WorkingDir: "/", Env: []string{"PATH=/"}}
	return mutate.ConfigFile(image, config)
}

// layerOf packs files, the directories above them and /tmp into a tar, in one
// order and without times. It is not compressed: such an archive travels no
// further than the next process.
func layerOf(files []File) ([]byte, error) {
	entries := map[string]tar.Header{"tmp/": {Typeflag: tar.TypeDir, Mode: 0o1777}}
	data := map[string][]byte{}
	for _, f := range files {
		inside := strings.TrimPrefix(path.Clean(f.Path), "/")
		entries[inside] = tar.Header{Typeflag: tar.TypeReg, Mode: f.Mode, Size: int64(len(f.Data))}
		data[inside] = f.Data
		for d := path.Dir(inside); d != "."; d = path.Dir(d) {
			entries[d+"/"] = tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}
		}
	}
	names := make([]string, 0, len(entries))
	for n := range entries {
		names = append(names, n)
	}
	slices.Sort(names) // a directory sorts before what is in it

	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, n := range names {
		header := entries[n]
		header.Name = n
		if err := w.WriteHeader(&header); err != nil {
			return nil, fmt.Errorf("layer: %s: %w", n, err)
		}
		if _, err := w.Write(data[n]); err != nil {
			return nil, fmt.Errorf("layer: %s: %w", n, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	return out.Bytes(), nil
}

// Write writes image as an archive that names it reference, whole or not at
// all.
func Write(to, reference string, image v1.Image) error {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("image reference: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	partial := to + ".partial"
	if err := tarball.WriteToFile(partial, tag, image); err != nil {
		return fmt.Errorf("write %s: %w", to, err)
	}
	return os.Rename(partial, to)
}
