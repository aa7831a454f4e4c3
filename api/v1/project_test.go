package v1_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

const root = "../.."

func kinds(t *testing.T) []string {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var out []string
	for kind, typ := range scheme.KnownTypes(v1.GroupVersion) {
		if strings.HasPrefix(typ.PkgPath(), "github.com/softphone-operator/") && !strings.HasSuffix(kind, "List") {
			out = append(out, kind)
		}
	}
	slices.Sort(out)
	return out
}

func TestProjectFileNamesEveryKind(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "PROJECT"))
	if err != nil {
		t.Fatal(err)
	}
	var project struct {
		Domain, Repo, Version string
		Layout                []string
		Resources             []struct{ Kind, Group, Domain, Version, Path string }
	}
	if err := yaml.Unmarshal(content, &project); err != nil {
		t.Fatal(err)
	}
	if project.Version != "3" || !slices.Equal(project.Layout, []string{"go.kubebuilder.io/v4"}) {
		t.Errorf("not kubebuilder's v4 layout: %+v", project)
	}
	var got []string
	for _, r := range project.Resources {
		got = append(got, r.Kind)
		if r.Group+"."+r.Domain != v1.GroupVersion.Group || r.Version != v1.GroupVersion.Version || r.Path != project.Repo+"/api/v1" {
			t.Errorf("%s: %+v is not %s in api/v1", r.Kind, r, v1.GroupVersion)
		}
	}
	if want := kinds(t); !slices.Equal(got, want) {
		t.Errorf("PROJECT has %v, api/v1 has %v", got, want)
	}
}

// Client-side apply keeps the whole object in an annotation of at most 256 KiB.
func TestEveryKindHasACRDThatCanBeApplied(t *testing.T) {
	for _, kind := range kinds(t) {
		plural := strings.ToLower(kind) + "s"
		info, err := os.Stat(filepath.Join(root, "config/crd/bases", v1.GroupVersion.Group+"_"+plural+".yaml"))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if info.Size() >= 250_000 {
			t.Errorf("%s: %d bytes", info.Name(), info.Size())
		}
	}
}

func TestEveryKindHasASample(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "config/samples/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range strings.Split(string(content), "\n---\n") {
			var object struct{ Kind string }
			if err := yaml.Unmarshal([]byte(doc), &object); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			have[object.Kind] = true
		}
	}
	for _, kind := range kinds(t) {
		if !have[kind] {
			t.Errorf("no sample of %s", kind)
		}
	}
}
