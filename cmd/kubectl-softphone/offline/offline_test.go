package offline

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The files every test finds in its directory.
var files = map[string]string{
	"good.xml":    `<account><title>Desk</title><username>100</username><password>hunter2</password><host>pbx.example.org</host></account>`,
	"warned.xml":  `<account><title>Desk</title><username>100</username><host>h</host><dtmfAll>1</dtmfAll></account>`,
	"wrong.xml":   "<account>\n  <title>Desk</title>\n  <username>100</username>\n  <expires>29</expires>\n</account>\n",
	"broken.xml":  "<account>\n  <password>hunter2<x</password></account>",
	"carrier.xml": `<account><proxy>sip.carrier.example</proxy><expires>300</expires><password>hunter2-shared</password></account>`,
	"answer.xml":  `<account><title>Office</title><icm>push</icm><keepAlive>true</keepAlive><blf priority="40" operation="subnode-union"><uri>12</uri></blf></account>`,
	"stored.xml":  `<account><title priority="40" source="gui">My line</title><icm priority="0" source="default">auto</icm></account>`,
	"two.xml":     `<accounts><account><title>1</title></account><account><title>2</title></account></accounts>`,
	"changed.xml": `<account><title>Front desk</title><username>100</username><password>hunter3</password><host>pbx.example.org</host><transport>TCP</transport><acme/></account>`,
	"same.xml":    "<account><host priority='7'> pbx.example.org </host><username>100</username><title>Desk</title><password>hunter2</password></account>",
}

// invoke runs a command line in a directory with the files and gives what a shell sees.
func invoke(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root := &cobra.Command{Use: "softphone", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(Commands()...)
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetIn(strings.NewReader(stdin))
	root.SetArgs(args)
	err := root.Execute()
	var status Status
	switch {
	case err == nil:
	case errors.As(err, &status):
		code = status.Code
	default:
		code = 1
	}
	if err != nil && (status.Err != nil || status.Code == 0) {
		errs.WriteString("error: " + err.Error() + "\n")
	}
	return out.String(), errs.String(), code
}

const declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

func TestCommands(t *testing.T) {
	tests := map[string]struct {
		args           string
		stdin          string
		stdout, stderr string
		code           int
	}{
		"validate says nothing about a good file": {args: "validate good.xml"},
		"validate exits 0 with warnings": {args: "validate warned.xml",
			stdout: "warned.xml:1:67: dtmfAll: warning: sends every digit several times\n"},
		"validate exits 1 with errors, of all files": {args: "validate wrong.xml good.xml broken.xml", code: 1,
			stdout: "wrong.xml:1:1: host: is missing\nwrong.xml:4:3: expires: 29 is less than 30\n" +
				"broken.xml:2:22: password: malformed XML inside a secret value; write & as &amp; and < as &lt;\n"},
		"validate judges every account of a file": {args: "validate two.xml", code: 1,
			stdout: "two.xml:1:11: username: is missing\ntwo.xml:1:11: host: is missing\ntwo.xml:1:46: username: is missing\ntwo.xml:1:46: host: is missing\n"},
		"validate --layer lets nodes be missing": {args: "validate --layer carrier.xml"},
		"validate --fetched is tolerant": {args: "validate --layer --fetched answer.xml",
			stdout: "answer.xml:1:46: keepAlive: warning: \"true\" should be 1\n"},
		"validate is strict without it": {args: "validate --layer answer.xml", code: 1,
			stdout: "answer.xml:1:46: keepAlive: \"true\" should be 1\n"},
		"validate reads standard input": {args: "validate -", stdin: "<account/", code: 1,
			stdout: "-:1:10: malformed XML: the document ends too early\n"},
		"validate for programs": {args: "validate -o json wrong.xml", code: 1,
			stdout: `[
  {
    "file": "wrong.xml",
    "line": 1,
    "col": 1,
    "node": "host",
    "message": "is missing",
    "warning": false
  },
  {
    "file": "wrong.xml",
    "line": 4,
    "col": 3,
    "node": "expires",
    "message": "29 is less than 30",
    "warning": false
  }
]
`},
		"validate for programs, nothing to say": {args: "validate -o json good.xml", stdout: "[]\n"},
		"validate of a missing file": {args: "validate nowhere.xml", code: 1,
			stderr: "error: open nowhere.xml: no such file or directory\n"},
		"validate without a file": {args: "validate", code: 1,
			stderr: "error: requires at least 1 arg(s), only received 0\n"},
		"an output nobody knows": {args: "validate -o yaml good.xml", code: 1,
			stderr: "error: -o yaml: there is only text and json\n"},

		"merge, the worked example": {args: "merge gui=stored.xml extProv=answer.xml",
			stdout: declaration + `<account>
  <title priority="40" source="gui">My line</title>
  <keepAlive priority="20" source="extProv">1</keepAlive>
  <icm priority="20" source="extProv">push</icm>
  <blf priority="40" source="extProv" operation="subnode-union">
    <uri>12</uri>
  </blf>
</account>
`, stderr: "answer.xml:1:46: keepAlive: warning: \"true\" should be 1\n"},
		"merge masks secrets": {args: "merge provisioning=carrier.xml gui=good.xml",
			stdout: declaration + `<account>
  <title priority="40" source="gui">Desk</title>
  <username priority="40" source="gui">100</username>
  <password priority="40" source="gui">********</password>
  <host priority="40" source="gui">pbx.example.org</host>
  <expires priority="10" source="provisioning">300</expires>
  <proxy priority="10" source="provisioning">sip.carrier.example</proxy>
</account>
`},
		"merge --show-secrets, with a priority of one's own": {args: "merge --show-secrets gui=good.xml carrier@50=carrier.xml",
			stdout: declaration + `<account>
  <title priority="40" source="gui">Desk</title>
  <username priority="40" source="gui">100</username>
  <password priority="50" source="carrier">hunter2-shared</password>
  <host priority="40" source="gui">pbx.example.org</host>
  <expires priority="50" source="carrier">300</expires>
  <proxy priority="50" source="carrier">sip.carrier.example</proxy>
</account>
`},
		"merge for programs": {args: "merge -o json gui=stored.xml extProv=answer.xml",
			stdout: `{
  "nodes": [
    {
      "node": "title",
      "value": "My line",
      "source": "gui",
      "priority": 40,
      "shadows": [
        {
          "value": "Office",
          "source": "extProv",
          "priority": 20
        }
      ]
    },
    {
      "node": "keepAlive",
      "value": "1",
      "source": "extProv",
      "priority": 20
    },
    {
      "node": "icm",
      "value": "push",
      "source": "extProv",
      "priority": 20,
      "shadows": [
        {
          "value": "auto",
          "source": "default",
          "priority": 0
        }
      ]
    },
    {
      "node": "blf",
      "value": "<uri>12</uri>",
      "source": "extProv",
      "priority": 40
    }
  ]
}
`, stderr: "answer.xml:1:46: keepAlive: warning: \"true\" should be 1\n"},
		"merge refuses a bad file": {args: "merge provisioning=carrier.xml gui=wrong.xml", code: 1,
			stderr: "wrong.xml:4:3: expires: 29 is less than 30\nerror: wrong.xml is not a valid account document\n"},
		"merge refuses several accounts": {args: "merge gui=two.xml", code: 1,
			stderr: "error: two.xml has 2 accounts, and one is meant\n"},
		"merge asks for the priority of a source it does not know": {args: "merge site=carrier.xml", code: 1,
			stderr: "error: \"site=carrier.xml\": the source site has no priority of its own; write site@PRIORITY=carrier.xml\n"},
		"merge of a priority that is none": {args: "merge gui@high=good.xml", code: 1,
			stderr: "error: \"gui@high=good.xml\": priority \"high\" is not a whole number\n"},
		"merge of a file without a source": {args: "merge good.xml", code: 1,
			stderr: "error: \"good.xml\" is not SOURCE[@PRIORITY]=FILE\n"},

		"diff of the same account in another spelling": {args: "diff good.xml same.xml"},
		"diff tells the effects and masks secrets": {args: "diff good.xml changed.xml", code: 1,
			stdout: `~ title: Desk -> Front desk (nothing)
~ password: ******** -> ******** (re-register)
+ transport: tcp (restart)
+ acme: "" (nothing)
effect: restart
`},
		"diff --show-secrets, backwards": {args: "diff --show-secrets changed.xml good.xml", code: 1,
			stdout: `~ title: Front desk -> Desk (nothing)
~ password: hunter3 -> hunter2 (re-register)
- transport: tcp (restart)
- acme: "" (nothing)
effect: restart
`},
		"diff for programs": {args: "diff -o json good.xml changed.xml", code: 1,
			stdout: `{
  "changes": [
    {
      "node": "title",
      "old": "Desk",
      "new": "Front desk",
      "effect": "nothing"
    },
    {
      "node": "password",
      "old": "********",
      "new": "********",
      "effect": "re-register"
    },
    {
      "node": "transport",
      "old": "",
      "new": "tcp",
      "added": true,
      "effect": "restart"
    },
    {
      "node": "acme",
      "old": "",
      "new": "",
      "added": true,
      "effect": "nothing"
    }
  ],
  "effect": "restart"
}
`},
		"diff for programs, nothing differs": {args: "diff -o json good.xml good.xml",
			stdout: "{\n  \"changes\": [],\n  \"effect\": \"nothing\"\n}\n"},
		"diff needs no valid files": {args: "diff wrong.xml wrong.xml"},
		"diff exits 2 on a file that cannot be read": {args: "diff good.xml broken.xml", code: 2,
			stderr: "broken.xml:2:22: password: malformed XML inside a secret value; write & as &amp; and < as &lt;\n" +
				"error: broken.xml is not a valid account document\n"},
		"diff exits 2 on a file that is not there": {args: "diff good.xml nowhere.xml", code: 2,
			stderr: "error: open nowhere.xml: no such file or directory\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := invoke(t, tt.stdin, strings.Fields(tt.args)...)
			if stdout != tt.stdout {
				t.Errorf("standard output\n%s\nwant\n%s", stdout, tt.stdout)
			}
			if stderr != tt.stderr {
				t.Errorf("standard error\n%s\nwant\n%s", stderr, tt.stderr)
			}
			if code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
		})
	}
}

// TestNoSecretIsShown unless it is asked for.
func TestNoSecretIsShown(t *testing.T) {
	for _, args := range []string{
		"validate good.xml broken.xml carrier.xml", "validate -o json broken.xml",
		"merge gui=good.xml carrier@50=carrier.xml", "merge -o json --defaults gui=good.xml provisioning=carrier.xml",
		"diff good.xml changed.xml", "diff -o json good.xml carrier.xml", "diff good.xml broken.xml",
	} {
		stdout, stderr, _ := invoke(t, "", strings.Fields(args)...)
		if strings.Contains(stdout+stderr, "hunter") {
			t.Errorf("%s shows a secret:\n%s%s", args, stdout, stderr)
		}
	}
}

// TestMergedOutputIsAnAccount: what merge writes can be merged again and gives the same.
func TestMergedOutputIsAnAccount(t *testing.T) {
	first, _, _ := invoke(t, "", "merge", "--show-secrets", "provisioning=carrier.xml", "gui=good.xml")
	again, stderr, code := invoke(t, first, "merge", "--show-secrets", "gui=-")
	if again != first || code != 0 {
		t.Errorf("merged again (%d, %s)\n%s\nwant\n%s", code, stderr, again, first)
	}
}

func TestHelpHasExamples(t *testing.T) {
	for _, cmd := range Commands() {
		if cmd.Example == "" || cmd.Long == "" {
			t.Errorf("%s lacks help or examples", cmd.Name())
		}
		if f := cmd.Flag("filename"); f != nil {
			if got := f.Annotations[cobra.BashCompFilenameExt]; !slices.Equal(got, manifestSuffixes) {
				t.Errorf("%s -f completes %v", cmd.Name(), got)
			}
			continue
		}
		got, directive := cmd.ValidArgsFunction(cmd, nil, "")
		if !slices.Contains(got, "xml") || directive != cobra.ShellCompDirectiveFilterFileExt {
			t.Errorf("%s completes %v", cmd.Name(), got)
		}
	}
}
