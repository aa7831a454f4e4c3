package interop

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/dnsmasq"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// TestCallPassesOverADeadServer: a line that registers nowhere calls, and the first of
// the two servers of its domain is not there.
func TestCallPassesOverADeadServer(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		s := newSite(t, kamailio.Config{}, domain)
		dead := closed(t)
		names := dnsmasq.Start(t, dnsmasq.Config{
			Hosts: map[string][]netip.Addr{"dead.test": {loopback4}, "alive.test": {loopback4}},
			Services: map[string][]dnsmasq.Service{serviceOf(w): {
				{Target: "dead.test", Port: dead, Priority: 10}, {Target: "alive.test", Port: portOf(s, w), Priority: 20},
			}},
		})
		a := located(t, names, map[string]string{"alice.xml": byDomain(w, "alice", noRegistration), "ca.crt": s.ca})
		a.awaitLine("alice", "disabled")
		a.put("bob.xml", accountXML("bob", "secret-bob", s.Addr().String(), autoAnswer))
		a.awaitLine("bob", "registered")
		id := a.dial(`{"line":"alice","to":"bob","toneHz":440}`)
		r := a.awaitCall(id, "is up", established)
		want := fmt.Sprintf("server 127.0.0.1:%d/%s: ", dead, w.wire)
		if steps := strings.Join(r.Treatment, "\n"); !strings.Contains(steps, want) || !strings.Contains(steps, fmt.Sprintf("; trying 127.0.0.1:%d/%s", portOf(s, w), w.wire)) {
			t.Errorf("the record says %s", pretty(r))
		}
		second := a.awaitCall(a.dial(`{"line":"alice","to":"bob","seconds":1}`), "is up or over", func(r record) bool { return established(r) || ended(r) })
		if len(second.Treatment) > len(r.Treatment)-1 {
			t.Errorf("the second call tried the dead one again: %s", pretty(second))
		}
		return fmt.Sprintf("the server before it is dead: answered after %d ms, the next call in %d ms", *r.SetupMs, *second.SetupMs)
	})
}

// TestCallPassesOver503: the first of two servers has too much to do for calls.
func TestCallPassesOver503(t *testing.T) {
	t.Parallel()
	w := ways[0]
	s := newSite(t, kamailio.Config{}, domain)
	busy := newSite(t, kamailio.Config{Extra: kamailio.Extra{Request: `if (is_method("INVITE")) { append_to_reply("Retry-After: 20\r\n"); sl_send_reply("503", "Service Unavailable"); exit; }`}}, domain)
	names := dnsmasq.Start(t, dnsmasq.Config{
		Hosts: map[string][]netip.Addr{"pbx.test": {loopback4}},
		Services: map[string][]dnsmasq.Service{serviceOf(w): {
			{Target: "pbx.test", Port: portOf(busy, w), Priority: 10}, {Target: "pbx.test", Port: portOf(s, w), Priority: 20},
		}},
	})
	a := located(t, names, map[string]string{
		"alice.xml": byDomain(w, "alice"), "bob.xml": accountXML("bob", "secret-bob", s.Addr().String(), autoAnswer),
	})
	if l, _ := a.awaitLine("alice", "registered"); !strings.HasPrefix(l.Server, busy.Addr().String()) {
		t.Fatalf("alice is at %s", l.Server)
	}
	a.awaitLine("bob", "registered")
	r := a.awaitCall(a.dial(`{"line":"alice","to":"bob","toneHz":440}`), "is up", established)
	want := fmt.Sprintf("server %s/udp: 503 Service Unavailable (retry after 20 s); trying %s/udp", busy.Addr(), s.Addr())
	if !strings.Contains(strings.Join(r.Treatment, "\n"), want) {
		t.Errorf("the record says %s", pretty(r))
	}
	outcome(t, "kamailio+dnsmasq", "%s: answered after %d ms", want, *r.SetupMs)
}

// TestCallPassesOverASilentServer: the first of two servers takes datagrams and says
// nothing, which the first call waits for and the second does not.
func TestCallPassesOverASilentServer(t *testing.T) {
	t.Parallel()
	w := ways[0]
	s := newSite(t, kamailio.Config{}, domain)
	silent := newSite(t, kamailio.Config{Extra: kamailio.Extra{Request: "drop;"}}, domain)
	names := dnsmasq.Start(t, dnsmasq.Config{
		Hosts: map[string][]netip.Addr{"pbx.test": {loopback4}},
		Services: map[string][]dnsmasq.Service{serviceOf(w): {
			{Target: "pbx.test", Port: portOf(silent, w), Priority: 10}, {Target: "pbx.test", Port: portOf(s, w), Priority: 20},
		}},
	})
	a := located(t, names, map[string]string{
		"alice.xml": byDomain(w, "alice", noRegistration), "bob.xml": accountXML("bob", "secret-bob", s.Addr().String(), autoAnswer),
	})
	a.awaitLine("bob", "registered")
	first := a.awaitCall(a.dial(`{"line":"alice","to":"bob"}`), "is up", established)
	if want := fmt.Sprintf("server %s/udp: no answer within 8 s; trying %s/udp", silent.Addr(), s.Addr()); !strings.Contains(strings.Join(first.Treatment, "\n"), want) {
		t.Errorf("the record says %s", pretty(first))
	}
	second := a.awaitCall(a.dial(`{"line":"alice","to":"bob"}`), "is up", established)
	if *second.SetupMs > *first.SetupMs/2 {
		t.Errorf("the second call took %d ms after the first had taken %d ms: what it learned is lost", *second.SetupMs, *first.SetupMs)
	}
	outcome(t, "kamailio+dnsmasq", "the server before it is silent: answered after %d ms, the next call in %d ms", *first.SetupMs, *second.SetupMs)
}

// noRegistration has a line call without being registered.
const noRegistration = "<icm>off</icm><requiresRegistrationForOutgoingCalls>0</requiresRegistrationForOutgoingCalls>"

// TestForkingProxy: bob has three phones, which all answer at once; the call is one
// phone's, and the others are free again.
func TestForkingProxy(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{"alice.xml": accountXML("alice", "secret-alice", host)}})
	a.awaitLine("alice", "registered")
	var phones []*softphone
	for range 3 {
		phone := startAgent(t, options{files: map[string]string{"bob.xml": accountXML("bob", "secret-bob", host, autoAnswer)}})
		phone.awaitLine("bob", "registered")
		phones = append(phones, phone)
	}
	awaitBindings(t, r, "bob", 3)
	const calls = 5
	late := 0
	for range calls {
		id := a.dial(`{"line":"alice","to":"bob","toneHz":440}`)
		up := a.awaitCall(id, "hears its own tone", hears(440))
		eventually(t, "one phone has the call, and two are free", func() (bool, string) {
			busy := 0
			for _, phone := range phones {
				for _, c := range phone.status().Calls {
					if !ended(c) {
						busy++
					}
				}
			}
			return busy == 1, fmt.Sprintf("%d are busy", busy)
		})
		late += strings.Count(strings.Join(a.call(id).Treatment, "\n"), "answered ")
		if !established(a.call(id)) {
			t.Errorf("the record says %s", pretty(up))
		}
		a.request("DELETE", "/calls/"+id, "")
		a.awaitCall(id, "ended", ended)
	}
	outcome(t, "kamailio", "%d calls to three phones that answer at once: each is one phone's, %d answers too many were acknowledged and hung up", calls, late)
}

// TestScriptedCallee has alice call sipp, which answers as no phone of ours does.
func TestScriptedCallee(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ dial, codec, shows string }{
		"fork":             {`"toneHz":440`, "PCMU/8000", "three forks: 2 PRACKs, 2 ACKs, a BYE for the one that was too late"},
		"prack-late-offer": {`"lateOffer":true`, "PCMA/8000", "no offer: the answer goes in the PRACK"},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, _ := lines(t, `{"version":1}`, []string{"alice"}, nil)
			p := sipp.ForTest(t, sipp.Config{Scenario: scripted(t, name), Echo: true, Timeout: patience})
			id := a.dial(fmt.Sprintf(`{"line":"alice","to":"sip:sipp@%s","seconds":2,%s}`, p.Address(), c.dial))
			r := a.awaitCall(id, "is over", ended)
			if r.Codec != c.codec || r.SetupMs == nil || r.End.Code != 200 {
				t.Errorf("the record says %s", pretty(r))
			}
			finished(t, p)
			outcome(t, "sipp", "%s", c.shows)
		})
	}
}

// TestScriptedCaller has sipp call alice as no phone of ours does.
func TestScriptedCaller(t *testing.T) {
	t.Parallel()
	for name, shows := range map[string]string{
		"prack-required": "reliable 180 until its PRACK, 481 for another, then 200",
	} {
		t.Run(name, func(t *testing.T) {
			a, r := called(t, answersAfter(3))
			finished(t, sipp.ForTest(t, sipp.Config{Scenario: scripted(t, name), Remote: r.Addr(), Service: "alice", Timeout: patience}))
			a.awaitIncoming("alice", "ended", ended)
			outcome(t, "sipp", "%s", shows)
		})
	}
}

// TestLargeInviteGoesOverTCP: what passes 1,300 bytes reaches the server over TCP,
// from a line over UDP.
func TestLargeInviteGoesOverTCP(t *testing.T) {
	t.Parallel()
	a, _, _ := lines(t, `{"version":1}`, []string{"alice"}, nil)
	p := sipp.ForTest(t, sipp.Config{Scenario: sipp.Callee{Ring: 100 * time.Millisecond}.Scenario(), Echo: true, Timeout: patience})
	id := a.dial(fmt.Sprintf(`{"line":"alice","to":"sip:sipp@%s","seconds":1,"headers":{"X-Long":%q}}`, p.Address(), strings.Repeat("x", 900)))
	a.awaitCall(id, "ended", func(r record) bool { return ended(r) && r.End.Code == 200 })
	said := finished(t, p).Messages
	vias := 0
	for line := range strings.SplitSeq(seen(said, "Via"), "\n") {
		if strings.HasPrefix(line, "Via: SIP/2.0/TCP 127.0.0.1:"+fmt.Sprint(a.sip)) {
			vias++
		}
	}
	if vias != 1 {
		t.Errorf("the INVITE did not go over TCP:\n%s", seen(said, "Via", "Contact"))
	}
	// The server has recorded the way it came by, so the BYE takes it, too.
	_, bye, _ := strings.Cut(said, "\nBYE ")
	if bye, _, _ = strings.Cut(bye, "\n\n"); !strings.Contains(bye, "Via: SIP/2.0/TCP 127.0.0.1:"+fmt.Sprint(a.sip)) {
		t.Errorf("the BYE did not take the recorded route:\n%s", bye)
	}
	outcome(t, "kamailio+sipp", "an INVITE of more than 1300 bytes goes over TCP, and the dialog by the route that it made")
}

// TestTheDefaultInviteFitsADatagram: all codecs, what the line can do and a proxy's
// credentials besides leave room enough for it to stay on UDP.
func TestTheDefaultInviteFitsADatagram(t *testing.T) {
	t.Parallel()
	_, host := registrar(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host), "bob.xml": accountXML("bob", "secret-bob", host, autoAnswer),
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	for _, to := range []string{"bob", "sip:bob@" + host} { // the second knows the proxy's nonce
		r := a.awaitCall(a.dial(fmt.Sprintf(`{"line":"alice","to":%q,"seconds":1}`, to)), "has ended", ended)
		var trace struct {
			Messages []struct{ Transport, Method, Message string }
		}
		_, raw := a.request("GET", "/calls/"+r.ID+"/trace", "")
		must(t, json.Unmarshal(raw, &trace))
		invites := 0
		for _, m := range trace.Messages {
			if !strings.EqualFold(m.Transport, "udp") {
				t.Errorf("%s went over %s:\n%s", m.Method, m.Transport, m.Message)
			}
			if strings.HasPrefix(m.Message, "INVITE ") {
				invites++
			}
		}
		if r.End.Code != 200 || invites < 1 {
			t.Errorf("%d INVITEs, and the record says %s", invites, pretty(r))
		}
	}
}

// TestLargeInviteWhereThereIsNoTCP: who has no TCP gets it over UDP, in fragments.
func TestLargeInviteWhereThereIsNoTCP(t *testing.T) {
	t.Parallel()
	p := sipp.ForTest(t, sipp.Config{Scenario: sipp.Callee{Ring: 100 * time.Millisecond}.Scenario(), Echo: true, Timeout: patience})
	a := startAgent(t, options{files: map[string]string{"alice.xml": accountXML("alice", "secret-alice", p.Address().String(), noRegistration)}})
	a.awaitLine("alice", "disabled")
	long := strings.Repeat("x", 1000)
	r := a.awaitCall(a.dial(fmt.Sprintf(`{"line":"alice","to":"sipp","seconds":1,"headers":{"X-Long":%q,"X-Longer":%q}}`, long, long)), "ended", ended)
	said := finished(t, p).Messages
	if via := seen(said, "Via"); r.End.Code != 200 || !strings.Contains(via, "Via: SIP/2.0/UDP 127.0.0.1:"+fmt.Sprint(a.sip)) {
		t.Errorf("the record says %s of\n%s", pretty(r), via)
	}
	outcome(t, "sipp", "an INVITE of more than 2000 bytes to who has no TCP goes over UDP: answered after %d ms", *r.SetupMs)
}
