package registration

import (
	"bytes"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// bench is a line under test: a registrar, a network that cannot fail by
// itself, and everything the line said.
type bench struct {
	t    *testing.T
	g    *registrar
	ep   *fakeEndpoint
	r    *Registration
	cfg  Config
	mu   sync.Mutex
	said []Status
	log  bytes.Buffer
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, g: newRegistrar()}
	b.g.passwords = map[string]string{"alice": "secret"}
	b.ep = newFake(b.g)
	b.cfg = Config{
		Name: "desk", AOR: AOR{User: "alice", Host: "sip.test"}, Password: "secret",
		ContactUser: "k3x", Instance: "urn:uuid:1", RInstance: "base",
		Log: slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return b
}

func (b *bench) start(edit ...func(*Config)) {
	b.t.Helper()
	for _, e := range edit {
		e(&b.cfg)
	}
	b.r = New(b.cfg, b.ep, func(s Status) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.said = append(b.said, s)
	})
	b.r.Start(b.t.Context())
	synctest.Wait()
}

func (b *bench) update(edit func(*Config)) {
	edit(&b.cfg)
	b.r.Update(b.cfg)
	synctest.Wait()
}

// after lets time pass.
func (b *bench) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *bench) stop() {
	b.t.Helper()
	if err := b.r.Stop(b.t.Context()); err != nil {
		b.t.Errorf("stop: %v", err)
	}
}

// want checks state and reason.
func (b *bench) want(state State, problem delivery.Problem, reason string) {
	b.t.Helper()
	s := b.r.Status()
	if s.State != state || s.Problem != problem || s.LastReason != reason {
		b.t.Fatalf("status %+v; want %s %q %q", s, state, problem, reason)
	}
}

const contact1 = "sip:k3x@10.244.0.7:5060;rinstance=base-1"

func TestRegistersWithDigestRefreshesAndLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.public = "192.0.2.9:40000"
		began := time.Now()
		b.start()
		b.want(delivery.Registered, "", "200 OK")
		s := b.r.Status()
		if s.Server != "10.77.0.1:5060/udp" || s.Contact != contact1 || s.Public != "192.0.2.9:40000" || s.GrantedSeconds != 600 || s.LastCode != 200 ||
			!s.ExpiresAt.Equal(began.Add(10*time.Minute)) || !s.Since.Equal(began) {
			t.Errorf("status %+v", s)
		}
		if got := b.g.bound("alice"); !slices.Equal(got, []string{contact1}) {
			t.Errorf("bound: %q", got)
		}
		b.after(time.Hour)
		requests := b.g.received()
		// 401, 200, then one a refresh (at 480 to 540 s), with the nonce reused.
		if n := len(requests); n < 2+6 || n > 2+7 {
			t.Errorf("%d REGISTERs in an hour", n)
		}
		for i, req := range requests {
			if req.CallID().Value() != requests[0].CallID().Value() {
				t.Errorf("Call-ID of REGISTER %d differs", i)
			}
			if i > 0 && req.CSeq().SeqNo <= requests[i-1].CSeq().SeqNo {
				t.Errorf("CSeq %d after %d", req.CSeq().SeqNo, requests[i-1].CSeq().SeqNo)
			}
		}
		if s := b.r.Status(); s.State != delivery.Registered || !s.Since.Equal(began) {
			t.Errorf("after an hour: %+v", s)
		}
		b.stop()
		b.want(delivery.Disabled, "", "200 OK")
		if got := b.g.bound("alice"); len(got) != 0 {
			t.Errorf("still bound: %q", got)
		}
		if s := b.r.Status(); s.Contact != "" || !s.ExpiresAt.IsZero() {
			t.Errorf("after stop: %+v", s)
		}
	})
}

func TestRequestOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(func(c *Config) {
			c.AOR = AOR{User: "al ice", Host: "sip.test:5080", Display: `Al "the" Ice`}
			c.Proxy, c.Route, c.Slot, c.Expires = "proxy.test", true, 2, time.Minute
			c.Headers = []Header{{"X-Site", "north"}, {"Via", "no"}, {"X-Bad", "a\r\nb: c"}}
		})
		text := b.g.received()[0].String()
		for _, want := range []string{
			"REGISTER sip:sip.test:5080 SIP/2.0\r\n",
			"From: \"Al \\\"the\\\" Ice\" <sip:al%20ice@sip.test:5080>;tag=",
			"To: \"Al \\\"the\\\" Ice\" <sip:al%20ice@sip.test:5080>\r\n",
			"Contact: <sip:k3x@10.244.0.7:5060;rinstance=base-2>;+sip.instance=\"<urn:uuid:1>\";reg-id=2;expires=60\r\n",
			"Route: <sip:proxy.test;lr>\r\n", "Expires: 60\r\n", "X-Site: north\r\n",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in\n%s", want, text)
			}
		}
		if strings.Contains(text, "X-Bad") || strings.Contains(text, "Via: no") {
			t.Errorf("reserved or broken headers went out:\n%s", text)
		}
		b.stop()
	})
}

func TestLeftoversAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		theirs := binding{value: `<sip:desk@10.0.0.1>;+sip.instance="<urn:uuid:2>"`, expires: time.Now().Add(time.Hour)}
		b.g.bindings["alice"] = map[string]binding{
			"sip:old@10.244.0.3:5060;rinstance=base-2": {value: `<sip:old@10.244.0.3:5060;rinstance=base-2>;+sip.instance="<urn:uuid:1>";reg-id=2`, expires: time.Now().Add(time.Hour)},
			"sip:desk@10.0.0.1":                        theirs,
		}
		b.start()
		got := b.g.bound("alice")
		slices.Sort(got)
		if !slices.Equal(got, []string{"sip:desk@10.0.0.1", contact1}) {
			t.Errorf("bound: %q", got)
		}
		for _, req := range b.g.received() {
			if strings.Contains(req.String(), "Contact: *") {
				t.Errorf("a wildcard was sent:\n%s", req)
			}
		}
		b.stop()
		if got := b.g.bound("alice"); !slices.Equal(got, []string{"sip:desk@10.0.0.1"}) {
			t.Errorf("bound after stop: %q", got)
		}
	})
}

func TestMoveTakesTheOldBindingAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.passwords["bob"] = "secret"
		b.start()
		b.update(func(c *Config) { c.AOR.User, c.ContactUser = "bob", "zz9" })
		b.want(delivery.Registered, "", "200 OK")
		if a, n := b.g.bound("alice"), b.g.bound("bob"); len(a) != 0 || !slices.Equal(n, []string{"sip:zz9@10.244.0.7:5060;rinstance=base-1"}) {
			t.Errorf("bound: alice %q, bob %q", a, n)
		}
		b.stop()
	})
}

func TestMoveAwayFromASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start()
		b.g.set(func(g *registrar) { g.silent = true })
		other, elsewhere := newRegistrar(), netip.MustParseAddrPort("10.77.0.2:5060")
		b.ep.set(func(f *fakeEndpoint) { f.registrars[elsewhere], f.found = other, []netip.AddrPort{elsewhere} })
		b.update(func(c *Config) { c.Proxy = "other.test" })
		b.after(moveTimeout)
		b.want(delivery.Registered, "", "200 OK")
		if req := other.received()[0]; req.GetHeader("Authorization") != nil {
			t.Errorf("the new server was shown an answer for the old one:\n%s", req)
		}
		if s := b.r.Status(); s.Server != "10.77.0.2:5060/udp" {
			t.Errorf("server %s", s.Server)
		}
		b.stop()
	})
}

func TestNextAddressIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		dead := netip.MustParseAddrPort("10.77.0.9:5060")
		b.ep.found = []netip.AddrPort{dead, serverAddr}
		b.start()
		b.after(33 * time.Second)
		b.want(delivery.Registered, "", "200 OK")
		if got := b.r.Servers(); !slices.Equal(got, []netip.AddrPort{serverAddr, dead}) {
			t.Errorf("servers %v", got)
		}
		// The refresh stays with the server that works.
		before := time.Now()
		b.after(541 * time.Second)
		if s := b.r.Status(); s.State != delivery.Registered || !s.ExpiresAt.After(before.Add(10*time.Minute)) {
			t.Errorf("status %+v", s)
		}
		b.stop()
	})
}

func TestKeepalives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(func(c *Config) { c.KeepAlive, c.KeepAlivePeriod = true, 20*time.Second })
		b.after(121 * time.Second)
		if n := len(b.ep.keepalives); n != 6 || b.ep.keepalives[0] != serverAddr {
			t.Errorf("%d keepalives in two minutes: %v", n, b.ep.keepalives)
		}
		requests := len(b.g.received())
		b.update(func(c *Config) { c.KeepAlivePeriod = 10 * time.Second })
		b.after(101 * time.Second)
		if n := len(b.ep.keepalives); n != 16 {
			t.Errorf("%d keepalives, want 16", n)
		}
		if n := len(b.g.received()); n != requests {
			t.Error("a new keepalive period registered again")
		}
		b.update(func(c *Config) { c.KeepAlive = false })
		b.after(time.Minute)
		if n := len(b.ep.keepalives); n != 16 {
			t.Errorf("%d keepalives after they were switched off", n)
		}
		b.stop()
	})
}

func TestNumbersOfRestartedAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Instance: "urn:uuid:1", RInstance: "base", Slot: 1}
		// register sends n REGISTERs in a life of its own.
		register := func(cfg Config, n int) (callID string, cseq uint32) {
			r, req := New(cfg, newFake(nil), nil), sip.NewRequest(sip.REGISTER, sip.Uri{})
			for range n {
				number(req, cfg, r.nextSerial())
			}
			return req.CallID().Value(), req.CSeq().SeqNo
		}
		id, cseq := register(cfg, 4)
		time.Sleep(100 * time.Millisecond)
		if again, higher := register(cfg, 1); again != id || higher <= cseq {
			t.Errorf("%s %d, restarted %s %d", id, cseq, again, higher)
		}
		if other, _ := register(Config{Instance: "urn:uuid:1", RInstance: "base", Slot: 2}, 1); other == id {
			t.Error("both slots have the same Call-ID")
		}
		time.Sleep(400 * 24 * time.Hour)
		// Where CSeq begins again the Call-ID is another one.
		if later, lower := register(cfg, 1); later == id && lower <= cseq {
			t.Errorf("%s %d, later %s %d", id, cseq, later, lower)
		}
	})
}

// The strings of hostile registrars reach a status as plain text only.
func TestReasonsArePlainText(t *testing.T) {
	got := plain("No\x1b[31m\u202e\r\n way "+strings.Repeat("é", 100)+"\xff", 20)
	if want := "No[31m way " + strings.Repeat("é", 9) + "…"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
