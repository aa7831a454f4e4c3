package provisioning

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// dataLink is the symlink by which Kubernetes swaps all files of a mounted
// Secret or ConfigMap at once.
const dataLink = "..data"

// maxFileBytes bounds one file; an account document may be 1 MiB.
const maxFileBytes = 1 << 20

// maxReadings bounds how often a directory that moves under us is read anew.
const maxReadings = 100

// rawFiles is what one reading of the directory found.
type rawFiles struct {
	content map[string][]byte
	failed  map[string]error // files that are there but could not be read
}

// sum tells two readings apart.
func (r rawFiles) sum() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(r.content)) {
		fmt.Fprintf(h, "%d:%s%d:", len(name), name, len(r.content[name]))
		h.Write(r.content[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.failed)) {
		fmt.Fprintf(h, "!%d:%s%s", len(name), name, r.failed[name])
	}
	return string(h.Sum(nil))
}

// readDir reads every file that belongs to the agent, all from one generation
// of a mounted volume: the link is followed once, and the reading is repeated
// when the link moved meanwhile. What was read of a generation that is being
// removed is never given out: a file that is missing would end a line.
func readDir(dir, caFile string, inForce delivery.Agent) (rawFiles, error) {
	for range maxReadings {
		generation := resolve(dir)
		raw, err := readFiles(generation, inForce)
		if resolve(dir) == generation {
			raw.read(bundle, caFile)
			return raw, err
		}
	}
	return rawFiles{}, fmt.Errorf("accounts directory: replaced during each of %d readings", maxReadings)
}

// resolve gives the directory that holds the files now.
func resolve(dir string) string {
	target, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil {
		return dir
	}
	if filepath.IsAbs(target) {
		return target
	}
	return filepath.Join(dir, target)
}

// readFiles reads what has a name of its own, and the certificates that agent.json
// names: this one, and the one that stays in force if this one is broken.
func readFiles(dir string, inForce delivery.Agent) (rawFiles, error) {
	raw := rawFiles{content: map[string][]byte{}, failed: map[string]error{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return raw, fmt.Errorf("accounts directory: %w", err)
	}
	for _, e := range entries {
		_, line := delivery.LineName(e.Name())
		_, check := delivery.CheckName(e.Name())
		if !line && !check && e.Name() != delivery.AgentFile && !slices.Contains(certificateFiles, e.Name()) {
			continue
		}
		raw.read(e.Name(), filepath.Join(dir, e.Name()))
	}
	names := namedFiles(inForce)
	if agent, err := parseAgent(raw.content[delivery.AgentFile]); err == nil {
		maps.Copy(names, namedFiles(agent))
	}
	for name := range names {
		if _, read := raw.content[name]; !read {
			raw.read(name, filepath.Join(dir, name))
		}
	}
	return raw, nil
}

// read puts a file's content under a name; path "" = there is none.
func (r rawFiles) read(name, path string) {
	if path == "" {
		return
	}
	content, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && name != bundle: // removed since the listing
	case err != nil:
		r.failed[name] = err
	default:
		r.content[name] = content
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would hold us up
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxFileBytes)
	}
	// Contents are kept: no larger than they are. What is written meanwhile is read
	// when the directory is looked at again.
	content := make([]byte, info.Size())
	n, err := io.ReadFull(f, content)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return content[:n], err
}
