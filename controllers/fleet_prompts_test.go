package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

func TestPromptsReady(t *testing.T) {
	onMap := func(found bool) *promptsFacts { return &promptsFacts{configMap: &configMapSeen{"sounds", found}} }
	onClaim := func(s claimSeen) *promptsFacts { s.name = "sounds"; return &promptsFacts{claim: s} }
	agent := func(status metav1.ConditionStatus, reason, message string) v1.SoftphoneAgent {
		a := v1.SoftphoneAgent{ObjectMeta: metav1.ObjectMeta{Name: "edge-0"}}
		a.Status.Conditions = []metav1.Condition{{Type: v1.ConditionReady, Status: status, Reason: reason, Message: message}}
		return a
	}
	runs, starts := agent("True", v1.ReasonReady, "it runs"), agent("False", v1.ReasonAgentNotReady, "the pod is starting")
	unmounted := agent("False", v1.ReasonVolumesNotMounted, "no volumes")
	bound := claimSeen{found: true, phase: corev1.ClaimBound}
	for name, c := range map[string]struct {
		prompts     *promptsFacts
		agent       v1.SoftphoneAgent
		want, ready string // the condition, and the sum of everything
	}{
		"none": {nil, runs, "", "True Ready"},
		"a ConfigMap": {onMap(true), starts, "True PromptsFound: ConfigMap sounds exists",
			"False AgentNotReady Reconciling"},
		"a ConfigMap that is missing holds nobody up": {onMap(false), runs, "False ConfigMapNotFound: ConfigMap sounds does not exist: create it with the audio files; until then lines run, and calls that want a file are refused",
			"True Ready"},
		"and is not why a pod does not start": {onMap(false), starts, "False ConfigMapNotFound: ConfigMap sounds does not exist: create it with the audio files; until then lines run, and calls that want a file are refused",
			"False AgentNotReady Reconciling"},
		"a claim": {onClaim(bound), runs, "True PromptsFound: PersistentVolumeClaim sounds is bound",
			"True Ready"},
		"a claim of a pod that starts": {onClaim(bound), starts, "True PromptsFound: PersistentVolumeClaim sounds is bound",
			"False AgentNotReady Reconciling"},
		"a claim that cannot be mounted": {onClaim(bound), unmounted, "False VolumesNotMounted: PersistentVolumeClaim sounds is bound, but agent edge-0 waits: no volumes",
			"False AgentNotReady Reconciling"},
		"a claim that is missing is for the user to make": {onClaim(claimSeen{}), starts, "False PersistentVolumeClaimNotFound: PersistentVolumeClaim sounds does not exist: create it; until then new pods of agents do not start",
			"False PersistentVolumeClaimNotFound Stalled"},
		"and alarms nobody while agents run": {onClaim(claimSeen{}), runs, "False PersistentVolumeClaimNotFound: PersistentVolumeClaim sounds does not exist: create it; until then new pods of agents do not start",
			"True Ready"},
		"a claim nobody has looked at": {onClaim(claimSeen{found: true}), starts, "False PersistentVolumeClaimNotBound: PersistentVolumeClaim sounds has no volume yet (Pending): new pods of agents do not start without",
			"False PersistentVolumeClaimNotBound Reconciling"},
		"a claim whose volume is gone": {onClaim(claimSeen{found: true, phase: corev1.ClaimLost}), starts, "False PersistentVolumeClaimNotBound: PersistentVolumeClaim sounds has no volume yet (Lost): new pods of agents do not start without",
			"False PersistentVolumeClaimNotBound Reconciling"},
		"a claim that goes": {onClaim(claimSeen{found: true, ending: true, phase: corev1.ClaimBound}), starts, "False PersistentVolumeClaimNotBound: PersistentVolumeClaim sounds is being deleted: new pods of agents do not start",
			"False PersistentVolumeClaimNotBound Reconciling"},
	} {
		f := &fleetFacts{fleet: &v1.SoftphoneFleet{}, prompts: c.prompts, agents: []v1.SoftphoneAgent{c.agent}}
		f.fleet.Status.Conditions = []metav1.Condition{{Type: v1.ConditionPromptsReady, Status: "False", Reason: "Old"}}
		status := decideFleet(f)
		got := ""
		if p := find(status.Conditions, v1.ConditionPromptsReady); p.Type != "" {
			got = fmt.Sprintf("%s %s: %s", p.Status, p.Reason, p.Message)
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
		r := find(status.Conditions, v1.ConditionReady)
		sum := fmt.Sprint(r.Status, " ", r.Reason)
		for _, kind := range []string{v1.ConditionReconciling, v1.ConditionStalled} {
			if find(status.Conditions, kind).Type != "" {
				sum += " " + kind
			}
		}
		if sum != c.ready {
			t.Errorf("%s: got %q, want %q", name, sum, c.ready)
		}
	}
}

// TestClaimsAreAskedForNowAndThen: line news look at a fleet many times a second.
func TestClaimsAreAskedForNowAndThen(t *testing.T) {
	asked := 0
	api := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			asked++
			return c.Get(ctx, key, o, opts...)
		},
	})
	c, fleet := newClaims(api), types.NamespacedName{Namespace: "n", Name: "edge"}
	look := func(name string, after time.Duration) (claimSeen, time.Duration) {
		t.Helper()
		s, again, err := c.of(t.Context(), fleet, name, now.Add(after))
		if err != nil {
			t.Fatal(err)
		}
		return s, again
	}
	for _, step := range []struct {
		what  string
		claim string
		after time.Duration
		asked int
		again time.Duration
	}{
		{"at first", "sounds", 0, 1, claimLook},
		{"a second later it is known", "sounds", time.Second, 1, claimLook - time.Second},
		{"another name is another claim", "others", time.Second, 2, claimLook},
		{"what is missing may have come", "others", time.Second + claimLook, 3, claimLook},
	} {
		if s, again := look(step.claim, step.after); s.found || asked != step.asked || again != step.again {
			t.Errorf("%s: found %v, asked %d times, again in %s", step.what, s.found, asked, again)
		}
	}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "others"}}
	claim.Status.Phase = corev1.ClaimBound
	if err := api.Create(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	if s, again := look("others", minute); !s.usable() || again != claimKept {
		t.Errorf("a bound claim: %+v, again in %s", s, again)
	}
	if _, again := look("others", 2*minute); asked != 4 || again != claimKept-minute {
		t.Errorf("a bound claim is asked for again: %d times, again in %s", asked, again)
	}
	c.forget(fleet)
	if look("others", 2*minute); asked != 5 {
		t.Errorf("asked %d times", asked)
	}
}
