package account

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhichNamesAreSecret(t *testing.T) {
	for _, name := range []string{"password", "cloud_password", "STUNPassword", "genericSmsSendAuthPassword", "extProvAuthPassword",
		"wcb_authpassword", "cth_ws_auth_password", "acme_pass", "ACME_PASSWORD", "webhookSecret", "ApiToken", "token", "Password"} {
		if !IsSecret(name) {
			t.Errorf("%s should be secret", name)
		}
	}
	for _, name := range []string{"title", "username", "authUsername", "passport", "tokenUrl", "pushTokenReporterUrl", "secretary", ""} {
		if IsSecret(name) {
			t.Errorf("%s should not be secret", name)
		}
	}
}

// hidden is every place a secret can stand in a document. All of them read hunter2.
const hidden = `<title>T</title><username>u</username><host>h</host>
<password>hunter2</password><cloud_password><![CDATA[hunter2]]></cloud_password><STUNPassword x="hunter2"> hunter2 </STUNPassword>
<extProvAuthPassword>hunter2</extProvAuthPassword><Acme_Pass>hunter2</Acme_Pass><apiToken><value lang="de">hunter2</value></apiToken>
<site><login user="u" password="hunter2"><secret>hunter2</secret><my.token><deep a="hunter2">hunter2</deep></my.token></login></site>
<headers><header method="*" name="X-Api-Token" value="hunter2"/></headers>
<rewriting><rule><conditions/><actions><action type="setHeader" param="X-Token: hunter2"/></actions></rule></rewriting>
<wcb_url>https://u:hunter2@example.org/call?password=hunter2&amp;n=1</wcb_url>
<genericBalanceCheckPostData>{"user":"u","password": "hunter2"}</genericBalanceCheckPostData>
<acme.note>token=hunter2</acme.note><expires>hunter2@1:password=hunter2</expires>`

// TestNoSecretIsPrinted: not by masked output, nor by any verb, problem, difference or log line.
func TestNoSecretIsPrinted(t *testing.T) {
	d := doc(t, strings.Replace(hidden, "hunter2@1", "9", 1))
	merged := WithDefaults(Merge(Layer{Doc: d, Source: "gui", Priority: 10}, Layer{Doc: doc(t, `<password>hunter2-too</password>`), Priority: 40}))
	a, problems := Effective(d)
	if !strings.Contains(a.Password+a.STUNPassword, "hunter2") {
		t.Fatal("the account must know the secrets")
	}
	var out bytes.Buffer
	for _, doc := range []*Document{d, merged} {
		if err := doc.Write(&out, WriteOptions{Mask: true, Provenance: true}); err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			fmt.Fprintf(&out, verb+"\n", doc)
			fmt.Fprintf(&out, verb+"\n", doc.Nodes)
			fmt.Fprintf(&out, verb+"\n", *doc)
		}
		fmt.Fprintln(&out, doc.Validate(Authored), doc.Validate(Fetched))
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&out, verb+verb+"\n", a, *a)
	}
	for _, log := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(log).Info("x", "account", a, "value", *a, "document", d, "node", d.Nodes[3], "problems", problems)
	}
	fmt.Fprintf(&out, "%v %+v %v\n", Diff(d, merged), Diff(nil, d), Diff(d, nil))
	for _, n := range merged.Masked().Nodes {
		fmt.Fprintln(&out, n.Text, n.Shadows)
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		if strings.Contains(line, "hunter2") {
			at := strings.Index(line, "hunter2")
			t.Errorf("printed: … %s …", line[max(0, at-80):min(len(line), at+80)])
		}
	}
	if !strings.Contains(out.String(), "********") {
		t.Error("nothing was masked")
	}
}

// TestNoFixtureMessageShowsASecret: every secret of the fixtures is one of these words.
func TestNoFixtureMessageShowsASecret(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"hunter", "s3cr", "s3&", "cret;", "et;"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s shows %q", file, secret)
			}
		}
	}
}

func TestMasking(t *testing.T) {
	tests := map[string]struct{ node, text, want string }{
		"a secret":                       {"password", "x", "********"},
		"a long one is as short":         {"password", strings.Repeat("x", 99), "********"},
		"an empty one stays empty":       {"password", "", ""},
		"a name is shown":                {"username", "password=x", "password=x"},
		"a URL without credentials":      {"wcb_url", "https://example.org/?n=1", "https://example.org/?n=1"},
		"user and password in a URL":     {"wcb_url", "https://u:p@example.org/", "https://u:********@example.org/"},
		"a user alone in a URL":          {"wcb_url", "https://u@example.org/", "https://u@example.org/"},
		"a parameter of a URL":           {"extProvUrl", "https://h/?a=1&Api_Token=x&b=2", "https://h/?a=1&Api_Token=********&b=2"},
		"a placeholder is shown":         {"extProvUrl", "https://h/?password=%account[password]%", "https://h/?password=%account[password]%"},
		"a JSON body":                    {"genericSmsSendPostData", `{"password" : "x","n":1}`, `{"password" : "********","n":1}`},
		"an unknown node is looked into": {"acme", "secret: x y", "secret: ******** y"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := maskText(tt.node, tt.text); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
