package dnsmasq_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/dns"
	"github.com/softphone-operator/softphone-operator/test/peer/dnsmasq"
)

// TestAnswers holds the agent's resolver and a real name server against one another.
func TestAnswers(t *testing.T) {
	long := make([]dnsmasq.Service, 60)
	for i := range long {
		long[i] = dnsmasq.Service{Target: fmt.Sprintf("a-rather-long-name-number-%d.sip.test", i), Port: 5060, Priority: 1}
	}
	s := dnsmasq.Start(t, dnsmasq.Config{
		TTL:   time.Hour,
		Hosts: map[string][]netip.Addr{"a.test": {netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
		Services: map[string][]dnsmasq.Service{
			"_sip._udp.sip.test": {{Target: "a.test", Port: 5070, Priority: 10, Weight: 60}}, "_sip._tcp.sip.test": {{}}, "_sip._udp.long.test": long,
		},
		Pointers: map[string][]dnsmasq.Pointer{"sip.test": {{10, 20, "s", "SIP+D2U", "_sip._udp.sip.test"}}},
	})
	r := dns.New(dns.Config{Servers: []netip.AddrPort{s.Addr()}})
	defer r.Close()
	for says, tt := range map[string]struct {
		name string
		kind dns.Type
		want dns.Answer
	}{
		"an address":                   {"a.test", dns.A, dns.Answer{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}},
		"an IPv6 address":              {"A.test", dns.AAAA, dns.Answer{Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::1")}}},
		"a service":                    {"_sip._udp.sip.test", dns.SRV, dns.Answer{Services: []dns.Service{{Priority: 10, Weight: 60, Port: 5070, Target: "a.test."}}}},
		"a pointer":                    {"sip.test", dns.NAPTR, dns.Answer{Pointers: []dns.Pointer{{Order: 10, Preference: 20, Flags: "S", Service: "SIP+D2U", Replacement: "_sip._udp.sip.test."}}}},
		"a name that is not there":     {"nowhere.test", dns.A, dns.Answer{}},
		"a name without such a record": {"a.test", dns.SRV, dns.Answer{}},
	} {
		for range 2 {
			if got, err := r.Lookup(t.Context(), tt.name, tt.kind); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s: %+v, %v", says, got, err)
			}
		}
	}
	if got, err := r.Lookup(t.Context(), "_sip._tcp.sip.test", dns.SRV); err != nil || len(got.Services) != 1 || got.Services[0].Target != "." {
		t.Errorf("a service that is not offered: %+v, %v", got, err)
	}
	got, err := r.Lookup(t.Context(), "_sip._udp.long.test", dns.SRV)
	if err != nil || len(got.Services) != len(long) || !slices.ContainsFunc(got.Services, func(s dns.Service) bool { return strings.HasSuffix(s.Target, "-59.sip.test.") }) {
		t.Errorf("an answer that needs TCP has %d records, %v", len(got.Services), err)
	}
	if n := s.Questions("query[A] a.test"); n != 1 {
		t.Errorf("asked %d times for a name it knows", n)
	}
}
