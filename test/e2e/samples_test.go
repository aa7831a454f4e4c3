package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestTheSamplesRun applies config/samples as they stand; their lines are those
// of the development cluster's own registrar.
func TestTheSamplesRun(t *testing.T) {
	ns := newNamespace(t)
	site := newSecureSite(t, 5061, "carol") // the default port of TLS: the sample names none
	apply(t, ns, site.bundle("carrier-ca"))
	apply(t, ns, site.client("carol-tls", "carol", time.Now().AddDate(0, 3, 0)))
	kubectl(t, "apply", "-n", ns, "-k", "config/samples")
	for _, name := range []string{"alice", "bob", "carol"} {
		a := awaitAccount(t, ns, name, "registered", registered)
		if !strings.HasPrefix(a.Status.Agent, a.FleetName()+"-") {
			t.Errorf("%s of fleet %s runs on agent %s", name, a.FleetName(), a.Status.Agent)
		}
	}
	kubectl(t, "wait", "-n", ns, "--for=condition=Passing", "callcheck/bob-calls-alice", "--timeout=90s")
}
