package registration

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// trunkBench is a trunk under test.
type trunkBench struct {
	t    *testing.T
	g    *registrar
	ep   *fakeEndpoint
	q    *Qualifier
	cfg  Config
	k    *Trunk
	mu   sync.Mutex
	said []Status
}

func newTrunkBench(t *testing.T, every time.Duration) *trunkBench {
	b := &trunkBench{t: t, g: newRegistrar()}
	b.ep = newFake(b.g)
	b.q = NewQualifier(b.ep, every, nil)
	t.Cleanup(b.q.Close)
	b.cfg = Config{
		Name: "trunk", AOR: AOR{User: "4711", Host: "carrier.test"}, ContactUser: "k3x", Instance: "urn:uuid:1", RInstance: "base", Qualifier: b.q,
	}
	return b
}

func (b *trunkBench) start() {
	b.k = NewTrunk(b.cfg, b.ep, func(s Status) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.said = append(b.said, s)
	})
	b.k.Start(b.t.Context())
	b.after(time.Second)
}

func (b *trunkBench) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *trunkBench) want(state State, problem delivery.Problem, server, reason string) {
	b.t.Helper()
	if s := b.k.Status(); s.State != state || s.Problem != problem || s.Server != server || s.LastReason != reason {
		b.t.Fatalf("status %+v; want %s %q %s %q", s, state, problem, server, reason)
	}
}

func (b *trunkBench) stop() {
	b.t.Helper()
	if err := b.k.Stop(b.t.Context()); err != nil {
		b.t.Error(err)
	}
	if s := b.k.Status(); s.State != delivery.Disabled {
		b.t.Errorf("after stop: %+v", s)
	}
	if left := b.q.Servers(); len(left) != 0 {
		b.t.Errorf("after stop these are watched: %+v", left)
	}
}

const (
	first1  = "10.77.0.1:5060/udp"
	second2 = "10.77.0.2:5060/udp"
	answers = "trunk: it does not register; its server answers"
)

func TestATrunkNeverRegisters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTrunkBench(t, time.Minute)
		b.start()
		b.want(delivery.Idle, "", first1, answers)
		since := b.k.Status().Since
		b.after(24 * time.Hour)
		b.want(delivery.Idle, "", first1, answers)
		if n := len(b.g.received()); n != 0 {
			t.Errorf("%d REGISTERs", n)
		}
		if s := b.k.Status(); !s.Since.Equal(since) || s.Contact != "" || s.LastCode != 200 {
			t.Errorf("%+v", s)
		}
		if len(b.said) > 3 {
			t.Errorf("a day of nothing new was worth %d reports: %+v", len(b.said), b.said)
		}
		if got := b.k.Servers(); !slices.Equal(got, []netip.AddrPort{serverAddr}) {
			t.Errorf("calls are taken from %v", got)
		}
		if got, err := b.k.Server(t.Context()); err != nil || got.Addr != serverAddr {
			t.Errorf("calls go to %v, %v", got, err)
		}
		b.stop()
		b.k.Start(t.Context())
		b.after(time.Second)
		b.want(delivery.Idle, "", first1, answers)
		b.stop()
	})
}

func TestATrunkShowsHowItsServerIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTrunkBench(t, time.Minute)
		b.g.silent = true
		b.start()
		b.want(delivery.Idle, "", first1, "trunk: it does not register; its server was not asked yet")
		b.after(10 * time.Second)
		b.want(delivery.Error, delivery.ProblemTimeout, first1, "trunk: no answer from 10.77.0.1:5060/udp")
		b.ep.set(func(f *fakeEndpoint) { f.sendErr = fmt.Errorf("OPTIONS: %w: connection refused", ua.ErrUnreachable) })
		b.after(70 * time.Second)
		b.want(delivery.Error, delivery.ProblemUnreachable, first1, "trunk: 10.77.0.1:5060/udp is unreachable: connection refused")
		b.g.set(func(g *registrar) { g.silent = false })
		b.ep.set(func(f *fakeEndpoint) { f.sendErr = nil })
		b.after(70 * time.Second)
		b.want(delivery.Idle, "", first1, answers)
		b.q.Set(0)
		b.after(0)
		b.want(delivery.Idle, "", first1, "trunk: it does not register, and nobody asks whether its server is there")
		b.stop()
	})
}

func TestATrunkGoesWhereSomebodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTrunkBench(t, time.Minute)
		other, second := newRegistrar(), netip.MustParseAddrPort("10.77.0.2:5060")
		b.ep.registrars[second], b.ep.found = other, []netip.AddrPort{serverAddr, second}
		b.start()
		b.want(delivery.Idle, "", first1, answers)
		b.g.set(func(g *registrar) { g.silent = true })
		b.after(80 * time.Second)
		b.want(delivery.Idle, "", second2, answers)
		if got := b.k.Servers(); !slices.Equal(got, []netip.AddrPort{second, serverAddr}) {
			t.Errorf("calls are taken from %v", got)
		}
		other.set(func(g *registrar) { g.silent = true })
		b.after(80 * time.Second)
		if s := b.k.Status(); s.State != delivery.Error || s.Problem != delivery.ProblemTimeout {
			t.Errorf("%+v", s)
		}
		b.stop()
	})
}

func TestATrunkLooksItsServerUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTrunkBench(t, time.Minute)
		b.ep.resolveErr = fmt.Errorf("%w: carrier.test", ua.ErrHostNotFound)
		b.start()
		b.want(delivery.Error, delivery.ProblemHostNotFound, "", "trunk: host carrier.test was not found in DNS")
		b.ep.set(func(f *fakeEndpoint) { f.resolveErr = nil })
		b.after(10 * time.Second)
		b.want(delivery.Idle, "", first1, answers)
		// It moves; nothing but DNS says so.
		other, second := newRegistrar(), netip.MustParseAddrPort("10.77.0.2:5060")
		b.ep.set(func(f *fakeEndpoint) { f.registrars[second], f.found = other, []netip.AddrPort{second} })
		b.after(lookupAge + time.Second)
		b.want(delivery.Idle, "", second2, answers)
		// DNS goes: what was found is good.
		b.ep.set(func(f *fakeEndpoint) { f.resolveErr = fmt.Errorf("%w: carrier.test", ua.ErrDNS) })
		b.after(3 * lookupAge)
		b.want(delivery.Idle, "", second2, answers)
		before := b.ep.lookups()
		b.after(time.Hour)
		if n := b.ep.lookups() - before; n > 16 {
			t.Errorf("%d look-ups in an hour without DNS", n)
		}
		b.stop()
	})
}

func TestATrunkIsTakenElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTrunkBench(t, time.Minute)
		b.start()
		second := netip.MustParseAddrPort("10.77.0.2:5060")
		b.ep.set(func(f *fakeEndpoint) {
			f.registrars[second], f.hosts = newRegistrar(), map[string]netip.AddrPort{"other.test": second}
		})
		b.cfg.Proxy = "other.test"
		b.k.Update(b.cfg)
		b.after(time.Second)
		b.want(delivery.Idle, "", second2, answers)
		if all := b.q.Servers(); len(all) != 1 || all[0].Server.Addr != second {
			t.Errorf("watched: %+v", all)
		}
		looked := b.ep.lookups()
		b.cfg.Password = "another"
		b.k.Update(b.cfg)
		b.after(time.Second)
		if b.ep.lookups() != looked {
			t.Error("a new password was a reason to look the server up")
		}
		b.stop()
	})
}

func TestATrunkKeepsItsWayOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTrunkBench(t, time.Minute)
		b.cfg.KeepAlive, b.cfg.KeepAlivePeriod = true, 20*time.Second
		sent := func() int {
			b.ep.mu.Lock()
			defer b.ep.mu.Unlock()
			return len(b.ep.keepalives)
		}
		b.start()
		b.after(2 * time.Minute)
		if n := sent(); n != 6 || b.ep.keepalives[0] != serverAddr {
			t.Errorf("%d keepalives in two minutes", n)
		}
		b.cfg.KeepAlive = false
		b.k.Update(b.cfg)
		b.after(2 * time.Minute)
		b.cfg.KeepAlive = true
		b.k.Update(b.cfg)
		b.after(time.Minute + time.Second)
		b.stop()
		b.after(time.Minute)
		if n := sent(); n != 6+3 {
			t.Errorf("%d keepalives, 9 were wanted", n)
		}
	})
}
