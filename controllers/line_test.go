package controllers_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestOneAccountAndItsSecretGiveARegisteredLine(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), line("alice"))
	acc := w.registered("alice")
	s := acc.Status
	if s.State != v1.StateRegistered || s.Agent != "default-0" || s.Slot != 1 || s.Server != "10.77.0.1:5060/udp" || s.Code != 200 || s.Reason != "OK" ||
		s.GrantedSeconds != 600 || s.Since == nil || s.Address != "alice@registrar.test" || s.DeliveredHash == "" || s.ReportedHash != s.DeliveredHash {
		t.Errorf("got %+v", s)
	}
	for _, kind := range []string{v1.ConditionAccepted, v1.ConditionRendered, v1.ConditionScheduled, v1.ConditionRegistered} {
		if c := condition(s.Conditions, kind); c.Status != "True" || c.ObservedGeneration != acc.Generation {
			t.Errorf("condition %s: %+v", kind, c)
		}
	}
	agent := w.agent("default-0", func(a *v1.SoftphoneAgent) bool {
		return condition(a.Status.Conditions, v1.ConditionReady).Status == "True" && a.Status.RegisteredLines == 1
	})
	if agent.Status.Lines != 1 || agent.Status.Address == "" || agent.Status.Version != "fake" || agent.Status.DeliveredHash != agent.Status.ReportedHash {
		t.Errorf("got %+v", agent.Status)
	}
	files := w.files("default-0")
	if password(string(files["alice.xml"])) != unique("alice") || len(files[delivery.AgentFile]) == 0 {
		t.Errorf("delivered: %s", files["alice.xml"])
	}
	guards := client.ObjectKey{Namespace: w.namespace, Name: podspec.FleetObjectName("default")}
	budget, policy := &policyv1.PodDisruptionBudget{}, &networkingv1.NetworkPolicy{}
	must(t, api.Get(t.Context(), guards, budget))
	must(t, api.Get(t.Context(), guards, policy))
	if budget.Spec.MinAvailable.IntVal != 1 {
		t.Errorf("got %+v", budget.Spec)
	}
}

// files is what is delivered to an agent.
func (w *world) files(agent string) map[string][]byte {
	w.t.Helper()
	s := &corev1.Secret{}
	must(w.t, api.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: podspec.SecretName(agent)}, s))
	return s.Data
}

// onlyWith registers those who show the password, as a registrar does.
func onlyWith(right string) func(name, document string) delivery.LineReport {
	return func(_, document string) delivery.LineReport {
		if password(document) == right {
			return delivery.LineReport{State: delivery.Registered, LastCode: 200, LastReason: "OK", GrantedSeconds: 600}
		}
		return delivery.LineReport{State: delivery.Unauthorized, LastCode: 401, LastReason: "Unauthorized", Problem: delivery.ProblemUnauthorized}
	}
}

func TestWrongPasswordIsToldInOneSentenceAndRotatedWithoutARestart(t *testing.T) {
	w := newWorld(t)
	w.kubelet.setRegistrar(onlyWith(unique("right")))
	w.apply(secret("alice", unique("wrong")), line("alice"))
	acc := w.account("alice", isStalled(v1.ReasonUnauthorized))
	want := "the registrar refused alice@registrar.test (401 Unauthorized): check the password in key password of Secret alice"
	if got := condition(acc.Status.Conditions, v1.ConditionReady); got.Message != want || got.Status != "False" {
		t.Errorf("got %+v, want %s", got, want)
	}
	if acc.Status.State != v1.StateUnauthorized || acc.Status.Code != 401 {
		t.Errorf("got %+v", acc.Status)
	}
	w.event("alice", "Warning", v1.ReasonUnauthorized, want)
	before := w.pod("default-0", func(*corev1.Pod) bool { return true })
	edit(w, "alice", &corev1.Secret{}, func(s *corev1.Secret) { s.Data["password"] = []byte(unique("right")) })
	w.registered("alice")
	w.event("alice", "Normal", v1.ReasonRegistered, "registered at 10.77.0.1:5060/udp: 200 OK")
	if after := w.pod("default-0", func(*corev1.Pod) bool { return true }); after.UID != before.UID {
		t.Error("the pod was replaced")
	}
}

func TestMissingSecretIsTheUsersToMend(t *testing.T) {
	w := newWorld(t)
	w.apply(line("alice"))
	w.account("alice", isStalled(v1.ReasonSecretNotFound))
	w.apply(&corev1.Secret{ObjectMeta: line("alice").ObjectMeta, StringData: map[string]string{"pass": "x"}})
	acc := w.account("alice", isStalled(v1.ReasonSecretKeyMissing))
	if got, want := condition(acc.Status.Conditions, v1.ConditionStalled).Message, "Secret alice has no key password: add it with the password"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	edit(w, "alice", &corev1.Secret{}, func(s *corev1.Secret) { s.Data["password"] = []byte(unique("alice")) })
	w.registered("alice")
}

func TestLastGoodDocumentStaysInForce(t *testing.T) {
	w := newWorld(t)
	xml := func(content string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: line("alice-xml").ObjectMeta, Data: map[string]string{"xml": content}}
	}
	acc := line("alice")
	acc.Spec.XMLFrom = &v1.XMLSource{ConfigMapKeyRef: &v1.KeyRef{Name: "alice-xml", Key: "xml"}}
	w.apply(xml("<account><expires>300</expires></account>"), secret("alice", unique("alice")), secret("bob", unique("bob")), acc, line("bob"))
	w.registered("bob")
	w.registered("alice")
	good := string(w.files("default-0")["alice.xml"])

	edit(w, "alice-xml", &corev1.ConfigMap{}, func(m *corev1.ConfigMap) { m.Data["xml"] = "<account><expires>300</account>" })
	bad := w.account("alice", isStalled(v1.ReasonInvalidXML))
	if c := condition(bad.Status.Conditions, v1.ConditionStalled); !strings.HasPrefix(c.Message, "key xml of ConfigMap alice-xml:1:") || !strings.HasSuffix(c.Message, "(the line keeps running with its last good settings)") {
		t.Errorf("got %s", c.Message)
	}
	if bad.Status.State != v1.StateRegistered || condition(bad.Status.Conditions, v1.ConditionRegistered).Status != "True" {
		t.Errorf("the line does not run on: %+v", bad.Status)
	}
	edit(w, "bob", &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) { a.Spec.Account.Expires = ptr.To(int32(90)) })
	w.registered("bob")
	if now := w.files("default-0"); string(now["alice.xml"]) != good || !strings.Contains(string(now["bob.xml"]), ">90<") {
		t.Errorf("alice: %s\nbob: %s", now["alice.xml"], now["bob.xml"])
	}

	edit(w, "alice-xml", &corev1.ConfigMap{}, func(m *corev1.ConfigMap) { m.Data["xml"] = "<account><expires>301</expires></account>" })
	w.registered("alice")
	if now := string(w.files("default-0")["alice.xml"]); !strings.Contains(now, ">301<") {
		t.Errorf("the mended document is not delivered: %s", now)
	}
}

func TestValuesThatOnlyTheDocumentCanJudgeStall(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		spoil   func(*v1.SoftphoneAccount)
		message string
	}{
		"twice": {func(a *v1.SoftphoneAccount) { a.Spec.Account.CodecOrder = codecs("8", "0", "PCMA") }, "codecOrder"},
		"extra": {func(a *v1.SoftphoneAccount) {
			a.Spec.Extra = map[string]v1.ExtraValue{"subscribeForVoicemail": "maybe"}
		}, "subscribeForVoicemail"},
	} {
		acc := line(name)
		acc.Spec.Account.Username = ptr.To(name)
		c.spoil(acc)
		w.apply(secret(name, unique(name)), acc)
		got := w.account(name, isStalled(v1.ReasonInvalidAccount))
		if m := condition(got.Status.Conditions, v1.ConditionStalled).Message; !strings.HasPrefix(m, c.message+": ") {
			t.Errorf("%s: got %s", name, m)
		}
	}
}

func TestTheYoungerOfTwoAccountsWithOneAddressYields(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), line("alice"))
	w.registered("alice")
	twin := line("twin")
	twin.Spec.Account.Username = ptr.To("alice")
	twin.Spec.Account.Host = ptr.To(v1.HostPort("Registrar.TEST:5060"))
	twin.Spec.Account.Password.SecretKeyRef.Name = "alice"
	w.apply(twin)
	got := w.account("twin", isStalled(v1.ReasonNameConflict))
	if got.Status.Agent != "" {
		t.Error("the younger account is placed")
	}
	w.registered("alice")
	must(t, api.Delete(t.Context(), &v1.SoftphoneAccount{ObjectMeta: got.ObjectMeta}, client.DryRunAll))
	edit(w, "alice", &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) { a.Spec.Suspend = ptr.To(true) })
	w.account("alice", isReady(v1.ReasonSuspended))
	w.registered("twin")
}

func TestFleets(t *testing.T) {
	w := newWorld(t)
	acc := line("alice")
	acc.Spec.Fleet = ptr.To("edge")
	w.apply(secret("alice", unique("alice")), acc)
	waiting := w.account("alice", func(a *v1.SoftphoneAccount) bool {
		return condition(a.Status.Conditions, v1.ConditionReady).Reason == v1.ReasonFleetNotFound
	})
	if c := condition(waiting.Status.Conditions, v1.ConditionReconciling); c.Message != "SoftphoneFleet edge does not exist: create it, or take spec.fleet out to run in the built-in fleet default" {
		t.Errorf("got %+v", c)
	}
	w.apply(&v1.SoftphoneFleet{ObjectMeta: line("edge").ObjectMeta, Spec: v1.SoftphoneFleetSpec{
		NoAnswerSeconds: ptr.To(int32(7)), Caps: &v1.Caps{ConcurrentCalls: ptr.To(int32(3))}, Network: &v1.Network{Type: ptr.To("cellular")},
	}})
	if got := w.registered("alice"); got.Status.Agent != "edge-0" {
		t.Errorf("got agent %s", got.Status.Agent)
	}
	if json := string(w.files("edge-0")[delivery.AgentFile]); !strings.Contains(json, `"noAnswerSeconds":7`) || !strings.Contains(json, `"concurrentCalls":3`) || !strings.Contains(json, `"cellular"`) {
		t.Errorf("agent.json: %s", json)
	}
	await(w, "edge", &v1.SoftphoneFleetList{}, func(f *v1.SoftphoneFleet) bool {
		return condition(f.Status.Conditions, v1.ConditionReady).Status == "True" && f.Status.RegisteredLines == 1 && f.Status.Agents == 1 && f.Status.ReadyAgents == 1 && f.Status.Lines == 1
	})
	w.kubelet.setRegistrar(func(string, string) delivery.LineReport {
		return delivery.LineReport{State: delivery.Error, Problem: delivery.ProblemTimeout}
	})
	await(w, "edge", &v1.SoftphoneFleetList{}, func(f *v1.SoftphoneFleet) bool {
		return condition(f.Status.Conditions, v1.ConditionReady).Reason == v1.ReasonRegistrarUnreachable
	})
	if got := w.account("alice", func(a *v1.SoftphoneAccount) bool { return true }); got.Status.State != v1.StateRegistered {
		t.Error("an error that has not lasted is in the account's status already")
	}
	w.account("alice", func(a *v1.SoftphoneAccount) bool {
		return condition(a.Status.Conditions, v1.ConditionReady).Reason == v1.ReasonRegistrarTimeout && a.Status.State == v1.StateError
	})
	w.kubelet.setRegistrar(nil)
	edit(w, "edge", &v1.SoftphoneFleet{}, func(f *v1.SoftphoneFleet) { f.Spec.Suspend = ptr.To(true) })
	if got := w.account("alice", isReady(v1.ReasonSuspended)); got.Status.State != v1.StateDisabled {
		t.Errorf("got %s", got.Status.State)
	}
	edit(w, "edge", &v1.SoftphoneFleet{}, func(f *v1.SoftphoneFleet) { f.Spec.Suspend = nil })
	w.registered("alice")
}

func TestDeletedAccountLeavesNothingBehind(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), secret("bob", unique("bob")), line("alice"), line("bob"))
	w.registered("alice")
	w.registered("bob")
	must(t, api.Delete(t.Context(), w.account("alice", func(*v1.SoftphoneAccount) bool { return true })))
	await(w, podspec.SecretName("default-0"), &corev1.SecretList{}, func(s *corev1.Secret) bool { return s.Data["alice.xml"] == nil && s.Data["bob.xml"] != nil })
	w.agent("default-0", func(a *v1.SoftphoneAgent) bool {
		return len(a.Spec.Lines) == 1 && a.Status.Lines == 1 && a.Status.ReportedHash == a.Status.DeliveredHash
	})
	must(t, api.Delete(t.Context(), w.account("bob", func(*v1.SoftphoneAccount) bool { return true })))
	awaitGone(w, "default-0", &v1.SoftphoneAgentList{}, &v1.SoftphoneAgent{})
	awaitGone(w, podspec.FleetObjectName("default"), &policyv1.PodDisruptionBudgetList{}, &policyv1.PodDisruptionBudget{})
	awaitGone(w, podspec.FleetObjectName("default"), &networkingv1.NetworkPolicyList{}, &networkingv1.NetworkPolicy{})
}
