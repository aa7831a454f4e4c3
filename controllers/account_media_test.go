package controllers

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestMediaReachable(t *testing.T) {
	for what, c := range map[string]struct {
		report               delivery.MediaReport
		status, reason, says string
	}{
		"no NAT": {delivery.MediaReport{Reach: "reachable", Way: "plain", Finding: "Direct", Address: "192.0.2.1"},
			"True", "Direct", "calls announce the agent's own address, 192.0.2.1, and others see no other"},
		"nobody has seen the agent": {delivery.MediaReport{Reach: "unsure", Way: "plain", Finding: "Direct", Address: "192.0.2.1", Detail: "STUN server 192.0.2.9:3478 does not answer"},
			"Unknown", "Direct", "192.0.2.1 (STUN server 192.0.2.9:3478 does not answer)"},
		"a NAT that STUN sees through": {delivery.MediaReport{Reach: "reachable", Way: "stun", Finding: "Mapped", Address: "203.0.113.1"},
			"True", "Mapped", "behind a NAT, calls announce 203.0.113.1"},
		"a relay": {delivery.MediaReport{Reach: "reachable", Way: "turn", Finding: "Relayed", Address: "203.0.113.9"}, "True", "Relayed", "203.0.113.9, a TURN server's"},
		"a NAT and nobody who tells": {delivery.MediaReport{Reach: "unsure", Way: "plain", Finding: "BehindNAT", Address: "10.0.0.1", Seen: "203.0.113.1"},
			"Unknown", "BehindNAT", "own address, 10.0.0.1, but the server sees it at 203.0.113.1"},
		"a symmetric NAT":          {delivery.MediaReport{Reach: "unreachable", Way: "plain", Finding: "SymmetricNAT", Address: "10.0.0.1"}, "False", "SymmetricNAT", "another address for everybody"},
		"no relay":                 {delivery.MediaReport{Reach: "unreachable", Finding: "NoRelay", Address: "10.0.0.1", Detail: "no relay: 401"}, "False", "NoRelay", "no TURN server does (no relay: 401)"},
		"no port":                  {delivery.MediaReport{Reach: "unreachable", Finding: "NoPorts", Detail: "no free port in 20000-20001"}, "False", "NoPorts", "(no free port in 20000-20001)"},
		"what a newer agent knows": {delivery.MediaReport{Reach: "reachable", Finding: "ByMagic\n"}, "Unknown", "NoReport", "ByMagic"},
		"an address that is none":  {delivery.MediaReport{Reach: "reachable", Finding: "Mapped", Address: "<script>"}, "True", "Mapped", "an unknown address"},
	} {
		f := placedFacts(report(delivery.Registered, minute, func(l *delivery.LineReport) { l.Media = &c.report }))
		status, _ := decideAccount(f)
		got := meta.FindStatusCondition(status.Conditions, v1.ConditionMediaReachable)
		if got == nil || string(got.Status) != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.says) || strings.Contains(got.Message, "\n") {
			t.Errorf("%s: %+v", what, got)
		}
		if ready := meta.FindStatusCondition(status.Conditions, v1.ConditionReady); ready.Reason != v1.ReasonRegistered {
			t.Errorf("%s: Ready is %+v: that the line is registered is true all the same", what, ready)
		}
		silent := placedFacts(nil)
		silent.account.Status = status
		if kept, _ := decideAccount(silent); meta.FindStatusCondition(kept.Conditions, v1.ConditionMediaReachable) == nil {
			t.Errorf("%s: it was forgotten with a report that is missing for a moment", what)
		}
		f.account.Status = status
		f.account.Spec.Suspend = ptr.To(true)
		if kept, _ := decideAccount(f); meta.FindStatusCondition(kept.Conditions, v1.ConditionMediaReachable) != nil {
			t.Errorf("%s: it is still told of a suspended line", what)
		}
	}
	status, _ := decideAccount(placedFacts(report(delivery.Registered, minute, nil)))
	if got := meta.FindStatusCondition(status.Conditions, v1.ConditionMediaReachable); got != nil {
		t.Errorf("nothing is known, and it says %+v", got)
	}
}
