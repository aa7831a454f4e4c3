package controllers_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// People keep accounts in Git: a second apply of what they wrote must show no
// difference, with either way of applying, and a changed node must show.
func TestKubectlDiffOfWhatWasAppliedIsEmpty(t *testing.T) {
	namespace := namespaceFor(t, "diff")
	var written bytes.Buffer
	for name, d := range deployments(t) {
		acc, profile, _ := imported(t, name, d)
		for kind, o := range map[string]any{"SoftphoneAccount": acc, "SoftphoneProfile": profile} {
			text, err := yaml.Marshal(o)
			must(t, err)
			fmt.Fprintf(&written, "---\napiVersion: %s\nkind: %s\n", v1.GroupVersion, kind)
			written.Write(text)
		}
	}
	for name, way := range map[string][]string{"client-side": nil, "server-side": {"--server-side", "--field-manager=git", "--force-conflicts"}} {
		if out, code := kubectl(t, written.String(), append([]string{"apply", "-n", namespace, "-f", "-"}, way...)...); code != 0 {
			t.Fatalf("%s apply: %s", name, out)
		}
		if out, code := kubectl(t, written.String(), append([]string{"diff", "-n", namespace, "-f", "-"}, way...)...); code != 0 || out != "" {
			t.Errorf("%s: exit code %d and a difference right after apply:\n%s", name, code, out)
		}
		changed := strings.Replace(written.String(), "expires: ", "expires: 1", 1)
		if out, code := kubectl(t, changed, append([]string{"diff", "-n", namespace, "-f", "-"}, way...)...); code != 1 || !strings.Contains(out, "+") {
			t.Errorf("%s: exit code %d, a changed node shows nothing:\n%s", name, code, out)
		}
	}
}

// kubectl runs the real one against the tests' API server; it gives what it printed and its exit code.
func kubectl(t *testing.T, input string, args ...string) (string, int) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(config, kubeconfig, 0o600))
	cmd := exec.CommandContext(t.Context(), filepath.Join(assets(), "kubectl"), append(args, "--kubeconfig", config)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
