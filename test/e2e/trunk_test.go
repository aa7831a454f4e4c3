package e2e

import (
	"fmt"
	"net/netip"
	"testing"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// TestATrunkIsUpWhileItsServerIs has a server that goes and comes back, and never
// a registration.
func TestATrunkIsUpWhileItsServerIs(t *testing.T) {
	ns := newNamespace(t)
	server := kamailio.ForTest(t, kamailio.Config{Listen: netip.AddrPortFrom(registrar.Addr().Addr(), 0)})
	apply(t, ns, fmt.Sprintf(`
apiVersion: voip.softphone.dev/v1
kind: SoftphoneFleet
metadata: {name: trunks}
spec: {registrar: {qualifySeconds: 1}}
---
apiVersion: voip.softphone.dev/v1
kind: SoftphoneAccount
metadata: {name: trunk}
spec:
  fleet: trunks
  trunk: true
  account: {username: trunk, host: %q}
`, server.Addr()))
	up := func(a *voipv1.SoftphoneAccount) bool {
		return isTrue(a, voipv1.ConditionReady) && because(a, voipv1.ConditionReady, voipv1.ReasonTrunkUp) && a.Status.Code == 200
	}
	a := awaitAccount(t, ns, "trunk", "up", up)
	if a.Status.State != voipv1.StateIdle || a.Status.Server == "" || a.Status.Contact != "" || isTrue(a, voipv1.ConditionRegistered) {
		t.Errorf("the trunk is %s", statusOf(a))
	}
	if got, err := server.Dump(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("the server has %v, %v: want no binding", got, err)
	}
	kubectl(t, "wait", "-n", ns, "--for=condition=Ready", "sacc/trunk", "--timeout=10s")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	down := awaitAccount(t, ns, "trunk", "down", func(a *voipv1.SoftphoneAccount) bool {
		return a.Status.State == voipv1.StateError && !isTrue(a, voipv1.ConditionReady)
	})
	t.Logf("its server gone: %s", statusOf(down))
	fleetBecause(t, ns, "trunks", voipv1.ReasonRegistrarUnreachable)
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitAccount(t, ns, "trunk", "up again", up)
	fleetBecause(t, ns, "trunks", voipv1.ReasonReady)
}

// fleetBecause waits until a fleet is ready, or is not, for a reason.
func fleetBecause(t *testing.T, namespace, name, reason string) {
	t.Helper()
	until(t, "fleet "+name+" is "+reason, func() (bool, string) {
		got := kubectl(t, "get", "sfleet", "-n", namespace, name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].reason}`)
		return got == reason, got
	})
}
