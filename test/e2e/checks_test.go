package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

const twoChecks = `
apiVersion: voip.softphone.dev/v1
kind: CallCheck
metadata: {name: good}
spec:
  from: checking
  to: {account: checked}
  schedule: {intervalSeconds: 10}
  durationSeconds: 4
  expect: {answerWithinMs: {fail: 5000}, audio: both, mos: {fail: "3"}}
---
apiVersion: voip.softphone.dev/v1
kind: CallCheck
metadata: {name: bad}
spec:
  from: checking
  to: {number: "5550199"}
  schedule: {intervalSeconds: 10}
`

// runCheck runs the product's own command and gives its exit code.
func runCheck(t *testing.T, namespace, name string) (voipv1.CheckRun, int) {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "bin/kubectl-softphone", "check", "run", "-n", namespace, "-o", "json", name)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	failed := cmd.Run()
	var exit *exec.ExitError
	if failed != nil && !errors.As(failed, &exit) {
		t.Fatal(failed)
	}
	var run voipv1.CheckRun
	if err := json.Unmarshal(out.Bytes(), &run); err != nil {
		t.Fatalf("kubectl softphone check run %s: %v, %v\n%s%s", name, failed, err, out.String(), stderr.String())
	}
	return run, cmd.ProcessState.ExitCode()
}

func TestChecksTellWhatTheyFind(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("checking", "secret-checking"))
	apply(t, ns, line("checked", "secret-checked", echoing...))
	apply(t, ns, twoChecks)
	kubectl(t, "wait", "-n", ns, "--for=condition=Passing", "callcheck/good", "--timeout=90s")
	kubectl(t, "wait", "-n", ns, "--for=condition=Passing=False", "callcheck/bad", "--timeout=90s")
	kubectl(t, "wait", "-n", ns, "--for=condition=Ready", "callcheck/good", "callcheck/bad", "--timeout=60s") // a failing check is well

	table := strings.Split(strings.TrimSpace(kubectl(t, "get", "ccheck", "-n", ns)), "\n")
	if got := strings.Join(strings.Fields(table[0]), " "); got != "NAME PASSING LAST-RUN MOS SETUP REASON AGE" {
		t.Errorf("kubectl get ccheck shows %s", got)
	}
	var bad, good voipv1.CallCheck
	for name, c := range map[string]*voipv1.CallCheck{"bad": &bad, "good": &good} {
		if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name}, c); err != nil {
			t.Fatal(err)
		}
	}
	if c := meta.FindStatusCondition(bad.Status.Conditions, voipv1.ConditionPassing); c.Reason != "WrongCode" || !strings.Contains(c.Message, "404") || !strings.Contains(c.Message, "expected 200") {
		t.Errorf("the bad one says %s %q", c.Reason, c.Message)
	}
	if bad.Status.LastRun.MOS != nil {
		t.Errorf("a MOS of %s of a call without audio", *bad.Status.LastRun.MOS)
	}
	if r := good.Status.LastRun; r.MOS == nil || r.Setup == nil || r.Code != 200 {
		t.Errorf("the good one measured %+v", r)
	} else {
		measured(t, "check between two lines, 4 s", "set up in %s, MOS %s, first packet after %s", r.Setup.Duration, *r.MOS, r.FirstPacket.Duration)
	}
	until(t, "the failure is an event", func() (bool, string) {
		events := strings.Join(eventsOf(t, ns, "bad"), "\n")
		return strings.Contains(events, "Warning WrongCode: 404"), events
	})
	if run, code := runCheck(t, ns, "good"); code != 0 || run.Result != "pass" {
		t.Errorf("run now: exit %d, %+v", code, run)
	}
	if run, code := runCheck(t, ns, "bad"); code != 1 || run.Result != "fail" {
		t.Errorf("run now: exit %d, %+v", code, run)
	}
	kubectl(t, "patch", "-n", ns, "sacc", "checking", "--type=merge", "-p", `{"spec":{"suspend":true}}`)
	kubectl(t, "wait", "-n", ns, "--for=condition=Passing=Unknown", "callcheck/good", "--timeout=90s") // nobody looks
}
