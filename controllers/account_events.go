package controllers

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// messages is what an agent reported of a line's mailbox. It comes from the network
// by way of the agent, and is made fit for a status.
func messages(m *delivery.Messages) *v1.MessagesStatus {
	if m == nil {
		return nil
	}
	since := metav1.NewTime(m.Since).Rfc3339Copy()
	return &v1.MessagesStatus{
		Waiting: m.Waiting, New: int32(m.NewMessages), Old: int32(m.OldMessages), Urgent: int32(m.UrgentNew),
		Account: clean(m.Account), Since: &since,
	}
}

// watching is how a line's watching of others stands.
func watching(w *delivery.Watching) *v1.WatchingStatus {
	if w == nil {
		return nil
	}
	out := &v1.WatchingStatus{Targets: int32(w.Targets), Active: int32(w.Active)}
	for _, f := range w.Failed[:min(len(w.Failed), delivery.MostFailedWatches)] {
		out.Failed = append(out.Failed, v1.FailedWatch{Target: clean(f.URI), Reason: clean(f.Reason)})
	}
	return out
}
