package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Program is a Go program of this repository and the image it becomes.
type Program struct {
	Name         string // of the binary, and of the archive
	Package      string // import path, relative to the repository
	Reference    string // of the image
	Certificates bool   // the machine's CA certificates go along
	Libopus      bool   // speaks Opus, where this machine has libopus to link
}

// opusHeader is what libopus-dev brings; without it programs are built without Opus.
const opusHeader = "/usr/include/opus/opus.h"

// certificateFile is where Debian keeps, and Go programs look for, the CA
// certificates.
const certificateFile = "/etc/ssl/certs/ca-certificates.crt"

// Compile builds p as a static program at output, with the flags that every
// build of it uses, whether for an archive, in the Dockerfile or for tests.
// version goes into its variable main.version.
func (p Program) Compile(ctx context.Context, root, output, version string) error {
	ldflags, tags, cgo := "-s -w -X main.version="+version, "", "CGO_ENABLED=0"
	if p.withLibopus() {
		ldflags += " -linkmode external -extldflags -static"
		tags, cgo = "netgo,osusergo", "CGO_ENABLED=1"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-tags", tags, "-ldflags", ldflags, "-o", output, p.Package)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), cgo)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", p.Package, err)
	}
	return nil
}

// withLibopus says whether libopus is to be linked, and here to be linked.
func (p Program) withLibopus() bool {
	if !p.Libopus {
		return false
	}
	_, err := os.Stat(opusHeader)
	return err == nil
}

// Build brings the archive of p in the repository at root up to date and
// returns its path, and whether it was written anew. Nothing is written when
// the program came out as before.
func (p Program) Build(ctx context.Context, root, version string) (archive string, written bool, err error) {
	work := filepath.Join(root, ".cluster", "build")
	binary, stampFile := filepath.Join(work, p.Name), filepath.Join(work, p.Name+".stamp")
	archive = filepath.Join(root, ".cluster", "images", p.Name+".tar")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return "", false, err
	}
	if err := p.Compile(ctx, root, binary, version); err != nil {
		return "", false, err
	}
	image, stamp, err := p.image(binary)
	if err != nil {
		return "", false, err
	}
	if old, err := os.ReadFile(stampFile); err == nil && string(old) == stamp {
		if _, err := os.Stat(archive); err == nil {
			return archive, false, nil
		}
	}
	if err := image(archive); err != nil {
		return "", false, err
	}
	return archive, true, os.WriteFile(stampFile, []byte(stamp), 0o644)
}

// image gathers what goes into p's image. It returns what writes the archive
// and a stamp that differs when the archive would.
func (p Program) image(binary string) (write func(to string) error, stamp string, err error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, "", err
	}
	files := []File{{"/" + p.Name, 0o755, program}}
	if p.Certificates {
		certificates, err := os.ReadFile(certificateFile)
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w (Debian package ca-certificates)", err)
		}
		if err != nil {
			return nil, "", err
		}
		files = append(files, File{certificateFile, 0o644, certificates})
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%+v %s %s\n", p, User, passwd)
	for _, f := range files {
		fmt.Fprintln(sum, f.Path, len(f.Data))
		sum.Write(f.Data)
	}
	write = func(to string) error {
		image, err := Image("/"+p.Name, files...)
		if err != nil {
			return err
		}
		return Write(to, p.Reference, image)
	}
	return write, fmt.Sprintf("%x\n", sum.Sum(nil)), nil
}
