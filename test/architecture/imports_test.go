// Package architecture holds the repository against its own map: which package
// may import which, and how packages may be called.
package architecture

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/softphone-operator/softphone-operator"

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath string
	Name       string
	Standard   bool
	Imports    []string
}

// rel is the package's path within the repository.
func (p listed) rel() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func (p listed) ours() bool { return strings.HasPrefix(p.ImportPath, module) }

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Name,Standard,Imports", "./...")
	cmd.Dir = "../.."
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	for dec := json.NewDecoder(&out); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// under tells whether path p is one of the trees, or within one.
func under(p string, trees ...string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool { return p == tree || strings.HasPrefix(p, tree+"/") })
}

// TestImportRules walks every import of every package of ours through the rules.
func TestImportRules(t *testing.T) {
	all := packages(t)
	standard := map[string]bool{"C": true}
	for _, p := range all {
		standard[p.ImportPath] = standard[p.ImportPath] || p.Standard
	}
	pure := []string{"account", "flow", "check", "delivery"}
	rules := []struct {
		says  string
		in    func(pkg string) bool
		broke func(imported string) bool
	}{
		{"the pure packages import the standard library and each other only",
			func(p string) bool { return under(p, pure...) },
			func(i string) bool { return !standard[i] && !under(strings.TrimPrefix(i, module+"/"), pure...) }},
		{"api/v1 imports apimachinery only, and the registration helper of controller-runtime",
			func(p string) bool { return under(p, "api") },
			func(i string) bool {
				return !standard[i] && !under(i, "k8s.io/apimachinery", "sigs.k8s.io/controller-runtime/pkg/scheme")
			}},
		{"nothing of the agent knows Kubernetes",
			func(p string) bool { return under(p, "agent", "cmd/agent") },
			func(i string) bool { return strings.Contains(i, "k8s.io/") || under(i, module+"/api") }},
		{"agent and controllers never import each other (the agent's half)",
			func(p string) bool { return under(p, "agent", "cmd/agent") },
			func(i string) bool { return under(i, module+"/controllers") }},
		{"agent and controllers never import each other (the controllers' half)",
			func(p string) bool { return under(p, "controllers", "cmd/manager") },
			func(i string) bool { return under(i, module+"/agent") }},
		{"only ua, registration, subscription, call and the line that routes between them import sipgo",
			func(p string) bool {
				return !under(p, "agent/ua", "agent/registration", "agent/subscription", "agent/call") && p != "agent"
			},
			func(i string) bool { return under(i, "github.com/emiago/sipgo") }},
		{"only media imports pion's ice, srtp, dtls, stun and turn",
			func(p string) bool { return !under(p, "agent/media") },
			func(i string) bool {
				return under(i, "github.com/pion/ice", "github.com/pion/srtp", "github.com/pion/dtls", "github.com/pion/stun", "github.com/pion/turn")
			}},
		{"product code never imports test code",
			func(p string) bool { return !under(p, "test", "hack") },
			func(i string) bool { return under(i, module+"/test", module+"/hack", "testing") }},
	}
	for _, rule := range rules {
		seen := 0
		for _, p := range all {
			if !p.ours() || !rule.in(p.rel()) {
				continue
			}
			seen++
			for _, i := range p.Imports {
				if rule.broke(i) {
					t.Errorf("%s: %s imports %s", rule.says, p.rel(), i)
				}
			}
		}
		if seen == 0 {
			t.Errorf("%s: no package to hold against this rule", rule.says)
		}
	}
}

// TestPackageNamesSayWhatTheyAre refuses the names under which anything fits.
func TestPackageNamesSayWhatTheyAre(t *testing.T) {
	for _, p := range packages(t) {
		if p.ours() && slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "misc", "shared"}, path.Base(p.ImportPath)) {
			t.Errorf("%s is named for nothing", p.rel())
		}
	}
}
