package interop

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
	"github.com/softphone-operator/softphone-operator/test/peer/tone"
)

const autoAnswer = "<autoAnswerEnabled>1</autoAnswerEnabled><autoAnswerTimeoutInSeconds>0</autoAnswerTimeoutInSeconds>"

// called runs an agent with one registered line, alice, and the registrar to call her by.
func called(t *testing.T, more ...string) (*softphone, *kamailio.Registrar) {
	t.Helper()
	r, host := registrar(t, kamailio.Config{}, "alice")
	a := startAgent(t, options{files: map[string]string{"alice.xml": accountXML("alice", "secret-alice", host, more...)}})
	a.awaitLine("alice", "registered")
	return a, r
}

// callAlice lets sipp call alice by the proxy.
func callAlice(t *testing.T, r *kamailio.Registrar, c sipp.Caller) *sipp.Program {
	t.Helper()
	c.From = "stranger"
	return sipp.ForTest(t, sipp.Config{Scenario: c.Scenario(), Remote: r.Addr(), Service: "alice"})
}

// finished waits for sipp and fails unless its one call went as scripted.
func finished(t *testing.T, p *sipp.Program) sipp.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := p.Wait(ctx)
	if err != nil || r.Successful != 1 || r.Failed != 0 {
		t.Fatalf("sipp: %d successful, %d failed, %v", r.Successful, r.Failed, err)
	}
	return r
}

// toneFile writes a tone as sipp sends it.
func toneFile(t *testing.T, hz float64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tone.ul")
	if err := os.WriteFile(path, tone.MuLaw(tone.Sine(hz, 10*time.Second)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// near tells whether a call heard a frequency.
func near(r record, hz float64) bool { return r.Heard != nil && math.Abs(r.Heard.FrequencyHz-hz) < 5 }

func heard(r record) string {
	if r.Heard == nil {
		return "nothing"
	}
	return fmt.Sprintf("%.0f Hz at %.1f dBm0", r.Heard.FrequencyHz, r.Heard.LevelDbm0)
}

func mos(r record) string {
	if r.MOS == nil {
		return "no MOS"
	}
	return fmt.Sprintf("MOS %.2f", *r.MOS)
}

func TestEchoForSippThroughTheProxy(t *testing.T) {
	t.Parallel()
	a, r := called(t, autoAnswer)
	p := callAlice(t, r, sipp.Caller{Tone: toneFile(t, 1004), Hold: 3 * time.Second})
	during := a.awaitIncoming("alice", "hears sipp's tone", func(r record) bool { return established(r) && near(r, 1004) })
	if during.Codec != "PCMU/8000" || during.Protection != "none" || during.NAT == "" {
		t.Errorf("the record says %s", pretty(during))
	}
	finished(t, p)
	end := a.awaitIncoming("alice", "ended", ended)
	if end.End.Code != 200 || end.End.By != "remote" || end.RTP.Received < 100 || end.RTP.Sent < 100 || end.RTP.Lost > 2 || end.MOS == nil || *end.MOS < 4 {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "sipp", "heard %s, sent/received/lost %d/%d/%d, %s", heard(end), end.RTP.Sent, end.RTP.Received, end.RTP.Lost, mos(end))
}

func TestDelayedAnswerRingsFirst(t *testing.T) {
	t.Parallel()
	a, r := called(t, "<autoAnswerEnabled>1</autoAnswerEnabled><autoAnswerTimeoutInSeconds>1</autoAnswerTimeoutInSeconds>")
	finished(t, callAlice(t, r, sipp.Caller{Ringing: true, Hold: 100 * time.Millisecond}))
	end := a.awaitIncoming("alice", "ended", ended)
	if end.SetupMs == nil || *end.SetupMs < 950 || *end.SetupMs > 3000 { // 5 s is the default
		t.Errorf("the record says %s", pretty(end))
	} else {
		outcome(t, "sipp", "180, then 200 after %d ms (asked for 1 s)", *end.SetupMs)
	}
}

func TestAnswerAfterOfCallInfoWins(t *testing.T) {
	t.Parallel()
	a, r := called(t, "<autoAnswerEnabled>1</autoAnswerEnabled><autoAnswerTimeoutInSeconds>20</autoAnswerTimeoutInSeconds>")
	finished(t, callAlice(t, r, sipp.Caller{Headers: []string{`Call-Info: <sip:stranger@sipp.invalid>;answer-after=0`}, Hold: 100 * time.Millisecond}))
	end := a.awaitIncoming("alice", "ended", ended)
	if end.SetupMs == nil || *end.SetupMs > 2000 { // the account says 20 s
		t.Errorf("the record says %s", pretty(end))
	} else {
		outcome(t, "sipp", "Call-Info answer-after=0 beats 20 s: answered after %d ms", *end.SetupMs)
	}
}

func TestForwarding(t *testing.T) {
	t.Parallel()
	a, r := called(t, "<forwardingEnabled>1</forwardingEnabled><forwardingNumber>+15550100</forwardingNumber>")
	said := finished(t, callAlice(t, r, sipp.Caller{Expect: 302}))
	for _, want := range []string{"Contact: <sip:+15550100@", "Diversion: <sip:alice@", "History-Info: <sip:alice@"} {
		if !strings.Contains(said.Messages, want) {
			t.Errorf("no %q in\n%s", want, said.Messages)
		}
	}
	end := a.awaitIncoming("alice", "ended", ended)
	if end.End.Code != 302 || end.End.By != "policy" || len(end.Treatment) == 0 {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "sipp", "302 with the number; explained: %s", end.Treatment[len(end.Treatment)-1])
}

func TestBusyWithoutCallWaiting(t *testing.T) {
	t.Parallel()
	a, r := called(t, autoAnswer, "<callWaiting>0</callWaiting>")
	first := callAlice(t, r, sipp.Caller{Hold: 4 * time.Second})
	a.awaitIncoming("alice", "established", established)
	finished(t, callAlice(t, r, sipp.Caller{Expect: 486}))
	finished(t, first)
	outcome(t, "sipp", "second call 486, the first goes on")
}

func TestCancelWhileItRings(t *testing.T) {
	t.Parallel()
	a, r := called(t)
	finished(t, callAlice(t, r, sipp.Caller{CancelAfter: 300 * time.Millisecond}))
	end := a.awaitIncoming("alice", "ended", ended)
	if end.End.Code != 487 || end.End.By != "remote" {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "sipp", "CANCEL: 200 and 487, recorded as %d by %s", end.End.Code, end.End.By)
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host), "agent.json": `{"version":1,"noAnswerSeconds":1}`,
	}})
	a.awaitLine("alice", "registered")
	finished(t, callAlice(t, r, sipp.Caller{Ringing: true, Expect: 480}))
	end := a.awaitIncoming("alice", "ended", ended)
	if end.End.Code != 480 || end.End.By != "timeout" {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "sipp", "180, then 480 after noAnswerSeconds=1")
}

func TestSuspendedLineIsNotReached(t *testing.T) {
	t.Parallel()
	a, r := called(t, autoAnswer)
	a.put("agent.json", `{"version":1,"lines":{"alice":{"suspended":true}}}`)
	awaitBindings(t, r, "alice", 0)
	finished(t, callAlice(t, r, sipp.Caller{Expect: 404}))
	outcome(t, "sipp", "404 by the registrar")
}

func TestSettingsChangeBetweenTwoCalls(t *testing.T) {
	t.Parallel()
	a, r := called(t, autoAnswer)
	finished(t, callAlice(t, r, sipp.Caller{Hold: 50 * time.Millisecond}))
	before := contacts(t, r, "alice")[0]
	hash := a.line("alice").ConfigHash
	a.put("alice.xml", accountXML("alice", "secret-alice", r.Addr().String(), "<forwardingEnabled>1</forwardingEnabled><forwardingNumber>200</forwardingNumber>"))
	eventually(t, "the line runs the new document", func() (bool, string) { l := a.line("alice"); return l.ConfigHash != hash, pretty(l) })
	finished(t, callAlice(t, r, sipp.Caller{Expect: 302}))
	if after := contacts(t, r, "alice")[0]; after != before && after.CSeq != before.CSeq {
		t.Errorf("a live change asked the registrar: %+v after %+v", after, before)
	}
	outcome(t, "sipp", "forwarding switched on live, no REGISTER")
}

// callee runs sipp as the other end of a call; it is reached by the proxy.
func callee(t *testing.T, c sipp.Callee) (*sipp.Program, string) {
	t.Helper()
	p := sipp.ForTest(t, sipp.Config{Scenario: c.Scenario(), Echo: true})
	return p, "sip:sipp@" + p.Address().String()
}

func TestCallToSippHearsItsEcho(t *testing.T) {
	t.Parallel()
	a, _ := called(t)
	p, uri := callee(t, sipp.Callee{Ring: 200 * time.Millisecond})
	id := a.dial(fmt.Sprintf(`{"line":"alice","to":%q,"seconds":3,"toneHz":1633,"headers":{"X-Check":"nightly"}}`, uri))
	a.awaitCall(id, "rings", func(r record) bool { return r.State == "ringing" || established(r) })
	end := a.awaitCall(id, "has ended", ended)
	said := finished(t, p)
	if !near(end, 1633) || end.RTP.Received < 100 || end.End.Code != 200 || end.End.By != "local" || end.MOS == nil || end.SetupMs == nil {
		t.Errorf("the record says %s", pretty(end))
	}
	if !strings.Contains(said.Messages, "X-Check: nightly") {
		t.Error("the header that was asked for is not in the INVITE")
	}
	outcome(t, "sipp", "heard own %s back, %d/%d packets, setup %d ms, %s", heard(end), end.RTP.Sent, end.RTP.Received, *end.SetupMs, mos(end))
}

// TestIncomingOffRegistersForTheCall has a line with icm=off place a call: it is
// registered for as long as the call takes.
func TestIncomingOffRegistersForTheCall(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host, "<icm>off</icm>"),
		"bob.xml":   accountXML("bob", "wrong", host, "<icm>off</icm>"),
	}})
	a.awaitLine("alice", "disabled")
	_, uri := callee(t, sipp.Callee{})
	id := a.dial(fmt.Sprintf(`{"line":"alice","to":%q,"seconds":3}`, uri))
	if n := len(contacts(t, r, "alice")); n != 1 {
		t.Errorf("%d bindings during the call", n)
	}
	end := a.awaitCall(id, "has ended", ended)
	if end.End.Code != 200 {
		t.Errorf("the record says %s", pretty(end))
	}
	awaitBindings(t, r, "alice", 0)
	a.awaitLine("alice", "disabled")
	if code, answer := a.request("POST", "/calls", fmt.Sprintf(`{"line":"bob","to":%q}`, uri)); code != 409 || !strings.Contains(string(answer), "unauthorized") {
		t.Errorf("with a wrong password: %d %s", code, answer)
	}
	outcome(t, "kamailio", "icm=off: bound during the call only; wrong password: 409")
}

func TestCallThatIsRefused(t *testing.T) {
	t.Parallel()
	a, _ := called(t)
	p, uri := callee(t, sipp.Callee{Ring: 50 * time.Millisecond, Refuse: "486 Busy Here"})
	end := a.awaitCall(a.dial(fmt.Sprintf(`{"line":"alice","to":%q}`, uri)), "has ended", ended)
	finished(t, p)
	if end.End.Code != 486 || end.End.By != "remote" || end.MOS != nil {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "sipp", "%s by %s, no MOS", end.End.Reason, end.End.By)
}

func TestCallThatIsGivenUp(t *testing.T) {
	t.Parallel()
	a, _ := called(t)
	p, uri := callee(t, sipp.Callee{Cancelled: true})
	id := a.dial(fmt.Sprintf(`{"line":"alice","to":%q}`, uri))
	a.awaitCall(id, "rings", func(r record) bool { return r.State == "ringing" })
	if code, answer := a.request("DELETE", "/calls/"+id, ""); code != 204 {
		t.Fatalf("DELETE: %d %s", code, answer)
	}
	end := a.awaitCall(id, "has ended", ended)
	finished(t, p)
	if end.End.Code != 487 || end.End.By != "local" {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "sipp", "CANCEL sent, ended %d by %s", end.End.Code, end.End.By)
}

func TestCallToNobody(t *testing.T) {
	t.Parallel()
	a, _ := called(t)
	end := a.awaitCall(a.dial(`{"line":"alice","to":"nobody"}`), "has ended", ended)
	if end.End.Code != 404 {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "kamailio", "INVITE with digest, then %s", end.End.Reason)
}

func TestRefusalsOfPOSTCalls(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host), "bob.xml": accountXML("bob", "wrong", host),
		"carol.xml":  accountXML("carol", "x", host),
		"agent.json": `{"version":1,"caps":{"concurrentCalls":1},"lines":{"carol":{"suspended":true}}}`,
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "unauthorized")
	_ = r
	_, uri := callee(t, sipp.Callee{Cancelled: true})
	id := a.dial(fmt.Sprintf(`{"line":"alice","to":%q}`, uri))
	a.awaitCall(id, "rings", func(r record) bool { return r.State == "ringing" })
	for _, c := range []struct {
		body string
		code int
	}{
		{`{"line":"zoe","to":"1"}`, 404},
		{`{"line":"bob","to":"1"}`, 409},
		{`{"line":"carol","to":"1"}`, 409},
		{`{"line":"alice","to":"<>"}`, 400},
		{`{"line":"alice","to":"1","toneHz":-1}`, 400},
		{`{"line":"alice","to":"112"}`, 403},
		{`{"line":"alice","to":"sip:%39%31%31@pbx.test"}`, 403},
		{`{"line":"alice","to":"1"}`, 429},
	} {
		if code, answer := a.request("POST", "/calls", c.body); code != c.code || !strings.Contains(string(answer), `"error"`) {
			t.Errorf("%s: %d %s, want %d", c.body, code, answer, c.code)
		}
	}
	if code, _ := a.request("DELETE", "/calls/"+id, ""); code != 204 {
		t.Errorf("DELETE: %d", code)
	}
	a.awaitCall(id, "has ended", ended)
	outcome(t, "agent", "404 unknown line, 409 not registered or suspended, 400 bad target, 403 emergency number, 429 above the cap")
}

func TestTwoLinesCallEachOther(t *testing.T) {
	t.Parallel()
	_, host := registrar(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host), "bob.xml": accountXML("bob", "secret-bob", host, autoAnswer),
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	id := a.dial(`{"line":"alice","to":"bob","seconds":4,"toneHz":852,"dtmf":"159#"}`)
	end := a.awaitCall(id, "has ended", ended)
	far := a.awaitIncoming("bob", "ended", ended)
	if !near(end, 852) || !near(far, 852) {
		t.Errorf("alice heard %s, bob heard %s; alice sent 852 Hz and bob echoes", heard(end), heard(far))
	}
	if far.DTMF != "159#" {
		t.Errorf("bob received the digits %q, alice sent 159#", far.DTMF)
	}
	if end.RTP.Lost+far.RTP.Lost > 2 || end.RTP.Received < 150 || far.RTP.Received < 150 {
		t.Errorf("alice %+v, bob %+v", end.RTP, far.RTP)
	}
	if far.End.By != "remote" || end.End.By != "local" || end.MOS == nil || end.RTP.RTTMs == nil && far.RTP.RTTMs == nil {
		t.Errorf("alice %s, bob %s", pretty(end), pretty(far))
	}
	outcome(t, "agent", "echo of %s, digits %s, %s, codec %s", heard(end), far.DTMF, mos(end), end.Codec)
}

func TestDigitsFromSipp(t *testing.T) {
	t.Parallel()
	a, r := called(t, autoAnswer)
	finished(t, callAlice(t, r, sipp.Caller{Digits: "159#", Hold: 200 * time.Millisecond}))
	end := a.awaitIncoming("alice", "ended", ended)
	if end.DTMF != "159#" {
		t.Errorf("received %q: %s", end.DTMF, pretty(end))
	}
	outcome(t, "sipp", "RFC 4733 digits %q from a recording", end.DTMF)
}

// TestTerminationWithACall ends the agent while it talks: the call goes on for
// the drain time, then gets a BYE.
func TestTerminationWithACall(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host), "agent.json": `{"version":1,"drainSeconds":1}`,
	}})
	a.awaitLine("alice", "registered")
	p, uri := callee(t, sipp.Callee{})
	a.awaitCall(a.dial(fmt.Sprintf(`{"line":"alice","to":%q}`, uri)), "is established", established)
	began := time.Now()
	if code := a.terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	took := time.Since(began)
	said := finished(t, p)
	if took < 900*time.Millisecond {
		t.Errorf("the call got %v, not the drain time", took)
	}
	bye := said.Messages[strings.LastIndex(said.Messages, "\nBYE "):]
	if !strings.Contains(bye, "Reason:") {
		t.Errorf("the BYE says no Reason:\n%s", bye)
	}
	if n := len(contacts(t, r, "alice")); n != 0 {
		t.Errorf("%d bindings are left", n)
	}
	outcome(t, "sipp", "binding away at once, BYE with Reason after drainSeconds=1, exit 0 after %s", ms(took))
}

// TestStrangersAreNotHeard sends an INVITE for the account's own name straight to
// the agent: it comes neither by the Contact user nor from the server.
func TestStrangersAreNotHeard(t *testing.T) {
	t.Parallel()
	a, _ := called(t, autoAnswer)
	agent := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.sip)
	p := sipp.ForTest(t, sipp.Config{
		Scenario: sipp.Caller{From: "scanner", Hold: time.Second}.Scenario(), Remote: agent, Service: "alice", Timeout: 2 * time.Second,
		Local: netip.AddrFrom4([4]byte{127, 0, 0, 2}),
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, _ := p.Wait(ctx)
	if r.Successful != 0 {
		t.Error("a stranger's call was answered")
	}
	if strings.Contains(r.Messages, "SIP/2.0 200") || strings.Contains(r.Messages, "SIP/2.0 180") {
		t.Errorf("the stranger heard:\n%s", r.Messages)
	}
	if calls := a.status().Calls; len(calls) != 0 {
		t.Errorf("a call was made of it: %s", pretty(calls))
	}
	outcome(t, "sipp", "INVITE past the registrar: no answer, no call")
}

// TestCallOutlivesItsLinesIdentity flips the slot of a line, and then takes its
// file away, while it talks: the call ends when the other end says so.
func TestCallOutlivesItsLinesIdentity(t *testing.T) {
	t.Parallel()
	a, r := called(t, autoAnswer)
	p := callAlice(t, r, sipp.Caller{Tone: toneFile(t, 1004), Hold: 3 * time.Second})
	a.awaitIncoming("alice", "is established", established)
	a.put("agent.json", `{"version":1,"lines":{"alice":{"slot":2}}}`)
	eventually(t, "slot 2 is registered alone", func() (bool, string) {
		all := contacts(t, r, "alice")
		return len(all) == 1 && all[0].RegID == 2, fmt.Sprintf("%+v", all)
	})
	a.remove("alice.xml")
	awaitBindings(t, r, "alice", 0)
	finished(t, p)
	end := a.awaitIncoming("alice", "ended", ended)
	if end.End.By != "remote" || end.RTP.Received < 100 || end.RTP.Lost > 2 || !near(end, 1004) {
		t.Errorf("the record says %s", pretty(end))
	}
	eventually(t, "nothing of the line is left", func() (bool, string) { st := a.status(); return len(st.Lines) == 0, pretty(st.Lines) })
	outcome(t, "sipp", "slot flipped and file removed meanwhile: %d packets, lost %d, ended by %s", end.RTP.Received, end.RTP.Lost, end.End.By)
}
