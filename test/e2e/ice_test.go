package e2e

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// TestPodsFindEachOtherByICE puts two lines with ICE into two ordinary pods: each checks the other's own address, and audio
// goes straight from pod to pod.
func TestPodsFindEachOtherByICE(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, `
apiVersion: voip.softphone.dev/v1
kind: SoftphoneFleet
metadata: {name: default}
spec: {linesPerAgent: 1}
`)
	const ice = "natTraversal: ice"
	apply(t, ns, line("pairing", "secret-pairing", ice))
	apply(t, ns, line("paired", "secret-paired", append([]string{ice}, echoing...)...))
	own := map[string]string{} // whose pod has the address
	for _, user := range []string{"pairing", "paired"} {
		a := awaitAccount(t, ns, user, "registered, and known to be reached", func(a *voipv1.SoftphoneAccount) bool {
			return registered(a) && isTrue(a, voipv1.ConditionMediaReachable)
		})
		reach := meta.FindStatusCondition(a.Status.Conditions, voipv1.ConditionMediaReachable)
		pod := podOf(t, a)
		t.Logf("%s: pod %s at %s, host network %t; %s %s: %s", user, pod.Name, pod.Status.PodIP, pod.Spec.HostNetwork, reach.Type, reach.Reason, reach.Message)
		if pod.Spec.HostNetwork || pod.Status.PodIP == "" || pod.Status.PodIP == pod.Status.HostIP || own[pod.Status.PodIP] != "" {
			t.Errorf("%s runs at %q of node %s, want an address of its own pod; others: %v", user, pod.Status.PodIP, pod.Status.HostIP, own)
		}
		own[pod.Status.PodIP] = user
		if want := "calls announce the agent's own address, " + pod.Status.PodIP + ", and others see no other"; reach.Reason != voipv1.ReasonDirect || !strings.HasPrefix(reach.Message, want) {
			t.Errorf("%s says %s: %q, want %s: %q", user, reach.Reason, reach.Message, voipv1.ReasonDirect, want)
		}
	}

	call, err := place(t, ns, "pairing", "paired", "--seconds", "4")
	if err != nil {
		t.Errorf("the call failed: %v", err)
	}
	if call.NAT != "ice host/host" {
		t.Errorf("audio goes by %q, want the pods' own addresses: ice host/host", call.NAT)
	}
	if call.RTP.Sent < 150 || call.RTP.Received < 150 {
		t.Errorf("sent %d packets and received %d in 4 s of 20 ms packets: want at least 150 each way", call.RTP.Sent, call.RTP.Received)
	}
	t.Logf("audio by %s, %d packets sent, %d received, %d lost", call.NAT, call.RTP.Sent, call.RTP.Received, call.RTP.Lost)
}
