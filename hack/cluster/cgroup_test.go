package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestCgroupHierarchiesAreTheOnesContainersUse(t *testing.T) {
	const (
		root   = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
		memory = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
		cpuset = "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime shared:9 - cgroup cgroup rw,cpuset\n"
		beside = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
		only   = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	)
	for name, c := range map[string]struct {
		mountinfo string
		want      cgroups
		fails     bool
	}{
		"version 1":                       {root + memory + cpuset, cgroups{mounts: []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpuset"}}, false},
		"version 1 with version 2 beside": {root + memory + beside, cgroups{mounts: []string{"/sys/fs/cgroup/memory"}, idle: []string{"/sys/fs/cgroup/unified"}}, false},
		"version 2":                       {root + only, cgroups{v2: true, mounts: []string{"/sys/fs/cgroup"}}, false},
		"none":                            {root, cgroups{}, true},
		"lines that make no sense":        {"x\n - \n1 2 - cgroup\n", cgroups{}, true},
	} {
		got, err := findCgroups(c.mountinfo)
		if !reflect.DeepEqual(got, c.want) || (err != nil) != c.fails {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
}

func TestACgroupIsMadeUsable(t *testing.T) {
	cpuset, memory := t.TempDir(), t.TempDir()
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if err := os.WriteFile(filepath.Join(cpuset, file), []byte("0-1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	groups := cgroups{mounts: []string{cpuset, memory}}
	for range 2 { // the second time all is there
		if err := groups.make("softphone-test"); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if text, err := os.ReadFile(filepath.Join(cpuset, "softphone-test", file)); err != nil || string(text) != "0-1\n" {
			t.Errorf("%s: %q, %v", file, text, err)
		}
	}
	if !exists(filepath.Join(memory, "softphone-test")) {
		t.Error("one hierarchy was left out")
	}
}

func TestACgroupTreeIsRemovedFromTheLeavesUp(t *testing.T) {
	mount := t.TempDir()
	if err := os.MkdirAll(filepath.Join(mount, "softphone-test", "kubepods", "pod1"), 0o755); err != nil {
		t.Fatal(err)
	}
	groups := cgroups{mounts: []string{mount}, idle: []string{t.TempDir()}}
	for range 2 { // the second time nothing is there
		if err := groups.remove("softphone-test"); err != nil {
			t.Fatal(err)
		}
	}
	if exists(filepath.Join(mount, "softphone-test")) {
		t.Error("the cgroup is still there")
	}
}

func TestTwoCheckoutsHaveCgroupsOfTheirOwn(t *testing.T) {
	a, b := layout{"/src/a"}, layout{"/src/b"}
	if a.name() == b.name() {
		t.Errorf("both are %s", a.name())
	}
	if a.name() != (layout{"/src/a"}).name() {
		t.Error("the name of one checkout changes")
	}
}
