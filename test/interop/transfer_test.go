package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// followAny lets whoever talks to a line transfer it.
const followAny = `{"version":1,"drainSeconds":1,"transfers":{"accept":"any"}}`

// transferStatus is what a record says of a transfer.
type transferStatus struct {
	To, By, State, Reason, Call string
	Code                        int
}

// transfer asks the other side of a call to call somebody else.
func (s *softphone) transfer(id, body string) {
	s.t.Helper()
	if code, answer := s.request("POST", "/calls/"+id+"/transfer", body); code != 202 {
		s.t.Fatalf("POST /calls/%s/transfer %s: %d %s", id, body, code, answer)
	}
}

// awaitOf waits for a call of a line that fits.
func (s *softphone) awaitOf(line, says string, fits func(record) bool) record {
	s.t.Helper()
	var r record
	eventually(s.t, "a call of "+line+" "+says, func() (bool, string) {
		calls := s.status().Calls
		for _, r = range calls {
			if r.Line == line && fits(r) {
				return true, ""
			}
		}
		return false, pretty(calls)
	})
	return r
}

// succeeded tells whether a call was handed over.
func succeeded(r record) bool {
	return r.Transfer != nil && r.Transfer.State == "succeeded" && r.Transfer.Code == 200
}

// hears tells whether a call is up and hears a frequency.
func hears(hz float64) func(record) bool {
	return func(r record) bool { return established(r) && near(r, hz) }
}

// lines runs an agent with lines that register, each with nodes of its own.
func lines(t *testing.T, agentJSON string, users []string, more map[string]string, others ...string) (*softphone, *kamailio.Registrar, string) {
	t.Helper()
	// Some write From and To without the port, and name others by them.
	// One worker keeps what is sent in order.
	r, host := registrar(t, kamailio.Config{Domains: []string{"127.0.0.1"}, Children: 1}, append(others, users...)...)
	files := map[string]string{"agent.json": agentJSON}
	for _, user := range users {
		files[user+".xml"] = accountXML(user, "secret-"+user, host, more[user])
	}
	a := startAgent(t, options{files: files})
	for _, user := range users {
		a.awaitLine(user, "registered")
	}
	return a, r, host
}

// TestBlindTransferAmongLines: alice, who was called, hands the caller on to carol.
func TestBlindTransferAmongLines(t *testing.T) {
	t.Parallel()
	a, _, _ := lines(t, followAny, []string{"alice", "bob", "carol"}, map[string]string{"alice": autoAnswer, "carol": autoAnswer})
	first := a.dial(`{"line":"bob","to":"alice","toneHz":440}`)
	there := a.awaitIncoming("alice", "hears bob", hears(440))
	a.transfer(there.ID, `{"to":"carol"}`)
	carol := a.awaitOf("carol", "hears bob", hears(440))
	bob := a.awaitOf("bob", "hears carol's echo", func(r record) bool { return r.ReferredBy == first && hears(440)(r) })
	alice := a.awaitCall(there.ID, "was handed over", func(r record) bool { return ended(r) && succeeded(r) })
	if !strings.HasPrefix(alice.End.Reason, "transferred to sip:carol@") || alice.End.By != "local" || !ended(a.call(first)) || a.call(first).End.By != "remote" {
		t.Errorf("alice %s, bob %s", pretty(alice), pretty(a.call(first)))
	}
	if was := a.call(first); was.Transfer == nil || was.Transfer.By != "remote" || was.Transfer.Call != bob.ID || !succeeded(was) {
		t.Errorf("bob's first call: %s", pretty(was))
	}
	a.request("DELETE", "/calls/"+bob.ID, "")
	a.awaitCall(carol.ID, "ended", ended)
	outcome(t, "agent", "alice sends bob to carol: carol hears bob's %s, bob hears it back, alice is free: %s", heard(carol), alice.End.Reason)
}

// TestAttendedTransferAmongLines: alice talks to bob and to carol, then the two talk
// to each other.
func TestAttendedTransferAmongLines(t *testing.T) {
	t.Parallel()
	a, _, _ := lines(t, followAny, []string{"alice", "bob", "carol"}, map[string]string{"alice": autoAnswer, "carol": autoAnswer})
	a.dial(`{"line":"bob","to":"alice","toneHz":440}`)
	there := a.awaitIncoming("alice", "hears bob", hears(440))
	consult := a.dial(`{"line":"alice","to":"carol","toneHz":852}`)
	was := a.awaitIncoming("carol", "hears alice", hears(852))
	a.transfer(there.ID, fmt.Sprintf(`{"replaces":%q}`, consult))
	carol := a.awaitOf("carol", "hears bob", func(r record) bool { return r.Replaces == was.ID && hears(440)(r) })
	alice := a.awaitCall(there.ID, "was handed over", func(r record) bool { return ended(r) && succeeded(r) })
	freed := a.awaitCall(consult, "was taken over", ended)
	if freed.End.By != "remote" || alice.Transfer.Call != consult {
		t.Errorf("consultation %s, alice %s", pretty(freed), pretty(alice))
	}
	if r := a.call(was.ID); !ended(r) || r.End.Reason != "replaced by call "+carol.ID {
		t.Errorf("carol's first call: %s", pretty(r))
	}
	a.awaitOf("bob", "hears carol's echo", func(r record) bool { return r.ReferredBy != "" && hears(440)(r) })
	outcome(t, "agent", "bob takes alice's place with carol: carol heard 852 Hz of alice, then %s of bob; both calls of alice are over", heard(carol))
}

// TestTransferToNobody: the call goes on when whoever it was sent to does not answer.
func TestTransferToNobody(t *testing.T) {
	t.Parallel()
	a, _, _ := lines(t, followAny, []string{"alice", "bob"}, map[string]string{"alice": autoAnswer})
	a.dial(`{"line":"bob","to":"alice","toneHz":440}`)
	there := a.awaitIncoming("alice", "hears bob", hears(440))
	a.transfer(there.ID, `{"to":"nobody"}`)
	alice := a.awaitCall(there.ID, "was not handed over", func(r record) bool { return r.Transfer != nil && r.Transfer.State == "failed" })
	if alice.Transfer.Code != 404 || !established(alice) {
		t.Errorf("alice: %s", pretty(alice))
	}
	if code, answer := a.request("POST", "/calls/"+there.ID+"/transfer", `{"to":"112"}`); code != 403 || !strings.Contains(string(answer), "DestinationRefused") {
		t.Errorf("to 112: %d %s", code, answer)
	}
	a.transfer(there.ID, `{"to":"alice"}`)
	alice = a.awaitCall(there.ID, "was sent to whom bob talks to", func(r record) bool { return r.Transfer != nil && r.Transfer.State == "succeeded" })
	outcome(t, "agent", "404 for the target: the call goes on; 112 is refused: 403; then %s", alice.End.Reason)
}

// TestTransfersAreOffUnlessTheFleetLetsThem: by default nobody spends a line's money.
func TestTransfersAreOffUnlessTheFleetLetsThem(t *testing.T) {
	t.Parallel()
	a, _, _ := lines(t, `{"version":1,"drainSeconds":1}`, []string{"alice", "bob"}, map[string]string{"alice": autoAnswer})
	a.dial(`{"line":"bob","to":"alice","toneHz":440}`)
	there := a.awaitIncoming("alice", "hears bob", hears(440))
	code, answer := a.request("POST", "/calls/"+there.ID+"/transfer", `{"to":"alice"}`)
	if code != 409 || !strings.Contains(string(answer), "takes no REFER") {
		t.Errorf("%d %s", code, answer)
	}
	outcome(t, "agent", "no REFER in Allow: %d NotPossibleNow", code)
}

// TestBaresipTransfersUs: baresip bob sends alice, who has called it, to carol.
func TestBaresipTransfersUs(t *testing.T) {
	t.Parallel()
	a, b, ctx := withBaresipOn(t, `{"version":1,"drainSeconds":1,"transfers":{"accept":"placed"}}`, baresip.Account{AutoAnswer: true})
	id := a.dial(`{"line":"alice","to":"bob","toneHz":440}`)
	a.awaitCall(id, "hears bob", hears(700))
	if _, err := b.Await(ctx, "CALL_ESTABLISHED"); err != nil {
		t.Fatal(err)
	}
	p, uri := callee(t, sipp.Callee{})
	if _, err := b.Command(ctx, "transfer", uri); err != nil {
		t.Fatal(err)
	}
	next := a.awaitOf("alice", "hears its own echo", func(r record) bool { return r.ReferredBy == id && hears(440)(r) })
	first := a.awaitCall(id, "is over, as baresip hangs up", ended)
	if code, answer := a.request("DELETE", "/calls/"+next.ID, ""); code != 204 {
		t.Fatalf("%d %s", code, answer)
	}
	said := finished(t, p)
	if !strings.Contains(said.Messages, "Referred-By:") {
		t.Logf("baresip names nobody in Referred-By:\n%s", seen(said.Messages))
	}
	if !succeeded(first) || first.Transfer.By != "remote" || first.End.By != "remote" {
		t.Errorf("the first call: %s", pretty(first))
	}
	outcome(t, "baresip", "it sends us elsewhere: we heard its 700 Hz, then %s of the target; it hangs up on NOTIFY 200", heard(next))
}

// TestWeTransferBaresip: bob calls alice, who sends it to carol.
func TestWeTransferBaresip(t *testing.T) {
	t.Parallel()
	a, r, host := lines(t, `{"version":1,"drainSeconds":1}`, []string{"alice", "carol"}, map[string]string{"alice": autoAnswer, "carol": autoAnswer}, "bob")
	b := baresip.ForTest(t, baresip.Config{ToneHz: 700, Account: baresip.Account{User: "bob", Host: host, Password: "secret-bob", Register: true}})
	awaitBindings(t, r, "bob", 1)
	if err := b.Dial(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	there := a.awaitIncoming("alice", "hears bob", hears(700))
	a.transfer(there.ID, `{"to":"carol"}`)
	carol := a.awaitIncoming("carol", "hears bob", hears(700))
	alice := a.awaitCall(there.ID, "was handed over", func(r record) bool { return ended(r) && succeeded(r) })
	outcome(t, "baresip", "we send it elsewhere: carol hears %s; %s", heard(carol), alice.End.Reason)
}

// TestWeTransferBaresipToACallOfOurs: alice talks to bob and to carol, then bob calls
// carol. This baresip does not know Replaces: its call comes beside alice's, which
// alice ends.
func TestWeTransferBaresipToACallOfOurs(t *testing.T) {
	t.Parallel()
	a, r, host := lines(t, `{"version":1,"drainSeconds":1}`, []string{"alice", "carol"}, map[string]string{"alice": autoAnswer, "carol": autoAnswer}, "bob")
	b := baresip.ForTest(t, baresip.Config{ToneHz: 700, Account: baresip.Account{User: "bob", Host: host, Password: "secret-bob", Register: true}})
	awaitBindings(t, r, "bob", 1)
	if err := b.Dial(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	there := a.awaitIncoming("alice", "hears bob", hears(700))
	consult := a.dial(`{"line":"alice","to":"carol","toneHz":852}`)
	was := a.awaitIncoming("carol", "hears alice", hears(852))
	a.transfer(there.ID, fmt.Sprintf(`{"replaces":%q}`, consult))
	carol := a.awaitOf("carol", "hears bob", hears(700))
	alice := a.awaitCall(there.ID, "was handed over", func(r record) bool { return ended(r) && succeeded(r) })
	if freed := a.awaitCall(consult, "is over", ended); freed.End.Reason != "handed over to the other side of call "+there.ID {
		t.Errorf("consultation: %s", pretty(freed))
	}
	a.awaitCall(was.ID, "is over there, too", ended)
	outcome(t, "baresip", "it calls who alice talked to: carol heard 852 Hz, then %s; both calls of alice are over: %s", heard(carol), alice.End.Reason)
}

// TestATransferObeysTheRulesOfTheLine: what the other side asks for goes through the
// account's rules as every call does, here out by another line.
func TestATransferObeysTheRulesOfTheLine(t *testing.T) {
	t.Parallel()
	p, uri := callee(t, sipp.Callee{})
	_, at, _ := strings.Cut(uri, "@")
	a, _, _ := lines(t, followAny, []string{"alice", "bob", "carol"}, map[string]string{"alice": autoAnswer, "bob": `<rewriting>
  <rule><condition type="equals" param="112233"/><action type="append" param="@` + at + `"/><action type="dialOut" param="carol"/></rule></rewriting>`})
	first := a.dial(`{"line":"bob","to":"alice","toneHz":440,"seconds":30}`)
	there := a.awaitIncoming("alice", "hears bob", hears(440))
	a.transfer(there.ID, `{"to":"112233"}`)
	next := a.awaitOf("carol", "hears the echo of what bob sent", func(r record) bool { return r.ReferredBy == first && hears(440)(r) })
	a.awaitCall(there.ID, "was handed over", func(r record) bool { return ended(r) && succeeded(r) })
	a.request("DELETE", "/calls/"+next.ID, "")
	if got := seen(finished(t, p).Messages, "From", "Referred-By"); !strings.Contains(got, "From: <sip:carol@") || !strings.Contains(got, "Referred-By: <sip:alice@") {
		t.Errorf("seen\n%s", got)
	}
	outcome(t, "sipp", "sent to 112233, bob's rules call from carol: %v", next.Treatment)
}
