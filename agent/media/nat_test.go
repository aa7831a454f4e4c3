package media

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
)

// stunServer answers Binding requests on a network with the address it sees, until the test ends.
func stunServer(t *testing.T, n *network, at string, extra ...stun.Setter) {
	m := n.attach(at)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			k, from, err := m.readRTP(b)
			if err != nil {
				return
			}
			req := &stun.Message{Raw: append([]byte(nil), b[:k]...)}
			if req.Decode() != nil {
				t.Error("no STUN")
				continue
			}
			seen := &stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())}
			res, err := stun.Build(append([]stun.Setter{stun.NewTransactionIDSetter(req.TransactionID), stun.BindingSuccess, seen}, extra...)...)
			if err != nil {
				t.Error(err)
				continue
			}
			_ = m.writeRTP(res.Raw, from)
		}
	}()
	t.Cleanup(func() { _ = m.close(); <-done })
}

// Where the truth table says that a description points, for each mode, NAT and server; alice is inside, at 192.0.2.1.
func TestWhereASessionSaysItCanBeReached(t *testing.T) {
	const public, servers = "198.51.100.1", "203.0.113.1:3478 203.0.113.2:3478"
	inside := netip.MustParseAddr("192.0.2.1")
	cone := func(from, to netip.AddrPort) (netip.AddrPort, netip.AddrPort) {
		if from.Addr() == inside {
			from = netip.AddrPortFrom(netip.MustParseAddr(public), from.Port()+1000)
		}
		if to.Addr() == netip.MustParseAddr(public) {
			to = netip.AddrPortFrom(inside, to.Port()-1000)
		}
		return from, to
	}
	symmetric := func(from, to netip.AddrPort) (netip.AddrPort, netip.AddrPort) {
		if from.Addr() == inside {
			from = netip.AddrPortFrom(netip.MustParseAddr(public), from.Port()+1000+100*uint16(to.Addr().As4()[3]))
		}
		if to.Addr() == netip.MustParseAddr(public) {
			to = netip.AddrPortFrom(inside, 10000+to.Port()%100)
		}
		return from, to
	}
	type translation = func(from, to netip.AddrPort) (netip.AddrPort, netip.AddrPort)
	for what, c := range map[string]struct {
		mode    string
		nat     translation
		servers string
		ignore  bool
		host    bool // first in the order of default candidates
		other   bool // one server, which has another address (RFC 5780)
		want    string
		why     string
	}{
		"off":                              {mode: NATOff, nat: cone, servers: servers, want: "192.0.2.1:10000 10001 plain"},
		"auto, nobody to ask":              {mode: NATAuto, nat: cone, want: "192.0.2.1:10000 10001 plain"},
		"auto, no NAT":                     {mode: NATAuto, servers: servers, want: "192.0.2.1:10000 10001 plain", why: "there is no NAT"},
		"auto, cone":                       {mode: NATAuto, nat: cone, servers: servers, want: "198.51.100.1:11000 11001 stun", why: "STUN sees us"},
		"auto, symmetric":                  {mode: NATAuto, nat: symmetric, servers: servers, want: "192.0.2.1:10000 10001 plain", why: "symmetric"},
		"auto, symmetric by other address": {mode: NATAuto, nat: symmetric, servers: "203.0.113.1:3478", other: true, want: "192.0.2.1:10000 10001 plain", why: "symmetric"},
		"auto, symmetric, ignored":         {mode: NATAuto, nat: symmetric, servers: servers, ignore: true, want: "198.51.100.1:11100 11101 stun"},
		"auto, no answer":                  {mode: NATAuto, nat: cone, servers: "203.0.113.9:3478", want: "192.0.2.1:10000 10001 plain", why: "does not answer"},
		"auto, the second answers":         {mode: NATAuto, nat: cone, servers: "203.0.113.9:3478 203.0.113.1:3478", want: "198.51.100.1:11000 11001 stun"},
		"ice, cone":                        {mode: NATICE, nat: cone, servers: servers, want: "198.51.100.1:11000 11001 ice", why: "offers host, srflx"},
		"ice, symmetric":                   {mode: NATICE, nat: symmetric, servers: servers, want: "198.51.100.1:11100 11101 ice", why: "offers host, srflx"},
		"ice, the address of the host":     {mode: NATICE, nat: cone, servers: servers, host: true, want: "192.0.2.1:10000 10001 ice", why: "offers host, srflx"},
		"ice, no answer":                   {mode: NATICE, nat: cone, servers: "203.0.113.9:3478", want: "192.0.2.1:10000 10001 ice", why: "does not answer"},
		"ice, nobody to ask":               {mode: NATICE, nat: cone, want: "192.0.2.1:10000 10001 ice", why: "offers host"},
		"stunOnly, cone":                   {mode: NATSTUNOnly, nat: cone, servers: servers, want: "198.51.100.1:11000 11001 stun"},
		"stunOnly, symmetric":              {mode: NATSTUNOnly, nat: symmetric, servers: servers, want: "192.0.2.1:10000 10001 plain", why: "symmetric"},
		"stunOnly, symmetric, ignored":     {mode: NATSTUNOnly, nat: symmetric, servers: servers, ignore: true, want: "198.51.100.1:11100 11101 stun"},
		"stunOnly, no answer":              {mode: NATSTUNOnly, nat: cone, servers: "203.0.113.9:3478", want: "192.0.2.1:10000 10001 plain", why: "does not answer"},
		"turnAlways, no relay":             {mode: NATTURNAlways, nat: cone, servers: servers, want: "no relay"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			n.translate = c.nat
			var extra []stun.Setter
			if c.other {
				extra = append(extra, &stun.OtherAddress{IP: net.IPv4(203, 0, 113, 2), Port: 3478})
			}
			stunServer(t, n, "203.0.113.1:3478", extra...)
			stunServer(t, n, "203.0.113.2:3478")
			a := n.open(t, alice)
			config := NAT{Mode: c.mode, IgnoreSymmetric: c.ignore, Order: []string{"relay", "srflx", "host"}}
			if c.host {
				config.Order = []string{"host", "relay", "srflx"}
			}
			for _, s := range strings.Fields(c.servers) {
				config.STUN = append(config.STUN, netip.MustParseAddrPort(s))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			r, err := a.Reach(ctx, config)
			got := "no relay"
			if !errors.Is(err, ErrNoRelay) {
				got = strings.Join([]string{r.RTP.String(), r.RTCP.String()[strings.LastIndex(r.RTCP.String(), ":")+1:], r.Via}, " ")
			}
			if got != c.want || !strings.Contains(r.Why, c.why) {
				t.Errorf("%s: %s (%v; %s), want %s", what, got, err, r.Why, c.want)
			}
		})
	}
}

// Answers to questions that nobody asked are counted, and do no harm.
func TestSTUNThatNobodyAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := call(t, n)
		res, err := stun.Build(stun.TransactionID, stun.BindingSuccess)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		before := a.Stats().Refused
		for _, to := range []string{alice, "192.0.2.1:10001"} {
			n.send(netip.MustParseAddrPort("192.0.2.66:5"), netip.MustParseAddrPort(to), res.Raw)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := a.Stats(); got.Refused-before != 2 || got.Lost != 0 {
			t.Errorf("%+v", got)
		}
	})
}
