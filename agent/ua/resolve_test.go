package ua

import (
	"errors"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers from a table and remembers what it was asked.
type nameServer struct {
	conn  *net.UDPConn
	zone  map[string][]netip.Addr // "broken." fails
	mu    sync.Mutex
	asked map[string]bool
}

func newNameServer(t *testing.T, zone map[string][]netip.Addr) *nameServer {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: c, zone: zone, asked: make(map[string]bool)}
	done := make(chan struct{})
	go func() { defer close(done); s.serve(t) }()
	t.Cleanup(func() { _ = c.Close(); <-done })
	return s
}

func (s *nameServer) locator(t *testing.T) *Locator {
	l := NewLocator([]netip.AddrPort{s.conn.LocalAddr().(*net.UDPAddr).AddrPort()}, nil)
	t.Cleanup(l.Close)
	return l
}

func (s *nameServer) serve(t *testing.T) {
	b := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(b)
		if err != nil {
			return
		}
		var q dnsmessage.Message
		if err := q.Unpack(b[:n]); err != nil {
			t.Errorf("query: %v", err)
			continue
		}
		packed, err := s.answer(q).Pack()
		if err != nil {
			t.Errorf("answer: %v", err)
		}
		_, _ = s.conn.WriteTo(packed, from)
	}
}

func (s *nameServer) answer(q dnsmessage.Message) *dnsmessage.Message {
	name, kind := q.Questions[0].Name, q.Questions[0].Type
	s.mu.Lock()
	s.asked[name.String()] = true
	s.mu.Unlock()
	a := &dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true}, Questions: q.Questions}
	addrs, known := s.zone[name.String()]
	switch {
	case strings.HasPrefix(name.String(), "broken"):
		a.RCode = dnsmessage.RCodeServerFailure
	case !known:
		a.RCode = dnsmessage.RCodeNameError
	}
	for _, addr := range addrs {
		h := dnsmessage.ResourceHeader{Name: name, Type: kind, Class: dnsmessage.ClassINET, TTL: 60}
		switch {
		case addr.Is4() && kind == dnsmessage.TypeA:
			a.Answers = append(a.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && kind == dnsmessage.TypeAAAA:
			a.Answers = append(a.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	return a
}

func TestResolve(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	names := newNameServer(t, map[string][]netip.Addr{
		"pbx.test.": {v4}, "two.test.": {v4, netip.MustParseAddr("192.0.2.2")}, "both.test.": {v6, v4}, "six.test.": {v6}, "empty.test.": {},
	})
	e := listen(t, func(c *Config) { c.Locator = names.locator(t) })
	for name, tt := range map[string]struct {
		host      string
		transport Transport
		want      []string
		name      string
		err       error
	}{
		"an address needs no DNS":                 {"192.0.2.9", UDP, []string{"192.0.2.9:5060/udp"}, "", nil},
		"an address with a port":                  {"192.0.2.9:5070", TCP, []string{"192.0.2.9:5070/tcp"}, "", nil},
		"an IPv6 address":                         {"2001:db8::9", TLS, []string{"[2001:db8::9]:5061/tls"}, "", nil},
		"an IPv6 address with a port":             {"[2001:db8::9]:5070", UDP, []string{"[2001:db8::9]:5070/udp"}, "", nil},
		"an IPv4 address in IPv6":                 {"::ffff:192.0.2.9", UDP, []string{"192.0.2.9:5060/udp"}, "", nil},
		"a name":                                  {"pbx.test", "", []string{"192.0.2.1:5060/udp"}, "pbx.test", nil},
		"a name with a port":                      {"pbx.test:5070", UDP, []string{"192.0.2.1:5070/udp"}, "pbx.test", nil},
		"an absolute name, TLS":                   {"pbx.test.", TLS, []string{"192.0.2.1:5061/tls"}, "pbx.test.", nil},
		"all its addresses":                       {"two.test", UDP, []string{"192.0.2.1:5060/udp", "192.0.2.2:5060/udp"}, "two.test", nil},
		"only those the socket can send to":       {"both.test", UDP, []string{"192.0.2.1:5060/udp"}, "both.test", nil},
		"none that it can":                        {"six.test", UDP, nil, "", ErrHostNotFound},
		"a name without addresses":                {"empty.test", UDP, nil, "", ErrHostNotFound},
		"a name that does not exist":              {"nowhere.test", UDP, nil, "", ErrHostNotFound},
		"a name DNS fails on":                     {"broken.test", UDP, nil, "", ErrDNS},
		"no name at all":                          {"", UDP, nil, "", ErrHostNotFound},
		"what never was a name":                   {"a b", UDP, nil, "", ErrHostNotFound},
		"a short name is not completed by search": {"kubernetes", UDP, nil, "", ErrHostNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := e.Resolve(t.Context(), tt.host, tt.transport)
			var got []string
			for _, c := range found {
				got = append(got, c.String())
				if c.Name != tt.name {
					t.Errorf("name %q, want %q", c.Name, tt.name)
				}
			}
			if !reflect.DeepEqual(got, tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("%v, %v; want %v, %v", got, err, tt.want, tt.err)
			}
		})
	}
	names.mu.Lock()
	defer names.mu.Unlock()
	for asked := range names.asked {
		if strings.HasPrefix(asked, "kubernetes.") && asked != "kubernetes." {
			t.Errorf("the search list was applied: %s", asked)
		}
	}
}

func TestResolveWithoutNameServer(t *testing.T) {
	nobody := closedPort(t)
	l := NewLocator([]netip.AddrPort{nobody}, nil)
	t.Cleanup(l.Close)
	e := listen(t, func(c *Config) { c.Locator = l })
	_, err := e.Resolve(t.Context(), "pbx.test", UDP)
	if !errors.Is(err, ErrDNS) || errors.Is(err, ErrHostNotFound) || !strings.HasPrefix(err.Error(), "name lookup failed: pbx.test: "+nobody.String()+": ") {
		t.Errorf("%v", err)
	}
}

func TestResolveForBothFamilies(t *testing.T) {
	names := newNameServer(t, map[string][]netip.Addr{"both.test.": {netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")}})
	e := listen(t, func(c *Config) { c.Bind, c.Locator = netip.MustParseAddrPort("[::]:0"), names.locator(t) })
	found, err := e.Resolve(t.Context(), "both.test", UDP)
	if err != nil || len(found) != 2 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestDualStackSocketServesIPv4(t *testing.T) {
	e := listen(t, func(c *Config) { c.Bind = netip.MustParseAddrPort("[::]:0") })
	p := newPeer(t)
	bind(t, e, "k3x", &testLine{servers: []netip.AddrPort{p.addr()}, aorUser: "alice", aorHost: "sip.test"})
	p.send(e, p.message("OPTIONS", "sip:127.0.0.1"))
	if res := p.response(); res.StatusCode != 200 {
		t.Errorf("%d %s", res.StatusCode, res.Reason)
	}
	go func() {
		req, from := p.request()
		p.answer(req, from, 200)
	}()
	if _, err := e.Do(t.Context(), request("OPTIONS", p.addr())); err != nil {
		t.Errorf("to IPv4: %v", err)
	}
	if _, err := e.Do(t.Context(), request("OPTIONS", closedPort(t))); !errors.Is(err, ErrUnreachable) {
		t.Errorf("to a closed port: %v", err)
	}
}
