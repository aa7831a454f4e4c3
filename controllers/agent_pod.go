package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

// podAction is what is to be done about an agent's pod.
type podAction int

const (
	podKeep podAction = iota
	podCreate
	podDelete
	// podDrop removes a pod that will never say that it is gone.
	podDrop
)

// rolloutLook is how often an agent whose pod is outdated looks whether it is its turn.
const rolloutLook = time.Second

// lostGrace is how long past its own grace a pod may take to go.
const lostGrace = 10 * time.Second

// planPod decides about the pod, and when to look again. replace tells whether an
// outdated pod may be replaced now.
func planPod(pod *corev1.Pod, node *corev1.Node, template string, now time.Time, replace func() bool) (podAction, time.Duration) {
	switch {
	case pod == nil:
		return podCreate, 0
	case pod.DeletionTimestamp != nil && nodeLost(pod, node):
		return podDrop, 0
	case pod.DeletionTimestamp != nil:
		wait := pod.DeletionTimestamp.Add(lostGrace).Sub(now)
		if wait <= 0 {
			return podDrop, 0
		}
		return podKeep, wait
	case pod.Status.Phase == corev1.PodFailed, pod.Status.Phase == corev1.PodSucceeded:
		return podDelete, 0 // evicted, or ended: a pod without a controller is never started again
	case template != "" && pod.Annotations[podspec.AnnotationTemplate] != template:
		if replace() {
			return podDelete, 0
		}
		return podKeep, rolloutLook // another pod's readiness does not wake this agent
	}
	return podKeep, 0
}

// nodeLost tells whether nobody is there to end the pod.
func nodeLost(pod *corev1.Pod, node *corev1.Node) bool {
	if pod.Spec.NodeName == "" {
		return false
	}
	return node == nil || !nodeReady(node)
}

func nodeReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// keepPod makes, replaces or removes the agent's pod.
func (r *agentReconciler) keepPod(ctx context.Context, f *agentFacts) (time.Duration, error) {
	if !f.delivered {
		return 0, nil // its volume would not mount
	}
	desired, err := r.pod(f)
	if err != nil {
		f.podProblem = &render.Failure{Reason: v1.ReasonInvalidPodSettings, Message: err.Error()}
		return 0, nil
	}
	template := desired.Annotations[podspec.AnnotationTemplate]
	if !f.fleetFound {
		template = "" // a fleet that went away leaves its agents as they are
	}
	var peerErr error
	action, again := planPod(f.pod, f.node, template, f.now, func() bool {
		var peers []peer
		peers, peerErr = r.peers(ctx, f.agent, f.settings)
		return peerErr == nil && mayReplace(f.agent.Name, peers)
	})
	if peerErr != nil {
		return 0, peerErr
	}
	switch action {
	case podCreate:
		return r.createPod(ctx, f, desired)
	case podDelete:
		return again, r.deletePod(ctx, f.pod)
	case podDrop:
		return again, r.deletePod(ctx, f.pod, client.GracePeriodSeconds(0))
	}
	return again, nil
}

func (r *agentReconciler) pod(f *agentFacts) (*corev1.Pod, error) {
	pod, err := buildPod(f.agent, f.settings, r.image)
	if err != nil {
		return nil, err
	}
	pod.OwnerReferences = ownedBy(f.agent)
	return pod, nil
}

func buildPod(agent *v1.SoftphoneAgent, s render.Settings, image string) (*corev1.Pod, error) {
	return podspec.Pod(agent, podspec.Settings{Image: image, DrainSeconds: s.DrainSeconds, Prompts: s.Prompts, Pod: s.Pod})
}

// createPod makes the pod. One that the API server refuses is for the user to mend.
func (r *agentReconciler) createPod(ctx context.Context, f *agentFacts, pod *corev1.Pod) (time.Duration, error) {
	pod.Annotations[podspec.AnnotationDelivered] = f.ledger.Snapshot // it starts with these files: nothing to refresh
	err := apply(ctx, r.Client, pod, managerAgent)
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		f.podProblem = &render.Failure{Reason: v1.ReasonPodRefused, Message: fmt.Sprintf("the API server refuses the agent's pod: %v", err)}
		return 30 * time.Second, nil // a quota or a policy may change without telling us
	}
	if err == nil {
		r.touches.touched(client.ObjectKeyFromObject(f.agent), f.ledger.Snapshot, f.now)
	}
	return 0, err
}

func (r *agentReconciler) deletePod(ctx context.Context, pod *corev1.Pod, opts ...client.DeleteOption) error {
	opts = append(opts, client.Preconditions(metav1.Preconditions{UID: &pod.UID}))
	if err := r.Delete(ctx, pod, opts...); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete pod %s: %w", pod.Name, err)
	}
	return nil
}
