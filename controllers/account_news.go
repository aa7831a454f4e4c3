package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// piece of news, as an Event tells it.
type piece struct{ kind, reason, action, note string }

// newsworthy are the conditions whose transitions are told, and what was being done then.
var newsworthy = []struct{ condition, action string }{
	{v1.ConditionAccepted, "Accept"},
	{v1.ConditionRendered, "Render"},
	{v1.ConditionScheduled, "Schedule"},
	{v1.ConditionRegistered, "Register"},
}

// news lists the transitions between two states of an account's conditions. What
// is only on its way (Unknown, or not placed yet) is no news.
func news(before, after []metav1.Condition) []piece {
	var out []piece
	for _, n := range newsworthy {
		now := meta.FindStatusCondition(after, n.condition)
		old := meta.FindStatusCondition(before, n.condition)
		if now == nil || now.Status == metav1.ConditionUnknown || now.Reason == v1.ReasonPlacing {
			continue
		}
		if old != nil && old.Status == now.Status && old.Reason == now.Reason {
			continue
		}
		if old == nil && now.Status == metav1.ConditionTrue && (n.condition == v1.ConditionAccepted || n.condition == v1.ConditionRendered) {
			continue // a sound account is what everyone expects
		}
		p := piece{corev1.EventTypeWarning, now.Reason, n.action, now.Message}
		if now.Status == metav1.ConditionTrue || now.Reason == v1.ReasonSuspended || now.Reason == v1.ReasonNotRegisteringByPolicy {
			p.kind = corev1.EventTypeNormal
		}
		if len(p.note) > 1000 { // an Event's note has at most 1024 bytes
			p.note = p.note[:1000] + "…"
		}
		out = append(out, p)
	}
	return out
}
