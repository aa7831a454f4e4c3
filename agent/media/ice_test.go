package media

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/codec"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// side is one end of a call with ICE, with what it says in descriptions.
type side struct {
	*Session
	caps sdp.Capabilities

	mu   sync.Mutex
	told []string
}

// openICE opens a session that tells which way its media goes, and gathers.
func openICE(t *testing.T, n *network, addr string, nat NAT) *side {
	t.Helper()
	m, x := n.attach(addr), &side{}
	x.Session = newSession(Config{Local: m.rtp.Addr(), SymmetricRTP: true, OnPath: func(via string, err error) {
		x.mu.Lock()
		defer x.mu.Unlock()
		if err != nil {
			via = err.Error()
			if !errors.Is(err, ErrNoPath) {
				t.Error(err)
			}
		}
		x.told = append(x.told, via)
	}}, m)
	x.listen()
	t.Cleanup(func() { closeSession(t, x.Session) })
	nat.Mode, nat.Order = NATICE, []string{"relay", "srflx", "host"}
	r, err := x.Reach(t.Context(), nat)
	if err != nil {
		t.Fatal(err)
	}
	x.caps = sdp.Capabilities{Addr: r.RTP.Addr(), Port: int(r.RTP.Port()), Codecs: codec.Formats([]int{0}, codec.Options{}), RTCPMux: true, ICE: r.ICE}
	return x
}

func (x *side) via() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.Join(x.told, ", ")
}

// exchange an offer and its answer, as calls do.
func exchange(t *testing.T, offerer, answerer *side, change func(string) string) (atOfferer, atAnswerer sdp.Negotiated) {
	t.Helper()
	offer := sdp.Offer(offerer.caps, sdp.NewOrigin(offerer.caps.Addr))
	read, err := sdp.Parse([]byte(change(string(offer.Marshal()))))
	if err != nil {
		t.Fatal(err)
	}
	answer, n, err := sdp.Answer(read, answerer.caps, sdp.NewOrigin(answerer.caps.Addr))
	if err != nil {
		t.Fatal(err)
	}
	if read, err = sdp.Parse(answer.Marshal()); err != nil {
		t.Fatal(err)
	}
	m, err := sdp.AcceptWith(offer, read, offerer.caps)
	if err != nil {
		t.Fatal(err)
	}
	return m, n
}

func asIs(s string) string { return s }

// coneNAT has what is inside it seen at another address, 1000 ports above; nobody is let in whom it has not talked to.
func coneNAT(symmetric bool) func(from, to netip.AddrPort) (netip.AddrPort, netip.AddrPort) {
	inside, public := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	talked := map[netip.AddrPort]bool{}
	return func(from, to netip.AddrPort) (netip.AddrPort, netip.AddrPort) {
		shift := func(other netip.AddrPort) uint16 {
			if symmetric {
				return 1000 + 100*uint16(other.Addr().As4()[3])
			}
			return 1000
		}
		switch {
		case from.Addr() == inside && to.Addr() == inside:
		case from.Addr() == inside:
			talked[to] = true
			from = netip.AddrPortFrom(public, from.Port()+shift(to))
		case to.Addr() == public && talked[from]:
			to = netip.AddrPortFrom(inside, to.Port()-shift(from))
		case to.Addr() == public, to.Addr() == inside:
			to = netip.AddrPort{} // lost
		}
		return from, to
	}
}

func TestICEFindsTheWay(t *testing.T) {
	stun := []netip.AddrPort{netip.MustParseAddrPort("203.0.113.1:3478")}
	for what, c := range map[string]struct {
		nat      func(from, to netip.AddrPort) (netip.AddrPort, netip.AddrPort)
		servers  []netip.AddrPort
		inside   bool // who offers is inside
		here, at string
	}{
		"no NAT":                                     {nil, nil, true, "ice host/host", "ice host/host"},
		"the caller behind a NAT":                    {coneNAT(false), stun, true, "ice host/host", "ice host/srflx"},
		"the callee behind a NAT":                    {coneNAT(false), stun, false, "ice host/srflx", "ice host/host"},
		"behind a symmetric NAT":                     {coneNAT(true), stun, true, "ice host/host", "ice host/prflx"},
		"behind a NAT, and no STUN server to be had": {coneNAT(false), nil, true, "ice host/host", "ice host/prflx"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			n.translate = c.nat
			stunServer(t, n, "203.0.113.1:3478")
			a, b := openICE(t, n, alice, NAT{STUN: c.servers}), openICE(t, n, bob, NAT{STUN: c.servers})
			if !c.inside {
				a, b = b, a
			}
			ours, theirs := exchange(t, a, b, asIs)
			if ours.ICE == nil || theirs.ICE == nil || !ours.Controlling || theirs.Controlling {
				t.Fatalf("%s: %+v and %+v", what, ours, theirs)
			}
			start(t, b.Session, theirs, Echo{})
			time.Sleep(50 * time.Millisecond) // the answer travels
			start(t, a.Session, ours, Tone{Hz: 1004, LevelDBm0: -10})
			time.Sleep(3 * time.Second)
			synctest.Wait()
			for who, s := range map[string]*side{"caller": a, "callee": b} {
				st := s.Stats()
				if st.Received < 90 || st.Heard == nil || st.Lost > 0 || st.RTTMs == nil && st.Received > 200 {
					t.Errorf("%s: the %s has %+v", what, who, st)
					continue
				}
				within(t, what+": frequency at the "+who, st.Heard.FrequencyHz, 1004, 2)
			}
			if a.via() != c.here || b.via() != c.at {
				t.Errorf("%s: by %q and %q, want %q and %q", what, a.via(), b.via(), c.here, c.at)
			}
		})
	}
}

// Who does not speak ICE, or has a description that something changed on its way, is talked to as without.
func TestPeersWithoutICE(t *testing.T) {
	for what, change := range map[string]func(string) string{
		"the other side does not speak it":  func(s string) string { return strings.ReplaceAll(s, "a=ice-", "a=x-") },
		"an address was changed on the way": func(s string) string { return strings.ReplaceAll(s, "a=candidate:1 1 udp", "a=candidate:1 1 tcp") },
		"the address is none of the candidates": func(s string) string {
			return strings.Replace(s, " 192.0.2.1 10000 typ host", " 192.0.2.99 10000 typ host", 1)
		},
		"RTCP on a port of its own": func(s string) string { return strings.Replace(s, "a=rtcp-mux", "a=x", 1) },
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			a, b := openICE(t, n, alice, NAT{}), openICE(t, n, bob, NAT{})
			ours, theirs := exchange(t, a, b, change)
			if strings.HasPrefix(what, "an address") {
				if ours.ICE == nil { // TCP alone: nothing to check, but ICE all the same
					t.Errorf("%s: %+v", what, ours)
				}
				return
			}
			if ours.ICE != nil || theirs.ICE != nil {
				t.Fatalf("%s: %+v and %+v", what, ours, theirs)
			}
			start(t, b.Session, theirs, Echo{})
			start(t, a.Session, ours, Tone{Hz: 1004, LevelDBm0: -10})
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if st := a.Stats(); st.Received < 90 || a.via() != "plain" || b.via() != "plain" {
				t.Errorf("%s: %+v; by %q and %q", what, st, a.via(), b.via())
			}
		})
	}
}

// A peer that stops confirming that it wants our media gets no more of it, and whoever asked is told within the 30 s of RFC 7675.
func TestConsentThatIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := openICE(t, n, alice, NAT{}), openICE(t, n, bob, NAT{})
		ours, theirs := exchange(t, a, b, asIs)
		start(t, b.Session, theirs, Echo{})
		start(t, a.Session, ours, Silence{})
		time.Sleep(3 * time.Second)
		n.mu.Lock()
		n.impair = func(_, _ netip.AddrPort, b []byte) []time.Duration {
			if isSTUN(b) {
				return nil // RTP still arrives: that is no consent
			}
			return []time.Duration{0}
		}
		n.mu.Unlock()
		time.Sleep(20 * time.Second)
		if got := a.via(); got != "ice host/host" {
			t.Errorf("after 20 s it says %q", got)
		}
		time.Sleep(20 * time.Second)
		if got := a.via(); !strings.Contains(got, "does not confirm any more") || !strings.Contains(got, bob) {
			t.Errorf("after 40 s it says %q", got)
		}
		before := a.Stats().Sent
		time.Sleep(2 * time.Second)
		if more := a.Stats().Sent - before; more > 0 {
			t.Errorf("%d packets were sent to who does not want them", more)
		}
	})
}

func TestNoPairWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.impair = func(_, _ netip.AddrPort, b []byte) []time.Duration { return nil }
		a, b := openICE(t, n, alice, NAT{}), openICE(t, n, bob, NAT{})
		ours, theirs := exchange(t, a, b, asIs)
		start(t, b.Session, theirs, Echo{})
		start(t, a.Session, ours, Silence{})
		time.Sleep(45 * time.Second)
		if got := a.via(); !strings.Contains(got, "no pair of candidates works") || a.Stats().Sent > 0 {
			t.Errorf("it says %q, and has sent %d packets to nobody", got, a.Stats().Sent)
		}
	})
}

// Another ICE session within the call, which the other side begins because it has moved: the audio follows.
func TestICERestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := openICE(t, n, alice, NAT{}), openICE(t, n, bob, NAT{})
		ours, theirs := exchange(t, a, b, asIs)
		start(t, b.Session, theirs, Tone{Hz: 700, LevelDBm0: -10})
		start(t, a.Session, ours, Tone{Hz: 1004, LevelDBm0: -10})
		time.Sleep(2 * time.Second)
		moved := openICE(t, n, "192.0.2.3:30000", NAT{}) // bob, elsewhere
		again, err := a.RestartICE()
		if err != nil {
			t.Fatal(err)
		}
		if again.Ufrag == a.caps.ICE.Ufrag || again.Pwd == a.caps.ICE.Pwd || fmt.Sprint(again.Candidates) != fmt.Sprint(a.caps.ICE.Candidates) {
			t.Errorf("%+v after %+v", again, a.caps.ICE)
		}
		a.caps.ICE = again
		theirs, ours = exchange(t, moved, a, asIs)
		if ours.Controlling || !theirs.Controlling {
			t.Errorf("%+v and %+v", ours, theirs)
		}
		before := a.Stats().Received
		closeSession(t, b.Session)
		start(t, moved.Session, theirs, Tone{Hz: 1500, LevelDBm0: -10})
		if err := a.Update(ours, Tone{Hz: 1004, LevelDBm0: -10}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if st, there := a.Stats(), moved.Stats(); st.Received-before < 200 || there.Received < 200 || a.via() != "ice host/host, ice host/host" || moved.via() != "ice host/host" {
			t.Errorf("%+v and %+v; by %q and %q", st, there, a.via(), moved.via())
		}
	})
}

// A NAT that has forgotten both of us: consent expires, and a restart finds the way by which we are seen now.
func TestARestartFindsAnotherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := openICE(t, n, alice, NAT{}), openICE(t, n, bob, NAT{})
		ours, theirs := exchange(t, a, b, asIs)
		start(t, b.Session, theirs, Tone{Hz: 700, LevelDBm0: -10})
		start(t, a.Session, ours, Tone{Hz: 1004, LevelDBm0: -10})
		time.Sleep(2 * time.Second)
		n.mu.Lock()
		n.impair = func(_, _ netip.AddrPort, b []byte) []time.Duration { return nil }
		n.mu.Unlock()
		time.Sleep(40 * time.Second)
		for _, x := range []*side{a, b} {
			if got := x.via(); !strings.Contains(got, "does not confirm any more") {
				t.Fatalf("after 40 s of outage: %q", got)
			}
		}
		n.mu.Lock()
		n.impair, n.translate = nil, coneNAT(false) // alice is behind it now
		n.mu.Unlock()
		for _, x := range []*side{a, b} {
			own, err := x.RestartICE()
			if err != nil {
				t.Fatal(err)
			}
			x.caps.ICE = own
		}
		ours, theirs = exchange(t, a, b, asIs)
		if err := errors.Join(b.Update(theirs, Tone{Hz: 700, LevelDBm0: -10}), a.Update(ours, Tone{Hz: 1004, LevelDBm0: -10})); err != nil {
			t.Fatal(err)
		}
		before, there := a.Stats().Received, b.Stats().Received
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if a.Stats().Received-before < 200 || b.Stats().Received-there < 200 || !strings.HasSuffix(b.via(), "ice host/prflx") {
			t.Errorf("%d and %d packets more; by %q and %q", a.Stats().Received-before, b.Stats().Received-there, a.via(), b.via())
		}
	})
}
