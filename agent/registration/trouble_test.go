package registration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

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
			delivery.Error, delivery.ProblemRejected, 302, "302 Because: it names no address to register at instead"},
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

func TestRetryAfterOfAnyRefusal(t *testing.T) {
	for _, code := range []int{302, 404, 413, 480, 486, 500, 503, 600} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.g.set(func(g *registrar) { g.code, g.headers = code, []string{"Retry-After: 180 (in the cellar);duration=60"} })
			b.start()
			before := len(b.g.received())
			b.after(179 * time.Second)
			if n := len(b.g.received()) - before; n != 0 {
				t.Errorf("%d: %d REGISTERs before their time", code, n)
			}
			b.g.set(func(g *registrar) { g.code = 0 })
			b.after(20 * time.Second)
			b.want(delivery.Registered, "", "200 OK")
			b.stop()
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
