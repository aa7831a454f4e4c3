package registration

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
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

func TestWhatIsWrongIsSaidInWords(t *testing.T) {
	for name, tt := range map[string]struct {
		arrange func(*bench)
		state   State
		problem delivery.Problem
		code    int
		reason  string
	}{
		"wrong password": {func(b *bench) { b.g.passwords["alice"] = "other" },
			delivery.Unauthorized, delivery.ProblemUnauthorized, 401, "401 Unauthorized: the registrar refused the password of user alice"},
		"wrong password of another auth user": {func(b *bench) { b.cfg.AuthUsername = "4711" },
			delivery.Unauthorized, delivery.ProblemUnauthorized, 401, "401 Unauthorized: the registrar refused the password of user 4711"},
		"no password": {func(b *bench) { b.cfg.Password = "" },
			delivery.Unauthorized, delivery.ProblemUnauthorized, 401, "401 Unauthorized: the registrar asks for the password of user alice and the account has none"},
		"forbidden": {func(b *bench) { b.g.code = 403 },
			delivery.Unauthorized, delivery.ProblemForbidden, 403, "403 Because: the registrar does not let user alice register"},
		"unknown user": {func(b *bench) { b.g.code = 404 },
			delivery.Error, delivery.ProblemNotFound, 404, "404 Because: the registrar does not know user alice"},
		"unknown digest": {func(b *bench) { b.g.algorithm = "AKAv2-MD5" },
			delivery.Error, delivery.ProblemDigest, 401, `401 Unauthorized: the registrar asks for algorithm "AKAv2-MD5", which is not supported`},
		"server error": {func(b *bench) { b.g.code = 500 },
			delivery.Error, delivery.ProblemServer, 500, "500 Because"},
		"redirected": {func(b *bench) { b.g.code = 302 },
			delivery.Error, delivery.ProblemRejected, 302, "302 Because"},
		"423 without Min-Expires": {func(b *bench) { b.g.code = 423 },
			delivery.Error, delivery.ProblemRejected, 423, "423 Because: the registrar wants another expiry and does not say a usable one"},
		"no such host": {func(b *bench) { b.ep.resolveErr = fmt.Errorf("%w: sip.test", ua.ErrHostNotFound) },
			delivery.Error, delivery.ProblemHostNotFound, 0, "host sip.test was not found in DNS"},
		"DNS is down": {func(b *bench) { b.ep.resolveErr = fmt.Errorf("%w: sip.test: i/o timeout", ua.ErrDNS) },
			delivery.Error, delivery.ProblemDNS, 0, "DNS gave no answer for host sip.test: name lookup failed: sip.test: i/o timeout"},
		"nobody listens": {func(b *bench) { b.ep.sendErr = fmt.Errorf("REGISTER: %w: connection refused", ua.ErrUnreachable) },
			delivery.Error, delivery.ProblemUnreachable, 0, "10.77.0.1:5060/udp is unreachable: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				tt.arrange(b)
				b.start()
				b.want(tt.state, tt.problem, tt.reason)
				if s := b.r.Status(); s.LastCode != tt.code || s.Retry.IsZero() || s.Contact != "" {
					t.Errorf("status %+v", s)
				}
				if strings.Contains(b.log.String(), "secret") {
					t.Errorf("the password is in the log:\n%s", b.log.String())
				}
				b.stop()
			})
		})
	}
}

func TestSilentRegistrar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.silent = true
		b.start()
		b.want(delivery.Registering, "", "")
		b.after(33 * time.Second)
		b.want(delivery.Error, delivery.ProblemTimeout, "no answer from 10.77.0.1:5060/udp")
		b.after(30 * time.Minute)
		// In error all the time, not registering at every attempt.
		b.mu.Lock()
		for _, s := range b.said[2:] {
			if s.State != delivery.Error {
				t.Errorf("said %+v", s)
			}
		}
		b.mu.Unlock()
		attempts := len(b.g.received())
		if attempts < 7 || attempts > 14 {
			t.Errorf("%d attempts in half an hour", attempts)
		}
		b.g.set(func(g *registrar) { g.silent = false })
		b.after(mostBackoff + 32*time.Second)
		b.want(delivery.Registered, "", "200 OK")
		b.stop()
	})
}

func TestOutageUnderARegisteredLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start()
		b.g.set(func(g *registrar) { g.silent = true })
		b.after(575 * time.Second) // refreshed at 540 s at the latest, and 32 s of no answer
		b.want(delivery.Error, delivery.ProblemTimeout, "no answer from 10.77.0.1:5060/udp")
		if s := b.r.Status(); s.Contact != contact1 || s.ExpiresAt.IsZero() {
			t.Errorf("the binding still holds, but: %+v", s)
		}
		b.after(time.Minute)
		if s := b.r.Status(); s.Contact != "" || !s.ExpiresAt.IsZero() {
			t.Errorf("the binding has run out, but: %+v", s)
		}
		b.g.set(func(g *registrar) { g.silent = false })
		b.after(mostBackoff)
		b.want(delivery.Registered, "", "200 OK")
		b.stop()
	})
}

func TestNewPasswordIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(func(c *Config) { c.Password = "wrong" })
		b.want(delivery.Unauthorized, delivery.ProblemUnauthorized, "401 Unauthorized: the registrar refused the password of user alice")
		// Two attempts: without and with credentials; then slowly.
		b.after(3 * time.Minute)
		if n := len(b.g.received()); n != 2 {
			t.Errorf("%d REGISTERs within three minutes of a refusal", n)
		}
		b.update(func(*Config) {})
		if n := len(b.g.received()); n != 2 {
			t.Errorf("the same configuration again made it %d REGISTERs", n)
		}
		b.update(func(c *Config) { c.Password = "secret" })
		b.want(delivery.Registered, "", "200 OK")
		b.stop()
	})
}

func TestRotatedPasswordUnderARegisteredLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start()
		before := len(b.g.received())
		b.g.set(func(g *registrar) { g.passwords["alice"], g.nonce = "new", "n2" })
		b.update(func(c *Config) { c.Password = "new" })
		b.want(delivery.Registered, "", "200 OK")
		if n := len(b.g.received()) - before; n != 2 {
			t.Errorf("%d REGISTERs for a new password, want 2", n)
		}
		b.update(func(c *Config) { c.Password = "bad" })
		b.want(delivery.Unauthorized, delivery.ProblemUnauthorized, "401 Unauthorized: the registrar refused the password of user alice")
		b.update(func(c *Config) { c.Password = "new" })
		b.stop()
	})
}

func TestStaleNonceIsNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.stale = true
		b.start()
		b.want(delivery.Registered, "", "200 OK")
		b.g.set(func(g *registrar) { g.nonce = "restarted" }) // forgets to say stale
		b.after(541 * time.Second)
		b.want(delivery.Registered, "", "200 OK")
		b.stop()
	})
}

func TestSHA256(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.algorithm = "SHA-256"
		b.start()
		b.want(delivery.Registered, "", "200 OK")
		b.stop()
	})
}

func TestIntervalTooBrief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.min = 20 * time.Minute
		b.start()
		b.want(delivery.Registered, "", "200 OK")
		if s := b.r.Status(); s.GrantedSeconds != 1200 {
			t.Errorf("granted %d s", s.GrantedSeconds)
		}
		// The refresh asks for the 20 minutes at once.
		before := len(b.g.received())
		b.after(19 * time.Minute)
		if n := len(b.g.received()) - before; n != 1 {
			t.Errorf("%d REGISTERs for one refresh", n)
		}
		b.stop()
	})
}

func TestShortGrantsAreRefreshedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.most = 10 * time.Second
		b.start()
		for range 60 {
			b.after(time.Second)
			if len(b.g.bound("alice")) != 1 {
				t.Fatal("the binding ran out")
			}
		}
		if n := len(b.g.received()); n > 14 {
			t.Errorf("%d REGISTERs in a minute", n)
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

func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start()
		b.g.set(func(g *registrar) { g.silent = true })
		began := time.Now()
		err := b.r.Stop(t.Context())
		if d := time.Since(began); d != StopTimeout {
			t.Errorf("stop took %s", d)
		}
		if err == nil || err.Error() != "desk: binding left to expire: the registrar did not confirm the removal of the binding" {
			t.Errorf("error %v", err)
		}
		b.g.set(func(g *registrar) { g.silent = false })
		b.r.Start(t.Context())
		synctest.Wait()
		b.want(delivery.Registered, "", "200 OK")
		b.g.set(func(g *registrar) { g.silent = true })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if err := b.r.Stop(ctx); err == nil || time.Since(began) != time.Second {
			t.Errorf("stop took %s, error %v", time.Since(began), err)
		}
	})
}

func TestEndOfContextLeavesTheBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		b.r = New(b.cfg, b.ep, nil)
		b.r.Start(ctx)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if got := b.g.bound("alice"); len(got) != 1 {
			t.Errorf("bound: %q", got)
		}
		b.want(delivery.Disabled, "", "200 OK")
		// A line may be started again.
		b.r.Start(t.Context())
		synctest.Wait()
		b.want(delivery.Registered, "", "200 OK")
		b.stop()
		if err := b.r.Stop(t.Context()); err != nil {
			t.Errorf("second stop: %v", err)
		}
		b.r.Update(Config{}) // nobody is there
	})
}

func TestPanicsCostOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.ep.panics = 2
		told := 0
		b.r = New(b.cfg, b.ep, func(Status) { told++; panic("the listener's own") })
		b.r.Start(t.Context())
		synctest.Wait()
		b.want(delivery.Error, delivery.ProblemConfig, "internal error, see the agent's log")
		b.after(10 * time.Second)
		b.want(delivery.Registered, "", "200 OK")
		b.ep.mu.Lock()
		if b.ep.guarded != 2+told {
			t.Errorf("%d panics caught, want %d", b.ep.guarded, 2+told)
		}
		b.ep.mu.Unlock()
		b.stop()
	})
}

func TestLateMessagesChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.g.silent = true
		b.start()
		run := b.r.running()
		run.post(message{kind: done, sequence: run.sequence - 1, outcome: refused})
		synctest.Wait()
		b.want(delivery.Registering, "", "")
		b.g.set(func(g *registrar) { g.silent = false })
		b.update(func(c *Config) { c.Password = "secret "; b.g.passwords["alice"] = "secret " })
		b.want(delivery.Registered, "", "200 OK")
		before := len(b.g.received())
		run.post(message{kind: due, sequence: run.alarms - 1})
		synctest.Wait()
		if n := len(b.g.received()); n != before {
			t.Error("a timer that was set anew made a refresh")
		}
		b.stop()
	})
}

func TestServerBeforeTheFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.r = New(b.cfg, b.ep, nil)
		if s := b.r.Status(); s.State != delivery.Idle {
			t.Errorf("status %+v", s)
		}
		got, err := b.r.Server(t.Context())
		if err != nil || got.Addr != serverAddr {
			t.Errorf("server %v, %v", got, err)
		}
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
