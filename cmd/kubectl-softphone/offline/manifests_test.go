package offline

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// Manifests that every test finds beside the account files.
var manifests = map[string]string{
	"alice.yaml": `apiVersion: v1
kind: Secret
metadata: {name: alice}
stringData: {password: hunter2}
---
apiVersion: voip.softphone.dev/v1
kind: SoftphoneAccount
metadata: {name: alice}
spec:
  account:
    title: Alice
    username: alice
    password: {secretKeyRef: {name: alice, key: password}}
    host: pbx.example.org
    transport: tcp
    codecOrder: [G722, PCMA]
    codecOrder3G: [GSM]
    keepAlive: false
  extra:
    rewriting: |-
      <rewriting><rule><condition type="startsWith" param="00"/><action type="replace" param="+"/></rule></rewriting>
    doNotDisturb: |-
      <doNotDisturb gmtOffsetInMinutes="60"><dndEntry><enabled>1</enabled><from>08:00</from><to>09:59</to><weekdays>31</weekdays></dndEntry></doNotDisturb>
    incomingRewriting: |-
      <incomingRewriting><rule><condition type="startsWith" param="+1"/><action type="forwardCall" param="2000"/></rule></incomingRewriting>
`,
	"fleet.yaml":  "apiVersion: voip.softphone.dev/v1\nkind: SoftphoneFleet\nmetadata: {name: default}\nspec: {network: {type: cellular}}\n",
	"bob.yaml":    "apiVersion: voip.softphone.dev/v1\nkind: SoftphoneAccount\nmetadata: {name: bob}\nspec: {account: {username: bob, host: h, password: {secretKeyRef: {name: bob, key: pw}}}}\n",
	"typo.yaml":   "apiVersion: v1\nkind: Service\nmetadata: {name: other}\n---\napiVersion: voip.softphone.dev/v1\nkind: SoftphoneAccount\nmetadata: {name: carol}\nspec: {acount: {password: {value: hunter2}}}\n",
	"tls.yaml":    "apiVersion: voip.softphone.dev/v1\nkind: SoftphoneAccount\nmetadata: {name: tls}\nspec: {tls: {clientCertificateSecretName: tls}, account: {username: tls, host: h, transport: tls}}\n",
	"tlspem.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: tls}\nstringData: {tls.crt: hunter2, tls.key: hunter2}\n",
	"broken.yaml": "kind: [Secret\nstringData: {password: hunter2}\n",
	"nobody.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
}

func init() { maps.Copy(files, manifests) }

func TestRender(t *testing.T) {
	const masked = declaration + `<account>
  <username>bob</username>
  <password>********</password>
  <host>h</host>
  <keepAlive>1</keepAlive>
  <title>bob</title>
</account>
`
	for name, c := range map[string]struct {
		args, stdin    string
		stdout, stderr string
		code           int
	}{
		"a Secret that is elsewhere is no obstacle": {args: "render -f bob.yaml", stdout: masked,
			stderr: "bob: warning: Secret bob is not among the files: the pw is unknown here\n"},
		"unless it is to be shown": {args: "render -f bob.yaml --show-secrets", code: 1,
			stderr: "error: SoftphoneAccount bob: Secret bob does not exist: create it with the password under key pw\n"},
		"standard input, with provenance": {args: "render -f - --provenance", stdin: strings.Replace(manifests["bob.yaml"], "secretKeyRef: {name: bob, key: pw}", "value: hunter2", 1),
			stdout: declaration + `<account>
  <username priority="40" source="gui">bob</username>
  <password priority="40" source="gui">********</password>
  <host priority="40" source="gui">h</host>
  <keepAlive priority="10" source="provisioning">1</keepAlive>
  <title priority="0" source="default">bob</title>
</account>
`},
		"certificates that are elsewhere are not checked": {args: "render -f tls.yaml", stdout: declaration + `<account>
  <username>tls</username>
  <host>h</host>
  <transport>tls</transport>
  <keepAlive>1</keepAlive>
  <title>tls</title>
</account>
`, stderr: "tls: warning: Secret tls is not among the files: its certificates are not checked\n"},
		"those that are here are": {args: "render -f tls.yaml -f tlspem.yaml", code: 1,
			stderr: "error: SoftphoneAccount tls: key tls.crt of Secret tls is not PEM: no BEGIN CERTIFICATE in it\n"},
		"an account that is not there": {args: "render -f bob.yaml -f alice.yaml --account carol", code: 1,
			stderr: "error: the files hold no SoftphoneAccount carol; there are alice, bob\n"},
		"no account at all": {args: "render -f nobody.yaml", code: 1, stderr: "error: the files hold no SoftphoneAccount\n"},
		"a field that does not exist, and no secret told": {args: "render -f typo.yaml", code: 1,
			stderr: "error: typo.yaml: document 2: SoftphoneAccount carol: unknown field \"acount\"\n"},
		"a file that is not there": {args: "render -f nowhere.yaml", code: 1, stderr: "error: stat nowhere.yaml: no such file or directory\n"},
		"no file said":             {args: "render", code: 1, stderr: "error: required flag(s) \"filename\" not set\n"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := invoke(t, c.stdin, strings.Fields(c.args)...)
			if stdout != c.stdout || stderr != c.stderr || code != c.code {
				t.Errorf("exit %d\n%s--\n%s, want %d\n%s--\n%s", code, stdout, stderr, c.code, c.stdout, c.stderr)
			}
		})
	}
}

func TestBrokenYAMLTellsNoSecret(t *testing.T) {
	stdout, stderr, code := invoke(t, "", "render", "-f", "broken.yaml")
	if code != 1 || strings.Contains(stdout+stderr, "hunter2") || !strings.HasPrefix(stderr, "error: broken.yaml: document 1: ") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

func TestRenderShowsSecretsWhenTold(t *testing.T) {
	stdout, stderr, code := invoke(t, "", "render", "-f", "alice.yaml", "--show-secrets")
	if code != 0 || stderr != "" || !strings.Contains(stdout, "<password>hunter2</password>") {
		t.Errorf("exit %d, %q: %s", code, stderr, stdout)
	}
}

// TestExplain asks one account everything.
func TestExplain(t *testing.T) {
	explained := func(args ...string) explanation {
		t.Helper()
		stdout, stderr, code := invoke(t, "", append([]string{"explain", "-f", "alice.yaml", "-o", "json"}, args...)...)
		var x explanation
		if err := json.Unmarshal([]byte(stdout), &x); err != nil || code != 0 || strings.Contains(stdout, "hunter2") {
			t.Fatalf("exit %d, %v, %s: %s", code, err, stderr, stdout)
		}
		return x
	}
	x := explained()
	if x.Account != "alice" || x.Server != (serverJSON{"pbx.example.org", 5060, "tcp", true}) || x.Network.Type != "wifi" ||
		strings.Join(x.Codecs.Audio, " ") != "G722 PCMA" || strings.Join(x.Codecs.Video, " ") != "VP8 H264" {
		t.Errorf("explained as %+v", x)
	}
	found := false
	for _, n := range x.Nodes {
		if n.Node == "keepAlive" {
			found = n.Value == "0" && n.Source == "gui" && n.Priority == 40 && len(n.Shadows) == 1 && n.Shadows[0] == shadowJSON{"1", "provisioning", 10}
		}
	}
	if !found {
		t.Errorf("keepAlive is not there with what it won over: %+v", x.Nodes)
	}
	if x.Number != nil || x.DND != nil || x.Incoming != nil {
		t.Error("nobody asked about a call")
	}

	if x = explained("-f", "fleet.yaml"); x.Network.Type != "cellular" || strings.Join(x.Codecs.Audio, " ") != "GSM" {
		t.Errorf("on the fleet's network: %+v", x)
	}
	if x = explained("-f", "fleet.yaml", "--network", "wifi", "--ssid", "Office"); x.Network != (networkJSON{"wifi", "Office"}) {
		t.Errorf("on a network that was said: %+v", x.Network)
	}
	if n := explained("--number", "00 49 (30) 12-34").Number; n.Output != "+49301234" {
		t.Errorf("a number with separators, which the agent dials without: %+v", n)
	}
	if n := explained("--number", "sip:0049301234@elsewhere.example").Number; n.Output != n.Input || len(n.Rules) != 0 {
		t.Errorf("a URI of somebody else, which the agent does not rewrite: %+v", n)
	}
	if n := explained("--number", "0049301234").Number; n == nil || n.Output != "+49301234" || len(n.Rules) != 1 || !n.Rules[0].Matched {
		t.Errorf("the number is rewritten as %+v", n)
	}
	// 2026-11-23 is a Monday; eight in the morning one hour east of Greenwich.
	x = explained("--from", "sip:+12223334455@carrier.example", "--at", "2026-11-23T07:00:00Z")
	if !x.DND.Rejected || x.DND.Rule != 1 || x.Incoming.Action != "forwardCall" || x.Incoming.Param != "2000" || x.Incoming.Rule != 1 {
		t.Errorf("on Monday at eight: %+v %+v", x.DND, x.Incoming)
	}
	if x = explained("--from", "0301234", "--at", "2026-11-22T07:00:00Z"); x.DND.Rejected || x.Incoming.Action != "" {
		t.Errorf("on a Sunday, from elsewhere: %+v %+v", x.DND, x.Incoming)
	}
}

func TestExplainForPeople(t *testing.T) {
	stdout, stderr, code := invoke(t, "", "explain", "-f", "alice.yaml", "--number", "0049301234", "--from", "+1555", "--at", "2026-11-22T07:00:00Z")
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for _, want := range []string{
		"server    pbx.example.org:5060 over tcp, unless SRV records name others\n",
		"number    0049301234 is dialled as +49301234\n          rule 1: 0049301234 -> +49301234\n",
		"incoming  rule 1 forwards the call to 2000 (302)\n",
		"keepAlive", "1 (provisioning 10)", "********",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}

func TestExplainRefusesWhatMakesNoSense(t *testing.T) {
	for args, want := range map[string]string{
		"--network 5g":                     "--network 5g: there is only wifi, cellular and none",
		"--network cellular --ssid Office": "--ssid means something on wifi only",
		"--at 2026-11-22T07:00:00Z":        "--at needs --from: it is the time of a call",
		"--at tomorrow --from 1":           "--at tomorrow: not a time as 2026-11-23T08:30:00+01:00",
		"-f bob.yaml":                      "the files hold 2 SoftphoneAccounts: say which with --account; there are alice, bob",
	} {
		_, stderr, code := invoke(t, "", append([]string{"explain", "-f", "alice.yaml"}, strings.Fields(args)...)...)
		if code != 1 || stderr != "error: "+want+"\n" {
			t.Errorf("%s: exit %d, %s", args, code, stderr)
		}
	}
}
