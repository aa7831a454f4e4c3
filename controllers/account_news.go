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
	{v1.ConditionCertificateExpiring, "Connect"},
}

// news lists the transitions between two states of an account's conditions. What
// is only on its way (Unknown, not placed yet, or held back) is no news.
func news(before, after []metav1.Condition) []piece {
	var out []piece
	for _, n := range newsworthy {
		now := meta.FindStatusCondition(after, n.condition)
		old := meta.FindStatusCondition(before, n.condition)
		if now == nil || now.Status == metav1.ConditionUnknown || now.Reason == v1.ReasonPlacing || now.Reason == v1.ReasonHeldBack {
			continue
		}
		if old != nil && old.Status == now.Status && old.Reason == now.Reason {
			continue
		}
		if old == nil && now.Status == metav1.ConditionTrue && (n.condition == v1.ConditionAccepted || n.condition == v1.ConditionRendered) {
			continue // a sound account is what everyone expects
		}
		p := piece{corev1.EventTypeWarning, now.Reason, n.action, now.Message}
		if goodNews(now) {
			p.kind = corev1.EventTypeNormal
		}
		if len(p.note) > 1000 { // an Event's note has at most 1024 bytes
			p.note = p.note[:1000] + "…"
		}
		out = append(out, p)
	}
	return out
}

// goodNews are those that nobody need act on.
func goodNews(c *metav1.Condition) bool {
	switch c.Reason {
	case v1.ReasonSuspended, v1.ReasonNotRegisteringByPolicy, v1.ReasonTrunkUp:
		return true
	}
	return c.Status == metav1.ConditionTrue && c.Type != v1.ConditionCertificateExpiring
}
