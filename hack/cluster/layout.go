package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// layout says where everything of one checkout's cluster is.
type layout struct {
	root string // the repository, absolute
}

// findLayout finds the repository around the working directory.
func findLayout() (layout, error) {
	dir, err := os.Getwd()
	if err != nil {
		return layout{}, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return layout{}, err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, kubeModule, "go.mod")); err == nil {
			return layout{root: d}, nil
		}
		if d == filepath.Dir(d) {
			return layout{}, fmt.Errorf("%s is not inside the repository", dir)
		}
	}
}

// name tells this checkout's cluster from those of others on the machine; it
// names its cgroup.
func (l layout) name() string {
	return fmt.Sprintf("softphone-%.4x", sha256.Sum256([]byte(l.root)))
}

func (l layout) dir(elem ...string) string {
	return filepath.Join(append([]string{l.root, ".cluster"}, elem...)...)
}

func (l layout) bin(name string) string { return filepath.Join(l.root, "bin", name) }

// state is what one run of the cluster makes and the next one starts without.
func (l layout) state(elem ...string) string {
	return l.dir(append([]string{"state"}, elem...)...)
}

func (l layout) logs(elem ...string) string { return l.dir(append([]string{"logs"}, elem...)...) }
func (l layout) images() string             { return l.dir("images") }
func (l layout) kubeconfig() string         { return l.dir("kubeconfig") }

// printLogs prints the log of a component or lists what there is.
func (l layout) printLogs(args []string) error {
	if len(args) > 1 {
		return errUsage
	}
	if len(args) == 1 {
		text, err := os.ReadFile(l.logs(filepath.Base(args[0]) + ".log"))
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(text)
		return err
	}
	found, err := filepath.Glob(l.logs("*.log"))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("no logs: the cluster was never started")
	}
	sort.Strings(found)
	for _, path := range found {
		fmt.Println(strings.TrimSuffix(filepath.Base(path), ".log"))
	}
	return nil
}
