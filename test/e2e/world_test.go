package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// patience bounds every wait; the machine may be busy, the product must not be that slow (measured apart).
const patience = 90 * time.Second

// newNamespace makes a namespace that enforces PodSecurity restricted, gone
// with the test. When the test failed, what the cluster knows is shown first.
func newNamespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "e2e-",
		Labels:       map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	if err := cluster.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("accounts:\n%s", kubectlOutput("get", "sacc,sagent,ccheck,pods", "-n", ns.Name, "-o", "wide"))
			t.Logf("events:\n%s", kubectlOutput("get", "events", "-n", ns.Name))
			t.Logf("manager:\n%s", kubectlOutput("logs", "-n", managerNamespace, "deploy/softphone-manager", "--tail=40"))
			t.Logf("agents:\n%s", kubectlOutput("logs", "-n", ns.Name, "-l", voipv1.LabelFleet, "--tail=40", "--prefix"))
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := cluster.Delete(ctx, ns); err != nil {
			t.Error(err)
		}
	})
	return ns.Name
}

// apply does what `kubectl apply --server-side` does with a YAML text.
func apply(t *testing.T, namespace, text string) {
	t.Helper()
	if err := tryApply(t.Context(), namespace, text); err != nil {
		t.Fatal(err)
	}
}

func tryApply(ctx context.Context, namespace, text string) error {
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if len(object.Object) == 0 {
			continue
		}
		if namespace != "" {
			object.SetNamespace(namespace)
		}
		if err := cluster.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("e2e"), client.ForceOwnership); err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

// line is an account and its Secret as a user writes them; more is added to spec.account.
func line(user, password string, more ...string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: %[1]s}
stringData: {password: %[2]q}
---
apiVersion: voip.softphone.dev/v1
kind: SoftphoneAccount
metadata: {name: %[1]s}
spec:
  account:
    username: %[1]s
    password: {secretKeyRef: {name: %[1]s, key: password}}
    host: %[3]q
%[4]s`, user, password, registrar.Addr().String(), indent(more, "    "))
}

func indent(lines []string, by string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(by + l + "\n")
	}
	return b.String()
}

// echoing makes a line answer at once; without a flow the answer is an echo.
var echoing = []string{"autoAnswerEnabled: true", "autoAnswerTimeoutInSeconds: 0"}

func getAccount(ctx context.Context, namespace, name string) (*voipv1.SoftphoneAccount, error) {
	var a voipv1.SoftphoneAccount
	err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &a)
	return &a, err
}

// awaitAccount watches an account until ok says so; the account is returned.
func awaitAccount(t *testing.T, namespace, name, what string, ok func(*voipv1.SoftphoneAccount) bool) *voipv1.SoftphoneAccount {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last *voipv1.SoftphoneAccount
	for {
		w, err := cluster.Watch(ctx, &voipv1.SoftphoneAccountList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": name})
		if err != nil {
			t.Fatalf("account %s never %s: %v; last seen: %s", name, what, err, statusOf(last))
		}
		for event := range w.ResultChan() {
			a, isAccount := event.Object.(*voipv1.SoftphoneAccount)
			if !isAccount {
				break
			}
			if last = a; ok(a) {
				w.Stop()
				return a
			}
		}
		w.Stop()
		if ctx.Err() != nil {
			t.Fatalf("account %s was not %s within %s; last seen: %s", name, what, patience, statusOf(last))
		}
	}
}

func statusOf(a *voipv1.SoftphoneAccount) string {
	if a == nil {
		return "nothing"
	}
	text, _ := json.MarshalIndent(a.Status, "", " ")
	return string(text)
}

func registered(a *voipv1.SoftphoneAccount) bool {
	return a.Status.State == voipv1.StateRegistered && isTrue(a, voipv1.ConditionReady) && a.Status.ObservedGeneration == a.Generation
}

func isTrue(a *voipv1.SoftphoneAccount, condition string) bool {
	return meta.IsStatusConditionTrue(a.Status.Conditions, condition)
}

// because tells whether a condition is there with a reason.
func because(a *voipv1.SoftphoneAccount, condition, reason string) bool {
	c := meta.FindStatusCondition(a.Status.Conditions, condition)
	return c != nil && c.Reason == reason
}

// podOf is the pod that carries an account's line.
func podOf(t *testing.T, a *voipv1.SoftphoneAccount) *corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	if err := cluster.List(t.Context(), &pods, client.InNamespace(a.Namespace), client.MatchingLabels{voipv1.LabelAgent: a.Status.Agent}); err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil {
			return &p
		}
	}
	t.Fatalf("agent %q of account %s has no pod", a.Status.Agent, a.Name)
	return nil
}

// until asks again and again, for what gives no events (the registrar's table).
func until(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, seen := ok()
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within %s; last seen: %s", what, patience, seen)
		}
	}
}

// bindings are the contacts the registrar has of a user.
func bindings(t *testing.T, user string) []string {
	t.Helper()
	found, err := registrar.Contacts(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	var contacts []string
	for _, b := range found {
		contacts = append(contacts, b.Contact)
	}
	return contacts
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "kubectl", args...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), stderr.String())
	}
	return out.String()
}

// kubectlOutput is for showing things after a failure: whatever it says is shown.
func kubectlOutput(args ...string) string {
	out, err := exec.Command("kubectl", args...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s(%v)", out, err)
	}
	return string(out)
}

// eventsOf are the notes of the events about an account, oldest first.
func eventsOf(t *testing.T, namespace, name string) []string {
	t.Helper()
	var list eventsv1.EventList
	if err := cluster.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	var notes []string
	for _, e := range list.Items {
		if e.Regarding.Name == name {
			notes = append(notes, e.Type+" "+e.Reason+": "+e.Note)
		}
	}
	return notes
}

// dial tries a TCP connection, for a moment.
func dial(ctx context.Context, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", address)
}

// run1 gives the output of a program that must succeed.
func run1(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", program, strings.Join(args, " "), err)
	}
	return string(out)
}
