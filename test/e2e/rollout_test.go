package e2e

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// TestARolloutReplacesOnePodAtATime changes what a fleet's pods are made from:
// every agent gets a new pod, and never do two of them lack one together.
func TestARolloutReplacesOnePodAtATime(t *testing.T) {
	ns := newNamespace(t)
	fleet := func(revision string) string {
		return fmt.Sprintf(`
apiVersion: voip.softphone.dev/v1
kind: SoftphoneFleet
metadata: {name: default}
spec: {linesPerAgent: 1, pod: {annotations: {example.com/revision: %q}}}
`, revision)
	}
	lines := []string{"rolled-one", "rolled-two"}
	apply(t, ns, fleet("1"))
	for _, user := range lines {
		apply(t, ns, line(user, "secret-"+user))
	}
	old := map[types.UID]bool{}
	for _, user := range lines {
		old[podOf(t, awaitAccount(t, ns, user, "registered", registered)).UID] = true
	}
	if len(old) != len(lines) {
		t.Fatalf("the lines are on %d pods, want %d", len(old), len(lines))
	}

	agents := []client.ListOption{client.InNamespace(ns), client.HasLabels{voipv1.LabelAgent}}
	until(t, "every pod is ready", func() (bool, string) {
		var pods corev1.PodList
		if err := cluster.List(t.Context(), &pods, agents...); err != nil {
			return false, err.Error()
		}
		ready := readyPods(&pods)
		return ready == len(lines), fmt.Sprintf("%d pods, %d ready", len(pods.Items), ready)
	})

	started := time.Now()
	apply(t, ns, fleet("2"))
	most := 0
	until(t, "every agent has a new pod that is ready", func() (bool, string) {
		var pods corev1.PodList
		if err := cluster.List(t.Context(), &pods, agents...); err != nil {
			return false, err.Error()
		}
		fresh, ready := 0, 0
		for i := range pods.Items {
			p := &pods.Items[i]
			if old[p.UID] && p.Annotations["example.com/revision"] != "1" {
				t.Fatalf("pod %s was changed in place", p.Name)
			}
			if p.DeletionTimestamp != nil || !podReady(p) {
				continue
			}
			ready++
			if !old[p.UID] && p.Annotations["example.com/revision"] == "2" {
				fresh++
			}
		}
		most = max(most, len(lines)-ready)
		return fresh == len(lines), fmt.Sprintf("%d pods, %d ready, %d of the new settings", len(pods.Items), ready, fresh)
	})
	if most != 1 {
		t.Errorf("%d of %d agents were without a pod at the same time, want 1", most, len(lines))
	}
	for _, user := range lines {
		a := awaitAccount(t, ns, user, "registered from its new pod", func(a *voipv1.SoftphoneAccount) bool {
			return registered(a) && a.Status.Since.After(started.Add(-time.Second))
		})
		until(t, "one binding of "+user, func() (bool, string) {
			got := bindings(t, user)
			return len(got) == 1 && got[0] == a.Status.Contact, fmt.Sprintf("%q, want %q", got, a.Status.Contact)
		})
	}
	measured(t, "pod settings of two agents changed → both on new pods, registered", "%s", time.Since(started).Round(time.Millisecond))
}

// readyPods counts those that are ready.
func readyPods(pods *corev1.PodList) int {
	ready := 0
	for i := range pods.Items {
		if podReady(&pods.Items[i]) {
			ready++
		}
	}
	return ready
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
