package ua

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestSourcesHaveTheirBuckets(t *testing.T) {
	var s sources
	now := time.Now()
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for range 1000 {
		if !s.allow(a, now) {
			t.Fatal("refused without a limit")
		}
	}
	s.limit(10)
	took := func(from netip.Addr, at time.Time) (n int) {
		for range 100 {
			if s.allow(from, at) {
				n++
			}
		}
		return n
	}
	for _, tt := range []struct {
		what string
		from netip.Addr
		at   time.Duration
		want int
	}{
		{"a burst of two seconds' worth", a, 0, 20},
		{"and nothing more at that moment", a, 0, 0},
		{"another source has its own bucket", b, 0, 20},
		{"half a second later five more", a, 500 * time.Millisecond, 5},
		{"a clock that stands still gives nothing", a, 500 * time.Millisecond, 0},
		{"an hour fills it to the brim, not beyond", a, time.Hour, 20},
		{"an address as IPv6 writes it is the same source", netip.MustParseAddr("::ffff:192.0.2.1"), time.Hour, 0},
		{"IPv6 counts by network", netip.MustParseAddr("2001:db8::1"), 0, 20},
		{"so that a host's next address changes nothing", netip.MustParseAddr("2001:db8::2"), 0, 0},
		{"and another network is another source", netip.MustParseAddr("2001:db8:0:1::1"), 0, 20},
	} {
		if got := took(tt.from, now.Add(tt.at)); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.what, got, tt.want)
		}
	}
	for i := range 3 * mostSources {
		s.allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if len(s.buckets) > mostSources {
		t.Errorf("%d sources are remembered", len(s.buckets))
	}
}

func TestASourceThatAsksTooMuchHearsNothingMore(t *testing.T) {
	e, server, stranger := listen(t), newPeer(t), newPeer(t)
	e.LimitSources(5)
	line := &testLine{aorUser: "alice"}
	bind(t, e, "k3x", line)
	const sent = 50 // what the smallest socket buffer holds
	for range sent {
		stranger.send(e, stranger.message("INFO", "sip:k3x@127.0.0.1"))
	}
	eventually(t, "every request is judged", func() bool {
		s := e.Stats()
		return s.Limited+uint64(len(line.got())) == sent
	})
	if n := len(line.got()); n < 10 || n > 40 {
		t.Errorf("%d requests came through, want the 10 of a burst and a few", n)
	}
	// A line's server is bound by nothing, though it has the same address here.
	line.servers = []netip.AddrPort{server.addr()}
	bind(t, e, "p9q", line)
	for i := range sent {
		if res := server.ask(e, server.message("INFO", "sip:k3x@127.0.0.1")); res.StatusCode != 200 {
			t.Fatal(fmt.Sprint(i, ": ", res.StatusCode))
		}
	}
}
