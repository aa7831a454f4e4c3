package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestEveryConfigurationIsRendered(t *testing.T) {
	dir := t.TempDir()
	if err := writeConfig(dir, "softphone-test"); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "<no value>") || strings.Contains(string(text), "{{") {
			t.Errorf("%s has a gap:\n%s", name, text)
		}
		return string(text)
	}

	var kubelet struct {
		CgroupRoot, ContainerRuntimeEndpoint string
		ClusterDNS                           []string
	}
	if err := yaml.UnmarshalStrict([]byte(keepOnly(read("kubelet.yaml"), "cgroupRoot", "containerRuntimeEndpoint", "clusterDNS")), &kubelet); err != nil {
		t.Fatal(err)
	}
	if kubelet.CgroupRoot != "/softphone-test" || kubelet.ContainerRuntimeEndpoint != "unix://"+containerdSock || kubelet.ClusterDNS[0] != nodeIP {
		t.Errorf("kubelet.yaml: %+v", kubelet)
	}
	var cni struct{ Plugins []struct{ Type string } }
	if err := json.Unmarshal([]byte(read("cni/10-podnet.conflist")), &cni); err != nil || len(cni.Plugins) != 2 {
		t.Errorf("CNI configuration: %v, %+v", err, cni)
	}
	for name, wants := range map[string][]string{
		"containerd.toml": {`sandbox_image = "` + pauseImage + `"`, `address = "` + containerdSock + `"`},
		"dnsmasq.conf":    {"host-record=registrar.test,10.77.0.1\n", "host-record=kamailio.test,10.77.0.1\n", "address=/#/\n"},
		"resolv.conf":     {"nameserver 10.77.0.1\n"},
	} {
		text := read(name)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
	}
}

// keepOnly returns the top-level lines of a YAML text that set one of keys.
func keepOnly(text string, keys ...string) string {
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		key, _, _ := strings.Cut(line, ":")
		for _, k := range keys {
			if key == k {
				kept = append(kept, line)
			}
		}
	}
	return strings.Join(kept, "\n")
}

func TestTheKubernetesVersionIsReadFromItsModule(t *testing.T) {
	flags, version, err := kubeFlags([]byte("require (\n\tk8s.io/kubectl v0.99.0\n\tk8s.io/kubernetes v1.99.3-rc.1\n)"))
	if err != nil {
		t.Fatal(err)
	}
	if version != "v1.99.3-rc.1" {
		t.Errorf("version %s", version)
	}
	for _, want := range []string{"version.gitVersion=v1.99.3-rc.1 ", "version.gitMajor=1 ", "version.gitMinor=99 "} {
		if !strings.Contains(flags[2], want) {
			t.Errorf("%q is not among %q", want, flags)
		}
	}
	if _, _, err := kubeFlags([]byte("require k8s.io/client-go v0.37.2")); err == nil {
		t.Error("a module without Kubernetes has a version")
	}
}

func TestTheOperatorIsCompiledAgainstTheLibrariesOfItsCluster(t *testing.T) {
	ours, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile("kubernetes/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, version, err := kubeFlags(theirs)
	if err != nil {
		t.Fatal(err)
	}
	library := "v0" + strings.TrimPrefix(version, "v1")
	for _, module := range []string{"api", "apimachinery", "client-go"} {
		if !strings.Contains(string(ours), "k8s.io/"+module+" "+library) {
			t.Errorf("go.mod does not require k8s.io/%s %s, so everything below it compiles twice", module, library)
		}
	}
}
