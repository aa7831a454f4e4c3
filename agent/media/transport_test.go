package media

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// freeRange finds a range of so many ports, beginning with an even one, in which nothing is bound.
func freeRange(t *testing.T, ports int) PortRange {
	t.Helper()
	for first := 42000; first < 60000; first += ports {
		free := true
		for port := first; port < first+ports && free; port++ {
			c, err := listenUDP(loopback, port)
			if free = err == nil; free {
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if free {
			return PortRange{first, first + ports - 1}
		}
	}
	t.Fatal("no free ports on this machine")
	return PortRange{}
}

func TestPortsComeInPairsFromTheRange(t *testing.T) {
	r := freeRange(t, 8)
	seen := map[uint16]bool{}
	for range 4 {
		s, err := Open(Config{Local: loopback, Ports: r})
		if err != nil {
			t.Fatal(err)
		}
		defer closeSession(t, s)
		port := s.LocalRTP().Port()
		if port%2 != 0 || int(port) < r.First || int(port)+1 > r.Last || seen[port] || s.LocalRTP().Addr() != loopback {
			t.Errorf("bound to %v, range %v", s.LocalRTP(), r)
		}
		seen[port] = true
	}
	_, err := Open(Config{Local: loopback, Ports: r})
	want := fmt.Sprintf("opening media: no free RTP port pair: all 4 pairs in %d-%d on 127.0.0.1 are taken", r.First, r.Last)
	if !errors.Is(err, ErrPortsExhausted) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestAPairNeedsBothPorts(t *testing.T) {
	r := freeRange(t, 4)
	rtcp, err := listenUDP(loopback, r.First+1)
	if err != nil {
		t.Fatal(err)
	}
	defer rtcp.Close()
	for range 5 {
		s, err := Open(Config{Local: loopback, Ports: r})
		if err != nil {
			t.Fatal(err)
		}
		if got := int(s.LocalRTP().Port()); got != r.First+2 {
			t.Errorf("bound to %d with %d taken", got, r.First+1)
		}
		closeSession(t, s)
	}
}

func TestPortRangesWithoutAPairAreErrors(t *testing.T) {
	for _, r := range []PortRange{{5001, 5002}, {6000, 6000}, {7000, 6000}, {-4, 4}, {65534, 70000}} {
		if s, err := Open(Config{Local: loopback, Ports: r}); err == nil {
			t.Errorf("range %v: bound to %v", r, s.LocalRTP())
			closeSession(t, s)
		} else if errors.Is(err, ErrPortsExhausted) || !strings.Contains(err.Error(), "holds no pair of ports") {
			t.Errorf("range %v: %v", r, err)
		}
	}
	if _, err := Open(Config{Local: netip.MustParseAddr("192.0.2.77"), Ports: PortRange{42000, 60000}}); err == nil || errors.Is(err, ErrPortsExhausted) {
		t.Errorf("an address of another machine: %v", err)
	}
	if _, err := Open(Config{}); err == nil {
		t.Error("opened without an address")
	}
}

func TestTheKernelChoosesAPairWithoutARange(t *testing.T) {
	for range 20 {
		s, err := Open(Config{Local: loopback})
		if err != nil {
			t.Fatal(err)
		}
		if s.LocalRTP().Port()%2 != 0 {
			t.Errorf("RTP on %v", s.LocalRTP())
		}
		closeSession(t, s)
	}
}

// eventually waits for a condition of real sockets and clocks.
func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline, poll := time.After(time.Minute), time.NewTicker(10*time.Millisecond)
	defer poll.Stop()
	for !met() {
		select {
		case <-deadline:
			t.Fatalf("%s did not happen", what)
		case <-poll.C:
		}
	}
}

// A call over real sockets, on IPv4 and IPv6.
func TestCallOverRealSockets(t *testing.T) {
	for _, local := range []netip.Addr{loopback, netip.IPv6Loopback()} {
		t.Run(local.String(), func(t *testing.T) {
			t.Parallel()
			open := func() *Session {
				s, err := Open(Config{Local: local, SymmetricRTP: true})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { closeSession(t, s) })
				return s
			}
			a, b := open(), open()
			start(t, a, agreed(b.LocalRTP().String()), Tone{Hz: 1000, LevelDBm0: -10})
			start(t, b, agreed(a.LocalRTP().String()), Echo{})
			eventually(t, "a rated call with a round trip and a clean tone", func() bool {
				st := a.Stats()
				return st.MOS != nil && st.RTTMs != nil && *st.RTTMs < 1000 && st.Peer != nil && st.Heard != nil &&
					math.Abs(st.Heard.FrequencyHz-1000) < 3 && math.Abs(st.Heard.LevelDBm0+10) < 0.5
			})
			if st := a.Stats(); st.Lost != 0 || st.Refused > 1 || st.SendErrors != 0 || *st.MOS < 1 || *st.MOS > 4.5 {
				t.Errorf("%+v, MOS %.2f, round trip %.2f ms", st, *st.MOS, *st.RTTMs)
			}
		})
	}
}
