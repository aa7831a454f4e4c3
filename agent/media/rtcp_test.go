package media

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// rtcpSeen notes the RTCP on a network.
type rtcpSeen struct {
	packets []rtcp.Packet
	at      []time.Duration
}

func TestRTCPReportsEarlyThenEveryFewSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		seen := map[netip.AddrPort]*rtcpSeen{}
		began := time.Now()
		n.impair = func(from, to netip.AddrPort, b []byte) []time.Duration {
			if to.Port()%2 == 1 {
				s := seen[from]
				if s == nil {
					s = &rtcpSeen{}
					seen[from] = s
				}
				packets, err := rtcp.Unmarshal(b)
				if err != nil || rtcp.CompoundPacket(packets).Validate() != nil {
					t.Errorf("not a compound packet: %v", err)
				}
				s.packets, s.at = append(s.packets, packets[0]), append(s.at, time.Since(began))
				if bye, ok := packets[len(packets)-1].(*rtcp.Goodbye); ok {
					s.packets = append(s.packets, bye)
				}
			}
			return []time.Duration{40 * time.Millisecond}
		}
		a, b := call(t, n)
		time.Sleep(7 * time.Second)
		synctest.Wait()
		for name, st := range map[string]Stats{"caller": a.Stats(), "echo": b.Stats()} {
			within(t, name+": round trip after 7 s", value(st.RTTMs), 80, 0.5)
		}
		time.Sleep(53 * time.Second)
		if b.Stats().PeerLeft {
			t.Error("the peer is said to have left")
		}
		closeSession(t, a)
		time.Sleep(time.Second)
		if !b.Stats().PeerLeft {
			t.Error("a BYE went unnoticed")
		}
		closeSession(t, b)
		for from, s := range seen {
			reports := len(s.at) - 1 // the last comes with the BYE
			if s.at[0] < earlyFrom || s.at[0] > earlyFrom+earlySpread+20*time.Millisecond || reports < 9 || reports > 30 {
				t.Errorf("%v: %d reports in 60 s, the first after %v", from, reports, s.at[0])
			}
			for i := earlyReports + 1; i < reports; i++ {
				if gap := s.at[i] - s.at[i-1]; gap < 2*time.Second || gap > 6200*time.Millisecond {
					t.Errorf("%v: %v between reports", from, gap)
				}
			}
			if _, ok := s.packets[len(s.packets)-1].(*rtcp.Goodbye); !ok {
				t.Errorf("%v: no BYE at the end but %T", from, s.packets[len(s.packets)-1])
			}
			sr, ok := s.packets[0].(*rtcp.SenderReport)
			if !ok {
				t.Fatalf("%v: first report is a %T", from, s.packets[0])
			}
			within(t, "packets by the first report", float64(sr.PacketCount), float64(s.at[0]/(20*time.Millisecond)), 2)
			if sr.OctetCount != 160*sr.PacketCount {
				t.Errorf("%d octets in %d packets", sr.OctetCount, sr.PacketCount)
			}
		}
	})
}

func TestWhoOnlyListensSendsReceiverReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var kinds []rtcp.Packet // read after the end
		n.impair = func(from, to netip.AddrPort, b []byte) []time.Duration {
			if from == netip.MustParseAddrPort("192.0.2.2:20001") {
				packets, err := rtcp.Unmarshal(b)
				if err == nil {
					kinds = append(kinds, packets[0])
				}
			}
			return []time.Duration{0}
		}
		a, b := n.open(t, alice), n.open(t, bob)
		start(t, a, agreed(bob), Silence{})
		listens := agreed(alice)
		listens.Direction = sdp.RecvOnly
		start(t, b, listens, Silence{})
		time.Sleep(20 * time.Second)
		closeSession(t, b)
		// Its reports are the only sign that it is there.
		if st := a.Stats(); !st.LastPacket.IsZero() || time.Since(st.LastReport) > 8*time.Second {
			t.Errorf("the last packet was heard at %v, the last report at %v, now is %v", st.LastPacket, st.LastReport, time.Now())
		}
		if len(kinds) < 4 {
			t.Fatalf("%d reports", len(kinds))
		}
		for _, k := range kinds {
			rr, ok := k.(*rtcp.ReceiverReport)
			if !ok || len(rr.Reports) != 1 || rr.Reports[0].SSRC != a.Stats().LocalSSRC {
				t.Errorf("a listener reports %v", k)
			}
		}
	})
}

func TestRTPAndRTCPOnOnePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.impair = func(_, to netip.AddrPort, _ []byte) []time.Duration {
			if to.Port()%2 == 1 {
				t.Errorf("a datagram to %v", to)
			}
			return []time.Duration{10 * time.Millisecond}
		}
		a, b := n.open(t, alice), n.open(t, bob)
		na, nb := agreed(bob), agreed(alice)
		na.RTCPMux, nb.RTCPMux, na.RemoteRTCP, nb.RemoteRTCP = true, true, na.Remote, nb.Remote
		start(t, a, na, Silence{})
		start(t, b, nb, Silence{})
		time.Sleep(8 * time.Second)
		synctest.Wait()
		within(t, "round trip", value(a.Stats().RTTMs), 20, 0.5)
		if st := b.Stats(); st.Refused > 1 || st.Peer == nil { // one may come before the start
			t.Errorf("%+v", st)
		}
	})
}
