package interop

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/process"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// carrier is a proxy that knows its customer, number 4711, by address: calls for
// the number go there unasked, and calls from there go out unchallenged.
const carrier = `
  if (is_method("INVITE") && !has_totag() && ($sp == %[1]d || $rU == "4711")) {
    if ($rU == "4711") { $ru = "sip:4711@127.0.0.1:%[1]d"; }
    record_route();
    t_relay();
    exit;
  }`

// TestTrunk has a line that never registers, known to its server by address, call
// and be called; and its server go away and come back.
func TestTrunk(t *testing.T) {
	t.Parallel()
	port, err := process.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	r, host := registrar(t, kamailio.Config{Extra: kamailio.Extra{Request: fmt.Sprintf(carrier, port)}})
	a := startAgent(t, options{sip: port, files: map[string]string{
		"desk.xml":   accountXML("4711", "never-asked", host, autoAnswer),
		"agent.json": `{"version":1,"lines":{"desk":{"trunk":true}},"registrar":{"qualifySeconds":1}}`,
	}})
	answers := func() (bool, string) {
		l := a.line("desk")
		return l.State == "idle" && l.LastReason == "trunk: it does not register; its server answers" && l.Server == host+"/udp", pretty(l)
	}
	eventually(t, "the trunk's server answers", answers)

	in := sipp.Caller{From: "stranger", Tone: toneFile(t, 1004), Hold: 2 * time.Second}
	finished(t, sipp.ForTest(t, sipp.Config{Scenario: in.Scenario(), Remote: r.Addr(), Service: "4711"}))
	took := a.awaitIncoming("desk", "of sipp ended", ended)
	if took.End.By != "remote" || took.RTP.Received < 50 {
		t.Errorf("the carrier's call: %s", pretty(took))
	}
	_, uri := callee(t, sipp.Callee{})
	made := a.awaitCall(a.dial(fmt.Sprintf(`{"line":"desk","to":%q,"seconds":2,"toneHz":852}`, uri)), "has ended", ended)
	if !near(made, 852) || made.End.Code != 200 {
		t.Errorf("the call to the carrier: %s", pretty(made))
	}

	server := fmt.Sprintf(`{server="%s/udp"}`, host)
	if up := a.series("softphone_server_up" + server); up != 1 {
		t.Errorf("softphone_server_up is %g", up)
	}
	rtt := a.series("softphone_server_rtt_seconds" + server)
	if rtt <= 0 || rtt > 5 {
		t.Errorf("softphone_server_rtt_seconds is %g", rtt)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trunk has no server", func() (bool, string) {
		l := a.line("desk")
		return l.State == "error" && l.Problem == "Unreachable", pretty(l)
	})
	if up := a.series("softphone_server_up" + server); up != 0 {
		t.Errorf("softphone_server_up is %g", up)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trunk's server answers again", answers)
	if _, page := a.request("GET", "/metrics", ""); strings.Contains(string(page), "softphone_registration_attempts_total") {
		t.Error("a line that does not register has tried to")
	}
	outcome(t, "kamailio", "trunk without REGISTER: called (%d packets), calls (echo of %s); OPTIONS: RTT %.1f ms, gone and back seen", took.RTP.Received, heard(made), rtt*1000)
}

// series gives the value of one series.
func (s *softphone) series(name string) float64 {
	s.t.Helper()
	_, page := s.request("GET", "/metrics", "")
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(page)
	if found == nil {
		s.t.Fatalf("there is no %s", name)
	}
	v, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}
