package controllers_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

func profile(name string, settings v1.AccountSettings) *v1.SoftphoneProfile {
	return &v1.SoftphoneProfile{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.SoftphoneProfileSpec{
		AccountLayer: v1.AccountLayer{Account: &settings}}}
}

// document is what an agent was delivered for a line.
func (w *world) document(agent, line string) string {
	w.t.Helper()
	return string(w.files(agent)[line+".xml"])
}

func TestProfilesAreLayersUnderTheAccount(t *testing.T) {
	w := newWorld(t)
	site := profile("site", v1.AccountSettings{Host: ptr.To(v1.HostPort("registrar.test")), Expires: ptr.To(int32(300)), Title: ptr.To("Site"),
		Password: &v1.SecretValue{SecretKeyRef: &v1.KeyRef{Name: "shared", Key: "password"}}})
	w.apply(secret("shared", "pw-shared"), site,
		profile("carrier", v1.AccountSettings{Expires: ptr.To(int32(900)), Title: ptr.To("Carrier")}),
		&v1.SoftphoneFleet{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: v1.SoftphoneFleetSpec{Profiles: []v1.ProfileName{"site"}}})
	alice := line("alice")
	alice.Spec.Account = &v1.AccountSettings{Username: ptr.To("alice"), Title: ptr.To("Alice")}
	alice.Spec.Profiles = []v1.ProfileName{"carrier"}
	w.apply(alice)
	acc := w.registered("alice")
	doc := w.document(acc.Status.Agent, "alice")
	for _, want := range []string{
		`<title priority="40" source="gui">Alice</title>`, `<host priority="10" source="provisioning">registrar.test</host>`,
		`<expires priority="10" source="provisioning">900</expires>`, `>pw-shared</password>`,
	} {
		if !strings.Contains(doc, want) {
			t.Errorf("%s is not in what was delivered:\n%s", want, strings.ReplaceAll(doc, "pw-shared", "…"))
		}
	}
	edit(w, "carrier", &v1.SoftphoneProfile{}, func(p *v1.SoftphoneProfile) {
		p.Spec.Priority, p.Spec.Account.Title = ptr.To(int32(50)), ptr.To("Above")
	})
	before := acc.Status.DeliveredHash
	acc = w.account("alice", func(a *v1.SoftphoneAccount) bool {
		return a.Status.DeliveredHash != before && isReady(v1.ReasonRegistered)(a)
	})
	if doc := w.document(acc.Status.Agent, "alice"); !strings.Contains(doc, `<title priority="50" source="provisioning">Above</title>`) {
		t.Errorf("a profile's own priority does not count:\n%s", doc)
	}
	before = acc.Status.DeliveredHash
	shared := secret("shared", "pw-shared-2")
	shared.Namespace = w.namespace
	must(t, api.Update(t.Context(), shared))
	w.account("alice", func(a *v1.SoftphoneAccount) bool {
		return a.Status.DeliveredHash != before && isReady(v1.ReasonRegistered)(a)
	})
}

func TestAMissingProfileStallsAndItsComingHeals(t *testing.T) {
	w := newWorld(t)
	bob := line("bob")
	bob.Spec.Profiles = []v1.ProfileName{"later"}
	w.apply(secret("bob", "pw-bob"), bob)
	stuck := w.account("bob", isStalled(v1.ReasonProfileNotFound))
	want := "SoftphoneProfile later does not exist: create it, or take it out of spec.profiles of the account"
	if got := condition(stuck.Status.Conditions, v1.ConditionReady).Message; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.apply(profile("later", v1.AccountSettings{Expires: ptr.To(int32(120))}))
	w.registered("bob")
}

func TestAProfilesMistakeNamesTheProfile(t *testing.T) {
	w := newWorld(t)
	eve := line("eve")
	eve.Spec.Profiles = []v1.ProfileName{"broken"}
	w.apply(secret("eve", "pw-eve"), eve, profile("broken", v1.AccountSettings{
		STUNPassword: &v1.SecretValue{SecretKeyRef: &v1.KeyRef{Name: "nowhere", Key: "turn"}}}))
	stuck := w.account("eve", isStalled(v1.ReasonSecretNotFound))
	want := "SoftphoneProfile broken: Secret nowhere does not exist: create it with the STUNPassword under key turn"
	if got := condition(stuck.Status.Conditions, v1.ConditionReady).Message; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	turn := secret("nowhere", "x")
	turn.StringData = map[string]string{"turn": "turn-secret"}
	w.apply(turn)
	w.registered("eve")
}
