package controllers_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
)

// another waits for a running pod of that name other than the one given.
func (w *world) another(than *corev1.Pod) *corev1.Pod {
	w.t.Helper()
	return w.pod(than.Name, func(p *corev1.Pod) bool {
		return p.UID != than.UID && p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil
	})
}

func (w *world) running(name string) *corev1.Pod {
	w.t.Helper()
	return w.pod(name, func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil })
}

// readyAt waits until an agent reports from the address of the pod.
func (w *world) readyAt(pod *corev1.Pod) {
	w.t.Helper()
	w.agent(pod.Name, func(a *v1.SoftphoneAgent) bool {
		return a.Status.Address == pod.Status.PodIP && condition(a.Status.Conditions, v1.ConditionReady).Status == "True" && a.Status.RegisteredLines == int32(len(a.Spec.Lines))
	})
}

func TestPodsThatGoComeBack(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), line("alice"))
	w.registered("alice")
	pod := w.running("default-0")

	must(t, api.Delete(t.Context(), pod))
	killed := w.another(pod)
	w.readyAt(killed)

	killed.Status.Phase, killed.Status.Reason = corev1.PodFailed, "Evicted"
	must(t, api.Status().Update(t.Context(), killed))
	evicted := w.another(killed)
	w.readyAt(evicted)

	if acc := w.registered("alice"); acc.Status.Slot != 1 || acc.Status.Agent != "default-0" {
		t.Errorf("the line moved: %+v", acc.Status)
	}
}

func TestLostNodesPodIsReplacedElsewhere(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), line("alice"))
	w.registered("alice")
	pod := w.running("default-0")
	w.kubelet.addNode(t, w.namespace+"-b")
	w.kubelet.lose(t, pod.Spec.NodeName)
	must(t, api.Delete(t.Context(), pod)) // as the taint manager does; nobody is there to end it
	after := w.another(pod)
	if after.Spec.NodeName != w.namespace+"-b" {
		t.Errorf("the new pod is on node %s", after.Spec.NodeName)
	}
	w.readyAt(after)
	w.registered("alice")
}

func TestDeletedAgentIsMadeAnewInTheOtherSlot(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), line("alice"))
	w.registered("alice")
	must(t, api.Delete(t.Context(), w.agent("default-0", func(*v1.SoftphoneAgent) bool { return true })))
	w.account("alice", func(a *v1.SoftphoneAccount) bool { return a.Status.Slot == 2 && a.Status.State == v1.StateRegistered })
}

func TestCordonMovesLinesBeforeTheEviction(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), secret("bob", unique("bob")), line("alice"), line("bob"))
	w.registered("alice")
	w.registered("bob")
	pod := w.running("default-0")
	w.kubelet.addNode(t, w.namespace+"-b")
	node := &corev1.Node{}
	must(t, api.Get(t.Context(), client.ObjectKey{Name: pod.Spec.NodeName}, node))
	node.Spec.Unschedulable = true
	must(t, api.Update(t.Context(), node))

	for _, name := range []string{"alice", "bob"} {
		acc := w.account(name, func(a *v1.SoftphoneAccount) bool {
			if a.Status.State != v1.StateRegistered {
				t.Errorf("%s was %s on the way", a.Name, a.Status.State)
			}
			return a.Status.Agent == "default-1" && isReady(v1.ReasonRegistered)(a)
		})
		if acc.Status.Slot != 2 {
			t.Errorf("%s is in slot %d", name, acc.Status.Slot)
		}
	}
	awaitGone(w, "default-0", &v1.SoftphoneAgentList{}, &v1.SoftphoneAgent{})
	awaitGone(w, "default-0", &corev1.PodList{}, &corev1.Pod{})
	await(w, podspec.FleetObjectName("default"), &policyv1.PodDisruptionBudgetList{}, func(b *policyv1.PodDisruptionBudget) bool {
		return b.Spec.MinAvailable.IntVal == 1
	})
}

func TestFleetOfSmallAgentsGrowsShrinksAndRollsOut(t *testing.T) {
	w := newWorld(t)
	w.apply(&v1.SoftphoneFleet{ObjectMeta: line("default").ObjectMeta, Spec: v1.SoftphoneFleetSpec{LinesPerAgent: ptr.To(int32(1))}})
	names := []string{"a", "b", "c"}
	for _, n := range names {
		w.apply(secret(n, unique(n)), line(n))
	}
	for _, n := range names {
		w.registered(n)
	}
	var agents v1.SoftphoneAgentList
	must(t, api.List(t.Context(), &agents, client.InNamespace(w.namespace)))
	if len(agents.Items) != 3 {
		t.Fatalf("%d agents", len(agents.Items))
	}
	pods := map[string]*corev1.Pod{}
	for _, a := range agents.Items {
		pods[a.Name] = w.running(a.Name)
		w.readyAt(pods[a.Name])
	}
	edit(w, "default", &v1.SoftphoneFleet{}, func(f *v1.SoftphoneFleet) { f.Spec.Pod = &v1.AgentPod{Image: ptr.To("agent:next")} })
	for name, old := range pods {
		if p := w.another(old); p.Spec.Containers[0].Image != "agent:next" {
			t.Errorf("%s runs %s", name, p.Spec.Containers[0].Image)
		}
	}
	gone := w.registered("b").Status.Agent
	must(t, api.Delete(t.Context(), w.account("b", func(*v1.SoftphoneAccount) bool { return true })))
	awaitGone(w, gone, &v1.SoftphoneAgentList{}, &v1.SoftphoneAgent{})
	w.registered("a")
	w.registered("c")
}

func TestPodThatIsRefusedIsTold(t *testing.T) {
	w := newWorld(t)
	w.apply(&v1.SoftphoneFleet{ObjectMeta: line("default").ObjectMeta, Spec: v1.SoftphoneFleetSpec{
		Pod: &v1.AgentPod{PriorityClassName: ptr.To("no-such-class")},
	}}, secret("alice", unique("alice")), line("alice"))
	agent := w.agent("default-0", func(a *v1.SoftphoneAgent) bool {
		return condition(a.Status.Conditions, v1.ConditionStalled).Reason == v1.ReasonPodRefused
	})
	if m := condition(agent.Status.Conditions, v1.ConditionStalled).Message; m != `the API server refuses the agent's pod: apply Pod default-0: pods "default-0" is forbidden: no PriorityClass with name no-such-class was found` {
		t.Errorf("got %s", m)
	}
	await(w, "default", &v1.SoftphoneFleetList{}, func(f *v1.SoftphoneFleet) bool {
		return condition(f.Status.Conditions, v1.ConditionStalled).Reason == v1.ReasonPodRefused
	})
	edit(w, "default", &v1.SoftphoneFleet{}, func(f *v1.SoftphoneFleet) { f.Spec.Pod = nil })
	w.registered("alice")
}
