package registration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// busyEndpoint is a fakeEndpoint whose answers take a while, and that counts.
type busyEndpoint struct {
	*fakeEndpoint
	latency time.Duration
	late    time.Duration // sends are up to that much later than their turns

	mu             sync.Mutex
	sent           []time.Time
	inFlight, most int
}

func (e *busyEndpoint) Do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	if e.late > 0 {
		time.Sleep(rand.N(e.late))
	}
	e.mu.Lock()
	e.sent = append(e.sent, time.Now())
	e.inFlight++
	e.most = max(e.most, e.inFlight)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.inFlight--
		e.mu.Unlock()
	}()
	ua.TellSent(ctx)
	time.Sleep(e.latency)
	return e.fakeEndpoint.Do(ctx, req)
}

// busiest gives the most requests within any second, wherever it begins.
func (e *busyEndpoint) busiest() (most int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for first, i := 0, 0; i < len(e.sent); i++ {
		for e.sent[i].Sub(e.sent[first]) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// requests sent so far.
func (e *busyEndpoint) requests() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sent)
}

// crowd is many lines of one agent at one registrar.
type crowd struct {
	t     *testing.T
	g     *registrar
	ep    *busyEndpoint
	gate  *Gate
	cfgs  []Config
	lines []*Registration
}

func newCrowd(t *testing.T, n int, bounds delivery.Registrar) *crowd {
	g := newRegistrar()
	g.passwords, g.forgetful = map[string]string{}, true
	c := &crowd{t: t, g: g, ep: &busyEndpoint{fakeEndpoint: newFake(g), latency: 20 * time.Millisecond}, gate: NewGate(bounds)}
	for i := range n {
		user := fmt.Sprintf("line%d", i)
		g.passwords[user] = "secret"
		c.cfgs = append(c.cfgs, Config{
			Name: user, AOR: AOR{User: user, Host: "sip.test"}, Password: "secret",
			ContactUser: "k" + user, Instance: "urn:uuid:" + user, RInstance: user, Gate: c.gate,
		})
	}
	return c
}

func (c *crowd) start() {
	for _, cfg := range c.cfgs {
		r := New(cfg, c.ep, nil)
		r.Start(c.t.Context())
		c.lines = append(c.lines, r)
	}
}

// password gives some of the lines another one.
func (c *crowd) password(from, to int, p string) {
	for i := from; i < to; i++ {
		c.cfgs[i].Password = ua.Secret(p)
		c.lines[i].Update(c.cfgs[i])
	}
}

func (c *crowd) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// problems counts the lines by what is wrong with them; "" = registered.
func (c *crowd) problems() map[delivery.Problem]int {
	count := map[delivery.Problem]int{}
	for _, r := range c.lines {
		s := r.Status()
		if s.State == delivery.Registered != (s.Problem == "") {
			c.t.Errorf("status %+v", s)
		}
		count[s.Problem]++
	}
	return count
}

func (c *crowd) want(says string, want map[delivery.Problem]int) {
	c.t.Helper()
	if got := c.problems(); fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Fatalf("%s: %v, want %v", says, got, want)
	}
}

func (c *crowd) stop() {
	c.t.Helper()
	var all sync.WaitGroup
	for _, r := range c.lines {
		all.Go(func() {
			if err := r.Stop(c.t.Context()); err != nil {
				c.t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestTwoThousandLinesAreNoBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := map[bool]int{false: 2000, true: 300}[raceDetector]
		const rate, inFlight = 100, 10
		c := newCrowd(t, lines, delivery.Registrar{RequestsPerSecond: rate, InFlight: inFlight})
		c.start()
		synctest.Wait()
		if n := c.ep.requests(); n < 1 || n > inFlight {
			t.Errorf("%d requests in the first moment", n)
		}
		// Every line sends two: one is challenged.
		c.after(time.Duration(2*lines)*time.Second/rate + 5*time.Second)
		c.want("after the start", map[delivery.Problem]int{"": lines})
		t.Logf("start: %d requests, at most %d within a second, %d in flight", c.ep.requests(), c.ep.busiest(), c.ep.most)
		c.after(time.Hour)
		if n := c.ep.requests(); n < 2*lines+6*lines || n > 2*lines+8*lines {
			t.Errorf("%d requests in an hour", n)
		}
		c.stop()
		if n := len(c.g.bound("line0")) + len(c.g.bound(c.cfgs[lines-1].AOR.User)); n != 0 {
			t.Errorf("%d bindings are left", n)
		}
		if n := c.ep.busiest(); n > rate || n < rate*9/10 {
			t.Errorf("%d requests within one second, at most %d should be", n, rate)
		}
		if c.ep.most > inFlight || c.ep.most < 2 {
			t.Errorf("%d requests in flight, at most %d should be", c.ep.most, inFlight)
		}
	})
}

func TestRefreshesStaySpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lines = 1000
		c := newCrowd(t, lines, delivery.Registrar{RequestsPerSecond: 500})
		c.start()
		c.after(time.Minute)
		c.ep.mu.Lock()
		c.ep.sent = nil
		c.ep.mu.Unlock()
		c.after(10 * time.Minute) // each refreshes once, at 480 to 540 s
		if n := c.ep.busiest(); n > lines/20 {
			t.Errorf("%d of %d lines refresh within one second", n, lines)
		}
		c.stop()
	})
}

func TestBoundsChangeUnderACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 300, delivery.Registrar{RequestsPerSecond: 1})
		c.start()
		c.after(30 * time.Second)
		if n := c.ep.requests(); n < 25 || n > 30 {
			t.Errorf("%d requests in 30 s at one a second", n)
		}
		if w := c.gate.Crowd(serverAddr).Waiting; w < 270 {
			t.Errorf("%d requests wait", w)
		}
		c.gate.Set(delivery.Registrar{RequestsPerSecond: 1000, InFlight: 40})
		c.after(5 * time.Second)
		c.want("at a thousand a second", map[delivery.Problem]int{"": 300})
		if s := c.gate.Crowd(serverAddr); s != (Crowd{}) {
			t.Errorf("left: %+v", s)
		}
		c.stop()
	})
}

// A server that answers nobody must not leave those in line without a word: they
// learn of it from the ones before them.
func TestSilenceIsToldToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 500, delivery.Registrar{InFlight: 10})
		c.g.silent = true
		c.start()
		c.after(33 * time.Second)
		c.want("after one transaction's life", map[delivery.Problem]int{delivery.ProblemTimeout: 500})
		if n := c.ep.requests(); n > 20 {
			t.Errorf("%d requests to a silent server", n)
		}
		c.after(20 * time.Minute)
		if n := c.ep.requests(); n > 500 {
			t.Errorf("%d requests to a silent server in 20 minutes", n)
		}
		c.g.set(func(g *registrar) { g.silent = false })
		c.after(mostBackoff + 40*time.Second)
		c.want("when it is back", map[delivery.Problem]int{"": 500})
		c.stop()
	})
}

// TestABadRollout gives half of the registered lines a wrong password.
func TestABadRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lines, bad, most = 400, 200, 20
		c := newCrowd(t, lines, delivery.Registrar{RefusedPerMinute: most})
		c.start()
		c.after(10 * time.Second)
		c.want("after the start", map[delivery.Problem]int{"": lines})
		c.password(0, bad, "wrong")
		before := c.refused()
		c.after(30 * time.Second)
		c.want("30 s after the rollout", map[delivery.Problem]int{
			"": lines - bad, delivery.ProblemUnauthorized: most + 1, delivery.ProblemHeldBack: bad - most - 1,
		})
		if n := c.refused() - before; n != most+1 {
			t.Errorf("%d logins were refused", n)
		}
		var held Status
		for _, r := range c.lines {
			if s := r.Status(); s.Problem == delivery.ProblemHeldBack {
				held = s
			}
		}
		if held.State != delivery.Error || !strings.HasPrefix(held.LastReason, "10.77.0.1:5060/udp refused 21 lines within a minute: so that it does not ban this address, this line waits") ||
			!strings.HasSuffix(held.LastReason, "; the next tries at 00:01:10 UTC") || held.Retry.IsZero() {
			t.Errorf("status %+v", held)
		}
		if s := c.gate.Crowd(serverAddr); s.Held != bad-most-1 || s.Refused != most+1 || s.Next.IsZero() {
			t.Errorf("crowd %+v", s)
		}
		// One at a time, after a pause that doubles: at 1, 3, 7, 15, 25, 35, 45 and 55
		// minutes at the earliest, each a line that is refused. Those refused before
		// let them go first.
		c.after(time.Hour)
		if n := c.refused() - before; n < most+1+5 || n > most+1+8 {
			t.Errorf("%d logins were refused within an hour", n)
		}
		for i := bad; i < lines; i++ {
			if s := c.lines[i].Status(); s.State != delivery.Registered {
				t.Fatalf("a line that was right is %+v", s)
			}
		}
		// The mending: one line tries at once, and then all.
		c.password(0, bad, "secret")
		c.after(5 * time.Second)
		c.want("when it is mended", map[delivery.Problem]int{"": lines})
		c.stop()
	})
}

// refused counts wrong logins.
func (c *crowd) refused() int {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return c.g.refused
}

func TestANewAgentWithWrongPasswords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lines, most = 80, 5
		c := newCrowd(t, lines, delivery.Registrar{RefusedPerMinute: most})
		for i := range lines {
			if i%4 != 0 {
				c.g.passwords[fmt.Sprintf("line%d", i)] = "other"
			}
		}
		c.start()
		c.after(10 * time.Second)
		if n := c.refused(); n != most+1 {
			t.Errorf("%d logins were refused", n)
		}
		// Each line that is right and is the next to try lets some more in.
		c.after(36 * time.Hour)
		registered := c.problems()[""]
		t.Logf("%d of %d lines that were right are registered, %d logins refused in 36 hours", registered, lines/4, c.refused())
		if registered != lines/4 {
			t.Errorf("%d lines are registered, %d could be: %v", registered, lines/4, c.problems())
		}
		for i := range lines {
			c.g.set(func(g *registrar) { g.passwords[fmt.Sprintf("line%d", i)] = "secret" })
		}
		c.after(mostPause + mostRefused + time.Minute)
		c.want("when the registrar is mended", map[delivery.Problem]int{"": lines})
		c.stop()
	})
}

func TestAFewWrongPasswordsHoldNobodyBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 200, delivery.Registrar{RefusedPerMinute: 20})
		for i := range 20 {
			c.g.passwords[fmt.Sprintf("line%d", i*10)] = "other"
		}
		c.start()
		c.after(10 * time.Second)
		c.want("after the start", map[delivery.Problem]int{"": 180, delivery.ProblemUnauthorized: 20})
		c.stop()
	})
}

func TestWhoGivesUpLeavesNothingAtTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(delivery.Registrar{RequestsPerSecond: 1, InFlight: 1})
		line := func(u urgency) applicant { return applicant{line: new(Registration), urgency: u} }
		first, err := g.enter(t.Context(), serverAddr, line(unproven))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := g.enter(ctx, serverAddr, line(unproven)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if c := g.Crowd(serverAddr); c != (Crowd{InFlight: 1}) {
			t.Errorf("crowd %+v", c)
		}
		first.over(undecided) // a panic on the way: its request never ended
		if c := g.Crowd(serverAddr); c != (Crowd{}) {
			t.Errorf("crowd %+v", c)
		}
		time.Sleep(time.Hour)
		for i := range 2 * mostDoors {
			p, err := g.enter(t.Context(), netip.AddrPortFrom(serverAddr.Addr(), uint16(1000+i)), line(proven))
			if err != nil {
				t.Fatal(err)
			}
			p.answered(nil)
			p.over(accepted)
			time.Sleep(10 * time.Second)
		}
		if n := len(g.doors); n > mostDoors {
			t.Errorf("%d servers are kept", n)
		}
	})
}

func TestUrgentRequestsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(delivery.Registrar{RequestsPerSecond: 1})
		var mu sync.Mutex
		var order []urgency
		enter := func(u urgency) {
			p, err := g.enter(t.Context(), serverAddr, applicant{line: new(Registration), urgency: u})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, u)
			mu.Unlock()
			p.answered(nil)
			if u == unproven {
				if err := p.again(t.Context()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, answering)
				mu.Unlock()
				p.answered(nil)
			}
			p.over(accepted)
		}
		enter(proven)
		var all sync.WaitGroup
		for _, u := range []urgency{unproven, unproven, proven, parting} {
			all.Go(func() { enter(u) })
			synctest.Wait()
		}
		all.Wait()
		if want := []urgency{proven, parting, proven, unproven, answering, unproven, answering}; !slices.Equal(order, want) {
			t.Errorf("%v, want %v", order, want)
		}
	})
}
