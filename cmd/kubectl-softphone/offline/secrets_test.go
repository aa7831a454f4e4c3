package offline

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/account"
)

// withinValues are the secrets of the deployments that stand inside a value of another node.
var withinValues = []string{"unknown-nested-token", "hosted-balance-pw", "fs-header-token"}

// TestNoCommandPrintsASecret runs every command that reads accounts over documents
// like those of real deployments and looks at all it prints, in every form that the
// secret may be written in. Only import writes secrets: into the Secret it makes.
func TestNoCommandPrintsASecret(t *testing.T) {
	deployments := readDeployments(t)
	secrets := secretsOf(t, deployments)
	const before = "before-deployment.xml"
	files[before] = `<account><title>Before</title><username>before</username><password>pw-of-before</password><host>h</host></account>`
	t.Cleanup(func() { delete(files, before) })
	secrets["pw-of-before"] = written("pw-of-before")

	explained, shown := 0, 0
	for name, text := range deployments {
		files[name] = text
		t.Cleanup(func() { delete(files, name) })
		manifests, _, _ := invoke(t, "", "import", name)
		commands := []struct{ stdin, args string }{
			{"", "validate " + name}, {"", "validate --fetched -o json " + name},
			{"", "diff " + before + " " + name}, {"", "diff -o json " + name + " " + before},
			{"", "merge provisioning=" + before + " gui=" + name},
			{manifests, "render -f -"}, {manifests, "render -f - --provenance"},
		}
		for _, manifest := range strings.Split(manifests, "\n---\n") {
			if account, ok := strings.CutPrefix(manifest, "apiVersion: voip.softphone.dev/v1\nkind: SoftphoneAccount\nmetadata:\n  name: "); ok {
				account, _, _ = strings.Cut(account, "\n")
				for _, more := range []string{"", " -o json", " --defaults", " --number 0049301234 --from +12223334455"} {
					commands = append(commands, struct{ stdin, args string }{manifests, "explain -f - --account " + strings.Trim(account, `"`) + more})
				}
			}
		}
		for _, c := range commands {
			stdout, stderr, code := invoke(t, c.stdin, strings.Fields(c.args)...)
			for secret, forms := range secrets {
				if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(stdout+stderr, form) }) {
					t.Errorf("%s of %s shows %q", c.args, name, secret)
				}
			}
			if strings.HasPrefix(c.args, "explain") && code == 0 {
				explained++
			}
			shown += strings.Count(stdout, "********")
		}
	}
	if explained < 4*12 || shown == 0 {
		t.Errorf("%d explanations of %d documents, %d asterisks: the commands were not tried", explained, len(deployments), shown)
	}
}

func readDeployments(t *testing.T) map[string]string {
	t.Helper()
	found, err := filepath.Glob("../../../account/testdata/deployments/*.xml")
	if err != nil || len(found) < 12 {
		t.Fatalf("%d documents, %v", len(found), err)
	}
	out := map[string]string{}
	for _, file := range found {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(file)] = string(content)
	}
	return out
}

// secretsOf are the secrets of documents and the forms they may be written in.
func secretsOf(t *testing.T, documents map[string]string) map[string][]string {
	t.Helper()
	secrets := map[string][]string{}
	all := ""
	for name, text := range documents {
		all += text
		docs, _, err := account.ReadString(text, account.ReadOptions{Mode: account.Fetched})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, d := range docs {
			for _, n := range d.Nodes {
				if value := strings.TrimSpace(n.Text); account.IsSecret(n.Name) && value != "" {
					secrets[value] = written(value)
				}
			}
		}
	}
	for _, value := range withinValues {
		if !strings.Contains(all, value) {
			t.Fatalf("no document holds %q any more", value)
		}
		secrets[value] = written(value)
	}
	return secrets
}

// written gives a value as it is, as JSON and as XML write it.
func written(value string) []string {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err) // a string always encodes
	}
	var escaped bytes.Buffer
	_ = xml.EscapeText(&escaped, []byte(value))
	return []string{value, string(encoded[1 : len(encoded)-1]), escaped.String(), strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(value)}
}
