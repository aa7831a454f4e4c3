package registration

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// What contactIP puts into the Contact, with and without a password that the
// registrar asks for, and how many REGISTERs that takes.
func TestTheContactSaysTheAddressWanted(t *testing.T) {
	const public = "203.0.113.7:40000"
	for name, tt := range map[string]struct {
		edit     func(*Config)
		open     bool // the registrar asks nobody for a password
		contact  string
		via      string
		requests int
	}{
		"internal: as this host knows it":                 {func(*Config) {}, false, "10.244.0.7:5060", "", 2},
		"external: as the challenge says":                 {func(c *Config) { c.ContactAddress = External }, false, "203.0.113.7:40000", public, 2},
		"external: as the 200 says, said again":           {func(c *Config) { c.ContactAddress = External }, true, "203.0.113.7:40000", public, 3},
		"static: as the account says":                     {func(c *Config) { c.ContactAddress, c.Forced = Static, netip.MustParseAddr("198.51.100.9") }, false, "198.51.100.9:5060", "198.51.100.9:5060", 2},
		"static without an address is as good as not set": {func(c *Config) { c.ContactAddress = Static }, false, "10.244.0.7:5060", "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				if b.g.public = public; tt.open {
					b.g.passwords = nil
				}
				link := ua.Link{Transport: ua.UDP, Reach: new(ua.Reach)}
				b.start(tt.edit, func(c *Config) { c.Link = link })
				b.want(delivery.Registered, "", "200 OK")
				b.after(time.Second)
				contact := "sip:k3x@" + tt.contact + ";rinstance=base-1"
				if s := b.r.Status(); s.Contact != contact || s.Public != public {
					t.Errorf("%+v; want the Contact %s", s, contact)
				}
				if got := b.g.bound("alice"); !slices.Equal(got, []string{contact}) {
					t.Errorf("bound: %q", got)
				}
				if n := len(b.g.received()); n != tt.requests {
					t.Errorf("%d requests, want %d", n, tt.requests)
				}
				// Calls say the same.
				own := netip.MustParseAddrPort("10.244.0.7:5060")
				if u := link.DialogContact("k3x", own); u.String() != "sip:k3x@"+tt.contact {
					t.Errorf("the Contact of a call: %s", u.String())
				}
				if server, err := b.r.Server(t.Context()); err != nil || via(server) != tt.via {
					t.Errorf("the Via of a call: %q, %v; want %q", via(server), err, tt.via)
				}
				b.stop()
				if got := b.g.bound("alice"); len(got) != 0 {
					t.Errorf("bound after stop: %q", got)
				}
			})
		})
	}
}

func via(c ua.Candidate) string {
	if !c.Via.IsValid() {
		return ""
	}
	return c.Via.String()
}

// A NAT that shows another port to every request is not chased forever.
func TestANATThatShowsAnotherPortEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.passwords, b.g.restless = nil, true
		b.g.public = "203.0.113.7:40000"
		b.start(func(c *Config) { c.ContactAddress = External })
		b.after(time.Minute)
		b.want(delivery.Registered, "", "200 OK")
		if n := len(b.g.received()); n > 2+mostCorrections {
			t.Errorf("%d requests for a registration", n)
		}
		b.stop()
	})
}

// contactIP changes while the line runs: the binding moves, and none is left.
func TestAnotherContactAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.public = "203.0.113.7:40000"
		b.start()
		for _, tt := range []struct {
			address ContactAddress
			host    string
		}{{External, "203.0.113.7:40000"}, {Static, "198.51.100.9:5060"}, {Internal, "10.244.0.7:5060"}} {
			b.update(func(c *Config) { c.ContactAddress, c.Forced = tt.address, netip.MustParseAddr("198.51.100.9") })
			b.after(time.Second)
			b.want(delivery.Registered, "", "200 OK")
			if got := b.g.bound("alice"); len(got) != 1 || !strings.Contains(got[0], "@"+tt.host+";") {
				t.Errorf("%s: bound %q", tt.address, got)
			}
		}
		b.stop()
	})
}

// Another address of ours: the line registers at once, and once.
func TestAChangedAddress(t *testing.T) {
	before, after := netip.MustParseAddrPort("203.0.113.7:40000"), netip.MustParseAddrPort("203.0.113.8:41000")
	for name, tt := range map[string]struct {
		address ContactAddress
		change  func(*bench)
		again   int
		contact string
	}{
		"of the interface": {Internal, func(b *bench) {
			b.ep.set(func(f *fakeEndpoint) { f.local = netip.MustParseAddr("10.244.0.99") })
			b.r.Recheck()
		}, 2, "10.244.0.99:5060"}, // the second takes the old binding away
		"of nothing": {Internal, func(b *bench) { b.r.Recheck() }, 0, "10.244.0.7:5060"},
		"of the NAT, behind which the registrar finds us": {Internal, func(b *bench) {
			b.g.set(func(g *registrar) { g.public = after.String() })
			b.r.readdressed(before, after)
		}, 1, "10.244.0.7:5060"},
		"of the NAT, which the Contact has": {External, func(b *bench) {
			b.g.set(func(g *registrar) { g.public = after.String() })
			b.r.readdressed(before, after)
		}, 2, "203.0.113.8:41000"},
		"of the NAT, which the line knows already": {External, func(b *bench) {
			b.r.readdressed(netip.MustParseAddrPort("203.0.113.1:1000"), before)
		}, 0, "203.0.113.7:40000"},
		"of the port that OPTIONS leave from": {Internal, func(b *bench) {
			b.r.readdressed(netip.AddrPortFrom(before.Addr(), 50000), netip.AddrPortFrom(before.Addr(), 50001))
		}, 0, "10.244.0.7:5060"},
		"of the port that the line has": {Internal, func(b *bench) {
			b.r.readdressed(before, netip.AddrPortFrom(before.Addr(), 50001))
		}, 1, "10.244.0.7:5060"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.g.public = before.String()
				b.start(func(c *Config) { c.ContactAddress = tt.address })
				b.want(delivery.Registered, "", "200 OK")
				sent := len(b.g.received())
				tt.change(b)
				tt.change(b) // the news may come twice
				b.after(mostLostWait)
				b.want(delivery.Registered, "", "200 OK")
				if n := len(b.g.received()) - sent; n != tt.again {
					t.Errorf("%d REGISTERs, want %d", n, tt.again)
				}
				b.after(time.Second)
				if got := b.g.bound("alice"); len(got) != 1 || !strings.Contains(got[0], "@"+tt.contact+";") {
					t.Errorf("bound: %q; want %s", got, tt.contact)
				}
				b.stop()
			})
		})
	}
}

// OPTIONS show another address of ours to the lines of that server.
func TestOPTIONSShowAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.public = "203.0.113.7:40000"
		q := NewQualifier(b.ep, time.Minute, nil)
		defer q.Close()
		b.start(func(c *Config) { c.Qualifier, c.Expires = q, time.Hour })
		b.after(2 * time.Minute)
		sent := len(b.g.received())
		b.g.set(func(g *registrar) { g.public = "203.0.113.8:40000" })
		b.after(time.Minute + mostLostWait)
		if n := len(b.g.received()) - sent; n != 1 {
			t.Errorf("%d REGISTERs", n)
		}
		if s := b.r.Status(); s.State != delivery.Registered || s.Public != "203.0.113.8:40000" {
			t.Errorf("%+v", s)
		}
		b.after(5 * time.Minute)
		if n := len(b.g.received()) - sent; n != 1 {
			t.Errorf("%d REGISTERs in the end", n)
		}
		b.ep.set(func(f *fakeEndpoint) { f.local = netip.MustParseAddr("10.244.0.99") })
		b.after(time.Minute + mostLostWait)
		if s := b.r.Status(); s.State != delivery.Registered || !strings.Contains(s.Contact, "@10.244.0.99:5060") {
			t.Errorf("another address of this host's: %+v", s)
		}
		b.stop()
	})
}
