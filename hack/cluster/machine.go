package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// kubeletTunables are settings of the whole machine that a kubelet changes
// (k8s.io/component-helpers/node/util/sysctl).
var kubeletTunables = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

// fixedDirs are directories whose paths are compiled into kubelet and the CNI
// library. The box mounts its own over them, so they must exist outside.
var fixedDirs = []string{"/var/lib/cni", "/var/lib/kubelet", "/var/log/containers"}

// changes is what the cluster changes on the machine outside its box; down
// takes it back.
type changes struct {
	Tunables    map[string]string // values before
	Directories []string          // made, and empty ever since
}

// prepareMachine makes the changes and keeps a record of them at path. A
// record left by a run that never came to its down stays as it is.
func prepareMachine(path string) error {
	var c changes
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &c)
	} else if errors.Is(err, os.ErrNotExist) {
		c.Tunables, err = map[string]string{}, nil
		for _, name := range kubeletTunables {
			if value, err := os.ReadFile(filepath.Join("/proc/sys", name)); err == nil {
				c.Tunables[name] = strings.TrimSpace(string(value))
			}
		}
	}
	if err != nil {
		return err
	}
	for _, dir := range fixedDirs {
		if !exists(dir) {
			c.Directories = append(c.Directories, dir)
		}
	}
	if text, err = json.MarshalIndent(c, "", "  "); err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	for _, dir := range fixedDirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// restoreMachine takes back what the record at path says; without a record
// there is nothing to do.
func restoreMachine(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var c changes
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return err
	}
	for name, value := range c.Tunables {
		err = errors.Join(err, os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0))
	}
	for _, dir := range c.Directories {
		_ = os.Remove(dir) // stays when somebody has put something into it
	}
	return errors.Join(err, os.Remove(path))
}
