package interop

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// registrar runs kamailio with users, each with the password secret-USER.
func registrar(t testing.TB, c kamailio.Config, users ...string) (*kamailio.Registrar, string) {
	t.Helper()
	c.Subscribers = map[string]string{}
	for _, u := range users {
		c.Subscribers[u] = "secret-" + u
	}
	r := kamailio.ForTest(t, c)
	return r, r.Addr().String()
}

func contacts(t *testing.T, r *kamailio.Registrar, user string) []kamailio.Binding {
	t.Helper()
	all, err := r.Contacts(context.WithoutCancel(t.Context()), user)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func awaitBindings(t *testing.T, r *kamailio.Registrar, user string, n int) []kamailio.Binding {
	t.Helper()
	var all []kamailio.Binding
	eventually(t, fmt.Sprintf("%s has %d bindings", user, n), func() (bool, string) {
		all = contacts(t, r, user)
		return len(all) == n, fmt.Sprintf("%+v", all)
	})
	return all
}

func TestRegisterWithDigest(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice")
	a := startAgent(t, options{files: map[string]string{"alice.xml": accountXML("alice", "secret-alice", host)}})
	l, took := a.awaitLine("alice", "registered")
	b := awaitBindings(t, r, "alice", 1)[0]
	if b.Contact != l.Contact {
		t.Errorf("the registrar holds %s, the line says %s", b.Contact, l.Contact)
	}
	if !strings.HasPrefix(b.Instance, "urn:uuid:") || b.RegID != 1 {
		t.Errorf("the binding has instance %q and reg-id %d", b.Instance, b.RegID)
	}
	if strings.Contains(b.Contact, "alice@") || !strings.Contains(b.Contact, ";rinstance=") {
		t.Errorf("the Contact user can be guessed: %s", b.Contact)
	}
	if l.LastCode != 200 || l.Server != host+"/udp" || l.ConfigHash == "" || l.EffectiveHash == "" || time.Until(l.ExpiresAt) < time.Minute {
		t.Errorf("the line says %+v", l)
	}
	outcome(t, "kamailio", "registered within %s of the first look", ms(took))
}

func TestWrongPasswordAndMended(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "wrong", host), "bob.xml": accountXML("bob", "secret-bob", host),
	}})
	a.awaitLine("bob", "registered")
	l, _ := a.awaitLine("alice", "unauthorized")
	if l.Problem != "Unauthorized" || l.LastCode != 401 && l.LastCode != 403 {
		t.Errorf("the line says %+v", l)
	}
	began := time.Now()
	a.put("alice.xml", accountXML("alice", "secret-alice", host))
	a.awaitLine("alice", "registered")
	outcome(t, "kamailio", "unauthorized (%d), registered %s after the file was mended", l.LastCode, ms(time.Since(began)))
	awaitBindings(t, r, "alice", 1)
	if strings.Contains(a.Log(), "secret-alice") || strings.Contains(a.Log(), "wrong\"") {
		t.Error("a password is in the log")
	}
}

func TestPasswordRotatedAtTheRegistrar(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice")
	a := startAgent(t, options{files: map[string]string{"alice.xml": accountXML("alice", "secret-alice", host)}})
	a.awaitLine("alice", "registered")
	before := contacts(t, r, "alice")[0]
	if err := r.SetPassword(t.Context(), "alice", "rotated"); err != nil {
		t.Fatal(err)
	}
	a.put("alice.xml", accountXML("alice", "rotated", host))
	eventually(t, "the binding is made anew with the new password", func() (bool, string) {
		now := contacts(t, r, "alice")
		return len(now) == 1 && now[0].CSeq > before.CSeq, fmt.Sprintf("%+v", now)
	})
	l, _ := a.awaitLine("alice", "registered")
	outcome(t, "kamailio", "re-registered with the new password, state %s", l.State)
}

func TestUnregisterWhenTheFileGoes(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host), "bob.xml": accountXML("bob", "secret-bob", host),
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	began := time.Now()
	a.remove("alice.xml")
	awaitBindings(t, r, "alice", 0)
	took := time.Since(began)
	eventually(t, "the line is gone", func() (bool, string) { l := a.line("alice"); return l.Name == "", pretty(l) })
	if n := len(contacts(t, r, "bob")); n != 1 {
		t.Errorf("bob has %d bindings", n)
	}
	outcome(t, "kamailio", "binding gone %s after the file", ms(took))
	a.put("alice.xml", accountXML("alice", "secret-alice", host))
	a.awaitLine("alice", "registered")
}

func TestSuspendAndDrainByAgentJSON(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host), "bob.xml": accountXML("bob", "secret-bob", host),
		"agent.json": `{"version":1,"lines":{"alice":{"suspended":true}}}`,
	}})
	a.awaitLine("bob", "registered")
	if l, _ := a.awaitLine("alice", "disabled"); l.LastReason != "suspended" || l.LastCode != 0 {
		t.Errorf("a suspended line says %+v", l)
	}
	if n := len(contacts(t, r, "alice")); n != 0 {
		t.Errorf("a suspended line has %d bindings", n)
	}
	a.put("agent.json", `{"version":1,"lines":{"bob":{"state":"draining"}}}`)
	a.awaitLine("alice", "registered")
	awaitBindings(t, r, "bob", 0)
	if l, _ := a.awaitLine("bob", "disabled"); l.DrainState != "draining" {
		t.Errorf("a draining line says %+v", l)
	}
	a.put("agent.json", `{"version":1,"lines":{"bob":{"state":"active","slot":2}}}`)
	a.awaitLine("bob", "registered")
	if b := awaitBindings(t, r, "bob", 1)[0]; b.RegID != 2 {
		t.Errorf("slot 2 has reg-id %d", b.RegID)
	}
	outcome(t, "kamailio", "suspended: no binding; draining: removed; back in slot 2: reg-id 2")
}

// TestRestartLeavesOneBinding kills the agent and starts it on another port: the
// dead binding is told apart by instance and rinstance and removed.
func TestRestartLeavesOneBinding(t *testing.T) {
	t.Parallel()
	for says, byContact := range map[string]bool{"by reg-id": false, "by contact": true} {
		t.Run(strings.ReplaceAll(says, " ", ""), func(t *testing.T) {
			r, host := registrar(t, kamailio.Config{ByContact: byContact}, "alice")
			files := map[string]string{"alice.xml": accountXML("alice", "secret-alice", host)}
			first := startAgent(t, options{files: files})
			first.awaitLine("alice", "registered")
			before := awaitBindings(t, r, "alice", 1)[0]
			first.kill()
			second := startAgent(t, options{files: files, state: first.state})
			second.awaitLine("alice", "registered")
			eventually(t, "one binding is left, and it is the new one", func() (bool, string) {
				all := contacts(t, r, "alice")
				return len(all) == 1 && all[0].Contact != before.Contact, fmt.Sprintf("%+v", all)
			})
			outcome(t, "kamailio", "registrar keys %s: one binding after a kill and another port", says)
		})
	}
}

func TestRestartOnTheSamePortIsTheSameContact(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{ByContact: true}, "alice")
	files := map[string]string{"alice.xml": accountXML("alice", "secret-alice", host)}
	first := startAgent(t, options{files: files})
	first.awaitLine("alice", "registered")
	before := awaitBindings(t, r, "alice", 1)[0]
	first.kill()
	second := startAgent(t, options{files: files, state: first.state, sip: first.sip})
	second.awaitLine("alice", "registered")
	after := awaitBindings(t, r, "alice", 1)[0]
	if after.Contact != before.Contact || after.CallID != before.CallID || after.CSeq <= before.CSeq {
		t.Errorf("before %+v, after %+v", before, after)
	}
	outcome(t, "kamailio", "same Contact and Call-ID, CSeq %d after %d", after.CSeq, before.CSeq)
}

func TestTerminationRemovesTheBinding(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice")
	a := startAgent(t, options{files: map[string]string{"alice.xml": accountXML("alice", "secret-alice", host)}})
	a.awaitLine("alice", "registered")
	began := time.Now()
	if code := a.terminate(); code != 0 {
		t.Errorf("exit code %d\n%s", code, a.Tail(2000))
	}
	took := time.Since(began)
	if n := len(contacts(t, r, "alice")); n != 0 {
		t.Errorf("%d bindings are left", n)
	}
	outcome(t, "kamailio", "SIGTERM: binding gone, exit 0 after %s", ms(took))
}

func TestBadFileDisturbsNobody(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host), "bob.xml": accountXML("bob", "secret-bob", host),
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	before := contacts(t, r, "alice")[0]
	a.put("alice.xml", "<account><username>alice")
	eventually(t, "the file is refused", func() (bool, string) {
		st := a.status()
		return len(st.Rejected) == 1 && st.Rejected[0].File == "alice.xml" && strings.Contains(st.Rejected[0].Reason, "alice.xml:1:"), pretty(st.Rejected)
	})
	if l := a.line("alice"); l.State != "registered" {
		t.Errorf("the line says %+v", l)
	}
	if after := contacts(t, r, "alice")[0]; after.CSeq != before.CSeq {
		t.Errorf("the registrar was asked again: %+v after %+v", after, before)
	}
	outcome(t, "kamailio", "malformed XML refused by name, both lines stay registered")
}

func TestPolicyOffMeansNoBinding(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice")
	a := startAgent(t, options{files: map[string]string{"alice.xml": accountXML("alice", "secret-alice", host, "<icm>off</icm>")}})
	l, _ := a.awaitLine("alice", "disabled")
	if !strings.Contains(l.LastReason, "icm") || len(contacts(t, r, "alice")) != 0 {
		t.Errorf("the line says %+v", l)
	}
	a.put("alice.xml", accountXML("alice", "secret-alice", host, "<icm>keepAwake</icm>"))
	a.awaitLine("alice", "registered")
	outcome(t, "kamailio", "icm=off: no binding; keepAwake: registered")
}
