package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/softphone-operator/softphone-operator/hack/image/archive"
)

// pauseImage holds the namespaces of pods; containerd is configured with it.
const pauseImage = "voip.softphone.dev/pause:dev"

// buildPause brings its archive up to date.
func (l layout) buildPause(ctx context.Context) error {
	pause := archive.Program{Name: "pause", Package: "./hack/image/pause", Reference: pauseImage}
	_, _, err := pause.Build(ctx, l.root, "dev")
	return err
}

// importImages imports the archives in .cluster/images that are not in the
// cluster yet.
func (l layout) importImages() error {
	paths, err := filepath.Glob(filepath.Join(l.images(), "*.tar"))
	if err != nil {
		return err
	}
	record := l.state("imported.json")
	imported := map[string]string{}
	if text, err := os.ReadFile(record); err == nil {
		if err := json.Unmarshal(text, &imported); err != nil {
			return err
		}
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		stamp := fmt.Sprintf("%d bytes of %s", info.Size(), info.ModTime())
		if imported[path] == stamp {
			continue
		}
		if err := l.importImage(path); err != nil {
			return err
		}
		imported[path] = stamp
	}
	text, err := json.MarshalIndent(imported, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(record, text, 0o644)
}

// load imports the archives given, whether they are in there or not.
func (l layout) load(paths []string) error {
	if len(paths) == 0 {
		return errUsage
	}
	for _, path := range paths {
		if err := l.importImage(path); err != nil {
			return err
		}
	}
	return nil
}

// importImage gives one archive to containerd, in the namespace that pods'
// images are in.
func (l layout) importImage(path string) error {
	tar, err := os.Open(path)
	if err != nil {
		return err
	}
	defer tar.Close()
	output, err := os.CreateTemp("", "import-")
	if err != nil {
		return err
	}
	defer output.Close()
	defer os.Remove(output.Name())
	args := []string{"ctr", "--address", containerdSock, "--namespace", "k8s.io", "images", "import", "-"}
	code, err := l.exec(execRequest(l, args), tar, output, output)
	if err == nil && code != 0 {
		text, _ := os.ReadFile(output.Name())
		err = errors.New(strings.TrimSpace(string(text)))
	}
	if err != nil {
		return fmt.Errorf("import %s: %w", path, err)
	}
	return nil
}
