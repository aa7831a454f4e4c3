package interop

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// callForwarding makes kamailio a PBX that forwards: calls to bob go on to carol
// when he is busy, and wherever a line redirects them to.
var callForwarding = kamailio.Extra{
	Request: `  if (is_method("INVITE") && !has_totag()) { $avp(callee) = $rU; t_on_failure("NOT_TAKEN"); }`,
	Modules: `
failure_route[NOT_TAKEN] {
  if (t_is_canceled()) exit;
  if (t_check_status("302")) {
    $ru = $(T_rpl($ct){nameaddr.uri});
  } else if (t_check_status("486") && $avp(callee) == "bob") {
    append_hf("Diversion: <sip:bob@$fd>;reason=user-busy\r\n");
    $ru = "sip:carol@" + $fd;
  } else {
    exit;
  }
  $du = $null;
  if (!lookup("location")) { t_reply("404", "Not registered"); exit; }
  t_relay();
}
`,
}

// pbx runs an agent with the lines alice, bob, carol and dave of one PBX.
func pbx(t *testing.T, c kamailio.Config, more map[string]string) (*softphone, *kamailio.Registrar) {
	t.Helper()
	users := []string{"alice", "bob", "carol", "dave"}
	c.Extra, c.Children = callForwarding, 1 // two may tell of an answer before they tell of the ringing
	r, host := registrar(t, c, users...)
	files := map[string]string{"agent.json": `{"version":1,"drainSeconds":1,"transfers":{"accept":"placed"}}`}
	for _, user := range users {
		files[user+".xml"] = accountXML(user, "secret-"+user, host, cmp.Or(more[user], autoAnswer))
	}
	a := startAgent(t, options{files: files})
	for _, user := range users {
		a.awaitLine(user, "registered")
	}
	return a, r
}

// TestPBXFeatures is a day in an office: alice calls bob, who is busy, so that carol
// gets the call; when bob is free again she passes alice on to him. Alice's phone has
// a lamp for her mailbox and one for bob.
func TestPBXFeatures(t *testing.T) {
	t.Parallel()
	a, r := pbx(t, kamailio.Config{Presence: true}, map[string]string{"alice": voicemail + blf("bob"), "bob": answersAfter(1) + "<callWaiting>0</callWaiting>"})
	a.awaitWatched("alice", "bob", "is watched", func(w watchedStatus) bool { return isActive(w.Subscription) })
	a.awaitMailbox("alice", "is subscribed to", func(m mwiStatus) bool { return m.Subscription != nil && isActive(*m.Subscription) })

	other := a.dial(`{"line":"dave","to":"bob","toneHz":1633}`)
	a.awaitIncoming("bob", "hears dave", hears(1633))
	a.awaitWatched("alice", "bob", "talks", func(w watchedStatus) bool { return w.State == "confirmed" && w.Calls == 1 })

	first := a.dial(`{"line":"alice","to":"bob","toneHz":440}`)
	carol := a.awaitIncoming("carol", "hears alice", hears(440))
	busy := a.awaitOf("bob", "was refused as he talks", func(r record) bool { return ended(r) && r.End.Code == 486 })
	if !slices.Contains(busy.Treatment, "busy: a call is up and callWaiting is off, 486") {
		t.Errorf("bob's second call: %s", pretty(busy))
	}
	must(t, r.PublishMailbox(t.Context(), "alice", "Messages-Waiting: yes", "Voice-Message: 1/0"))
	a.awaitMailbox("alice", "is lit", func(m mwiStatus) bool { return m.Waiting && m.NewMessages == 1 })
	a.request("DELETE", "/calls/"+other, "")
	a.awaitCall(other, "is over", ended)

	a.transfer(carol.ID, `{"to":"bob"}`)
	bob := a.awaitOf("bob", "hears alice", hears(440))
	alice := a.awaitOf("alice", "goes on with bob", func(r record) bool { return r.ReferredBy == first && hears(440)(r) })
	free := a.awaitCall(carol.ID, "was handed over", func(r record) bool { return ended(r) && succeeded(r) })
	if was := a.call(first); !ended(was) || was.End.By != "remote" || !succeeded(was) {
		t.Errorf("alice's first call: %s", pretty(was))
	}
	a.awaitWatched("alice", "bob", "talks to her", func(w watchedStatus) bool { return w.State == "confirmed" })
	a.request("DELETE", "/calls/"+alice.ID, "")
	a.awaitCall(bob.ID, "is over", ended)
	seen := a.awaitWatched("alice", "bob", "is free", func(w watchedStatus) bool { return w.State == "terminated" && w.Calls == 0 }).states()
	// This PBX takes the call that went on to carol for one of bob's, so that he is not
	// seen free in between.
	if from := slices.Index(seen, "early"); from < 0 || !slices.Equal(slices.Compact(slices.Clone(seen[from:])), []string{"early", "confirmed", "terminated"}) || !inOrder(seen) {
		t.Errorf("bob was seen %v", seen)
	}
	outcome(t, "kamailio", "bob is busy (486), the PBX forwards to carol, who sends alice back to bob: he hears her %s; carol: %s; alice's lamps: mailbox lit, bob %s",
		heard(bob), free.End.Reason, strings.Join(seen, ", "))
}

// TestPBXFollowsARedirection: bob forwards his calls himself, by 302.
func TestPBXFollowsARedirection(t *testing.T) {
	t.Parallel()
	a, _ := pbx(t, kamailio.Config{}, map[string]string{"bob": "<forwardingEnabled>1</forwardingEnabled><forwardingNumber>carol</forwardingNumber>"})
	id := a.dial(`{"line":"alice","to":"bob","toneHz":440}`)
	carol := a.awaitIncoming("carol", "hears alice", hears(440))
	bob := a.awaitIncoming("bob", "forwarded the call", ended)
	if bob.End.Code != 302 || !slices.Contains(bob.Treatment, "forwarding: to carol, 302") {
		t.Errorf("bob: %s", pretty(bob))
	}
	a.request("DELETE", "/calls/"+id, "")
	a.awaitCall(carol.ID, "is over", ended)
	outcome(t, "kamailio", "bob redirects with 302, the PBX follows: carol hears alice's %s", heard(carol))
}
