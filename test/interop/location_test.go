package interop

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/dnsmasq"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// loopback4 and loopback6 are where everything below runs.
var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
)

// serviceOf is the SRV name of registrar.test for a transport.
func serviceOf(w way) string {
	switch w.wire {
	case "tcp":
		return "_sip._tcp." + domain
	case "tls":
		return "_sips._tcp." + domain
	}
	return "_sip._udp." + domain
}

// portOf is where a site listens for a transport.
func portOf(s site, w way) uint16 {
	if w.secure() {
		return s.TLSAddr().Port()
	}
	return s.Addr().Port()
}

// closed is a port where nobody listens.
func closed(t *testing.T) uint16 {
	t.Helper()
	port, err := process.FreePorts(2)
	must(t, err)
	return port
}

// located runs an agent that asks only this name server. Lines are named by their
// domain alone: DNS says where it is.
func located(t *testing.T, names *dnsmasq.Server, files map[string]string) *softphone {
	t.Helper()
	return startAgent(t, options{files: files, args: []string{"--resolver", names.Addr().String()}})
}

func byDomain(w way, user string, more ...string) string {
	return accountXML(user, "secret-"+user, domain, append([]string{"<transport>" + w.transport + "</transport>"}, more...)...)
}

// TestLocationPassesOverADeadServer: the first of two servers is not there.
func TestLocationPassesOverADeadServer(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		s := newSite(t, kamailio.Config{}, domain)
		names := dnsmasq.Start(t, dnsmasq.Config{
			Hosts: map[string][]netip.Addr{"dead.test": {loopback4}, "alive.test": {loopback4}},
			Services: map[string][]dnsmasq.Service{serviceOf(w): {
				{Target: "dead.test", Port: closed(t), Priority: 10}, {Target: "alive.test", Port: portOf(s, w), Priority: 20},
			}},
		})
		a := located(t, names, map[string]string{"alice.xml": byDomain(w, "alice"), "ca.crt": s.ca})
		l, took := a.awaitLine("alice", "registered")
		if want := fmt.Sprintf("127.0.0.1:%d/%s", portOf(s, w), w.wire); l.Server != want {
			t.Errorf("the line's server is %s, want %s", l.Server, want)
		}
		return "the server before it is dead: registered in " + ms(took)
	})
}

// TestLocationPassesOverASilentServer: the first of two servers takes datagrams and
// says nothing; nobody learns of that but by waiting.
func TestLocationPassesOverASilentServer(t *testing.T) {
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
	a := located(t, names, map[string]string{"alice.xml": byDomain(w, "alice")})
	_, took := a.awaitLine("alice", "registered")
	a.put("bob.xml", byDomain(w, "bob"))
	_, second := a.awaitLine("bob", "registered")
	if second > took/2 {
		t.Errorf("the second line took %s after the first had taken %s: what it learned is not shared", second, took)
	}
	outcome(t, "kamailio+dnsmasq", "the server before it is silent: registered in %s, the next line in %s", ms(took), ms(second))
}

// TestLocationPassesOver503: the first of two servers has too much to do.
func TestLocationPassesOver503(t *testing.T) {
	t.Parallel()
	w := ways[1]
	s := newSite(t, kamailio.Config{}, domain)
	busy := newSite(t, kamailio.Config{Extra: kamailio.Extra{Request: `if (is_method("REGISTER")) { sl_send_reply("503", "Service Unavailable"); exit; }`}}, domain)
	names := dnsmasq.Start(t, dnsmasq.Config{
		Hosts: map[string][]netip.Addr{"pbx.test": {loopback4}},
		Services: map[string][]dnsmasq.Service{serviceOf(w): {
			{Target: "pbx.test", Port: portOf(busy, w), Priority: 10}, {Target: "pbx.test", Port: portOf(s, w), Priority: 20},
		}},
	})
	a := located(t, names, map[string]string{"alice.xml": byDomain(w, "alice")})
	l, took := a.awaitLine("alice", "registered")
	if !strings.HasPrefix(l.Server, s.Addr().String()) {
		t.Errorf("the line's server is %s, want %s", l.Server, s.Addr())
	}
	outcome(t, "kamailio+dnsmasq", "the server before it says 503: registered in %s", ms(took))
}

// TestLocationFailsOverAndReturns: the server in use dies, and comes back.
func TestLocationFailsOverAndReturns(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		c := kamailio.Config{MaxExpires: 10 * time.Second}
		ca := newIssuer(t)
		first, second := siteOf(t, ca, c), siteOf(t, ca, c)
		names := dnsmasq.Start(t, dnsmasq.Config{
			Hosts: map[string][]netip.Addr{"pbx.test": {loopback4}},
			Services: map[string][]dnsmasq.Service{serviceOf(w): {
				{Target: "pbx.test", Port: portOf(first, w), Priority: 10}, {Target: "pbx.test", Port: portOf(second, w), Priority: 20},
			}},
		})
		a := located(t, names, map[string]string{"alice.xml": byDomain(w, "alice"), "ca.crt": ca.pem, "agent.json": `{"registrar": {"qualifySeconds": 5}}`})
		at := func(s site) string { return fmt.Sprintf("127.0.0.1:%d/%s", portOf(s, w), w.wire) }
		moves := func(says string, to site) time.Duration {
			began := time.Now()
			eventually(t, says, func() (bool, string) {
				l := a.line("alice")
				return l.State == "registered" && l.Server == at(to), pretty(l)
			})
			return time.Since(began)
		}
		moves("the line is at the first server", first)
		must(t, first.Stop())
		over := moves("the line is at the second server", second)
		awaitBindings(t, second.Registrar, "alice", 1)
		must(t, first.Restart(t.Context()))
		back := moves("the line is at the first server again", first)
		awaitBindings(t, first.Registrar, "alice", 1)
		return fmt.Sprintf("server died: at the other after %s; came back: there again after %s", ms(over), ms(back))
	})
}

// siteOf is newSite with certificates of an authority that others share.
func siteOf(t *testing.T, ca *issuer, c kamailio.Config) site {
	t.Helper()
	cert, key := ca.files(t, domain)
	c.TLS, c.Domains = &kamailio.TLS{CertFile: cert, KeyFile: key}, []string{domain}
	r, _ := registrar(t, c, "alice", "bob")
	return site{Registrar: r, ca: ca.pem, cert: cert, key: key}
}

// TestLocationSharesByWeight: 200 lines go to two servers, three to one.
func TestLocationSharesByWeight(t *testing.T) {
	t.Parallel()
	const lines = 200
	w := ways[0]
	users := map[string]string{}
	files := map[string]string{}
	for i := range lines {
		user := fmt.Sprintf("user%d", i)
		users[user] = "secret-" + user
		files[user+".xml"] = byDomain(w, user)
	}
	c := kamailio.Config{Subscribers: users, Domains: []string{domain}}
	heavy, err := kamailio.Start(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { _ = heavy.Close() })
	light, err := kamailio.Start(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { _ = light.Close() })
	names := dnsmasq.Start(t, dnsmasq.Config{
		TTL:   time.Hour,
		Hosts: map[string][]netip.Addr{"heavy.test": {loopback4}, "light.test": {loopback4}},
		Services: map[string][]dnsmasq.Service{serviceOf(w): {
			{Target: "heavy.test", Port: heavy.Addr().Port(), Priority: 10, Weight: 75}, {Target: "light.test", Port: light.Addr().Port(), Priority: 10, Weight: 25},
		}},
	})
	a := located(t, names, files)
	var atHeavy int
	lookEvery(t, 200*time.Millisecond, "all lines are registered", func() (bool, string) {
		all := a.status().Lines
		missing := slices.IndexFunc(all, func(l lineStatus) bool { return l.State != "registered" })
		atHeavy = 0
		for _, l := range all {
			if strings.HasPrefix(l.Server, heavy.Addr().String()) {
				atHeavy++
			}
		}
		return len(all) == lines && missing < 0, fmt.Sprintf("%d lines", len(all))
	})
	// 150 are expected; six standard deviations (6.1) are 37.
	if atHeavy < 113 || atHeavy > 187 {
		t.Errorf("%d of %d lines are at the server of weight 75 of 100", atHeavy, lines)
	}
	if n := names.Questions("query[SRV] _sip._udp." + domain); n != 1 {
		t.Errorf("%d lines asked %d times", lines, n)
	}
	outcome(t, "kamailio+dnsmasq", "weights 75 and 25: %d and %d of %d lines, one question", atHeavy, lines-atHeavy, lines)
}

// TestLocationChecksTheDomain: who answers for the name that DNS led to is not who
// the account wants (RFC 5922 §4).
func TestLocationChecksTheDomain(t *testing.T) {
	t.Parallel()
	w := ways[2]
	s := newSite(t, kamailio.Config{}, "pbx.test")
	names := dnsmasq.Start(t, dnsmasq.Config{
		Hosts:    map[string][]netip.Addr{"pbx.test": {loopback4}},
		Services: map[string][]dnsmasq.Service{serviceOf(w): {{Target: "pbx.test", Port: portOf(s, w)}}},
	})
	a := located(t, names, map[string]string{"alice.xml": byDomain(w, "alice"), "ca.crt": s.ca})
	l, _ := a.awaitLine("alice", "error")
	if l.Problem != "Certificate" || !strings.Contains(l.LastReason, `is for "pbx.test", not for registrar.test`) {
		t.Errorf("the line says %+v", l)
	}
	outcome(t, "kamailio+dnsmasq", "a certificate for the SRV target: %s", l.LastReason)
}

// TestLocationByIPv6Alone: the SRV target has an AAAA record and nothing else.
func TestLocationByIPv6Alone(t *testing.T) {
	t.Parallel()
	w := ways[1]
	r, _ := registrar(t, kamailio.Config{Listen: netip.AddrPortFrom(loopback6, 0), Domains: []string{domain}}, "alice")
	names := dnsmasq.Start(t, dnsmasq.Config{
		Hosts:    map[string][]netip.Addr{"six.test": {loopback6}},
		Services: map[string][]dnsmasq.Service{serviceOf(w): {{Target: "six.test", Port: r.Addr().Port()}}},
	})
	port := closed(t)
	a := startAgent(t, options{files: map[string]string{"alice.xml": byDomain(w, "alice")}, sip: port,
		args: []string{"--resolver", names.Addr().String(), "--sip", fmt.Sprintf("[::]:%d", port)}})
	l, took := a.awaitLine("alice", "registered")
	if !strings.HasPrefix(l.Server, "[::1]:") {
		t.Errorf("the line says %+v", l)
	}
	outcome(t, "kamailio+dnsmasq", "a target with IPv6 alone: registered in %s", ms(took))
}

// TestLocationSaysWhatIsWrong: what DNS says, and that it says nothing, are different.
func TestLocationSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := ways[0]
	s := newSite(t, kamailio.Config{MaxExpires: 10 * time.Second}, domain)
	good := dnsmasq.Config{
		Hosts:    map[string][]netip.Addr{"pbx.test": {loopback4}},
		Services: map[string][]dnsmasq.Service{"_sip._udp.elsewhere.test": {{Target: "pbx.test", Port: portOf(s, w)}}},
		Pointers: map[string][]dnsmasq.Pointer{domain: {
			{Order: 1, Flags: "s", Service: "SIPS+D2T", Replacement: "_sips._tcp.nowhere.test"}, {Order: 2, Flags: "s", Service: "SIP+D2U", Replacement: "_sip._udp.elsewhere.test"},
		}},
	}
	names := dnsmasq.Start(t, good)
	a := located(t, names, map[string]string{"alice.xml": byDomain(w, "alice")})
	a.awaitLine("alice", "registered") // by NAPTR
	must(t, names.Stop(5*time.Second))
	a.awaitLog("DNS does not answer")
	refreshed := a.line("alice").ExpiresAt
	eventually(t, "alice is refreshed without DNS", func() (bool, string) {
		l := a.line("alice")
		return l.State == "registered" && l.ExpiresAt.After(refreshed), pretty(l)
	})
	a.put("bob.xml", accountXML("bob", "secret-bob", "other.test"))
	if l, _ := a.awaitLine("bob", "error"); l.Problem != "DNSFailure" {
		t.Errorf("without DNS the line says %+v", l)
	}
	good.Services["_sip._udp.none.test"] = []dnsmasq.Service{{}}
	names.Change(good)
	a.put("carol.xml", accountXML("carol", "secret-carol", "none.test"))
	if l, _ := a.awaitLine("carol", "error"); l.Problem != "HostNotFound" || !strings.Contains(l.LastReason, "offers no SIP over udp") {
		t.Errorf("where SIP is not offered the line says %+v", l)
	}
	a.put("dave.xml", accountXML("dave", "secret-dave", "nowhere.test"))
	if l, _ := a.awaitLine("dave", "error"); l.Problem != "HostNotFound" {
		t.Errorf("without a host the line says %+v", l)
	}
	outcome(t, "kamailio+dnsmasq", "by NAPTR; refreshed while DNS was away; DNSFailure and HostNotFound told apart")
}
