package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/process"
	"github.com/softphone-operator/softphone-operator/test/peer/relay"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// An edge proxy (RFC 5626 §5) before a registrar: it writes itself into the path of
// REGISTERs, with a token for the flow they came by, and sends everything for a line
// down that flow.
const edgeModules = `
loadmodule "stun.so"
loadmodule "outbound.so"
modparam("outbound", "flow_token_secret", "01234567890123456789")

route[EDGE] {
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
    sl_send_reply("404", "Not here");
    exit;
  }
  t_check_trans();
  if (is_method("REGISTER")) {
    remove_hf("Route");
    if (!add_path()) { sl_send_reply("503", "No path"); exit; }
    $du = "sip:%[1]s";
    t_relay();
    exit;
  }
  if (is_method("INVITE|SUBSCRIBE")) record_route();
  if (loose_route() && $du != $null) { t_relay(); exit; } # down a flow
  $du = "sip:%[1]s";
  t_relay();
}
`

const edgeRequest = "  if (is_method(\"OPTIONS\") && $rU==$null) { sl_send_reply(\"200\", \"Keepalive\"); exit; }\n  route(EDGE);\n  exit;\n"

// behindEdge runs a registrar that keeps flows, and an edge before it with a relay
// before that, which the edge takes for itself.
func behindEdge(t *testing.T, flowTimer int, users ...string) (registers *kamailio.Registrar, host string, edge *kamailio.Registrar, between *relay.Relay) {
	t.Helper()
	registers, host = registrar(t, kamailio.Config{Extra: kamailio.Extra{Modules: fmt.Sprintf(`
modparam("registrar", "use_path", 1)
modparam("registrar", "outbound_mode", 1)
modparam("registrar", "flow_timer", %d)
`, flowTimer)}}, users...)
	port, err := process.FreePorts(1)
	must(t, err)
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	between = relay.ForTest(t, relay.Config{Upstream: at})
	edge = kamailio.ForTest(t, kamailio.Config{Listen: at, Extra: kamailio.Extra{
		Globals: fmt.Sprintf("alias=tcp:%[1]s\nalias=udp:%[1]s", between.Addr()),
		Modules: fmt.Sprintf(edgeModules, host), Request: edgeRequest,
	}})
	return registers, host, edge, between
}

func outboundProxy(at string) string {
	return "<outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_host>" + at + "</outboundProxy_host>"
}

// A line registers through an edge proxy by a flow, over TCP. When that is cut it
// makes another, and calls reach it by that one.
func TestOutboundByAnEdgeOverTCP(t *testing.T) {
	t.Parallel()
	r, host, edge, between := behindEdge(t, 5, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host, "<transport>tcp</transport>", outboundProxy(between.Addr().String()), autoAnswer),
		"bob.xml":   accountXML("bob", "secret-bob", host),
	}})
	l, _ := a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	if !l.Outbound || len(l.Path) != 1 || !strings.Contains(l.Path[0], ";ob") || !strings.Contains(l.Path[0], edge.Addr().String()) {
		t.Fatalf("registered without a flow: %+v", l)
	}
	a.awaitLog("answers keepalives")
	call := func(when string) {
		t.Helper()
		id := a.dial(`{"line":"bob","to":"alice","seconds":1,"toneHz":852}`)
		if end := a.awaitCall(id, "has ended", ended); end.End.By != "local" || !near(end, 852) {
			t.Fatalf("%s: %s", when, pretty(end))
		}
	}
	call("by the first flow")
	before := len(registersSeen(between))
	if n := between.Reset(); n != 1 {
		t.Errorf("the line has %d connections", n)
	}
	began := time.Now()
	eventually(t, "another flow is made", func() (bool, string) {
		n := len(registersSeen(between))
		return n > before, fmt.Sprintf("%d REGISTERs, %d before", n, before)
	})
	again := time.Since(began)
	a.awaitLine("alice", "registered")
	if b := awaitBindings(t, r, "alice", 1)[0]; b.RegID != 1 {
		t.Errorf("the binding has reg-id %d", b.RegID)
	}
	call("by the second flow")
	// And the other way, through the edge, in a dialog that asks for the flow.
	p, target := callee(t, sipp.Callee{})
	id := a.dial(fmt.Sprintf(`{"line":"alice","to":%q,"seconds":1}`, target))
	if end := a.awaitCall(id, "has ended", ended); end.End.By != "local" {
		t.Errorf("a call by alice: %s", pretty(end))
	}
	finished(t, p)
	for _, m := range relay.Requests(between.Seen(time.Time{}), "INVITE") {
		if contact := m.Header("Contact"); !strings.Contains(contact, ";ob") {
			t.Errorf("INVITE with the Contact %s", contact)
		}
	}
	outcome(t, "kamailio", "flow cut: the next REGISTER after %s; called by both flows, Path %s", ms(again), strings.Join(l.Path, " "))
}

func registersSeen(r *relay.Relay) []relay.Message {
	return relay.Requests(r.Seen(time.Time{}), "REGISTER")
}

// Over UDP the flow is kept alive by STUN at the SIP port, as often as the registrar
// wants it.
func TestOutboundByAnEdgeOverUDP(t *testing.T) {
	t.Parallel()
	_, host, edge, _ := behindEdge(t, 4, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host, outboundProxy(edge.Addr().String()), autoAnswer),
		"bob.xml":   accountXML("bob", "secret-bob", host),
	}})
	if l, _ := a.awaitLine("alice", "registered"); !l.Outbound {
		t.Fatalf("registered without a flow: %+v", l)
	}
	a.awaitLine("bob", "registered")
	eventually(t, "three keepalives are answered", func() (bool, string) {
		n := strings.Count(a.Log(), "the flow answers")
		return n >= 3, fmt.Sprint(n)
	})
	id := a.dial(`{"line":"bob","to":"alice","seconds":1,"toneHz":852}`)
	if end := a.awaitCall(id, "has ended", ended); end.End.By != "local" || !near(end, 852) {
		t.Errorf("%s", pretty(end))
	}
	if strings.Contains(a.Log(), "connection lost") {
		t.Error("the flow was given up")
	}
}

// A registrar that keeps flows behind a proxy that does not know them says 439; the
// line registers all the same.
func TestOutboundWithoutAnEdge(t *testing.T) {
	t.Parallel()
	r, host, _, _ := behindEdge(t, 5, "alice")
	plain := kamailio.ForTest(t, kamailio.Config{Extra: kamailio.Extra{
		Modules: strings.Replace(strings.Replace(fmt.Sprintf(edgeModules, host), `loadmodule "outbound.so"`, "", 1), `modparam("outbound", "flow_token_secret", "01234567890123456789")`, "", 1),
		Request: edgeRequest,
	}})
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host, outboundProxy(plain.Addr().String())),
	}})
	l, _ := a.awaitLine("alice", "registered")
	if b := awaitBindings(t, r, "alice", 1)[0]; l.Outbound || b.RegID != 0 {
		t.Errorf("%+v with reg-id %d", l, b.RegID)
	}
}
