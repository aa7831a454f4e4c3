package ua

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestWhatALineHasLearnedOfItsReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own, public := netip.MustParseAddrPort("10.0.0.1:5062"), netip.MustParseAddrPort("203.0.113.7:40000")
		service := []sip.Uri{URI("", "core.test"), URI("", "edge.test:5060")}
		for i := range service {
			service[i].UriParams.Add("lr", "")
		}
		for name, tt := range map[string]struct {
			link                 Link
			now                  Reached
			proxy                string
			contact, via, routes string
		}{
			"nothing":                            {Link{}, Reached{}, "", "sip:u@10.0.0.1:5062", "", ""},
			"nothing, behind a proxy":            {Link{}, Reached{}, "edge.test", "sip:u@10.0.0.1:5062", "", "sip:edge.test;lr"},
			"another address":                    {Link{}, Reached{At: public}, "", "sip:u@203.0.113.7:40000", "203.0.113.7:40000", ""},
			"another address, with TLS":          {Link{Transport: TLS, SIPS: true}, Reached{At: public}, "", "sips:u@203.0.113.7:40000", "203.0.113.7:40000", ""},
			"a flow":                             {Link{Transport: TCP}, Reached{Outbound: true}, "", "sip:u@10.0.0.1:5062;transport=tcp;ob", "", ""},
			"a service route":                    {Link{}, Reached{Routes: service}, "", "sip:u@10.0.0.1:5062", "", "sip:core.test;lr sip:edge.test:5060;lr"},
			"a service route behind a proxy":     {Link{}, Reached{Routes: service}, "edge.test", "sip:u@10.0.0.1:5062", "", "sip:edge.test;lr sip:core.test;lr sip:edge.test:5060;lr"},
			"one that begins at the proxy":       {Link{}, Reached{Routes: service[1:]}, "Edge.test", "sip:u@10.0.0.1:5062", "", "sip:edge.test:5060;lr"},
			"one at another port of the proxy's": {Link{}, Reached{Routes: service[1:]}, "edge.test:5070", "sip:u@10.0.0.1:5062", "", "sip:edge.test:5070;lr sip:edge.test:5060;lr"},
		} {
			tt.link.Reach, tt.now.Until = new(Reach), time.Now().Add(time.Minute)
			tt.link.Reach.Set(tt.now)
			check := func(when, contact, via, routes string) {
				u := tt.link.DialogContact("u", own)
				var all []string
				for _, r := range tt.link.Routes(tt.proxy) {
					all = append(all, r.String())
				}
				to := tt.link.To(netip.MustParseAddrPort("192.0.2.1:5060"))
				said := ""
				if to.Via.IsValid() {
					said = to.Via.String()
				}
				if u.String() != contact || said != via || strings.Join(all, " ") != routes || aimed(to) != to.String() {
					t.Errorf("%s%s: Contact %s, Via %q, Route %q (%s); want %s, %q, %q", name, when, u.String(), said, all, aimed(to), contact, via, routes)
				}
			}
			check("", tt.contact, tt.via, tt.routes)
			time.Sleep(time.Minute)
			own := ""
			if tt.proxy != "" {
				u := tt.link.Route(tt.proxy)
				own = u.String()
			}
			check(", when the binding has run out", strings.TrimSuffix(tt.contact, ";ob"), tt.via, own)
		}
	})
}

// The Via of requests says the address that others are told, also when a request is
// sent again.
func TestTheViaSaysTheAddressWanted(t *testing.T) {
	e := listen(t)
	at := netip.MustParseAddrPort("203.0.113.7:40000")
	for name, to := range map[string]Candidate{
		"the socket's":  {Transport: UDP, Addr: netip.MustParseAddrPort("127.0.0.1:9")},
		"another":       {Transport: UDP, Addr: netip.MustParseAddrPort("127.0.0.1:9"), Via: at},
		"another, IPv6": {Transport: UDP, Addr: netip.MustParseAddrPort("127.0.0.1:9"), Via: netip.MustParseAddrPort("[2001:db8::1]:40000")},
	} {
		want := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(e.Port()))
		if to.Via.IsValid() {
			want = to.Via
		}
		req := sip.NewRequest(sip.OPTIONS, URI("", "x.test"))
		callID := sip.CallIDHeader("1")
		req.AppendHeader(&sip.FromHeader{Address: URI("a", "x.test"), Params: sip.NewParams()})
		req.AppendHeader(&sip.ToHeader{Address: URI("a", "x.test"), Params: sip.NewParams()})
		req.AppendHeader(&callID)
		req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: sip.OPTIONS})
		to.Aim(req)
		for range 2 {
			if _, err := e.fill(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			via := req.Via()
			if got := netip.AddrPortFrom(netip.MustParseAddr(strings.Trim(via.Host, "[]")), uint16(via.Port)); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
			req = Retry(req)
		}
	}
}
