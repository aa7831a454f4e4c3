// Command image builds the container images of this repository, as archives
// that the development cluster imports, without a container engine. The
// Dockerfile builds its programs through it too, so that an image that a user
// builds holds the same program as the one that was tested.
//
//	image [--version V]                      write .cluster/images/{manager,agent}.tar
//	image [--version V] --binary agent --out F   build that one program into the file F, no archive
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/softphone-operator/softphone-operator/hack/image/archive"
)

// programs are the images this repository ships.
var programs = []archive.Program{
	{Name: "manager", Package: "./cmd/manager", Reference: "voip.softphone.dev/manager:dev", Certificates: true},
	{Name: "agent", Package: "./cmd/agent", Reference: "voip.softphone.dev/agent:dev", Certificates: true, Libopus: true},
}

func main() {
	version := flag.String("version", "dev", "what the programs say their version is")
	binary := flag.String("binary", "", "build only the program of this name, and no archive")
	out := flag.String("out", "", "where to put the program of --binary")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *version, *binary, *out)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, version, binary, out string) error {
	root, err := findRoot()
	if err != nil {
		return err
	}
	if binary != "" {
		if out, err = filepath.Abs(out); err != nil {
			return err
		}
		for _, p := range programs {
			if p.Name == binary {
				return p.Compile(ctx, root, out, version)
			}
		}
		return fmt.Errorf("there is no program %q", binary)
	}
	for _, p := range programs {
		started := time.Now()
		path, written, err := p.Build(ctx, root, version)
		if err != nil {
			return err
		}
		state := "unchanged"
		if written {
			state = "written"
		}
		fmt.Printf("%s %s as %s (%s)\n", p.Reference, state, path, time.Since(started).Round(time.Millisecond))
	}
	return nil
}

// findRoot finds the repository around the working directory.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", errors.New(dir + " is not inside the repository")
		}
	}
}
