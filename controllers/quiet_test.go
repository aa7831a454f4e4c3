package controllers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/test/pki"
)

func TestAManagerThatStartsWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), line("alice"))
	w.registered("alice")
	w.readyAt(w.running("default-0"))
	before := w.versions()
	w.stop()
	w.startManager()
	// A line of its own tells when the new manager has looked at everything: it is placed last.
	w.apply(&v1.SoftphoneFleet{ObjectMeta: line("probe").ObjectMeta})
	probe := line("probe")
	probe.Spec.Fleet = ptr.To("probe")
	w.apply(secret("probe", unique("probe")), probe)
	w.registered("probe")
	if after := w.versions(); after != before {
		t.Errorf("before %s\n after %s", before, after)
	}
}

// versions of everything that belongs to alice and her agent.
func (w *world) versions() string {
	w.t.Helper()
	var out []string
	for name, o := range map[string]client.Object{
		"alice": &v1.SoftphoneAccount{}, "default-0": &v1.SoftphoneAgent{}, podspec.SecretName("default-0"): &corev1.Secret{},
	} {
		must(w.t, api.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, o))
		out = append(out, fmt.Sprintf("%T %s at %s", o, name, o.GetResourceVersion()))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestNoSecretIsShown(t *testing.T) {
	w := newWorld(t)
	w.kubelet.setRegistrar(onlyWith(unique("right")))
	inline := line("inline")
	inline.Spec.Account.Password = &v1.SecretValue{Value: ptr.To(unique("inline"))}
	broken := line("broken")
	broken.Spec.XMLFrom = &v1.XMLSource{SecretKeyRef: &v1.KeyRef{Name: "broken", Key: "xml"}}
	xml := secret("broken", unique("broken"))
	xml.StringData["xml"] = "<account><password>" + unique("broken") + "</pass></account>"
	authority := pki.New(t, "CA")
	certificate, key := authority.Issue(pki.Leaf{Name: "keyed"})
	_, otherKey := authority.Issue(pki.Leaf{Name: "other"})
	keyed, odd := secureLine("keyed", v1.DefaultFleet), secureLine("odd", v1.DefaultFleet)
	keyed.Spec.TLS, odd.Spec.TLS = showing(&v1.TLS{}, "keyed-tls"), showing(&v1.TLS{}, "odd-tls")
	w.apply(tlsSecret("keyed-tls", certificate, key), tlsSecret("odd-tls", certificate, otherKey), secret("keyed", unique("right")), keyed, secret("odd", unique("right")), odd)
	w.apply(secret("alice", unique("wrong")), line("alice"), inline, xml, broken)
	w.registered("keyed")
	w.account("odd", isStalled(v1.ReasonInvalidCertificate))
	w.account("alice", isStalled(v1.ReasonUnauthorized))
	w.account("inline", isStalled(v1.ReasonUnauthorized))
	w.account("broken", isStalled(v1.ReasonInvalidXML))
	shown := w.account("inline", func(a *v1.SoftphoneAccount) bool {
		return condition(a.Status.Conditions, v1.ConditionInlineSecret).Status == "True"
	})
	if got, want := condition(shown.Status.Conditions, v1.ConditionInlineSecret).Message, "everyone who may read this object can read spec.account.password: move the value to a Secret and refer to it with secretKeyRef"; got != want {
		t.Errorf("got %s", got)
	}
	token := string(w.files("default-0")["report.token"])
	w.stop()

	var text strings.Builder
	text.WriteString(testLog.String())
	for _, list := range []client.ObjectList{&v1.SoftphoneAccountList{}, &v1.SoftphoneAgentList{}, &v1.SoftphoneFleetList{}, &corev1.PodList{}, &eventsv1.EventList{}} {
		must(t, api.List(t.Context(), list, client.InNamespace(w.namespace)))
		encoded, err := yaml.Marshal(list)
		must(t, err)
		text.Write(encoded)
	}
	var secrets metav1.PartialObjectMetadataList
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	must(t, api.List(t.Context(), &secrets, client.InNamespace(w.namespace)))
	encoded, err := yaml.Marshal(secrets)
	must(t, err)
	text.Write(encoded)
	// The inline one stands in its own object by the user's will: once as written, once in what kubectl would keep of it.
	for name, shown := range map[string]int{unique("wrong"): 0, unique("broken"): 0, unique("right"): 0, unique("inline"): 1, token: 0, body(key): 0, body(otherKey): 0} {
		if got := strings.Count(text.String(), name); got != shown {
			t.Errorf("%s is shown %d times, want %d", name, got, shown)
		}
	}
}

// body is a part of a PEM block that no other one has.
func body(key []byte) string { return strings.Split(string(key), "\n")[2][:32] }

// The way of one edit: account written → files delivered → pod touched → report
// read → status. Each waits for the one before, so they are spaced by the least
// time between two deliveries; an edit that had to wait for a second touch (2 s)
// or for a retry would show in the median. The tail is the machine's, and is
// measured by e2e.
func TestEditsReachTheAgentSoon(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), line("alice"))
	w.registered("alice")
	var took []time.Duration
	for i := range 30 {
		start := time.Now()
		edit(w, "alice", &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) { a.Spec.Account.Expires = ptr.To(int32(100 + i)) })
		w.registered("alice")
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("%d edits: p50 %s, worst %s", len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if median := took[len(took)/2]; median > time.Second {
		t.Errorf("half of the edits took longer than %s", median)
	}
}

func TestBurstOfEditsIsGathered(t *testing.T) {
	w := newWorld(t)
	w.apply(secret("alice", unique("alice")), line("alice"))
	w.registered("alice")
	ctx := t.Context()
	watcher, err := api.Watch(ctx, &corev1.SecretList{}, client.InNamespace(w.namespace))
	must(t, err)
	defer watcher.Stop()
	start := time.Now()
	for i := range 40 {
		edit(w, "alice", &v1.SoftphoneAccount{}, func(a *v1.SoftphoneAccount) { a.Spec.Account.Expires = ptr.To(int32(100 + i)) })
	}
	w.registered("alice")
	writes, last := 0, ""
	for last != "139" {
		e := <-watcher.ResultChan()
		s, ok := e.Object.(*corev1.Secret)
		if !ok || s.Name != podspec.SecretName("default-0") {
			continue
		}
		writes++
		last = expires(string(s.Data["alice.xml"]))
	}
	most := 2 + int(time.Since(start)/(500*time.Millisecond))
	t.Logf("40 edits, %d writes in %s", writes, time.Since(start).Round(time.Millisecond))
	if writes > most {
		t.Errorf("%d writes, want at most %d", writes, most)
	}
}

func expires(document string) string {
	_, after, _ := strings.Cut(document, "<expires")
	_, after, _ = strings.Cut(after, ">")
	value, _, _ := strings.Cut(after, "<")
	return value
}
