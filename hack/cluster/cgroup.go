package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cgroups are the directories of this machine's cgroup hierarchies that pods
// need a part of: several with cgroup v1, one with v2.
type cgroups struct {
	v2     bool
	mounts []string
	idle   []string // a v2 hierarchy without controllers beside v1, where runc leaves directories
}

// findCgroups reads the hierarchies from the text of /proc/self/mountinfo.
// With any v1 controller mounted, v1 is what container runtimes use.
func findCgroups(mountinfo string) (cgroups, error) {
	var v1, v2 []string
	lines := bufio.NewScanner(strings.NewReader(mountinfo))
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 {
			continue
		}
		switch kind, _, _ := strings.Cut(after, " "); kind {
		case "cgroup":
			v1 = append(v1, fields[4])
		case "cgroup2":
			v2 = append(v2, fields[4])
		}
	}
	switch {
	case len(v1) > 0:
		return cgroups{mounts: v1, idle: v2}, nil
	case len(v2) > 0:
		return cgroups{v2: true, mounts: v2[:1]}, nil
	}
	return cgroups{}, errors.New("no cgroup hierarchy is mounted at /sys/fs/cgroup")
}

func machineCgroups() (cgroups, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return cgroups{}, err
	}
	return findCgroups(string(text))
}

// make makes the cgroup that the kubelet's root is, ready for processes.
func (c cgroups) make(name string) error {
	for _, mount := range c.mounts {
		dir := filepath.Join(mount, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("cgroup: %w", err)
		}
		if c.v2 {
			for _, controller := range []string{"cpu", "cpuset", "io", "memory", "pids"} {
				// What the machine does not offer, the kubelet complains about.
				_ = os.WriteFile(filepath.Join(mount, "cgroup.subtree_control"), []byte("+"+controller), 0)
			}
			continue
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // empty in a new v1 cgroup, and then unusable
			all, err := os.ReadFile(filepath.Join(mount, file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, file), all, 0)
			}
			if err != nil {
				return fmt.Errorf("cgroup: %w", err)
			}
		}
	}
	return nil
}

// remove removes the cgroup and all below it. The kernel lets go of the last
// processes a moment after they ended.
func (c cgroups) remove(name string) error {
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		err = nil
		for _, mount := range slices.Concat(c.mounts, c.idle) {
			err = errors.Join(err, removeTree(filepath.Join(mount, name)))
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("cgroup: %w", err)
}

// removeTree removes a directory of a cgroup hierarchy, whose files cannot be
// and need not be removed.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeTree(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(err, os.Remove(dir))
}
