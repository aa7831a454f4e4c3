package registration

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// ok is a 200 with these headers, as it comes from the network.
func okWith(headers ...string) *sip.Response {
	text := "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n" +
		strings.Join(append(headers, "Content-Length: 0", "", ""), "\r\n")
	msg, err := sip.ParseMessage([]byte(text))
	if err != nil {
		panic(err)
	}
	return msg.(*sip.Response)
}

func TestWhatA200SaysOfTheWay(t *testing.T) {
	for name, tt := range map[string]struct {
		headers []string
		want    string
	}{
		"nothing":                                {nil, "<nil>"},
		"a path":                                 {[]string{"Path: <sip:edge.test;lr;ob>, <sip:core.test;lr>"}, "path [sip:edge.test;lr;ob sip:core.test;lr]"},
		"a service route, over several headers":  {[]string{"Service-Route: <sip:p1.test;lr>", "Service-Route: <sip:p2.test:5080;transport=tcp;lr>, <sips:p3.test;lr>"}, "service [sip:p1.test;lr sip:p2.test:5080;transport=tcp;lr sips:p3.test;lr]"},
		"a service route with a strict router":   {[]string{"Service-Route: <sip:p1.test;lr>, <sip:p2.test>"}, "<nil>"},
		"a service route that is no SIP address": {[]string{"Service-Route: <tel:1>"}, "<nil>"},
		"garbage in a service route":             {[]string{"Service-Route: <sip:p1.test;lr"}, "<nil>"},
		"headers, which a route does not have":   {[]string{"Service-Route: <sip:p1.test;lr?Subject=x>"}, "<nil>"},
		"other names, of any scheme":             {[]string{`P-Associated-URI: <sip:a@b>, "A, B" <tel:+15550100>;x=1, sip:c@d`}, "names [sip:a@b tel:+15550100 sip:c@d]"},
		"a flow":                                 {[]string{"Require: path, Outbound"}, "flow"},
		"a flow and its timer":                   {[]string{"Require: outbound", "Flow-Timer: 25"}, "flow timer 25s"},
		"a timer that is no bound":               {[]string{"Flow-Timer: 4000000000"}, "timer 1h0m0s"},
		"more routes than anybody has":           {[]string{"Service-Route: " + strings.Repeat("<sip:p.test;lr>,", 40) + "<sip:p.test;lr>"}, "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := described(readWay(okWith(tt.headers...))); got != tt.want {
				t.Errorf("%s; want %s", got, tt.want)
			}
		})
	}
}

func described(w *Way) string {
	if w == nil {
		return "<nil>"
	}
	var all []string
	for what, list := range map[string][]string{"path": w.Path, "service": w.ServiceRoute, "names": w.Associated} {
		if len(list) > 0 {
			all = append(all, fmt.Sprint(what, " ", list))
		}
	}
	if w.Outbound {
		all = append(all, "flow")
	}
	if w.FlowTimer > 0 {
		all = append(all, fmt.Sprint("timer ", w.FlowTimer))
	}
	return strings.Join(all, " ")
}

func routes(l ua.Link, proxy string) string {
	var all []string
	for _, r := range l.Routes(proxy) {
		all = append(all, r.String())
	}
	return strings.Join(all, " ")
}

// A service route is there while the binding is, and what the last 200 said.
func TestAServiceRouteLastsAsLongAsTheBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.says = []string{"Service-Route: <sip:core.test;lr>", "Path: <sip:edge.test;lr>", "P-Associated-URI: <tel:+15550100>"}
		link := ua.Link{Transport: ua.UDP, Reach: new(ua.Reach)}
		b.start(func(c *Config) { c.Link = link })
		b.want(delivery.Registered, "", "200 OK")
		s := b.r.Status()
		if got := described(s.Way); !strings.Contains(got, "path [sip:edge.test;lr]") || !strings.Contains(got, "names [tel:+15550100]") {
			t.Errorf("the status has %s", got)
		}
		if got := routes(link, "edge.test:5070"); got != "sip:edge.test:5070;lr sip:core.test;lr" {
			t.Errorf("the Route set behind a proxy: %s", got)
		}
		b.g.set(func(g *registrar) { g.says = []string{"Service-Route: <sip:other.test;lr>"} })
		b.after(10 * time.Minute)
		if got := routes(link, ""); got != "sip:other.test;lr" {
			t.Errorf("after the refresh: %s", got)
		}
		b.g.set(func(g *registrar) { g.silent = true })
		b.after(5 * time.Minute)
		if got := routes(link, ""); got != "sip:other.test;lr" {
			t.Errorf("the refresh fails, but the binding is there: %q", got)
		}
		b.after(15 * time.Minute)
		if got := routes(link, ""); got != "" || b.r.Status().Way != nil {
			t.Errorf("the binding has run out: %q, %+v", got, b.r.Status().Way)
		}
		b.g.set(func(g *registrar) { g.silent = false })
		b.after(10 * time.Minute)
		b.want(delivery.Registered, "", "200 OK")
		if got := routes(link, ""); got != "sip:other.test;lr" {
			t.Errorf("registered again: %q", got)
		}
		b.stop()
		if got := routes(link, ""); got != "" {
			t.Errorf("un-registered: %q", got)
		}
	})
}

// Where new requests of a line go, by its nodes and its service route.
func TestWhereAServiceRouteLeads(t *testing.T) {
	elsewhere := netip.MustParseAddrPort("10.77.0.9:5080")
	for name, tt := range map[string]struct {
		says string
		edit func(*Config)
		want netip.AddrPort
	}{
		"to its first hop":                                 {"Service-Route: <sip:core.test:5080;lr>", func(*Config) {}, elsewhere},
		"to the registrar, which is the first hop":         {"Service-Route: <sip:SIP.test;lr>", func(*Config) {}, serverAddr},
		"to the registrar, named by its address":           {"Service-Route: <sip:10.77.0.1;lr>", func(*Config) {}, serverAddr},
		"to the proxy of the account":                      {"Service-Route: <sip:core.test:5080;lr>", func(c *Config) { c.Proxy = "edge.test" }, serverAddr},
		"to the outbound proxy of the account":             {"Service-Route: <sip:core.test:5080;lr>", func(c *Config) { c.Proxy, c.Route = "edge.test", true }, serverAddr},
		"by the flow, where the registrar keeps one":       {"Service-Route: <sip:core.test:5080;lr>\nRequire: outbound", func(*Config) {}, serverAddr},
		"without a service route to the server in use":     {"Path: <sip:core.test:5080;lr>", func(*Config) {}, serverAddr},
		"not where a strict router would have them go":     {"Service-Route: <sip:core.test:5080>", func(*Config) {}, serverAddr},
		"and by TLS where the hop says so, the line's own": {"Service-Route: <sip:core.test:5080;transport=tls;lr>", func(*Config) {}, elsewhere},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.g.says = strings.Split(tt.says, "\n")
				b.ep.hosts = map[string]netip.AddrPort{"core.test:5080": elsewhere}
				b.start(func(c *Config) { c.Link.Reach = new(ua.Reach); tt.edit(c) })
				b.want(delivery.Registered, "", "200 OK")
				if got, err := b.r.Server(t.Context()); err != nil || got.Addr != tt.want {
					t.Errorf("%v, %v; want %s", got, err, tt.want)
				}
				if got, err := b.r.Candidates(t.Context()); err != nil || len(got) != 1 || got[0].Addr != tt.want {
					t.Errorf("candidates: %v, %v; want %s", got, err, tt.want)
				}
				b.stop()
			})
		})
	}
}

func supported(req *sip.Request) string { return req.GetHeader("Supported").Value() }

// 439: the line registers all the same, without a flow, and leaves as it came.
func TestAProxyThatKnowsNoFlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.lacking = true
		b.start()
		b.want(delivery.Registered, "", "200 OK")
		b.after(10 * time.Minute)
		b.stop()
		var asked []string
		for _, req := range b.g.received() {
			if req.GetHeader("Authorization") != nil {
				contact := req.GetHeader("Contact").Value()
				asked = append(asked, fmt.Sprint(supported(req), " ", strings.Contains(contact, "reg-id="), " ", strings.Contains(contact, "+sip.instance=")))
			}
		}
		want := []string{"path, outbound true true", "path false true", "path false true", "path false false"}
		if !slices.Equal(asked, want) {
			t.Errorf("asked %q\nwant  %q", asked, want)
		}
	})
}

// Who leaves names its URI alone, since a successor may be bound as the same instance by now; a registrar that does not know the
// binding by that is asked again, by what it goes by.
func TestWhoLeavesSparesASuccessor(t *testing.T) {
	for says, c := range map[string]struct {
		strict bool
		want   []string
	}{
		"a registrar that goes by the URI":      {false, []string{"path false"}},
		"a registrar that goes by the instance": {true, []string{"path false", "path, outbound true"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.g.strict = c.strict
			b.start()
			b.want(delivery.Registered, "", "200 OK")
			before := len(b.g.received())
			b.stop()
			b.want(delivery.Disabled, "", "200 OK")
			var asked []string
			for _, req := range b.g.received()[before:] {
				contact := req.GetHeader("Contact").Value()
				named := strings.Contains(contact, "+sip.instance=") && strings.Contains(contact, "reg-id=")
				if !strings.HasPrefix(contact, "<"+contact1+">") || !strings.HasSuffix(contact, ";expires=0") {
					t.Errorf("%s: it says %s", says, contact)
				}
				if req.GetHeader("Authorization") != nil {
					asked = append(asked, fmt.Sprint(supported(req), " ", named))
				}
			}
			if got := b.g.bound("alice"); len(got) > 0 || !slices.Equal(asked, c.want) {
				t.Errorf("%s: asked %q, want %q; bound %q", says, asked, c.want, got)
			}
		})
	}
}

// A flow is kept alive though the account does not ask for it, at the pace the
// server wants; when an answer is missing, it is made anew.
func TestAFlowIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.says = []string{"Require: outbound", "Flow-Timer: 100"}
		link := ua.Link{Transport: ua.TCP, Reach: new(ua.Reach)}
		b.start(func(c *Config) { c.Link = link })
		b.want(delivery.Registered, "", "200 OK")
		own := netip.MustParseAddrPort("10.244.0.7:5060")
		if u := link.DialogContact("k3x", own); u.String() != "sip:k3x@10.244.0.7:5060;transport=tcp;ob" {
			t.Errorf("Contact of a dialog: %s", u.String())
		}
		began := time.Now()
		b.ep.set(func(f *fakeEndpoint) { f.answers = true })
		b.after(40 * time.Minute) // several refreshes
		at := b.ep.probedAt
		if first := at[0].Sub(began); first < leastFirstProbe || first > mostFirstProbe {
			t.Errorf("the first keepalive after %s", first)
		}
		for i := range at[1:] {
			if d := at[i+1].Sub(at[i]); d < 80*time.Second || d > 100*time.Second {
				t.Errorf("the next keepalive after %s", d)
			}
		}
		if n := len(b.ep.keepalives); n != 0 {
			t.Errorf("%d keepalives that need no answer", n)
		}
		b.ep.set(func(f *fakeEndpoint) { f.answers = false })
		before := len(b.g.received())
		b.ep.lose(errors.New("no answer to a keepalive"))
		b.after(mostLostWait)
		b.want(delivery.Registered, "", "200 OK")
		if n := len(b.g.received()) - before; n != 1 {
			t.Errorf("%d REGISTERs for the flow", n)
		}
		// This one is never any good.
		before = len(b.g.received())
		b.ep.lose(errors.New("reset by peer"))
		b.after(29 * time.Second)
		if n := len(b.g.received()) - before; n != 0 {
			t.Errorf("%d REGISTERs within 30 s of a flow that failed at once", n)
		}
		b.after(31 * time.Second)
		b.want(delivery.Registered, "", "200 OK")
		b.stop()
		if u := link.DialogContact("k3x", own); u.String() != "sip:k3x@10.244.0.7:5060;transport=tcp" {
			t.Errorf("Contact of a dialog without a flow: %s", u.String())
		}
	})
}

// Over UDP what fails is the answer to STUN, or the address in it.
func TestAFlowOverDatagrams(t *testing.T) {
	here, there := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.1:4001")
	for name, second := range map[string]struct {
		mapped netip.AddrPort
		err    error
		again  int
	}{
		"the same address":     {here, nil, 0},
		"another address":      {there, nil, 1},
		"no answer":            {netip.AddrPort{}, ua.ErrTimeout, 1},
		"nothing of addresses": {netip.AddrPort{}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.g.says = []string{"Require: outbound"}
				b.start()
				b.after(mostFirstProbe)
				b.ep.probes[0](here, nil)
				synctest.Wait()
				b.after(mostDatagramPeriod)
				if n := len(b.ep.probes); n != 2 {
					t.Fatalf("%d keepalives", n)
				}
				before := len(b.g.received())
				b.ep.probes[1](second.mapped, second.err)
				b.after(mostLostWait)
				b.want(delivery.Registered, "", "200 OK")
				if n := len(b.g.received()) - before; n != second.again {
					t.Errorf("%d REGISTERs, want %d", n, second.again)
				}
				b.stop()
			})
		})
	}
}
