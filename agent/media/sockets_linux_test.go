//go:build linux && (amd64 || arm64)

package media

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func bound(t *testing.T, addr string) *socketPair {
	t.Helper()
	p, err := listenPlain(netip.MustParseAddr(addr), PortRange{})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*socketPair)
}

func TestAudioIsMarkedExpedited(t *testing.T) {
	for addr, option := range map[string][2]int{"127.0.0.1": {unix.IPPROTO_IP, unix.IP_TOS}, "::1": {unix.IPPROTO_IPV6, unix.IPV6_TCLASS}} {
		p := bound(t, addr)
		for _, s := range p {
			if class, err := unix.GetsockoptInt(s.fd, option[0], option[1]); err != nil || class != 0xb8 {
				t.Errorf("%s: class %#x, %v", addr, class, err)
			}
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
}

// Datagrams come whole, with where they came from and when, however late they are looked at; an IPv4 address is one. The kernel
// begins to stamp a moment after the first socket asked for it: until then what is looked at came just then.
func TestWhatComesIsKeptUntilSomebodyLooks(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		a, b := bound(t, addr), bound(t, addr)
		eventually(t, "datagrams stamped when they came", func() bool { return stamped(t, a, b) })
		for _, p := range []*socketPair{a, b} {
			if err := p.close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// stamped sends some datagrams, looks at them late, and says whether they bear the time when they came.
func stamped(t *testing.T, a, b *socketPair) bool {
	t.Helper()
	const late = 50 * time.Millisecond
	since := time.Now()
	for _, text := range []string{"one", "two", "three"} {
		if err := a.writeRTP([]byte(text), b.localRTP()); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(late) // to look later than they came: that is the point
	looked, box, early := time.Now(), newBatch(batchSize), 0
	var texts []string
	for range 2 {
		for i := range b.fetch(box, 0) {
			data, from, at := b.datagram(box, 0, i, looked, since)
			texts = append(texts, string(data))
			if from != a.localRTP() || at.Before(since) {
				t.Fatalf("%q from %v, not %v, %v before they were sent", data, from, a.localRTP(), since.Sub(at))
			}
			if looked.Sub(at) >= late/2 {
				early++
			}
		}
	}
	if !slices.Equal(texts, []string{"one", "two", "three"}) || b.fetch(box, 0) != 0 || b.fetch(box, 1) != 0 {
		t.Fatalf("came %q", texts)
	}
	return early == len(texts)
}

// A stamp of a wall clock that was set meanwhile puts nothing before the last look, nor far into the future.
func TestAnArrivalLiesBetweenTheLooks(t *testing.T) {
	now, box := time.Now(), newBatch(1)
	since := now.Add(-20 * time.Millisecond)
	for name, c := range map[string]struct{ stamped, want time.Duration }{
		"between":        {-7 * time.Millisecond, -7 * time.Millisecond},
		"an hour ago":    {-time.Hour, -20 * time.Millisecond},
		"in an hour":     {time.Hour, grain},
		"a moment ahead": {time.Millisecond, time.Millisecond},
	} {
		s := &box.rooms[0].control
		s.header.Level, s.header.Type = unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS
		s.at = unix.NsecToTimespec(now.Add(c.stamped).UnixNano())
		if got := box.arrival(0, now, since).Sub(now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	box.messages[0].header.SetControllen(0)
	if got := box.arrival(0, now, since); got != now {
		t.Errorf("without a stamp: %v, not now", got.Sub(now))
	}
}

func TestSocketsSayWhatTheyCannotSend(t *testing.T) {
	p := bound(t, "127.0.0.1")
	for _, to := range []netip.AddrPort{{}, netip.MustParseAddrPort("[::1]:5004")} {
		if err := p.writeRTP([]byte("x"), to); err == nil {
			t.Errorf("sent to %v", to)
		}
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	if err := p.writeRTP([]byte("x"), netip.MustParseAddrPort("127.0.0.1:9")); err != net.ErrClosed {
		t.Errorf("after the end: %v", err)
	}
	if n := p.fetch(newBatch(1), 0); n != 0 || p.close() == nil {
		t.Errorf("%d datagrams after the end, and an end after it", n)
	}
}
