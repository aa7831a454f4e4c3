package ua

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/dns"
)

// book is a DNS without a network: "name type" to an answer.
type book map[string]dns.Answer

var errSilent = errors.New("no answer")

func (b book) Lookup(_ context.Context, name string, t dns.Type) (dns.Answer, error) {
	kind := map[dns.Type]string{dns.A: "A", dns.AAAA: "AAAA", dns.SRV: "SRV", dns.NAPTR: "NAPTR"}[t]
	if b == nil {
		return dns.Answer{}, errSilent
	}
	if _, broken := b["broken "+kind]; broken {
		return dns.Answer{}, errSilent
	}
	return b[strings.TrimSuffix(name, ".")+" "+kind], nil
}

func at(addrs ...string) (a dns.Answer) {
	for _, s := range addrs {
		a.Addrs = append(a.Addrs, netip.MustParseAddr(s))
	}
	return a
}

func srv(services ...dns.Service) dns.Answer { return dns.Answer{Services: services} }

func pointers(all ...dns.Pointer) dns.Answer { return dns.Answer{Pointers: all} }

func TestLocation(t *testing.T) {
	one := dns.Service{Priority: 10, Weight: 1, Port: 5070, Target: "a.test."}
	two := dns.Service{Priority: 20, Weight: 1, Port: 5080, Target: "b.test."}
	world := book{
		"sip.test A": at("192.0.2.9"), "a.test A": at("192.0.2.1"), "b.test A": at("192.0.2.2", "192.0.2.3"), "six.test AAAA": at("2001:db8::1"),
		"_sip._udp.sip.test SRV": srv(two, one), "_sip._tcp.sip.test SRV": srv(one), "_sips._tcp.sip.test SRV": srv(dns.Service{Port: 5071, Target: "b.test."}),
		"_sip._tls.sip.test SRV": srv(dns.Service{Port: 1, Target: "a.test."}), "_sip._udp.six.test SRV": srv(dns.Service{Port: 5060, Target: "six.test."}),
		"plain.test A": at("192.0.2.9"), "none.test A": at("192.0.2.9"), "_sip._udp.none.test SRV": srv(dns.Service{Target: "."}),
		"lost.test A": at("192.0.2.9"), "_sip._udp.lost.test SRV": srv(dns.Service{Port: 5060, Target: "nowhere.test."}),
		"half.test A": at("192.0.2.9"), "_sip._udp.half.test SRV": srv(dns.Service{Priority: 1, Port: 5060, Target: "nowhere.test."}, two),
		"named.test NAPTR": pointers(dns.Pointer{Order: 10, Flags: "S", Service: "SIPS+D2T", Replacement: "_sips._tcp.sip.test."},
			dns.Pointer{Order: 20, Preference: 2, Flags: "S", Service: "SIP+D2U", Replacement: "_sip._udp.six.test."},
			dns.Pointer{Order: 20, Preference: 1, Flags: "S", Service: "SIP+D2U", Replacement: "_sip._udp.sip.test."}),
		"_sip._tcp.named.test SRV": srv(one), "stale.test A": {Stale: true}, "stale.test AAAA": {Stale: true},
	}
	v4 := family{v4: true}
	for says, tt := range map[string]struct {
		names     book
		host      string
		transport Transport
		can       family
		want      []string
		err       error
		reason    string
	}{
		"services, by priority":                         {world, "sip.test", UDP, v4, []string{"192.0.2.1:5070/udp", "192.0.2.2:5080/udp", "192.0.2.3:5080/udp"}, nil, ""},
		"of the account's transport":                    {world, "sip.test.", TCP, v4, []string{"192.0.2.1:5070/tcp"}, nil, ""},
		"TLS asks for _sips._tcp, and for nothing else": {world, "sip.test", TLS, v4, []string{"192.0.2.2:5071/tls", "192.0.2.3:5071/tls"}, nil, ""},
		"a port says that there are none":               {world, "sip.test:5062", UDP, v4, []string{"192.0.2.9:5062/udp"}, nil, ""},
		"an address is where it is":                     {nil, "192.0.2.7", TLS, v4, []string{"192.0.2.7:5061/tls"}, nil, ""},
		"addresses and the default port":                {world, "plain.test", TLS, v4, []string{"192.0.2.9:5061/tls"}, nil, ""},
		"a target with IPv6 alone":                      {world, "six.test", UDP, family{true, true}, []string{"[2001:db8::1]:5060/udp"}, nil, ""},
		"a target with IPv6 alone, from IPv4":           {world, "six.test", UDP, v4, nil, ErrHostNotFound, "its SRV records name six.test, without an address that can be used"},
		"a service that is not offered":                 {world, "none.test", UDP, v4, nil, ErrHostNotFound, `offers no SIP over udp (_sip._udp.none.test is ".")`},
		"what is not offered over one is over another":  {world, "none.test", TCP, v4, []string{"192.0.2.9:5060/tcp"}, nil, ""},
		"targets without addresses":                     {world, "lost.test", UDP, v4, nil, ErrHostNotFound, "its SRV records name nowhere.test, without"},
		"a target without address is passed over":       {world, "half.test", UDP, v4, []string{"192.0.2.2:5080/udp", "192.0.2.3:5080/udp"}, nil, ""},
		"NAPTR names the services, by preference":       {world, "named.test", UDP, v4, []string{"192.0.2.1:5070/udp", "192.0.2.2:5080/udp", "192.0.2.3:5080/udp"}, nil, ""},
		"NAPTR never changes the transport":             {world, "named.test", TCP, v4, []string{"192.0.2.1:5070/tcp"}, nil, ""},
		"NAPTR that is not answered is none":            {book{"broken NAPTR": {}, "plain.test A": at("192.0.2.9")}, "plain.test", UDP, v4, []string{"192.0.2.9:5060/udp"}, nil, ""},
		"SRV that is not answered is no answer":         {book{"broken SRV": {}, "plain.test A": at("192.0.2.9")}, "plain.test", UDP, v4, nil, ErrDNS, "no answer"},
		"nothing is answered":                           {nil, "plain.test", UDP, v4, nil, ErrDNS, "plain.test: no answer"},
		"nothing there":                                 {world, "nowhere.test", UDP, v4, nil, ErrHostNotFound, "nowhere.test"},
		"nothing there, when DNS answered last":         {world, "stale.test", UDP, v4, nil, ErrDNS, "no answer"},
		"the hosts file goes before SRV":                {world, "pinned.test", UDP, v4, []string{"192.0.2.77:5060/udp"}, nil, ""},
	} {
		t.Run(says, func(t *testing.T) {
			l := &Locator{names: tt.names, pinned: func(_ context.Context, name string) []netip.Addr {
				if name == "pinned.test" {
					return at("192.0.2.77", "2001:db8::77").Addrs
				}
				return nil
			}}
			found, err := l.locate(t.Context(), tt.host, tt.transport, tt.can)
			var got []string
			for _, c := range found {
				got = append(got, c.String())
			}
			if !reflect.DeepEqual(got, tt.want) || !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("%v, %v; want %v, %v, %q", got, err, tt.want, tt.err, tt.reason)
			}
			if errors.Is(err, ErrDNS) && errors.Is(err, ErrHostNotFound) {
				t.Errorf("%v is both", err)
			}
		})
	}
}

func TestServicesShareByWeight(t *testing.T) {
	services := []dns.Service{
		{Priority: 2, Weight: 5, Target: "later."}, {Priority: 1, Weight: 60, Target: "60."}, {Priority: 1, Weight: 30, Target: "30."},
		{Priority: 1, Weight: 10, Target: "10."}, {Priority: 1, Weight: 0, Target: "0."}, {Priority: 3, Target: "x."}, {Priority: 3, Target: "y."},
	}
	dice := rand.New(rand.NewPCG(1, 2))
	const rounds = 20000
	first, second, last := map[string]int{}, map[string]int{}, map[string]int{}
	for range rounds {
		got := inOrder(services, dice.IntN)
		if len(got) != len(services) || !slices.IsSortedFunc(got, func(a, b dns.Service) int { return int(a.Priority) - int(b.Priority) }) {
			t.Fatalf("%+v", got)
		}
		first[got[0].Target]++
		if got[0].Target == "60." {
			second[got[1].Target]++
		}
		last[got[5].Target]++
	}
	share := func(says string, n, of int, want float64) {
		t.Helper()
		if got := float64(n) / float64(of); got < want-0.02 || got > want+0.02 {
			t.Errorf("%s: %.3f, want %.3f", says, got, want)
		}
	}
	share("weight 60", first["60."], rounds, 60./101)
	share("weight 30", first["30."], rounds, 30./101)
	share("weight 10", first["10."], rounds, 10./101)
	share("weight 0", first["0."], rounds, 1./101)
	share("weight 30 after 60", second["30."], first["60."], 30./41)
	share("one of two without weight", last["x."], rounds, 0.5)
}

func TestServersThatDoNotAnswerComeLast(t *testing.T) {
	began := time.Unix(1e9, 0)
	a := Candidate{Transport: UDP, Addr: netip.MustParseAddrPort("192.0.2.1:5060")}
	b := Candidate{Transport: UDP, Addr: netip.MustParseAddrPort("192.0.2.2:5060"), Rank: 1}
	type step struct {
		after  time.Duration
		what   string // fails, overloaded, answers, OPTIONS
		avoids bool
	}
	for says, steps := range map[string][]step{
		"a failure is remembered for a while":         {{0, "fails", true}, {firstAvoid - 1, "", true}, {1, "", false}},
		"many at once are one":                        {{0, "fails", true}, {0, "fails", true}, {0, "fails", true}, {firstAvoid, "", false}},
		"the next is remembered longer":               {{0, "fails", true}, {firstAvoid, "fails", true}, {2*firstAvoid - 1, "", true}, {1, "", false}},
		"after a long good time it is the first":      {{0, "fails", true}, {time.Hour, "fails", true}, {firstAvoid, "", false}},
		"an answer soon after does not bring it back": {{0, "fails", true}, {time.Second, "answers", true}, {firstAvoid, "", false}},
		"an answer later does":                        {{0, "fails", true}, {firstAvoid, "fails", true}, {firstAvoid, "answers", false}},
		"so does OPTIONS":                             {{0, "fails", true}, {firstAvoid, "fails", true}, {firstAvoid, "OPTIONS", false}},
		"but not for one that has too much to do":     {{0, "overloaded", true}, {firstAvoid, "overloaded", true}, {firstAvoid, "OPTIONS", true}, {firstAvoid, "", false}},
		"who answers others has not failed":           {{0, "answers", false}, {0, "fails late", false}},
		"unless it was by OPTIONS":                    {{0, "OPTIONS", false}, {0, "fails late", true}},
	} {
		t.Run(says, func(t *testing.T) {
			var h health
			now := began
			for i, s := range steps {
				now = now.Add(s.after)
				switch s.what {
				case "fails":
					h.failing(a, now, now, false)
				case "fails late":
					h.failing(a, now.Add(-time.Second), now, false)
				case "overloaded":
					h.failing(a, now, now, true)
				case "answers":
					h.answered(a, sip.REGISTER, now)
				case "OPTIONS":
					h.answered(a, sip.OPTIONS, now)
				}
				found := []Candidate{a, b}
				h.order(found, now)
				if avoids := found[0].Addr == b.Addr; avoids != s.avoids {
					t.Errorf("step %d: %v", i, found)
				}
			}
		})
	}
}

func TestWhatIsRememberedOfServersIsBounded(t *testing.T) {
	var h health
	now := time.Unix(1e9, 0)
	for i := range 3 * mostSpots {
		h.failing(Candidate{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 5060)}, now, now, false)
	}
	if len(h.spots) > mostSpots {
		t.Error(len(h.spots))
	}
}

func TestWhoIsInUseStays(t *testing.T) {
	c := func(rank int, addr string) Candidate {
		return Candidate{Addr: netip.MustParseAddrPort(addr + ":5060"), Rank: rank}
	}
	for says, tt := range map[string]struct {
		found []Candidate
		want  string
	}{
		"among equals":                     {[]Candidate{c(0, "192.0.2.1"), c(0, "192.0.2.3"), c(0, "192.0.2.2")}, "192.0.2.2 192.0.2.1 192.0.2.3"},
		"not when a better one is back":    {[]Candidate{c(0, "192.0.2.1"), c(1, "192.0.2.2")}, "192.0.2.1 192.0.2.2"},
		"not when it is not there":         {[]Candidate{c(0, "192.0.2.1"), c(0, "192.0.2.3")}, "192.0.2.1 192.0.2.3"},
		"when all are equally unreachable": {[]Candidate{c(avoided, "192.0.2.1"), c(avoided, "192.0.2.2")}, "192.0.2.2 192.0.2.1"},
	} {
		Settle(tt.found, netip.MustParseAddrPort("192.0.2.2:5060"))
		var got []string
		for _, f := range tt.found {
			got = append(got, f.Addr.Addr().String())
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", says, got, tt.want)
		}
	}
}

// TestEndpointRemembersWhoDidNotAnswer: what requests meet is known to the next who
// asks where to send to, also through another endpoint.
func TestEndpointRemembersWhoDidNotAnswer(t *testing.T) {
	dead, alive := closedPort(t), newPeer(t)
	names := book{
		"_sip._udp.sip.test SRV": srv(dns.Service{Priority: 1, Port: dead.Port(), Target: "a.test."}, dns.Service{Priority: 2, Port: alive.addr().Port(), Target: "a.test."}),
		"a.test A":               at("127.0.0.1"),
	}
	shared := &Locator{names: names, pinned: func(context.Context, string) []netip.Addr { return nil }}
	e, other := listen(t, func(c *Config) { c.Locator = shared }), listen(t, func(c *Config) { c.Locator = shared })
	order := func(e *Endpoint) string {
		found, err := e.Resolve(t.Context(), "sip.test", UDP)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(found[0].Addr == dead, found[len(found)-1].Addr == dead)
	}
	if got := order(e); got != "true false" {
		t.Errorf("before: %s", got)
	}
	if _, err := e.Do(t.Context(), request(sip.OPTIONS, dead)); !errors.Is(err, ErrUnreachable) {
		t.Fatal(err)
	}
	if got := order(other); got != "false true" {
		t.Errorf("after: %s", got)
	}
}
