package offline

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

func TestImport(t *testing.T) {
	const secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\nstringData:\n  password: %s\n---\n"
	object := func(name, password, account string, more ...string) string {
		if name[0] <= '9' {
			name = `"` + name + `"`
		}
		out := strings.Replace(strings.Replace(secret, "%s", name, 1), "%s", password, 1) +
			"apiVersion: voip.softphone.dev/v1\nkind: SoftphoneAccount\nmetadata:\n  name: " + name + "\nspec:\n  account:\n"
		for _, line := range strings.Split(account, "|") {
			out += "    " + line + "\n"
		}
		return out + strings.Join(more, "")
	}
	reference := func(name string) string { return "password:|  secretKeyRef:|    key: password|    name: " + name }
	for name, c := range map[string]struct {
		args, csv      string
		stdout, stderr string
		code           int
	}{
		"an account XML": {args: "good.xml",
			stdout: object("good", "hunter2", "host: pbx.example.org|"+reference("good")+"|title: Desk|username: \"100\"")},
		"unknown nodes and priorities are kept": {args: "import.xml",
			stdout: object("import", "hunter2", "host: h|"+reference("import")+"|username: bob", "  extra:\n    acmeColour: green\n  merge:\n  - node: host\n    priority: 50\n    source: carrier\n")},
		"a list of extensions": {args: "list.csv --set host=pbx --fleet branch", csv: "1001,pw1,Reception\n1002,pw2\n",
			stdout: object("1001", "pw1", "host: pbx|"+reference(`"1001"`)+"|title: Reception|username: \"1001\"", "  fleet: branch\n---\n") +
				object("1002", "pw2", "host: pbx|"+reference(`"1002"`)+"|username: \"1002\"", "  fleet: branch\n")},
		"columns with names, as a spreadsheet writes them": {args: "list.csv", csv: "\uFEFFName;Extension;Secret;host;transport\r\n\"Front; desk\";1001; pw ;pbx;tcp\r\n;;;;\r\n",
			stdout: object("1001", "' pw '", "host: pbx|"+reference(`"1001"`)+"|title: Front; desk|transport: tcp|username: \"1001\"")},
		"a value that is wrong": {args: "list.csv", csv: "username,password,expires\n1001,hunter2,29\n1002,hunter2,60\n", code: 1,
			stderr: "list.csv:2:14: expires: 29 is less than 30\nerror: list.csv is not a valid list of accounts\n"},
		"a row without a user": {args: "list.csv", csv: "username,password\n,hunter2\n", code: 1,
			stderr: "list.csv:2:1: username: is missing\nerror: list.csv is not a valid list of accounts\n"},
		"a column nobody knows": {args: "list.csv", csv: "username,colour,password\n1001,red,hunter2\n", code: 1,
			stderr: "error: list.csv:1:10: the other columns have names, and this is no node of the account XML\n"},
		"a column twice": {args: "list.csv", csv: "extension,username\n1,2\n", code: 1,
			stderr: "error: list.csv:1:11: a second column for username\n"},
		"a row too long": {args: "list.csv", csv: "1001,hunter2,Reception,hunter3\n", code: 1, stderr: "error: list.csv:1: 4 columns, and 3 are known\n"},
		"a quote astray": {args: "list.csv", csv: "1001,hun\"ter2,Reception\n", code: 1, stderr: "error: list.csv:1:9: bare \" in non-quoted-field\n"},
		"not UTF-8":      {args: "list.csv", csv: "1001,pw,B\xfcro\n", code: 1, stderr: "error: list.csv: is not UTF-8: save it as such\n"},
		"nothing in it":  {args: "list.csv", csv: "\n", code: 1, stderr: "error: list.csv: has no rows\n"},
		"one name twice": {args: "list.csv", csv: "1001,pw1\n1001,pw2\n", code: 1, stderr: "error: list.csv:1 and list.csv:2 would both be called 1001: rename one\n"},
		"a name of nothing": {args: "list.csv", csv: "***,pw1\n", code: 1,
			stderr: "error: list.csv:1: no name for an object can be made of \"***\"\n"},
		"a node nobody knows":      {args: "good.xml --set colour=red", code: 1, stderr: "error: --set colour: there is no such node\n"},
		"a shared value is wrong":  {args: "good.xml --set expires=29", code: 1, stderr: "error: --set expires: 29 is less than 30\n"},
		"no value":                 {args: "good.xml --set expires", code: 1, stderr: "error: --set expires...: is not NODE=VALUE\n"},
		"XML that is broken":       {args: "broken.xml", code: 1, stderr: "broken.xml:2:22: password: malformed XML inside a secret value; write & as &amp; and < as &lt;\nerror: broken.xml is not a valid account document\n"},
		"a file that is not there": {args: "nowhere.csv", code: 1, stderr: "error: open nowhere.csv: no such file or directory\n"},
	} {
		t.Run(name, func(t *testing.T) {
			files["list.csv"] = c.csv
			files["import.xml"] = "<account><username>bob</username><password>hunter2</password><host priority=\"50\" source=\"carrier\">h</host><acmeColour>green</acmeColour></account>"
			t.Cleanup(func() { delete(files, "list.csv"); delete(files, "import.xml") })
			stdout, stderr, code := invoke(t, "", append([]string{"import"}, strings.Fields(c.args)...)...)
			if stdout != c.stdout || stderr != c.stderr || code != c.code {
				t.Errorf("exit %d\n%s--\n%s, want %d\n%s--\n%s", code, stdout, stderr, c.code, c.stdout, c.stderr)
			}
		})
	}
}

// TestImportLosesNothing imports every account of the test files and renders it again.
func TestImportLosesNothing(t *testing.T) {
	var texts []string
	for _, pattern := range []string{"../../../account/testdata/*.xml", "../../../account/testdata/*/*.xml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			content, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if docs, problems, err := account.ReadString(string(content), account.ReadOptions{Mode: account.Authored}); err == nil && len(docs) == 1 &&
				len(account.Errors(append(problems, docs[0].Validate(account.Authored)...))) == 0 {
				texts = append(texts, string(content))
			}
		}
	}
	if len(texts) < 5 {
		t.Fatalf("%d valid accounts to import: the test has lost its files", len(texts))
	}
	t.Chdir(t.TempDir())
	for _, text := range texts {
		files["whole.xml"] = text
		manifests, stderr, code := invoke(t, "", "import", "whole.xml")
		if code != 0 {
			t.Errorf("exit %d: %s", code, stderr)
			continue
		}
		rendered, stderr, code := invoke(t, manifests, "render", "-f", "-", "--show-secrets", "--provenance")
		if code != 0 {
			t.Errorf("exit %d: %s", code, stderr)
			continue
		}
		source := read1(t, text)
		want := account.Merge(append(render.BuiltIn(), account.Layer{Doc: source, Source: account.SourceGUI, Priority: account.PriorityGUI})...)
		if _, has := want.Get("title"); !has {
			want.Set("title", "whole", account.PriorityDefault, account.SourceDefault)
		}
		var canonical bytes.Buffer
		if err := want.Write(&canonical, account.WriteOptions{Provenance: true}); err != nil {
			t.Fatal(err)
		}
		if rendered != canonical.String() {
			t.Errorf("rendered\n%s\nwant\n%s", rendered, canonical.String())
		}
	}
	delete(files, "whole.xml")
}

func read1(t *testing.T, text string) *account.Document {
	t.Helper()
	docs, _, err := account.ReadString(text, account.ReadOptions{Mode: account.Authored})
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d accounts, %v", len(docs), err)
	}
	return docs[0]
}

func TestImportIntoADirectory(t *testing.T) {
	_, stderr, code := invoke(t, "", "import", "good.xml", "two.xml", "--output-dir", "lines", "-n", "pbx", "--profile", "carrier")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var names []string
	entries, err := os.ReadDir("lines")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"good-secret.yaml", "good.yaml", "kustomization.yaml", "two-1.yaml", "two-2.yaml"}) {
		t.Errorf("written: %q", names)
	}
	content := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join("lines", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if got := content("kustomization.yaml"); got != "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- good-secret.yaml\n- good.yaml\n- two-1.yaml\n- two-2.yaml\n" {
		t.Errorf("the kustomization is\n%s", got)
	}
	if got := content("good.yaml"); strings.Contains(got, "hunter2") || !strings.Contains(got, "namespace: pbx\n") || !strings.Contains(got, "  profiles:\n  - carrier\n") {
		t.Errorf("the account is\n%s", got)
	}
	if info, err := os.Stat("lines/good-secret.yaml"); err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
		t.Errorf("the Secret's file: %v, %v", info.Mode(), err)
	}

	before := content("good.yaml")
	run := func(args ...string) (string, int) {
		t.Helper()
		dir, err := filepath.Abs("lines")
		if err != nil {
			t.Fatal(err)
		}
		_, stderr, code := invoke(t, "", append([]string{"import", "changed.xml", "good.xml", "--output-dir", dir}, args...)...)
		t.Chdir(filepath.Dir(dir))
		return stderr, code
	}
	if stderr, code := run(); code != 1 || !strings.Contains(stderr, "good-secret.yaml is there already: --force overwrites it") {
		t.Errorf("again: exit %d, %s", code, stderr)
	}
	if _, err := os.Stat("lines/changed.yaml"); err == nil || content("good.yaml") != before {
		t.Error("and yet something was written")
	}
	if stderr, code := run("--force"); code != 0 || content("good.yaml") == before {
		t.Errorf("with --force: exit %d, %s", code, stderr)
	}
}

func TestObjectNames(t *testing.T) {
	for name, want := range map[string]string{
		"alice": "alice", "Front Desk": "front-desk", "+49 30 1234": "49-30-1234", "a..b": "a.b", "a.-b": "a-b", "a... . b": "a-b", "-x-": "x", "Büro": "b-ro",
		strings.Repeat("x", 100): strings.Repeat("x", 63),
	} {
		if got, err := objectName(name); got != want || err != nil {
			t.Errorf("%q is called %q, %v, want %q", name, got, err, want)
		}
	}
}

// FuzzCSV: whatever the list, every account has a name an object can have, and no
// error shows what stands in a column of passwords.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"1001,pw,Reception\n", "username;password\n1;2\n", "\uFEFFname,extension\n\"a\nb\",2\n", "\"", "a\tb\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		all, _, err := parseCSV(bytes.NewReader(content), "list.csv")
		for _, a := range all {
			if name, again := objectName(a.name); again != nil || name != a.name {
				t.Errorf("%q is no name for an object: %q, %v", a.name, name, again)
			}
			if a.doc == nil || err != nil {
				t.Errorf("an account beside the error %v", err)
			}
		}
	})
}
