package e2e

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// TestWhatIsWrongHasItsOwnReason puts one mistake after the other beside a good line,
// which must not notice.
func TestWhatIsWrongHasItsOwnReason(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("good", "secret-good"))
	before := awaitAccount(t, ns, "good", "registered", registered)

	apply(t, ns, `
apiVersion: v1
kind: Secret
metadata: {name: other}
stringData: {other: x}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: broken}
data: {account.xml: "<account><title>broken</title>\n<username>x</usrname></account>"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: nobody}
data: {account.xml: "<account><title>nobody</title><host>10.77.0.1</host></account>"}
`)
	account := func(name, spec string) string {
		return "apiVersion: voip.softphone.dev/v1\nkind: SoftphoneAccount\nmetadata: {name: " + name + "}\nspec: " + spec
	}
	for what, c := range map[string]struct {
		name, spec        string
		condition, reason string
		says              []string
	}{
		"a Secret that is not there": {"no-secret",
			`{account: {username: x, host: 10.77.0.1, password: {secretKeyRef: {name: absent, key: password}}}}`,
			voipv1.ConditionStalled, voipv1.ReasonSecretNotFound, []string{"absent"}},
		"a Secret without the key": {"no-key",
			`{account: {username: x, host: 10.77.0.1, password: {secretKeyRef: {name: other, key: password}}}}`,
			voipv1.ConditionStalled, voipv1.ReasonSecretKeyMissing, []string{"other", "password"}},
		"malformed XML": {"bad-xml",
			`{xmlFrom: {configMapKeyRef: {name: broken, key: account.xml}}}`,
			voipv1.ConditionStalled, voipv1.ReasonInvalidXML, []string{"broken", "account.xml", ":2:"}},
		"a host that has no address": {"no-host",
			`{account: {username: nohost, host: nowhere.invalid, password: {value: x}}}`,
			voipv1.ConditionRegistered, voipv1.ReasonHostNotFound, []string{"nowhere.invalid"}},
		"a host where nothing listens": {"no-listener",
			`{account: {username: nolistener, host: "10.77.0.1:9", password: {value: x}}}`,
			voipv1.ConditionRegistered, voipv1.ReasonRegistrarUnreachable, []string{"10.77.0.1:9"}},
		"a fleet that is not there": {"no-fleet",
			`{fleet: absent, account: {username: nofleet, host: 10.77.0.1, password: {value: x}}}`,
			voipv1.ConditionReady, voipv1.ReasonFleetNotFound, []string{"absent"}},
		"no user name": {"no-user",
			`{xmlFrom: {configMapKeyRef: {name: nobody, key: account.xml}}}`,
			voipv1.ConditionStalled, voipv1.ReasonInvalidAccount, []string{"username"}},
		"the line of another account": {"twin",
			`{account: {username: good, host: "` + registrar.Addr().String() + `", password: {value: secret-good}}}`,
			voipv1.ConditionStalled, voipv1.ReasonNameConflict, []string{"good"}},
	} {
		t.Run(what, func(t *testing.T) {
			apply(t, ns, account(c.name, c.spec))
			a := awaitAccount(t, ns, c.name, c.condition+" because of "+c.reason, func(a *voipv1.SoftphoneAccount) bool {
				return because(a, c.condition, c.reason)
			})
			said := meta.FindStatusCondition(a.Status.Conditions, c.condition)
			t.Logf("%s: %s=%s %s: %s", what, said.Type, said.Status, said.Reason, said.Message)
			for _, want := range c.says {
				if !strings.Contains(said.Message, want) {
					t.Errorf("the message does not name %q: %s", want, said.Message)
				}
			}
			if meta.IsStatusConditionTrue(a.Status.Conditions, voipv1.ConditionReady) {
				t.Error("and yet it is Ready")
			}
		})
	}

	after, err := getAccount(t.Context(), ns, "good")
	if err != nil {
		t.Fatal(err)
	}
	if !registered(after) || after.Status.Contact != before.Status.Contact || !after.Status.Since.Equal(before.Status.Since) {
		t.Errorf("the good line was disturbed: %s", statusOf(after))
	}
}

// TestABadEditLeavesTheLastGoodDocumentInForce breaks a running line's object.
func TestABadEditLeavesTheLastGoodDocumentInForce(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("unharmed", "secret-unharmed"))
	before := awaitAccount(t, ns, "unharmed", "registered", registered)
	broken := strings.Replace(line("unharmed", "secret-unharmed"), "key: password", "key: absent", 1)
	apply(t, ns, broken)
	a := awaitAccount(t, ns, "unharmed", "stalled for the missing key", func(a *voipv1.SoftphoneAccount) bool {
		return because(a, voipv1.ConditionStalled, voipv1.ReasonSecretKeyMissing)
	})
	if a.Status.ReportedHash != before.Status.ReportedHash {
		t.Errorf("the agent runs %q now, was %q", a.Status.ReportedHash, before.Status.ReportedHash)
	}
	if got := bindings(t, "unharmed"); len(got) != 1 || got[0] != before.Status.Contact {
		t.Errorf("the registrar has %q, want the untouched %q", got, before.Status.Contact)
	}
	apply(t, ns, line("unharmed", "secret-unharmed"))
	awaitAccount(t, ns, "unharmed", "ready again", func(a *voipv1.SoftphoneAccount) bool {
		return registered(a) && meta.FindStatusCondition(a.Status.Conditions, voipv1.ConditionStalled) == nil
	})
}

// TestWrongObjectsAreRefusedByTheAPIServer is the live half of api/v1's own table.
func TestWrongObjectsAreRefusedByTheAPIServer(t *testing.T) {
	ns := newNamespace(t)
	for what, c := range map[string]struct{ spec, says string }{
		"a transport that does not exist": {`{account: {username: x, host: h, transport: carrier-pigeon}}`, "transport"},
		"an expiry below thirty seconds":  {`{account: {username: x, host: h, expires: 5}}`, "expires"},
		"a password given twice":          {`{account: {username: x, host: h, password: {value: a, secretKeyRef: {name: a, key: b}}}}`, "password"},
		"no user name":                    {`{account: {host: h, password: {value: x}}}`, "account.username"},
		"a port range upside down":        {`{account: {username: x, host: h, rtpPortRangeStart: 30000, rtpPortRangeEnd: 20000}}`, "rtpPortRange"},
	} {
		err := tryApply(t.Context(), ns, "apiVersion: voip.softphone.dev/v1\nkind: SoftphoneAccount\nmetadata: {name: refused}\nspec: "+c.spec)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want a refusal that names %s", what, err, c.says)
		}
	}
	if _, err := getAccount(t.Context(), ns, "refused"); err == nil {
		t.Error("a refused object is there all the same")
	}
}
