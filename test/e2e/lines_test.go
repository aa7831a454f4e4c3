package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

func TestOneAccountAndItsSecretGiveARegisteredLine(t *testing.T) {
	ns := newNamespace(t)
	started := time.Now()
	apply(t, ns, line("applied", "secret-applied"))
	a := awaitAccount(t, ns, "applied", "registered", registered)
	measured(t, "account applied → Registered, agent pod included", "%s", time.Since(started).Round(time.Millisecond))

	if got := bindings(t, "applied"); len(got) != 1 {
		t.Errorf("the registrar has %q, want one contact", got)
	}
	if a.Status.Code != 200 || a.Status.Server == "" || a.Status.Contact == "" || a.Status.Agent == "" || a.Status.Since == nil {
		t.Errorf("the status leaves something out: %s", statusOf(a))
	}
	if a.Status.DeliveredHash == "" || a.Status.DeliveredHash != a.Status.ReportedHash {
		t.Errorf("delivered %q, reported %q: want the same", a.Status.DeliveredHash, a.Status.ReportedHash)
	}
	table := kubectl(t, "get", "softphone", "-A")
	t.Logf("kubectl get softphone -A\n%s", table)
	if !strings.Contains(table, "Registered") || !strings.Contains(table, a.Status.Server) {
		t.Errorf("the table does not tell the line's state and server:\n%s", table)
	}
	kubectl(t, "wait", "-n", ns, "--for=condition=Ready", "sacc/applied", "--timeout=10s")
	if events := eventsOf(t, ns, "applied"); !slices.ContainsFunc(events, func(e string) bool { return strings.Contains(e, "200") }) {
		t.Errorf("no event tells of the registration with its code: %q", events)
	}
}

func TestARotatedPasswordRegistersAgainWithoutAPodRestart(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("rotated", "secret-rotated"))
	before := awaitAccount(t, ns, "rotated", "registered", registered)
	pod := podOf(t, before)

	if err := registrar.SetPassword(t.Context(), "rotated", "fresh"); err != nil {
		t.Fatal(err)
	}
	apply(t, ns, line("rotated", "fresh"))
	awaitAccount(t, ns, "rotated", "registered with the new password", func(a *voipv1.SoftphoneAccount) bool {
		return registered(a) && a.Status.DeliveredHash != before.Status.DeliveredHash && a.Status.ReportedHash == a.Status.DeliveredHash
	})
	// The old password must be gone from the agent: drop the binding, and let the line prove itself.
	for _, contact := range bindings(t, "rotated") {
		if err := registrar.RemoveContact(t.Context(), "rotated", contact); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, ns, line("rotated", "fresh", "expires: 300"))
	until(t, "the line is bound again", func() (bool, string) {
		got := bindings(t, "rotated")
		return len(got) == 1, fmt.Sprint(got)
	})
	now := podOf(t, before)
	if now.UID != pod.UID || restarts(now) != 0 {
		t.Errorf("pod %s was replaced or restarted (%d restarts)", pod.Name, restarts(now))
	}
}

func TestAWrongPasswordIsToldInOneSentenceAndMendedByTheSecret(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("wrong", "not-the-password"))
	awaitAccount(t, ns, "wrong", "unauthorized and stalled", func(a *voipv1.SoftphoneAccount) bool {
		return a.Status.State == voipv1.StateUnauthorized && isTrue(a, voipv1.ConditionStalled)
	})
	described := kubectl(t, "describe", "sacc", "-n", ns, "wrong")
	t.Logf("kubectl describe of a line with a wrong password:\n%s", described)
	for _, want := range []string{"Unauthorized", "401", "Secret", "wrong", "password"} {
		if !strings.Contains(described, want) {
			t.Errorf("kubectl describe does not mention %q", want)
		}
	}
	if strings.Contains(described, "not-the-password") {
		t.Error("kubectl describe shows the password")
	}

	started := time.Now()
	apply(t, ns, line("wrong", "secret-wrong"))
	awaitAccount(t, ns, "wrong", "registered", registered)
	measured(t, "password put right in the Secret → Registered", "%s", time.Since(started).Round(time.Millisecond))
}

func TestADeletedAccountLeavesNoBinding(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("deleted", "secret-deleted"))
	a := awaitAccount(t, ns, "deleted", "registered", registered)
	started := time.Now()
	if err := cluster.Delete(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	until(t, "the registrar has forgotten the line", func() (bool, string) {
		got := bindings(t, "deleted")
		return len(got) == 0, fmt.Sprint(got)
	})
	measured(t, "account deleted → binding gone at the registrar", "%s", time.Since(started).Round(time.Millisecond))
}

func TestAKilledAgentPodIsReplacedAndItsLinesAreBoundOnce(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("killed", "secret-killed"))
	a := awaitAccount(t, ns, "killed", "registered", registered)
	pod, contact := podOf(t, a), bindings(t, "killed")[0]

	started := time.Now()
	if err := cluster.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	awaitAccount(t, ns, "killed", "registered from another pod", func(now *voipv1.SoftphoneAccount) bool {
		return registered(now) && now.Status.Contact != a.Status.Contact
	})
	measured(t, "agent pod killed → registered again", "%s", time.Since(started).Round(time.Millisecond))
	until(t, "exactly the new binding is left", func() (bool, string) {
		got := bindings(t, "killed")
		return len(got) == 1 && got[0] != contact, fmt.Sprint(got)
	})
}

func TestASuspendedAccountIsUnregisteredAndReady(t *testing.T) {
	ns := newNamespace(t)
	text := line("suspended", "secret-suspended")
	apply(t, ns, text)
	awaitAccount(t, ns, "suspended", "registered", registered)
	apply(t, ns, strings.Replace(text, "spec:\n", "spec:\n  suspend: true\n", 1))
	awaitAccount(t, ns, "suspended", "suspended", func(a *voipv1.SoftphoneAccount) bool {
		return because(a, voipv1.ConditionReady, voipv1.ReasonSuspended) && isTrue(a, voipv1.ConditionReady)
	})
	until(t, "the suspended line is unbound", func() (bool, string) {
		got := bindings(t, "suspended")
		return len(got) == 0, fmt.Sprint(got)
	})
}

func restarts(p *corev1.Pod) (n int32) {
	for _, c := range p.Status.ContainerStatuses {
		n += c.RestartCount
	}
	return n
}
