package controllers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// check is the fake agent's report of a check: one run, whose result stands in
// its destination. "fail" fails, "odd" is inconclusive, all else passes.
func (a *fakeAgent) check(name string, content []byte, hasher delivery.Hasher) delivery.CheckReport {
	c, err := check.Parse(content)
	if err != nil {
		panic(fmt.Sprintf("check %s: %v\n%s", name, err, content))
	}
	run := delivery.CheckRun{StartedAt: time.Now(), Seconds: 5.2, Result: check.Pass, Reason: check.Passed, Code: 200, SetupMs: ptr.To(153.0), MOS: ptr.To(4.381), MouthToEarMs: ptr.To(61.54), SegmentalSNRDB: ptr.To(26.123), SpectralDistanceDB: ptr.To(1.675), LossPercent: ptr.To(0.0)}
	switch {
	case strings.Contains(c.To, "fail"):
		run = delivery.CheckRun{StartedAt: time.Now(), Result: check.Fail, Reason: check.NoAnswer, Message: "no answer within 20 s, it rang"}
	case strings.Contains(c.To, "odd"):
		run = delivery.CheckRun{StartedAt: time.Now(), Result: check.Inconclusive, Reason: check.TooManyCalls, Message: "too many calls"}
	}
	r := delivery.CheckReport{Name: name, Line: c.From, Hash: hasher.Document(content), RunAt: c.RunAt}
	for _, before := range a.report.Checks {
		if before.Name == name && before.Hash == r.Hash {
			return before
		}
	}
	r.Runs = []delivery.CheckRun{run}
	passing, why := c.Limits.Window([]check.Verdict{{Result: run.Result, Reason: run.Reason, Message: run.Message}})
	r.Passing, r.Reason, r.Message = passing, why.Reason, why.Message
	r.Counts = delivery.CheckCounts{Since: time.Now(), Pass: 1}
	return r
}

// calls is a check from a line to a URI.
func calls(name, from, uri string) *v1.CallCheck {
	return &v1.CallCheck{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.CallCheckSpec{From: from, To: v1.CheckTarget{URI: ptr.To(uri)}}}
}

func (w *world) check(name string, want func(*v1.CallCheck) bool) *v1.CallCheck {
	w.t.Helper()
	return await(w, name, &v1.CallCheckList{}, want)
}

// verdict wants a check that is ready and whose runs say something.
func verdict(status metav1.ConditionStatus, reason string) func(*v1.CallCheck) bool {
	return func(c *v1.CallCheck) bool {
		passing, ready := condition(c.Status.Conditions, v1.ConditionPassing), condition(c.Status.Conditions, v1.ConditionReady)
		return c.Status.ObservedGeneration == c.Generation && passing.Status == status && passing.Reason == reason && ready.Status == metav1.ConditionTrue &&
			condition(c.Status.Conditions, v1.ConditionReconciling).Type == ""
	}
}

// stuck wants a check that its user must mend.
func stuck(reason string) func(*v1.CallCheck) bool {
	return func(c *v1.CallCheck) bool {
		return condition(c.Status.Conditions, v1.ConditionStalled).Reason == reason && condition(c.Status.Conditions, v1.ConditionPassing).Status == metav1.ConditionUnknown
	}
}

func TestChecksRunWhereTheirLineIsAndTellTheirVerdict(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), line("alice"), calls("good", "alice", "sip:echo@pbx.test"), calls("bad", "alice", "sip:fail@pbx.test"))
	good := w.check("good", verdict(metav1.ConditionTrue, v1.ReasonPassed))
	if s := good.Status; s.Agent != "default-0" || s.LastRun == nil || *s.LastRun.MOS != "4.38" || s.LastRun.MouthToEar.Duration != 62*time.Millisecond || *s.LastRun.SegmentalSNR != "26.12" || *s.LastRun.SpectralDistance != "1.68" || s.LastRun.Setup.Duration != 153*time.Millisecond || s.LastRun.Code != 200 ||
		len(s.Runs) != 1 || s.Counts.Pass != 1 || s.DeliveredHash == "" || s.DeliveredHash != s.ReportedHash {
		t.Errorf("got %+v", s)
	}
	if c := condition(good.Status.Conditions, v1.ConditionReady); c.Message != "it runs every 60 s on agent default-0" || c.Reason != v1.ReasonRunning {
		t.Errorf("got %+v", c)
	}
	bad := w.check("bad", verdict(metav1.ConditionFalse, "NoAnswer")) // and Ready all the same
	if c := condition(bad.Status.Conditions, v1.ConditionPassing); c.Message != "no answer within 20 s, it rang" || bad.Status.LastRun.MOS != nil {
		t.Errorf("got %+v, %+v", c, bad.Status.LastRun)
	}
	w.event("bad", "Warning", "NoAnswer", "no answer within 20 s, it rang")
	edit(w, "bad", &v1.CallCheck{}, func(c *v1.CallCheck) { c.Spec.To.URI = ptr.To("sip:mended@pbx.test") })
	w.check("bad", verdict(metav1.ConditionTrue, v1.ReasonPassed))
	w.event("bad", "Normal", v1.ReasonPassed, "the last run showed what was expected")
	edit(w, "bad", &v1.CallCheck{}, func(c *v1.CallCheck) { c.Spec.To.URI = ptr.To("sip:odd@pbx.test") })
	w.check("bad", verdict(metav1.ConditionUnknown, "TooManyCalls"))

	edit(w, "good", &v1.CallCheck{}, func(c *v1.CallCheck) { c.Annotations = map[string]string{v1.AnnotationRunAt: "now"} })
	w.check("good", func(c *v1.CallCheck) bool { return c.Status.RunAt == "now" })
	edit(w, "good", &v1.CallCheck{}, func(c *v1.CallCheck) { c.Spec.Suspend = ptr.To(true) })
	w.check("good", func(c *v1.CallCheck) bool {
		ready := condition(c.Status.Conditions, v1.ConditionReady)
		return ready.Status == metav1.ConditionTrue && ready.Reason == v1.ReasonSuspended
	})
	must(t, api.Delete(t.Context(), good))
	await(w, podspec.SecretName("default-0"), &corev1.SecretList{}, func(s *corev1.Secret) bool {
		return s.Data[delivery.CheckFile("good")] == nil && s.Data[delivery.CheckFile("bad")] != nil
	})
}

func TestReferencesOfChecks(t *testing.T) {
	w := newWorld(t)
	two := calls("two", "alice", "")
	two.Spec.To = v1.CheckTarget{Account: ptr.To("bob")}
	w.apply(two, calls("emergency", "alice", "sip:112@pbx.test"))
	if got := w.check("two", stuck(v1.ReasonAccountNotFound)); condition(got.Status.Conditions, v1.ConditionReady).Message != "from: SoftphoneAccount alice does not exist" {
		t.Errorf("got %+v", got.Status.Conditions)
	}
	w.apply(secret("alice", unique("alice")), line("alice"))
	w.check("two", func(c *v1.CallCheck) bool {
		return condition(c.Status.Conditions, v1.ConditionStalled).Message == "to: SoftphoneAccount bob does not exist"
	})
	w.check("emergency", stuck(v1.ReasonDestinationRefused))
	w.apply(secret("bob", unique("bob")), line("bob"))
	w.check("two", verdict(metav1.ConditionTrue, v1.ReasonPassed))
	if file := string(w.files("default-0")[delivery.CheckFile("two")]); !strings.Contains(file, `"to":"sip:bob@registrar.test","account":"bob"`) {
		t.Errorf("delivered: %s", file)
	}
	if w.files("default-0")[delivery.CheckFile("emergency")] != nil {
		t.Error("a check that the fleet refuses is delivered")
	}
	w.apply(&v1.SoftphoneFleet{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: v1.SoftphoneFleetSpec{
		Destinations: &v1.Destinations{Allow: []v1.NumberPrefix{"112"}, MinutesPerDay: ptr.To(int32(30))}, Transfers: &v1.Transfers{Accept: ptr.To("placed")}, HEP: &v1.HEP{Address: "homer.example:9060", CaptureID: ptr.To(int32(7))}, MetricLabels: []v1.MetricLabel{"voip.example.org/carrier"},
	}})
	w.check("emergency", verdict(metav1.ConditionTrue, v1.ReasonPassed))
	edit(w, "bob", &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) {
		a.Labels = map[string]string{"voip.example.org/carrier": "acme", "secret": "no"}
	})
	await(w, podspec.SecretName("default-0"), &corev1.SecretList{}, func(s *corev1.Secret) bool {
		json := string(s.Data[delivery.AgentFile])
		return strings.Contains(json, `"allow":["112"],"minutesPerDay":30},"transfers":{"accept":"placed"},"hep":{"address":"homer.example:9060","captureID":7}`) && strings.Contains(json, `"metricLabels":["carrier"],"labels":{"bob":{"carrier":"acme"}}`)
	})
}

func TestACheckIsRunByOneAgentWhileItsLineMoves(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), line("alice"), calls("steady", "alice", "sip:echo@pbx.test"))
	w.check("steady", verdict(metav1.ConditionTrue, v1.ReasonPassed))
	w.kubelet.addNode(t, w.namespace+"-b")
	edit(&world{t: t}, w.namespace+"-a", &corev1.Node{}, func(n *corev1.Node) { n.Spec.Unschedulable = true })
	moved := w.check("steady", func(c *v1.CallCheck) bool { return c.Status.Agent != "default-0" && c.Status.Agent != "" })
	w.check("steady", verdict(metav1.ConditionTrue, v1.ReasonPassed))
	if moved.Status.LastRun == nil {
		t.Error("what was known is lost by the move")
	}
}
