package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

// peer is an agent of a fleet that is being rolled out.
type peer struct {
	name string
	// ready: the agent says that it runs its lines.
	ready bool
	// counted: its pod is ready, too, for everybody who counts pods. The agent's own
	// report comes sooner than the kubelet's probe, by which disruption budgets are kept.
	counted bool
	// outdated: its pod was built from something else than it would be now.
	outdated bool
}

// mayReplace lets one pod of a fleet go at a time: one that is not ready at once,
// since nothing is lost, else the first outdated one while all others are ready.
// So a setting that does not work stops at the first pod.
func mayReplace(name string, fleet []peer) bool {
	first, waiting := "", false
	for _, p := range fleet {
		if p.name == name && !p.ready {
			return true
		}
		waiting = waiting || p.name != name && !p.counted
		if p.outdated && (first == "" || p.name < first) {
			first = p.name
		}
	}
	return first == name && !waiting
}

// peers are all agents of the agent's fleet, itself included.
func (r *agentReconciler) peers(ctx context.Context, agent *v1.SoftphoneAgent, s render.Settings) ([]peer, error) {
	var agents v1.SoftphoneAgentList
	if err := r.List(ctx, &agents, client.InNamespace(agent.Namespace), client.MatchingFields{indexFleet: agent.Spec.Fleet}); err != nil {
		return nil, fmt.Errorf("agents of the fleet: %w", err)
	}
	var out []peer
	for i := range agents.Items {
		a := &agents.Items[i]
		pod, err := get(ctx, r.Client, podOf(a), &corev1.Pod{})
		if err != nil {
			return nil, err
		}
		want, err := buildPod(a, s, r.image)
		if err != nil {
			return nil, err
		}
		ready := agentReady(a) && pod != nil && pod.DeletionTimestamp == nil && pod.Status.PodIP != "" && pod.Status.PodIP == a.Status.Address
		out = append(out, peer{
			name:     a.Name,
			ready:    ready,
			counted:  ready && podReady(pod),
			outdated: pod != nil && pod.Annotations[podspec.AnnotationTemplate] != want.Annotations[podspec.AnnotationTemplate],
		})
	}
	return out, nil
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
