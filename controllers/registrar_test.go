package controllers_test

import (
	"encoding/json"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// settings is the agent.json of an agent.
func (w *world) settings(agent string) delivery.Agent {
	w.t.Helper()
	return settingsIn(w.t, w.files(agent))
}

func settingsIn(t *testing.T, files map[string][]byte) delivery.Agent {
	t.Helper()
	var s delivery.Agent
	must(t, json.Unmarshal(files[delivery.AgentFile], &s))
	return s
}

func TestAgentsShareWhatTheirFleetMayAskOfARegistrar(t *testing.T) {
	w := newWorld(t)
	w.apply(&v1.SoftphoneFleet{ObjectMeta: metav1.ObjectMeta{Name: "edge"}, Spec: v1.SoftphoneFleetSpec{
		LinesPerAgent: ptr.To(int32(1)), Registrar: &v1.Registrar{RequestsPerSecond: ptr.To(int32(60)), InFlight: ptr.To(int32(3)), QualifySeconds: ptr.To(int32(0))},
	}})
	add := func(i int) {
		acc := line(fmt.Sprintf("line%d", i))
		acc.Spec.Fleet = ptr.To("edge")
		w.apply(secret(acc.Name, unique(acc.Name)), acc)
		w.registered(acc.Name)
	}
	shares := func(agent string, requests, inFlight int) {
		t.Helper()
		await(w, podspec.SecretName(agent), &corev1.SecretList{}, func(s *corev1.Secret) bool {
			r := settingsIn(t, s.Data).Registrar
			return r.RequestsPerSecond == requests && r.InFlight == inFlight && r.RefusedPerMinute == 20 && r.QualifySeconds != nil && *r.QualifySeconds == 0
		})
	}
	add(0)
	shares("edge-0", 60, 3)
	for i := 1; i < 5; i++ {
		add(i)
	}
	for i := range 5 {
		shares(fmt.Sprintf("edge-%d", i), 10, 1) // five have what six would
	}
	before := w.secretVersions("edge-0", "edge-1", "edge-2", "edge-3", "edge-4")
	add(5)
	shares("edge-5", 10, 1)
	if after := w.secretVersions("edge-0", "edge-1", "edge-2", "edge-3", "edge-4"); after != before {
		t.Errorf("the sixth had the files of others written: before %s, after %s", before, after)
	}
	edit(w, "edge", &v1.SoftphoneFleet{}, func(f *v1.SoftphoneFleet) { f.Spec.Registrar.RequestsPerSecond = ptr.To(int32(600)) })
	for i := range 6 {
		shares(fmt.Sprintf("edge-%d", i), 100, 1)
	}
	for i := 1; i < 6; i++ {
		must(t, api.Delete(t.Context(), &v1.SoftphoneAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: fmt.Sprintf("line%d", i)}}))
	}
	shares("edge-0", 600, 3)
}

func TestLinesThatAreHeldBackWaitForOthersToBeMended(t *testing.T) {
	w := newWorld(t)
	w.kubelet.setRegistrar(func(string, string) delivery.LineReport {
		return delivery.LineReport{State: delivery.Registering, Problem: delivery.ProblemHeldBack}
	})
	w.apply(secret("alice", unique("alice")), line("alice"))
	acc := w.account("alice", func(a *v1.SoftphoneAccount) bool {
		return condition(a.Status.Conditions, v1.ConditionRegistered).Reason == v1.ReasonHeldBack
	})
	if c := condition(acc.Status.Conditions, v1.ConditionReady); c.Status != "False" || c.Reason != v1.ReasonHeldBack || condition(acc.Status.Conditions, v1.ConditionReconciling).Status != "True" {
		t.Errorf("got %+v", acc.Status.Conditions)
	}
	w.kubelet.setRegistrar(nil)
	w.registered("alice")
}

// TestATrunkMovesWithoutRegistering cordons its node: the trunk is up elsewhere, then leaves.
func TestATrunkMovesWithoutRegistering(t *testing.T) {
	w := newWorld(t)
	w.kubelet.setRegistrar(func(string, string) delivery.LineReport {
		return delivery.LineReport{State: delivery.Idle, LastCode: 200, LastReason: "trunk: it does not register; its server answers"}
	})
	trunk := line("alice")
	trunk.Spec.Trunk = ptr.To(true)
	w.apply(secret("alice", unique("alice")), trunk)
	acc := w.account("alice", isReady(v1.ReasonTrunkUp))
	if c := condition(acc.Status.Conditions, v1.ConditionRegistered); c.Status != "False" || c.Message != "a trunk does not register; its server at 10.77.0.1:5060/udp answers OPTIONS with 200" {
		t.Errorf("got %+v", c)
	}
	if acc.Status.State != v1.StateIdle || acc.Status.Server == "" || acc.Status.Code != 200 || acc.Status.Contact != "" || !w.settings("default-0").Lines["alice"].Trunk {
		t.Errorf("got %+v", acc.Status)
	}
	w.event("alice", "Normal", v1.ReasonTrunkUp, condition(acc.Status.Conditions, v1.ConditionRegistered).Message)
	twin := line("twin")
	twin.Spec.Account.Username = ptr.To("alice")
	w.apply(secret("twin", unique("twin")), twin)
	w.account("twin", isStalled(v1.ReasonNameConflict))

	w.kubelet.addNode(t, w.namespace+"-b")
	edit(&world{t: t}, w.namespace+"-a", &corev1.Node{}, func(n *corev1.Node) { n.Spec.Unschedulable = true })
	w.account("alice", func(a *v1.SoftphoneAccount) bool {
		return a.Status.Agent == "default-1" && isReady(v1.ReasonTrunkUp)(a)
	})
	awaitGone(w, "default-0", &v1.SoftphoneAgentList{}, &v1.SoftphoneAgent{})
	w.account("alice", isReady(v1.ReasonTrunkUp))

	// A suspended trunk claims nothing; back again it is the older one.
	edit(w, "alice", &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) { a.Spec.Suspend = ptr.To(true) })
	w.account("twin", func(a *v1.SoftphoneAccount) bool {
		return condition(a.Status.Conditions, v1.ConditionAccepted).Status == "True" && a.Status.Agent != ""
	})
	edit(w, "alice", &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) { a.Spec.Suspend = nil })
	w.account("twin", isStalled(v1.ReasonNameConflict))
	w.account("alice", isReady(v1.ReasonTrunkUp))
}

// TestASuspendedFleetGivesItsAddressesUp swaps two fleets with the same lines.
func TestASuspendedFleetGivesItsAddressesUp(t *testing.T) {
	w := newWorld(t)
	for _, color := range []string{"blue", "green"} {
		acc := line(color)
		acc.Spec.Fleet, acc.Spec.Account.Username = ptr.To(color), ptr.To("alice")
		w.apply(&v1.SoftphoneFleet{ObjectMeta: metav1.ObjectMeta{Name: color}}, secret(color, unique(color)), acc)
	}
	w.registered("blue") // of one second: the first by name is the older one
	w.account("green", isStalled(v1.ReasonNameConflict))
	edit(w, "blue", &v1.SoftphoneFleet{}, func(f *v1.SoftphoneFleet) { f.Spec.Suspend = ptr.To(true) })
	w.account("blue", isReady(v1.ReasonSuspended))
	w.registered("green")
	edit(w, "blue", &v1.SoftphoneFleet{}, func(f *v1.SoftphoneFleet) { f.Spec.Suspend = nil })
	w.account("green", isStalled(v1.ReasonNameConflict))
	w.registered("blue")
}
