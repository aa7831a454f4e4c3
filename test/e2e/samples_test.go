package e2e

import (
	"strings"
	"testing"
)

// TestTheSamplesRun applies config/samples as they stand; their lines are those
// of the development cluster's own registrar.
func TestTheSamplesRun(t *testing.T) {
	ns := newNamespace(t)
	kubectl(t, "apply", "-n", ns, "-k", "config/samples")
	for _, name := range []string{"alice", "bob"} {
		a := awaitAccount(t, ns, name, "registered", registered)
		if !strings.HasPrefix(a.Status.Agent, a.FleetName()+"-") {
			t.Errorf("%s of fleet %s runs on agent %s", name, a.FleetName(), a.Status.Agent)
		}
	}
}
