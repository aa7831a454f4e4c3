package registration

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// elsewhere adds registrars that know alice: at 10.77.0.2, 10.77.0.3 and so on,
// found by the names given.
func (b *bench) elsewhere(names ...string) []*registrar {
	var all []*registrar
	b.ep.hosts = map[string]netip.AddrPort{}
	for i, name := range names {
		g, addr := newRegistrar(), netip.MustParseAddrPort(fmt.Sprintf("10.77.0.%d:5060", i+2))
		g.passwords = map[string]string{"alice": "secret"}
		b.ep.registrars[addr], b.ep.hosts[name] = g, addr
		all = append(all, g)
	}
	return all
}

// moves makes a registrar redirect everybody.
func (g *registrar) moves(code int, contacts ...string) {
	g.set(func(g *registrar) {
		g.code, g.headers = code, nil
		for _, c := range contacts {
			g.headers = append(g.headers, "Contact: "+c)
		}
	})
}

func TestARedirectionIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		there := b.elsewhere("node2.test")[0]
		b.g.moves(302, "<sip:alice@node2.test;method=INVITE>;expires=60")
		b.start()
		b.want(delivery.Registered, "", "200 OK")
		if s := b.r.Status(); s.Server != "10.77.0.2:5060/udp" || s.Contact != contact1 {
			t.Errorf("status %+v", s)
		}
		text := there.received()[1].String()
		for _, want := range []string{"REGISTER sip:node2.test SIP/2.0\r\n", "To: <sip:alice@sip.test>\r\n", "Authorization: Digest "} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in\n%s", want, text)
			}
		}
		if got := b.r.Servers(); !slices.Equal(got, []netip.AddrPort{netip.MustParseAddrPort("10.77.0.2:5060")}) {
			t.Errorf("calls would come from %v", got)
		}
		// The refresh asks the configured server again, which has taken it back.
		b.g.set(func(g *registrar) { g.code, g.headers = 0, nil })
		b.after(541 * time.Second)
		b.want(delivery.Registered, "", "200 OK")
		if s := b.r.Status(); s.Server != "10.77.0.1:5060/udp" {
			t.Errorf("status %+v", s)
		}
		b.stop()
	})
}

func TestUnregisterFollowsTheRedirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		there := b.elsewhere("node2.test")[0]
		b.g.moves(301, "<sip:node2.test>")
		b.start()
		b.want(delivery.Registered, "", "200 OK")
		b.stop()
		if got := there.bound("alice"); len(got) != 0 {
			t.Errorf("still bound: %q", got)
		}
	})
}

func TestRedirections(t *testing.T) {
	tls := func(b *bench) { b.cfg.Link = ua.Link{Transport: ua.TLS, Domain: "sip.test"} }
	sips := func(b *bench) { b.cfg.Link = ua.Link{Transport: ua.TLS, SIPS: true, Domain: "sip.test"} }
	for name, tt := range map[string]struct {
		arrange func(b *bench, there []*registrar)
		server  string // registered there; "" = not at all
		reason  string
	}{
		"the highest q comes first": {func(b *bench, _ []*registrar) {
			b.g.moves(300, "<sip:two.test>;q=0.3", "<sip:three.test>;q=0.8")
		}, "10.77.0.3:5060/udp", ""},
		"the next one when the first says no": {func(b *bench, there []*registrar) {
			there[0].set(func(g *registrar) { g.code = 480 })
			b.g.moves(302, "<sip:two.test>", "<sip:three.test>;q=0.1")
		}, "10.77.0.3:5060/udp", ""},
		"the next one when the first is silent": {func(b *bench, there []*registrar) {
			there[0].set(func(g *registrar) { g.silent = true })
			b.g.moves(302, "<sip:two.test>", "<sip:three.test>;q=0.1")
		}, "10.77.0.3:5060/udp", ""},
		"but not when it refuses the password": {func(b *bench, there []*registrar) {
			there[0].set(func(g *registrar) { g.passwords = map[string]string{} })
			b.g.moves(302, "<sip:two.test>", "<sip:three.test>;q=0.1")
		}, "", "401 Unauthorized: the registrar refused the password of user alice (sent there by 10.77.0.1:5060/udp: 302 Because)"},
		"from one to the next": {func(b *bench, there []*registrar) {
			b.g.moves(302, "<sip:two.test>")
			there[0].moves(302, "<sip:three.test>")
		}, "10.77.0.3:5060/udp", ""},
		"through a proxy": {func(b *bench, there []*registrar) {
			b.g.moves(305, "<sip:two.test>")
		}, "10.77.0.2:5060/udp", ""},
		"to ourselves": {func(b *bench, _ []*registrar) {
			b.g.moves(302, "<sip:SIP.test:5060>")
		}, "", "302 Because: it leads in a circle, back to sip:SIP.test:5060"},
		"in a circle": {func(b *bench, there []*registrar) {
			b.g.moves(302, "<sip:two.test>")
			there[0].moves(302, "<sip:three.test>")
			there[1].moves(302, "<sip:sip.test>")
		}, "", "302 Because: it leads in a circle, back to sip:sip.test (sent there by 10.77.0.2:5060/udp: 302 Because) (sent there by 10.77.0.1:5060/udp: 302 Because)"},
		"without end": {func(b *bench, there []*registrar) {
			b.g.moves(302, "<sip:two.test>")
			for i, next := range []string{"three.test", "four.test", "five.test", "six.test"} {
				there[i].moves(302, "<sip:"+next+">")
			}
		}, "", "302 Because: it is the 5th redirection, to sip:six.test (sent there by"},
		"to no SIP address":     {func(b *bench, _ []*registrar) { b.g.moves(302, "<tel:110>") }, "", "302 Because: it names no address to register at instead"},
		"to nowhere":            {func(b *bench, _ []*registrar) { b.g.moves(301) }, "", "301 Because: it names no address to register at instead"},
		"a service, no address": {func(b *bench, _ []*registrar) { b.g.moves(380, "<sip:two.test>") }, "", "380 Because"},
		"away from TLS":         {func(b *bench, _ []*registrar) { tls(b); b.g.moves(302, "<sip:two.test;transport=udp>") }, "", "302 Because: it leads to sip:two.test;transport=udp, away from TLS"},
		"from sips to sip":      {func(b *bench, _ []*registrar) { sips(b); b.g.moves(302, "<sip:two.test>") }, "", "302 Because: it leads to sip:two.test, away from TLS"},
		"TLS stays TLS":         {func(b *bench, _ []*registrar) { tls(b); b.g.moves(302, "<sip:two.test>") }, "10.77.0.2:5060/tls", ""},
		"sips stays sips":       {func(b *bench, _ []*registrar) { sips(b); b.g.moves(302, "<sips:two.test>") }, "10.77.0.2:5060/tls", ""},
		"up to TLS":             {func(b *bench, _ []*registrar) { b.g.moves(302, "<sips:two.test>") }, "10.77.0.2:5060/tls", ""},
		"to another transport":  {func(b *bench, _ []*registrar) { b.g.moves(302, "<sip:two.test;transport=tcp>") }, "10.77.0.2:5060/tcp", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				there := b.elsewhere("two.test", "three.test", "four.test", "five.test", "six.test")
				tt.arrange(b, there)
				b.start()
				b.after(33 * time.Second)
				s := b.r.Status()
				if registered := s.State == delivery.Registered; registered != (tt.server != "") || registered && s.Server != tt.server {
					t.Errorf("status %+v", s)
				}
				if tt.server == "" && !strings.HasPrefix(s.LastReason, tt.reason) {
					t.Errorf("%q, want %q", s.LastReason, tt.reason)
				}
				b.stop()
			})
		})
	}
}

func TestAProxyNamedBy305CarriesTheSameRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		there := b.elsewhere("proxy.test")[0]
		b.g.moves(305, "<sip:proxy.test>")
		b.start()
		b.want(delivery.Registered, "", "200 OK")
		text := there.received()[0].String()
		if !strings.HasPrefix(text, "REGISTER sip:sip.test SIP/2.0\r\n") || !strings.Contains(text, "Route: <sip:proxy.test;lr>\r\n") {
			t.Errorf("%s", text)
		}
		b.stop()
	})
}

// What was answered to one server is not shown to another that it names.
func TestCredentialsAreMadeAnewElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		there := b.elsewhere("node2.test")[0]
		b.start()
		b.want(delivery.Registered, "", "200 OK")
		b.g.moves(302, "<sip:node2.test>")
		b.after(541 * time.Second)
		b.want(delivery.Registered, "", "200 OK")
		if req := there.received()[0]; req.GetHeader("Authorization") != nil {
			t.Errorf("the other server was shown an answer for the first:\n%s", req)
		}
		b.stop()
	})
}
