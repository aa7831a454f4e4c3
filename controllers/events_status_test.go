package controllers_test

import (
	"strings"
	"testing"
	"time"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// TestWhatALineIsToldIsInItsStatus: the mailbox, and how the watching of others stands.
func TestWhatALineIsToldIsInItsStatus(t *testing.T) {
	w := newWorld(t)
	since := time.Now().Add(-time.Minute)
	report := func(waiting bool, news int) func(name, document string) delivery.LineReport {
		return func(string, string) delivery.LineReport {
			return delivery.LineReport{
				State: delivery.Registered, LastCode: 200, LastReason: "OK", GrantedSeconds: 600,
				Messages: &delivery.Messages{Waiting: waiting, NewMessages: news, OldMessages: 3, UrgentNew: 1, Account: "sip:a\r\nb@vm", Since: since},
				Watching: &delivery.Watching{Targets: 3, Active: 2, Failed: []delivery.FailedWatch{{URI: "bob", Reason: "489 Bad Event\x00" + strings.Repeat("x", 300)}}},
			}
		}
	}
	w.kubelet.setRegistrar(report(true, 2))
	w.apply(secret("alice", unique("alice")), line("alice"))
	s := w.account("alice", func(a *v1.SoftphoneAccount) bool { return a.Status.Messages != nil }).Status
	if m := s.Messages; !m.Waiting || m.New != 2 || m.Old != 3 || m.Urgent != 1 || m.Account != "sip:a  b@vm" || m.Since.Unix() != since.Unix() {
		t.Errorf("got %+v", m)
	}
	if b := s.Watching; b == nil || b.Targets != 3 || b.Active != 2 || len(b.Failed) != 1 || b.Failed[0].Target != "bob" || len([]rune(b.Failed[0].Reason)) > 201 {
		t.Errorf("got %+v", b)
	}
	edit(w, "alice", &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) { suspend := true; a.Spec.Suspend = &suspend })
	w.account("alice", func(a *v1.SoftphoneAccount) bool {
		return a.Status.State == v1.StateDisabled && a.Status.Messages == nil && a.Status.Watching == nil
	})
}
