package controllers

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// conditionSet writes conditions of one object at one generation.
type conditionSet struct {
	conditions *[]metav1.Condition
	generation int64
}

func (s conditionSet) set(condition string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(s.conditions, metav1.Condition{
		Type: condition, Status: status, Reason: reason, Message: message, ObservedGeneration: s.generation,
	})
}

func (s conditionSet) remove(condition string) { meta.RemoveStatusCondition(s.conditions, condition) }

// verdict is the sum of everything: what Ready, Reconciling and Stalled say.
type verdict struct {
	ready   metav1.ConditionStatus
	reason  string
	message string
	// reconciling: work goes on by itself. stalled: the user must act. Never both.
	reconciling, stalled bool
}

func ready(reason, message string) verdict {
	return verdict{ready: metav1.ConditionTrue, reason: reason, message: message}
}

func reconciling(status metav1.ConditionStatus, reason, message string) verdict {
	return verdict{ready: status, reason: reason, message: message, reconciling: true}
}

func stalled(reason, message string) verdict {
	return verdict{ready: metav1.ConditionFalse, reason: reason, message: message, stalled: true}
}

// write puts a verdict into the three conditions. Reconciling and Stalled are
// there only while they hold (kstatus).
func (s conditionSet) write(v verdict) {
	s.set(v1.ConditionReady, v.ready, v.reason, v.message)
	for condition, holds := range map[string]bool{v1.ConditionReconciling: v.reconciling, v1.ConditionStalled: v.stalled} {
		if holds {
			s.set(condition, metav1.ConditionTrue, v.reason, v.message)
		} else {
			s.remove(condition)
		}
	}
}

// conditionIs tells whether a condition is there with a status.
func conditionIs(conditions []metav1.Condition, condition string, status metav1.ConditionStatus) bool {
	return meta.IsStatusConditionPresentAndEqual(conditions, condition, status)
}
