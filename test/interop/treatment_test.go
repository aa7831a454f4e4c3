package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// callAliceAs is callAlice by a caller with a name.
func callAliceAs(t *testing.T, r *kamailio.Registrar, from string, c sipp.Caller) *sipp.Program {
	t.Helper()
	c.From = from
	return sipp.ForTest(t, sipp.Config{Scenario: c.Scenario(), Remote: r.Addr(), Service: "alice"})
}

// seen tells what of an INVITE the other end saw: its request line and the headers
// asked for, one a line.
func seen(messages string, headers ...string) string {
	_, invite, _ := strings.Cut(messages, "\nINVITE ")
	invite, _, _ = strings.Cut("INVITE "+invite, "\n\n")
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(invite, "\r", ""), "\n") {
		if line == "" {
			break
		}
		name, _, _ := strings.Cut(line, ":")
		if len(lines) == 0 || slices.Contains(headers, name) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// TestDoNotDisturb has the document's example reject: its caller at this time of
// the day, in its zone, and nobody else.
func TestDoNotDisturb(t *testing.T) {
	t.Parallel()
	there := time.Now().UTC().Add(time.Hour)
	today := 1 << ((int(there.Weekday()) + 6) % 7)
	days := today | today<<1 | today>>6 // midnight may come before the call
	a, r := called(t, autoAnswer, fmt.Sprintf(`<doNotDisturb gmtOffsetInMinutes="60">
  <dndEntry><from>00:00</from><to>23:59</to><weekdays>%d</weekdays>
    <contacts><contactInfo identifier="" source="" phone="+1 (222) 333-4455" name="+1 (222) 333-4455"/></contacts></dndEntry>
  <dndEntry><from>00:00</from><to>23:59</to><weekdays>%d</weekdays><contacts/><comment>not on these days</comment></dndEntry>
</doNotDisturb>`, days&127, 127&^(days|today<<2|today>>5)))
	finished(t, callAliceAs(t, r, "+12223334455", sipp.Caller{Expect: 486}))
	end := a.awaitIncoming("alice", "ended", ended)
	if end.End.Code != 486 || end.End.By != "policy" || !slices.Contains(end.Treatment, "do-not-disturb: entry 1 of doNotDisturb, 486") {
		t.Errorf("the record says %s", pretty(end))
	}
	finished(t, callAliceAs(t, r, "+12223334456", sipp.Caller{Hold: 50 * time.Millisecond}))
	outcome(t, "sipp", "486 for the document's caller, 200 for another; explained: %s", end.Treatment[len(end.Treatment)-1])
}

// TestRulesForIncomingCalls has one line treat callers each in its own way.
func TestRulesForIncomingCalls(t *testing.T) {
	t.Parallel()
	a, r := called(t, `<incomingRewriting>
  <rule><conditions><condition type="startsWith" param="00"/></conditions><actions><action type="replace" param="+"/><action type="continue"/></actions></rule>
  <rule><conditions><condition type="startsWith" param="+49900"/></conditions><actions><action type="rejectCall"/></actions></rule>
  <rule><conditions><condition type="equals" param="boss"/></conditions><actions><action type="forwardCall" param="+15550100"/><action type="setHeader" param="X-Rule: boss"/></actions></rule>
  <rule><conditions><condition type="startsWith" param="+4930"/></conditions><actions><action type="answerImmediately"/></actions></rule>
</incomingRewriting>`)
	finished(t, callAliceAs(t, r, "0049900123", sipp.Caller{Expect: 486}))
	if end := a.awaitIncoming("alice", "ended", ended); !strings.HasPrefix(end.Remote, "sip:+49900123@") ||
		!slices.Contains(end.Treatment, "rewriting: rule 1 makes +49900123 of 0049900123; rule 2 rejects, 486") {
		t.Errorf("the record says %s", pretty(end))
	}
	said := finished(t, callAliceAs(t, r, "boss", sipp.Caller{Expect: 302}))
	for _, want := range []string{"+15550100@", "X-Rule: boss", "Diversion: <sip:alice@", "History-Info: <sip:alice@"} {
		if !strings.Contains(said.Messages, want) {
			t.Errorf("no %q in\n%s", want, said.Messages)
		}
	}
	finished(t, callAliceAs(t, r, "+4930123", sipp.Caller{Hold: 50 * time.Millisecond}))
	end := a.awaitIncoming("alice", "was answered by a rule", func(r record) bool { return ended(r) && strings.HasPrefix(r.Remote, "sip:+4930123@") })
	if end.End.Code != 200 || end.SetupMs == nil {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "sipp", "rejected 486 under its rewritten number, forwarded 302 with Diversion, History-Info and the rule's header, answered at once")
}

// TestWhoCallsByAssertedIdentity has the server say who calls, and the caller ask
// not to be shown.
func TestWhoCallsByAssertedIdentity(t *testing.T) {
	t.Parallel()
	a, r := called(t, autoAnswer)
	finished(t, callAlice(t, r, sipp.Caller{Hold: 50 * time.Millisecond, Headers: []string{`P-Asserted-Identity: "Night desk" <sip:+15550100@pbx.invalid>`}}))
	if end := a.awaitIncoming("alice", "ended", ended); end.Remote != "sip:+15550100@pbx.invalid" || end.RemoteName != "Night desk" {
		t.Errorf("the record says %s", pretty(end))
	}
	finished(t, callAlice(t, r, sipp.Caller{Hold: 50 * time.Millisecond, Headers: []string{"P-Asserted-Identity: <sip:+15550101@pbx.invalid>", "Privacy: id"}}))
	end := a.awaitIncoming("alice", "is anonymous", func(r record) bool { return ended(r) && r.Anonymous })
	if end.Remote != "sip:anonymous@anonymous.invalid" || strings.Contains(pretty(end), "15550101") {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "sipp", "P-Asserted-Identity names the caller; with Privacy: id it is %s", end.Remote)
}

// TestAnswerMode has a caller ask for an automatic answer (RFC 5373).
func TestAnswerMode(t *testing.T) {
	t.Parallel()
	a, r := called(t, "<autoAnswerEnabled>1</autoAnswerEnabled><autoAnswerTimeoutInSeconds>20</autoAnswerTimeoutInSeconds>")
	finished(t, callAlice(t, r, sipp.Caller{Headers: []string{"Answer-Mode: Auto"}, Hold: 50 * time.Millisecond}))
	end := a.awaitIncoming("alice", "ended", ended)
	if end.SetupMs == nil || *end.SetupMs > 10_000 { // the account says 20 s
		t.Errorf("the record says %s", pretty(end))
	}
	hash := a.line("alice").ConfigHash
	a.put("alice.xml", accountXML("alice", "secret-alice", r.Addr().String()))
	eventually(t, "the line runs the new document", func() (bool, string) { l := a.line("alice"); return l.ConfigHash != hash, pretty(l) })
	finished(t, callAlice(t, r, sipp.Caller{Headers: []string{"Answer-Mode: Auto;require"}, Expect: 403}))
	outcome(t, "sipp", "Answer-Mode: Auto is answered at once; 403 where the account does not answer by itself")
}

// TestRewritingOnTheWire has rules change what is dialled; kamailio routes by it.
func TestRewritingOnTheWire(t *testing.T) {
	t.Parallel()
	p, uri := callee(t, sipp.Callee{})
	_, at, _ := strings.Cut(uri, "@")
	a, _ := called(t, fmt.Sprintf(`<rewriting>
  <rule><condition type="startsWith" param="0900"/><action type="drop"/></rule>
  <rule><condition type="equals" param="4711"/><action type="confirm"/></rule>
  <rule><condition type="doesntStartWith" param="+"/><condition type="longerThan" param="8"/>
    <action type="prepend" param="+420"/><action type="append" param="@%s"/><action type="setHeader" param="X-Condition-Matched: true"/></rule>
</rewriting>`, at))
	end := a.awaitCall(a.dial(`{"line":"alice","to":"777 123 456","seconds":1}`), "has ended", ended)
	got := seen(finished(t, p).Messages, "To", "X-Condition-Matched")
	for _, want := range []string{"INVITE sip:+420777123456@" + at, "To: <sip:+420777123456@" + at, "X-Condition-Matched: true"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if end.End.Code != 200 || len(end.Treatment) == 0 {
		t.Errorf("the record says %s", pretty(end))
	}
	dropped := a.awaitCall(a.dial(`{"line":"alice","to":"0900123"}`), "is over", ended)
	if dropped.End.By != "policy" || dropped.End.Reason != "not dialled: rule 1 of rewriting drops the call" {
		t.Errorf("the record says %s", pretty(dropped))
	}
	code, answer := a.request("POST", "/calls", `{"line":"alice","to":"4711"}`)
	if code != 409 || !strings.Contains(string(answer), "NotConfirmed") || !strings.Contains(string(answer), "a rule of rewriting asks to confirm a call to 4711") {
		t.Errorf("unconfirmed: %d %s", code, answer)
	}
	if confirmed := a.awaitCall(a.dial(`{"line":"alice","to":"4711","confirm":true}`), "is over", ended); confirmed.End.Code != 404 {
		t.Errorf("confirmed, but nobody is there: %s", pretty(confirmed))
	}
	outcome(t, "sipp", "777 123 456 arrives as +420777123456 with the rule's header; %s; unconfirmed: 409", dropped.End.Reason)
}

// TestCallFromAnotherLine has a rule call from the line of another account.
func TestCallFromAnotherLine(t *testing.T) {
	t.Parallel()
	_, host := registrar(t, kamailio.Config{}, "alice", "bob")
	p, uri := callee(t, sipp.Callee{})
	_, at, _ := strings.Cut(uri, "@")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host, `<rewriting>
  <rule><condition type="equals" param="112233"/><action type="append" param="@`+at+`"/><action type="dialOut" param="bob"/></rule>
  <rule><condition type="equals" param="5"/><action type="dialOut" param="zoe"/></rule></rewriting>`),
		"bob.xml": accountXML("bob", "secret-bob", host),
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	end := a.awaitCall(a.dial(`{"line":"alice","to":"112233","seconds":1}`), "has ended", ended)
	got := seen(finished(t, p).Messages, "From")
	if end.Line != "bob" || end.End.Code != 200 || !strings.Contains(got, "From: <sip:bob@") || !slices.Contains(end.Treatment, "dialOut: asked of alice") {
		t.Errorf("seen\n%s\nthe record says %s", got, pretty(end))
	}
	if code, answer := a.request("POST", "/calls", `{"line":"alice","to":"5"}`); code != 404 || !strings.Contains(string(answer), `this agent has no line \"zoe\"`) {
		t.Errorf("by a line that is not here: %d %s", code, answer)
	}
	outcome(t, "sipp", "asked of alice, called from bob; a line that is not here: 404")
}

// TestWhoWeAreToOthers has sipp see who calls: as the account says, and nobody.
func TestWhoWeAreToOthers(t *testing.T) {
	t.Parallel()
	a, r := called(t, "<userDisplayName>Alice</userDisplayName><userCallerId>+15550100</userCallerId><userCallerIdMethod>pai,rpid</userCallerIdMethod>",
		"<voiceMailNumber>*97</voiceMailNumber>")
	domain := r.Addr().String()
	names := []string{"From", "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Privacy"}
	dial := func(headers string) string {
		p, uri := callee(t, sipp.Callee{})
		end := a.awaitCall(a.dial(fmt.Sprintf(`{"line":"alice","to":%q,"seconds":1,"headers":{%s}}`, uri, headers)), "has ended", ended)
		if end.End.Code != 200 {
			t.Errorf("the record says %s", pretty(end))
		}
		return seen(finished(t, p).Messages, names...)
	}
	check := func(got string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(got, "\n"+w) {
				t.Errorf("no %q in\n%s", w, got)
			}
		}
	}
	me := `"Alice" <sip:+15550100@` + domain + ">"
	// kamailio takes calls of its users under their own names only.
	check(dial(""), `From: "Alice" <sip:alice@`+domain+">;tag=", "P-Asserted-Identity: "+me, "Remote-Party-ID: "+me+";party=calling;privacy=off")
	hidden := dial(`"Privacy":"id"`)
	check(hidden, `From: "Anonymous" <sip:anonymous@anonymous.invalid>;tag=`, "P-Asserted-Identity: "+me, "Remote-Party-ID: "+me+";party=calling;privacy=full", "Privacy: id")
	if voicemail := a.awaitCall(a.dial(`{"line":"alice","to":"voicemail"}`), "is over", ended); !strings.HasPrefix(voicemail.Remote, "sip:*97@") {
		t.Errorf("voicemail: %s", pretty(voicemail))
	}
	outcome(t, "sipp", "From, P-Asserted-Identity and Remote-Party-ID as the account says; with Privacy: id From is anonymous")
}
