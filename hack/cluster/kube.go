package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// kubeModule is the module that bin/kube is built from. Its go.mod is the one
// place that says which Kubernetes this is.
const kubeModule = "hack/cluster/kubernetes"

var kubeRequirement = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes v(\d+)\.(\d+)(\.\S+)`)

// kubeFlags returns the flags that build bin/kube and the version they stamp
// into it, read from the module's go.mod.
func kubeFlags(goMod []byte) (flags []string, version string, err error) {
	m := kubeRequirement.FindSubmatch(goMod)
	if m == nil {
		return nil, "", fmt.Errorf("%s/go.mod requires no k8s.io/kubernetes", kubeModule)
	}
	version = fmt.Sprintf("v%s.%s%s", m[1], m[2], m[3])
	const p = " -X k8s.io/component-base/version."
	stamps := "-s -w" + p + "gitVersion=" + version + p + "gitMajor=" + string(m[1]) + p + "gitMinor=" + string(m[2]) + p + "gitTreeState=clean"
	// Libraries are shared with every other build on the machine that has the
	// same flags: -trimpath or -gcflags would compile Kubernetes once more.
	return []string{"-buildvcs=false", "-ldflags", stamps}, version, nil
}

// ensureKube builds bin/kube unless the one that is there came from the same
// sources, and lays out the directories that expect it under several names.
func (l layout) ensureKube(ctx context.Context) error {
	if err := os.MkdirAll(l.bin("kubebuilder"), 0o755); err != nil {
		return err
	}
	unlock, err := lockFile(l.bin(".kube.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	sum := sha256.New()
	var goMod []byte
	for _, name := range []string{"go.sum", "main.go", "go.mod"} {
		if goMod, err = os.ReadFile(filepath.Join(l.root, kubeModule, name)); err != nil {
			return err
		}
		sum.Write(goMod)
	}
	flags, version, err := kubeFlags(goMod)
	if err != nil {
		return err
	}
	fmt.Fprint(sum, flags, runtime.Version())
	stamp := fmt.Sprintf("%s %x\n", version, sum.Sum(nil))

	if old, err := os.ReadFile(l.bin(".kube.stamp")); err != nil || string(old) != stamp || !exists(l.bin("kube")) {
		if err := l.buildKube(ctx, version, flags); err != nil {
			return err
		}
	}
	for _, name := range []string{"kubebuilder/etcd", "kubebuilder/kube-apiserver", "kubebuilder/kubectl", "kubectl"} {
		to := "kube"
		if strings.Contains(name, "/") {
			to = "../kube"
		}
		if err := link(to, l.bin(name)); err != nil {
			return err
		}
	}
	return os.WriteFile(l.bin(".kube.stamp"), []byte(stamp), 0o644)
}

func (l layout) buildKube(ctx context.Context, version string, flags []string) error {
	fmt.Printf("building Kubernetes %s: seconds when its libraries were compiled before, else about ten minutes on two cores\n", version)
	if err := checkDisk(goCache(), buildSpace, "compiling Kubernetes"); err != nil {
		return err
	}
	started := time.Now()
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags...), "-o", l.bin("kube"), ".")...)
	cmd.Dir = filepath.Join(l.root, kubeModule)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build Kubernetes: %w", err)
	}
	fmt.Printf("built bin/kube in %s\n", time.Since(started).Round(time.Second))
	return nil
}

// goCache is where the build cache is, or at least on the same disk.
func goCache() string {
	if out, err := exec.Command("go", "env", "GOCACHE").Output(); err == nil {
		return strings.TrimSpace(string(out))
	}
	return os.TempDir()
}

// lockFile takes an exclusive lock that ends with the process, waiting for it
// as long as it takes.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// link makes path a symbolic link to to, replacing what is there.
func link(to, path string) error {
	if old, err := os.Readlink(path); err == nil && old == to {
		return nil
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Symlink(to, path)
}
