package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// change asks for hold or resume, and gives the record it was answered with.
func (s *softphone) change(id, what string, want int) {
	s.t.Helper()
	if code, answer := s.request("POST", "/calls/"+id+"/"+what, ""); code != want {
		s.t.Fatalf("POST /calls/%s/%s: %d %s, want %d", id, what, code, answer, want)
	}
}

// TestSippWithinOurCall has alice call sipp, which agrees, refuses, and forgets.
func TestSippWithinOurCall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		play  func(a *softphone, id string)
		shows string
	}{
		"hold-by-us": {func(a *softphone, id string) {
			a.change(id, "hold", 200)
			a.awaitCall(id, "is held", func(r record) bool { return r.Held == "local" && r.Hold == "sendonly" })
			a.change(id, "resume", 200)
			a.awaitCall(id, "is not held", func(r record) bool { return r.Held == "" && r.Hold == "" })
		}, "sendonly, sendrecv"},
		"hold-refused": {func(a *softphone, id string) {
			a.change(id, "hold", 502)
			a.awaitCall(id, "goes on", func(r record) bool { return r.Held == "" && established(r) })
		}, "488: the call goes on"},
		"hold-forgotten": {func(a *softphone, id string) {
			a.change(id, "hold", 409)
		}, "481: BYE"},
		"hold-glare": {func(a *softphone, id string) {
			a.change(id, "hold", 200)
			a.awaitCall(id, "is held", func(r record) bool { return r.Held == "local" })
		}, "491: theirs first, ours then"},
		"hold-by-update": {func(a *softphone, id string) {
			a.awaitCall(id, "is held", func(r record) bool { return r.Held == "remote" && r.Hold == "recvonly" })
			a.awaitCall(id, "is not held", func(r record) bool { return r.Held == "" })
		}, "UPDATE: sendonly, nothing, sendrecv"},
		"timer-refresh": {func(a *softphone, id string) {
			a.awaitCall(id, "has a timer", func(r record) bool {
				return r.SessionTimer != nil && *r.SessionTimer == sessionTimer{Seconds: 10, Refresher: "local"}
			})
			a.awaitCall(id, "was ended, after the refreshes", func(r record) bool { return ended(r) && r.End.By == "remote" })
		}, "10 s, refreshed by UPDATE twice"},
		"timer-refresh-reinvite": {func(a *softphone, id string) {
			a.awaitCall(id, "was ended, after the refresh", func(r record) bool { return ended(r) && r.End.By == "remote" })
		}, "10 s, refreshed by re-INVITE, o= the same"},
		"timer-expiry": {func(a *softphone, id string) {
			r := a.awaitCall(id, "ended", ended)
			if r.End.By != "timeout" || r.End.Reason != "session timer: the other side did not refresh the session of 12 s" {
				a.t.Errorf("the record says %s", pretty(r.End))
			}
		}, "12 s, not refreshed: BYE"},
		"timer-longer": {func(a *softphone, id string) {
			a.awaitCall(id, "has a timer", func(r record) bool { return r.SessionTimer != nil && r.SessionTimer.Seconds == 2000 })
		}, "422: 2000 s"},
	} {
		t.Run(name, func(t *testing.T) {
			// One codec keeps what is sent in datagrams, and so in order: what is too long for one goes by TCP.
			a, _, _ := lines(t, `{"version":1}`, []string{"alice"}, map[string]string{"alice": "<codecOrder>0</codecOrder>"})
			p := sipp.ForTest(t, sipp.Config{Scenario: scripted(t, name), Echo: true, Timeout: patience})
			id := a.dial(fmt.Sprintf(`{"line":"alice","to":"sip:sipp@%s","toneHz":440}`, p.Address()))
			a.awaitCall(id, "was up", func(r record) bool { return established(r) || ended(r) })
			c.play(a, id)
			a.request("DELETE", "/calls/"+id, "")
			finished(t, p)
			outcome(t, "sipp", "%s: %s", name, c.shows)
		})
	}
}

// TestSippWithinItsCall has sipp call alice, and do what softphones seldom do.
func TestSippWithinItsCall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ end, by, shows string }{
		"hold-old-style":        {"BYE from the other side", "remote", "c=0.0.0.0: recvonly; late offer: sendrecv"},
		"late-offer":            {"BYE from the other side", "remote", "200 offers, ACK answers"},
		"late-offer-unanswered": {"no usable answer to our offer in the ACK", "policy", "BYE with Reason 488"},
		"lost-ack":              {"no ACK within 32 s", "timeout", "BYE after 32 s"},
		"lost-200":              {"BYE from the other side", "remote", "acknowledged late"},
		"cancel-reason":         {`cancelled by the caller (SIP;cause=200;text="Call completed elsewhere")`, "remote", "Reason of CANCEL told"},
		"timer-granted":         {"BYE from the other side", "remote", "90 s, they refresh by UPDATE and re-INVITE"},
		"timer-too-short":       {"", "", "422 Min-SE 90"},
		"multipart":             {"BYE from the other side", "remote", "ISUP beside the description"},
	} {
		t.Run(name, func(t *testing.T) {
			mode := autoAnswer
			if name == "cancel-reason" {
				mode = ""
			}
			// One worker: sipp wants what we sent in the order we sent it.
			r, host := registrar(t, kamailio.Config{Children: 1}, "alice")
			a := startAgent(t, options{files: map[string]string{"alice.xml": accountXML("alice", "secret-alice", host, mode)}})
			a.awaitLine("alice", "registered")
			finished(t, sipp.ForTest(t, sipp.Config{Scenario: scripted(t, name), Remote: r.Addr(), Service: "alice", Echo: true, Timeout: patience}))
			if c.end != "" {
				if r := a.awaitIncoming("alice", "ended", ended); r.End.Reason != c.end || r.End.By != c.by {
					t.Errorf("the record says %s, want %s by %s", pretty(r.End), c.end, c.by)
				}
			}
			outcome(t, "sipp", "%s: %s", name, c.shows)
		})
	}
}

// TestHoldWithBaresip: each holds the other; what is heard stops and goes on.
func TestHoldWithBaresip(t *testing.T) {
	t.Parallel()
	a, b, ctx := withBaresip(t, baresip.Account{AutoAnswer: true})
	id := a.dial(`{"line":"alice","to":"bob","toneHz":440}`)
	a.awaitCall(id, "hears bob", hears(700))
	quiet := func(says string) {
		t.Helper()
		was := a.awaitCall(id, says, func(r record) bool { return r.Held != "" })
		var still int
		eventually(t, "nothing comes while "+says, func() (bool, string) {
			now := a.call(id)
			if now.RTP.Received != was.RTP.Received {
				still = 0
			} else {
				still++
			}
			was = now
			return still >= 5, pretty(now.RTP)
		})
	}
	flows := func(says string) {
		t.Helper()
		was := a.awaitCall(id, says, func(r record) bool { return r.Held == "" })
		a.awaitCall(id, "hears bob again", func(r record) bool { return r.RTP.Received > was.RTP.Received+50 && near(r, 700) })
	}
	a.change(id, "hold", 200)
	quiet("held by us")
	a.change(id, "resume", 200)
	flows("resumed by us")
	if _, err := b.Command(ctx, "hold", ""); err != nil {
		t.Fatal(err)
	}
	sent := a.awaitCall(id, "is held by bob", func(r record) bool { return r.Held == "remote" })
	a.change(id, "hold", 200)
	a.awaitCall(id, "is held by both", func(r record) bool { return r.Held == "both" && r.Hold == "inactive" })
	a.change(id, "resume", 200)
	a.awaitCall(id, "is held by bob again", func(r record) bool { return r.Held == "remote" })
	if _, err := b.Command(ctx, "resume", ""); err != nil {
		t.Fatal(err)
	}
	flows("resumed by bob")
	a.request("DELETE", "/calls/"+id, "")
	r := a.awaitCall(id, "ended", ended)
	if r.End.By != "local" || strings.Contains(pretty(r.Treatment), "failed") {
		t.Errorf("the record says %s", pretty(r))
	}
	outcome(t, "baresip", "held by us, by it (%s), by both; audio stops and goes on", sent.Hold)
}

// TestSessionTimersOfAProxy: kamailio wants sessions of an hour at the least, and has
// both sides agree to one.
func TestSessionTimersOfAProxy(t *testing.T) {
	t.Parallel()
	_, host := registrar(t, kamailio.Config{Extra: kamailio.Extra{
		Modules: "loadmodule \"dialog.so\"\nloadmodule \"sst.so\"\nmodparam(\"sst\", \"min_se\", 3600)\nmodparam(\"sst\", \"sst_flag\", 6)\n" +
			"modparam(\"sst\", \"timeout_avp\", \"$avp(dialog_timeout)\")\nmodparam(\"dialog\", \"timeout_avp\", \"$avp(dialog_timeout)\")\nmodparam(\"dialog\", \"dlg_flag\", 5)\n",
		Request: "  if (is_method(\"INVITE\") && !has_totag()) { if (sstCheckMin(\"1\")) exit; setflag(5); setflag(6); }\n",
	}}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host), "bob.xml": accountXML("bob", "secret-bob", host, autoAnswer),
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	id := a.dial(`{"line":"alice","to":"bob","toneHz":440}`)
	agreed := func(refresher string) func(record) bool {
		return func(r record) bool {
			return established(r) && r.SessionTimer != nil && *r.SessionTimer == sessionTimer{Seconds: 3600, Refresher: refresher}
		}
	}
	alice := a.awaitCall(id, "has the proxy's timer", agreed("local"))
	a.awaitIncoming("bob", "has the proxy's timer", agreed("remote"))
	if !strings.Contains(strings.Join(alice.Treatment, "\n"), "asked again for a session of 3600 s") {
		t.Errorf("the record says %s", pretty(alice.Treatment))
	}
	a.request("DELETE", "/calls/"+id, "")
	a.awaitCall(id, "ended", ended)
	outcome(t, "kamailio", "sst wants 3600 s: 422, asked again, agreed by both; we refresh")
}
