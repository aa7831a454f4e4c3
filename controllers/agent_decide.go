package controllers

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// decideAgent gives the agent's status, and when to look again.
func decideAgent(f *agentFacts) (v1.SoftphoneAgentStatus, time.Duration) {
	status := *f.agent.Status.DeepCopy()
	status.ObservedGeneration = f.agent.Generation
	status.Lines, status.DeliveredHash = int32(len(f.lines)), f.ledger.Snapshot
	if f.pod == nil {
		status.RegisteredLines, status.Address, status.Node = 0, "", ""
	} else {
		status.Address, status.Node = f.pod.Status.PodIP, f.pod.Spec.NodeName
	}
	if f.report != nil && f.report.Connected { // else what it said last stands
		status.RegisteredLines = int32(f.registered)
		status.ReportedHash, status.Version = clean(f.report.SnapshotHash), clean(f.report.Version)
	}
	c := conditionSet{&status.Conditions, f.agent.Generation}
	drain(f, c)
	v, again := judgeAgent(f)
	c.write(v)
	return status, again
}

// drain tells that the lines are leaving.
func drain(f *agentFacts, c conditionSet) {
	switch {
	case f.pod != nil && f.pod.DeletionTimestamp != nil, f.report != nil && f.report.Connected && f.report.Draining:
		c.set(v1.ConditionDraining, metav1.ConditionTrue, v1.ReasonDraining, "the pod is ending: lines un-register, running calls may finish")
	case f.node != nil && f.node.Spec.Unschedulable:
		c.set(v1.ConditionDraining, metav1.ConditionTrue, v1.ReasonNodeCordoned, fmt.Sprintf("node %s is cordoned: lines move to another agent", f.node.Name))
	default:
		c.remove(v1.ConditionDraining)
	}
}

// judgeAgent: ready means that the snapshot is loaded, the sockets are bound and
// the report is fresh; whether lines are registered is not the agent's doing.
func judgeAgent(f *agentFacts) (verdict, time.Duration) {
	switch {
	case f.podProblem != nil:
		return stalled(f.podProblem.Reason, f.podProblem.Message), 0
	case f.pod == nil:
		return reconciling(metav1.ConditionFalse, v1.ReasonAgentNotReady, "the pod is being made"), 0
	case f.pod.DeletionTimestamp != nil:
		return reconciling(metav1.ConditionFalse, v1.ReasonAgentNotReady, "the pod is ending and will be made anew"), 0
	case f.report == nil || !f.report.Connected:
		return judgeSilence(f)
	case !f.report.Ready:
		return reconciling(metav1.ConditionFalse, v1.ReasonAgentNotReady, "the agent has not loaded its lines yet"), 0
	case f.behind, f.report.SnapshotHash != f.ledger.Snapshot && len(f.report.Rejected) == 0:
		v := ready(v1.ReasonReady, "the agent runs its lines; newer files are on their way")
		v.reconciling = true
		return v, 0
	}
	return ready(v1.ReasonReady, "the agent runs its lines"), 0
}

// judgeSilence is about an agent that does not report. A ready one stays so for a
// moment as long as its pod is the same: streams break, and a manager that has
// just started has none.
func judgeSilence(f *agentFacts) (verdict, time.Duration) {
	if f.pod.Status.Phase != corev1.PodRunning || f.pod.Status.PodIP == "" {
		return judgeStart(f.pod, f.now)
	}
	old := meta.FindStatusCondition(f.agent.Status.Conditions, v1.ConditionReady)
	since := f.now
	failure := ""
	if f.report != nil {
		since, failure = f.report.Since, f.report.Failure
	}
	same := f.agent.Status.Address == f.pod.Status.PodIP
	if wait := since.Add(settleTime).Sub(f.now); wait > 0 && same && old != nil && old.Status == metav1.ConditionTrue {
		return verdict{ready: old.Status, reason: old.Reason, message: old.Message}, wait
	}
	if failure == "" {
		return reconciling(metav1.ConditionFalse, v1.ReasonNoReport, "the agent's report has not been read yet"), 0
	}
	return reconciling(metav1.ConditionFalse, v1.ReasonNoReport, "the agent's report cannot be read: "+clean(failure)), 0
}

// mountPatience is how long a pod on its node may take to get its volumes and its network before that is told.
const mountPatience = 20 * time.Second

// judgeStart is about a pod that does not run yet.
func judgeStart(pod *corev1.Pod, now time.Time) (verdict, time.Duration) {
	since := unmountedSince(pod)
	if wait := since.Add(mountPatience).Sub(now); since.IsZero() || wait > 0 {
		return reconciling(metav1.ConditionFalse, v1.ReasonAgentNotReady, podState(pod)), max(0, wait)
	}
	which := ""
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			which = fmt.Sprintf(" (PersistentVolumeClaim %s is one)", v.PersistentVolumeClaim.ClaimName)
		}
	}
	return reconciling(metav1.ConditionFalse, v1.ReasonVolumesNotMounted, fmt.Sprintf(
		"the pod has not got its volumes%s or its network; its events say why: kubectl describe pod %s", which, pod.Name)), 0
}

// unmountedSince is when a pod got its node, while the kubelet says that it could not make a place for its containers there; else zero.
func unmountedSince(pod *corev1.Pod) time.Time {
	var scheduled time.Time
	waits := false
	for _, c := range pod.Status.Conditions {
		switch {
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue:
			scheduled = c.LastTransitionTime.Time
		case c.Type == corev1.PodReadyToStartContainers:
			waits = c.Status == corev1.ConditionFalse
		}
	}
	if !waits {
		return time.Time{}
	}
	return scheduled
}

// podState says why a pod does not run yet.
func podState(pod *corev1.Pod) string {
	for _, s := range pod.Status.ContainerStatuses {
		if w := s.State.Waiting; w != nil && w.Reason != "" {
			return clean(fmt.Sprintf("the pod waits: %s %s", w.Reason, w.Message))
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return clean(fmt.Sprintf("the pod has no node: %s", c.Message))
		}
	}
	return "the pod is starting"
}

// onlyCounts tells whether two statuses differ in numbers that change often and alarm nobody.
func onlyCounts(a, b v1.SoftphoneAgentStatus) bool {
	a.RegisteredLines = b.RegisteredLines
	return equality.Semantic.DeepEqual(a, b)
}
