package cluster

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"k8s.io/apimachinery/pkg/runtime"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// checkSession is a cluster with one check, which is carried out by answer.
func checkSession(t *testing.T, c *voipv1.CallCheck) *session {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := voipv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c.Namespace = "default"
	return &session{namespace: "default", client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(c).WithStatusSubresource(c).Build()}
}

func TestARunIsAskedForAndWaitedFor(t *testing.T) {
	s := checkSession(t, &voipv1.CallCheck{ObjectMeta: metav1.ObjectMeta{Name: "nightly"}})
	key := client.ObjectKey{Namespace: "default", Name: "nightly"}
	go func() { // the operator and the agent
		for t.Context().Err() == nil {
			var c voipv1.CallCheck
			if err := s.client.Get(t.Context(), key, &c); err == nil && c.Annotations[voipv1.AnnotationRunAt] != "" && c.Status.RunAt == "" {
				c.Status.RunAt, c.Status.LastRun = c.Annotations[voipv1.AnnotationRunAt], &voipv1.CheckRun{StartedAt: metav1.Now(), Result: "fail", Message: "no answer"}
				if err := s.client.Status().Update(t.Context(), &c); err == nil {
					return
				}
			}
			time.Sleep(time.Millisecond)
		}
	}()
	run, err := s.runCheck(t.Context(), "nightly")
	if err != nil || run.Result != "fail" {
		t.Fatalf("%+v, %v", run, err)
	}
	if err := runVerdict(run); !errors.Is(err, errRunFailed) || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("%v", err)
	}
}

func TestACheckThatCannotRunSaysWhy(t *testing.T) {
	s := checkSession(t, &voipv1.CallCheck{ObjectMeta: metav1.ObjectMeta{Name: "nightly"}, Status: voipv1.CallCheckStatus{Conditions: []metav1.Condition{
		{Type: voipv1.ConditionStalled, Status: metav1.ConditionTrue, Reason: voipv1.ReasonAccountNotFound, Message: "from: SoftphoneAccount alice does not exist"},
	}}})
	if _, err := s.runCheck(t.Context(), "nightly"); err == nil || !strings.Contains(err.Error(), "alice does not exist") {
		t.Errorf("%v", err)
	}
	if _, err := s.runCheck(t.Context(), "other"); err == nil {
		t.Error("a check that does not exist ran")
	}
}

func TestRunsAreJudgedAndPrinted(t *testing.T) {
	for result, want := range map[string]error{"pass": nil, "warn": nil, "fail": errRunFailed, "inconclusive": ErrInconclusive} {
		if err := runVerdict(voipv1.CheckRun{Result: result}); !errors.Is(err, want) {
			t.Errorf("%s: %v", result, err)
		}
	}
	mos := voipv1.Decimal("4.38")
	var out bytes.Buffer
	if err := printRun(&out, "nightly", voipv1.CheckRun{Result: "pass", Reason: "Passed", Code: 200, Setup: &metav1.Duration{Duration: 153 * time.Millisecond}, MOS: &mos}, ""); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(strings.Split(out.String(), "\n")[1]), " "); got != "nightly pass Passed 200 - 153ms - 4.38 - - -" {
		t.Errorf("got %s", got)
	}
}
