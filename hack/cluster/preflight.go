package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	gib        = 1 << 30
	buildSpace = 6 * gib // Kubernetes' objects in the build cache, and the binary
	runSpace   = 2 * gib // images, logs, pods' disks
)

// neededPrograms and neededFiles come from Debian packages, which the install
// script names.
var (
	neededPrograms = []string{"containerd", "containerd-shim-runc-v2", "ctr", "runc", "ip", "iptables", "conntrack", "mount", "dnsmasq", "kamailio"}
	neededFiles    = []string{"/usr/lib/cni/bridge", "/usr/lib/cni/host-local", "/usr/lib/cni/portmap", "/usr/lib/cni/loopback"}
)

// installScript is the repository's one list of Debian packages.
const installScript = "hack/install-packages.sh"

// requireRoot comes before anything is written: what root left behind is not
// for others to change.
func requireRoot() error {
	if os.Getuid() != 0 {
		return errors.New("run it as root (sudo): it makes namespaces, mounts and cgroups")
	}
	return nil
}

// preflight finds out what the box would fail for later, in words that say
// what to do.
func (l layout) preflight(ctx context.Context) error {
	for _, ns := range []string{"net", "mnt", "uts", "pid"} {
		if !exists("/proc/self/ns/" + ns) {
			return fmt.Errorf("this kernel has no %s namespaces", ns)
		}
	}
	if filesystems, err := os.ReadFile("/proc/filesystems"); err == nil && !strings.Contains(string(filesystems), "\toverlay\n") {
		if exec.CommandContext(ctx, "modprobe", "overlay").Run() != nil {
			return errors.New("this kernel has no overlay filesystem (CONFIG_OVERLAY_FS, module overlay), which containers need")
		}
	}
	// Absent or built in is told by what needs them, in the box.
	for _, module := range []string{"br_netfilter", "veth", "bridge"} {
		_ = exec.CommandContext(ctx, "modprobe", module).Run()
	}
	if err := checkDisk(l.root, runSpace, "running the cluster"); err != nil {
		return err
	}
	missing := missingPrograms()
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("these are missing, and this is no Debian system to install them on: %s (see %s for package names)", strings.Join(missing, ", "), installScript)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(l.root, installScript), "cluster")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", installScript, err)
	}
	if missing = missingPrograms(); len(missing) > 0 {
		return fmt.Errorf("still missing after %s: %s", installScript, strings.Join(missing, ", "))
	}
	return nil
}

func missingPrograms() []string {
	var missing []string
	for _, name := range neededPrograms {
		if _, err := exec.LookPath(name); err != nil && !exists("/usr/sbin/"+name) {
			missing = append(missing, name)
		}
	}
	for _, path := range neededFiles {
		if !exists(path) {
			missing = append(missing, path)
		}
	}
	return missing
}

// checkDisk reports a disk with less than need bytes left for what.
func checkDisk(path string, need uint64, what string) error {
	for !exists(path) && path != "/" {
		path = filepath.Dir(path)
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return fmt.Errorf("free space of %s: %w", path, err)
	}
	if free := s.Bavail * uint64(s.Bsize); free < need {
		return fmt.Errorf("%s needs %d GiB, but the disk of %s has %.1f GiB left", what, need/gib, path, float64(free)/gib)
	}
	return nil
}
