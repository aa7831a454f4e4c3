package controllers

import (
	"github.com/softphone-operator/softphone-operator/delivery"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// holder is the agent whose report speaks for the line. While a line moves it is
// active on two: the one where it is healthy, rather the one published already.
func holder(acc *v1.SoftphoneAccount, agents []v1.SoftphoneAgent, healthy func(*v1.SoftphoneAgent) bool) (*v1.SoftphoneAgent, v1.LineBinding) {
	var best *v1.SoftphoneAgent
	var binding v1.LineBinding
	rank := -1
	for i := range agents {
		a := &agents[i]
		for _, b := range a.Spec.Lines {
			if b.Name != acc.Name || b.State == v1.BindingDraining || !a.DeletionTimestamp.IsZero() {
				continue
			}
			score := 0
			if healthy(a) {
				score += 2
			}
			if a.Name == acc.Status.Agent {
				score++
			}
			if score > rank {
				best, binding, rank = a, b, score
			}
		}
	}
	return best, binding
}

// rejection is why an agent refuses a line's file; empty = it does not.
func rejection(rejected []delivery.Rejected, line string) string {
	for _, r := range rejected {
		if r.File == delivery.LineFile(line) {
			return clean(r.Reason)
		}
	}
	return ""
}
