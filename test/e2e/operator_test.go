package e2e

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/test/drill"
)

// TestLinesStayRegisteredWhileTheManagerIsDown takes the operator away for
// longer than a registration lives.
func TestLinesStayRegisteredWhileTheManagerIsDown(t *testing.T) {
	away := drill.Pick(35*time.Second, 10*time.Minute)
	ns := newNamespace(t)
	apply(t, ns, line("steady", "secret-steady", "expires: 30"))
	a := awaitAccount(t, ns, "steady", "registered", registered)

	scaleManager(t.Context(), t, 0)
	t.Cleanup(func() { scaleManager(context.Background(), t, 1) })
	deadline := time.After(away)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	looks := 0
watching:
	for {
		select {
		case <-tick.C:
			looks++
			if got := bindings(t, "steady"); len(got) != 1 || got[0] != a.Status.Contact {
				t.Fatalf("with the manager down the registrar has %q, want %q", got, a.Status.Contact)
			}
		case <-deadline:
			break watching
		}
	}
	measured(t, "manager away, registrations of 30 s", "%s: bound at each of %d looks", away, looks)

	scaleManager(t.Context(), t, 1)
	apply(t, ns, line("steady", "secret-steady", "expires: 60"))
	awaitAccount(t, ns, "steady", "registered under the returned manager", func(now *voipv1.SoftphoneAccount) bool {
		return registered(now) && now.Status.DeliveredHash != a.Status.DeliveredHash && now.Status.ReportedHash == now.Status.DeliveredHash
	})
}

// TestAnOutageOfTheOperatorStopsNoCheck takes the operator away: the agent goes on
// running its check, and the status has the runs when the operator is back.
func TestAnOutageOfTheOperatorStopsNoCheck(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("looking", "secret-looking"))
	apply(t, ns, line("looked-at", "secret-looked-at", echoing...))
	apply(t, ns, `
apiVersion: voip.softphone.dev/v1
kind: CallCheck
metadata: {name: steadfast}
spec: {from: looking, to: {account: looked-at}, schedule: {intervalSeconds: 10}, durationSeconds: 2}
`)
	pod := podOf(t, awaitAccount(t, ns, "looking", "registered", registered))
	kubectl(t, "wait", "-n", ns, "--for=condition=Passing", "callcheck/steadfast", "--timeout=90s")

	scaleManager(t.Context(), t, 0)
	t.Cleanup(func() { scaleManager(context.Background(), t, 1) })
	wanted := passedRuns(t, pod, "steadfast") + 3
	until(t, "three runs pass without an operator", func() (bool, string) {
		passed := passedRuns(t, pod, "steadfast")
		return passed >= wanted, fmt.Sprintf("%d passed, wanted are %d", passed, wanted)
	})

	scaleManager(t.Context(), t, 1)
	until(t, "the status has the runs of the outage", func() (bool, string) {
		var c voipv1.CallCheck
		if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "steadfast"}, &c); err != nil {
			return false, err.Error()
		}
		return c.Status.Counts != nil && int(c.Status.Counts.Pass) >= wanted, fmt.Sprintf("%+v", c.Status.Counts)
	})
}

// passedRuns is how often a check has passed, as its agent's metrics tell.
func passedRuns(t *testing.T, pod *corev1.Pod, name string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+net.JoinHostPort(pod.Status.PodIP, "8080")+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(string(text)) {
		if strings.HasPrefix(row, "softphone_check_runs_total{") && strings.Contains(row, fmt.Sprintf("check=%q", name)) && strings.Contains(row, `verdict="pass"`) {
			n, err := strconv.Atoi(row[strings.LastIndexByte(row, ' ')+1 : len(row)-1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("the agent's metrics know no check %s:\n%s", name, text)
	return 0
}

// scaleManager sets the number of managers and waits until it is so.
func scaleManager(ctx context.Context, t *testing.T, replicas int32) {
	t.Helper()
	var d appsv1.Deployment
	key := client.ObjectKey{Namespace: managerNamespace, Name: "softphone-manager"}
	if err := cluster.Get(ctx, key, &d); err != nil {
		t.Fatal(err)
	}
	if ptr.Deref(d.Spec.Replicas, 1) != replicas {
		patch := client.MergeFrom(d.DeepCopy())
		d.Spec.Replicas = &replicas
		if err := cluster.Patch(ctx, &d, patch); err != nil {
			t.Fatal(err)
		}
	}
	until(t, fmt.Sprintf("%d managers run", replicas), func() (bool, string) {
		var pods corev1.PodList
		if err := cluster.List(ctx, &pods, client.InNamespace(managerNamespace), client.MatchingLabels(d.Spec.Selector.MatchLabels)); err != nil {
			return false, err.Error()
		}
		ready := readyPods(&pods)
		return ready == int(replicas) && len(pods.Items) == int(replicas), fmt.Sprintf("%d pods, %d ready", len(pods.Items), ready)
	})
}

// TestEveryEditReachesTheAgent edits a line again and again, each time as soon
// as the agent has reported the hash of the edit before.
func TestEveryEditReachesTheAgent(t *testing.T) {
	const edits = 200
	ns := newNamespace(t)
	apply(t, ns, line("edited", "secret-edited"))
	awaitAccount(t, ns, "edited", "registered", registered)

	var took []time.Duration
	for i := range edits {
		before, err := getAccount(t.Context(), ns, "edited")
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		apply(t, ns, line("edited", "secret-edited", fmt.Sprintf("autoAnswerTimeoutInSeconds: %d", i+1)))
		awaitAccount(t, ns, "edited", fmt.Sprintf("reporting edit %d", i+1), func(a *voipv1.SoftphoneAccount) bool {
			return a.Status.DeliveredHash != before.Status.DeliveredHash && a.Status.ReportedHash == a.Status.DeliveredHash && a.Status.ObservedGeneration > before.Generation
		})
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	at := func(p int) time.Duration { return took[min(len(took)-1, len(took)*p/100)].Round(time.Millisecond) }
	measured(t, fmt.Sprintf("%d edits in a row, apply → the hash reported in status", edits), "p50 %s, p90 %s, p99 %s, max %s", at(50), at(90), at(99), at(100))
	// The goal is 2 s; the machine is shared, so the gate is what no working delivery can miss.
	if at(99) > 10*time.Second {
		t.Errorf("p99 is %s: edits wait for the kubelet's own period", at(99))
	}
}

// TestACrowdSharesAgents places many lines in a fleet of small agents.
func TestACrowdSharesAgents(t *testing.T) {
	ns := newNamespace(t)
	const perAgent = 8
	apply(t, ns, fmt.Sprintf(`
apiVersion: voip.softphone.dev/v1
kind: SoftphoneFleet
metadata: {name: default}
spec: {linesPerAgent: %d}
`, perAgent))
	started := time.Now()
	for i := range manyLines {
		apply(t, ns, line(manyUser(i), "secret-"+manyUser(i)))
	}
	on := map[string]int{}
	for i := range manyLines {
		a := awaitAccount(t, ns, manyUser(i), "registered", registered)
		on[a.Status.Agent]++
	}
	measured(t, fmt.Sprintf("%d accounts applied → all registered, on %d new agents", manyLines, len(on)), "%s", time.Since(started).Round(time.Millisecond))
	want := (manyLines + perAgent - 1) / perAgent
	if len(on) != want {
		t.Errorf("%d lines of %d an agent are on %d agents, want %d", manyLines, perAgent, len(on), want)
	}
	for agent, lines := range on {
		if lines > perAgent {
			t.Errorf("agent %s has %d lines, over its capacity of %d", agent, lines, perAgent)
		}
	}
	var fleet voipv1.SoftphoneFleet
	until(t, "the fleet is ready", func() (bool, string) {
		if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "default"}, &fleet); err != nil {
			return false, err.Error()
		}
		return fleet.Status.Agents == int32(want) && fleet.Status.RegisteredLines == manyLines, fmt.Sprintf("%+v", fleet.Status)
	})
}

// TestTheAgentPodIsConfined looks at the pod itself; its namespace enforces
// PodSecurity restricted, so the API server has judged it, too.
func TestTheAgentPodIsConfined(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("confined", "secret-confined"))
	a := awaitAccount(t, ns, "confined", "registered", registered)
	pod := podOf(t, a)

	if ptr.Deref(pod.Spec.AutomountServiceAccountToken, true) {
		t.Error("the pod may mount a service-account token")
	}
	for _, v := range pod.Spec.Volumes {
		if v.Projected != nil || v.HostPath != nil {
			t.Errorf("volume %s is projected or of the host", v.Name)
		}
	}
	for _, c := range pod.Spec.Containers {
		s := c.SecurityContext
		switch {
		case s == nil:
			t.Errorf("container %s has no security context", c.Name)
		case !ptr.Deref(s.ReadOnlyRootFilesystem, false):
			t.Errorf("container %s may write to its root", c.Name)
		case s.Capabilities == nil || len(s.Capabilities.Add) > 0 || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}):
			t.Errorf("container %s keeps capabilities: %+v", c.Name, s.Capabilities)
		case ptr.Deref(s.AllowPrivilegeEscalation, true):
			t.Errorf("container %s may escalate", c.Name)
		}
	}
	// The control listener is on the pod's loopback alone.
	if pod.Status.PodIP == "" {
		t.Fatal("the pod has no address")
	}
	if conn, err := dial(t.Context(), pod.Status.PodIP+":8081"); err == nil {
		_ = conn.Close()
		t.Error("the control listener can be reached from the network")
	}
	if conn, err := dial(t.Context(), pod.Status.PodIP+":8080"); err != nil {
		t.Errorf("the health listener cannot be reached: %v", err)
	} else {
		_ = conn.Close()
	}
}

// TestNoSecretIsPrinted looks for passwords wherever others may read.
func TestNoSecretIsPrinted(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("discreet", "secret-discreet"))
	a := awaitAccount(t, ns, "discreet", "registered", registered)
	pod := podOf(t, a)
	for where, text := range map[string]string{
		"the account":   kubectl(t, "get", "sacc", "-n", ns, "-o", "yaml"),
		"the agent":     kubectl(t, "get", "sagent", "-n", ns, "-o", "yaml"),
		"the pod":       kubectl(t, "get", "pod", "-n", ns, "-o", "yaml"),
		"the events":    kubectl(t, "get", "events", "-n", ns, "-o", "yaml"),
		"agent's log":   kubectl(t, "logs", "-n", ns, pod.Name),
		"manager's log": kubectl(t, "logs", "-n", managerNamespace, "deploy/softphone-manager", "--tail=-1"),
		"status":        run1(t, "bin/kubectl-softphone", "status", "-n", ns, "discreet", "-o", "json"),
		"ladder":        run1(t, "bin/kubectl-softphone", "trace", "-n", ns, "discreet"),
		"trace":         run1(t, "bin/kubectl-softphone", "trace", "-n", ns, "discreet", "-o", "json"),
		"capture":       run1(t, "bin/kubectl-softphone", "trace", "-n", ns, "discreet", "-o", "pcap"),
	} {
		if strings.Contains(text, "secret-discreet") {
			t.Errorf("%s shows the password", where)
		}
		if cmp.Or(text, "") == "" {
			t.Errorf("%s is empty: nothing was looked at", where)
		}
	}
}
