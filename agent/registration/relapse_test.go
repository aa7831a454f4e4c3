package registration

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestRelapse(t *testing.T) {
	lines := make([]*Registration, 10)
	for i := range lines {
		lines[i] = new(Registration)
	}
	const most = 3
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	old := func(i int) applicant { return applicant{line: lines[i], urgency: proven, proved: at(-600)} }
	try := func(r *relapse, when int, a applicant, how result) bool {
		return r.end(at(when), a, how, r.begin(a), most)
	}
	refusedBy := func(n int) *relapse {
		r := new(relapse)
		for i := range n {
			try(r, 0, old(i), denied)
		}
		return r
	}
	tripped := func() *relapse { return refusedBy(most + 1) }
	for name, tt := range map[string]struct {
		r    func() *relapse
		now  int
		a    applicant
		want verdict
	}{
		"nobody was refused":                {func() *relapse { return &relapse{trying: 50} }, 0, old(5), mayTry},
		"as many as may be":                 {func() *relapse { return refusedBy(most) }, 0, old(5), mayTry},
		"those under way might be too many": {func() *relapse { r := refusedBy(most); r.begin(old(5)); return r }, 0, old(6), mayWait},
		"unless as many were let in": {func() *relapse {
			r := refusedBy(most)
			for range most + 1 {
				try(r, 1, old(9), accepted)
			}
			r.begin(old(5))
			return r
		}, 1, old(6), mayTry},
		"one more holds the rest":     {tripped, 1, old(5), isHeld},
		"until the pause is over":     {tripped, 30, old(5), mayTry},
		"one at a time":               {func() *relapse { r := tripped(); r.begin(old(5)); return r }, 40, old(6), isHeld},
		"who was let in since passes": {tripped, 1, applicant{line: lines[5], urgency: proven, proved: at(1)}, mayTry},
		"a refused probe is followed by the same pause": {func() *relapse {
			r := tripped()
			try(r, 30, old(5), denied)
			return r
		}, 60, old(6), mayTry},
		"a probe without an answer starts it again": {func() *relapse {
			r := tripped()
			try(r, 30, old(5), undecided)
			return r
		}, 31, old(6), isHeld},
		"one that is let in ends it": {func() *relapse {
			r := tripped()
			if !try(r, 30, old(5), accepted) {
				t.Error("it was not ended")
			}
			return r
		}, 31, old(6), mayTry},
		"one that is known to be right does not": {func() *relapse {
			r := tripped()
			if try(r, 2, applicant{line: lines[5], urgency: proven, proved: at(1)}, accepted) {
				t.Error("it was ended")
			}
			return r
		}, 3, old(6), isHeld},
		"more were let in than refused": {func() *relapse {
			r := refusedBy(most)
			for i := range most + 2 {
				try(r, 1, old(9-i), accepted)
			}
			try(r, 2, old(4), denied)
			return r
		}, 3, old(6), mayTry},
		"what was let in before the first refusal does not count": {func() *relapse {
			r := new(relapse)
			for i := range most + 2 {
				try(r, -1, old(9-i), accepted)
			}
			for i := range most + 1 {
				try(r, 0, old(i), denied)
			}
			return r
		}, 1, old(6), isHeld},
		"when those that were right are refused it begins anew": {func() *relapse {
			r := tripped()
			for i := range most + 1 {
				try(r, 100, applicant{line: lines[i+4], urgency: proven, proved: at(50)}, denied)
			}
			return r
		}, 101, applicant{line: lines[9], urgency: proven, proved: at(50)}, mayTry},
	} {
		r := tt.r()
		if name == "when those that were right are refused it begins anew" {
			if a := (applicant{proved: at(50)}); r.known(a) {
				t.Errorf("%s: who was let in before that passes", name)
			}
			continue
		}
		if got := r.judge(at(tt.now), tt.a, most); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// spoil changes passwords at the registrar only.
func (c *crowd) spoil(from, to int) {
	c.g.set(func(g *registrar) {
		for i := from; i < to; i++ {
			g.passwords[fmt.Sprintf("line%d", i)] = "other"
		}
	})
}

// minutes gives for each of some minutes how many logins were refused.
func (c *crowd) minutes(n int) (refused []int) {
	for range n {
		before := c.refused()
		c.after(time.Minute)
		refused = append(refused, c.refused()-before)
	}
	return refused
}

// TestPasswordsChangedAtTheRegistrar refuses all lines that were registered.
func TestPasswordsChangedAtTheRegistrar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lines, most = 200, 20
		c := newCrowd(t, lines, delivery.Registrar{RefusedPerMinute: most})
		c.start()
		c.after(30 * time.Second)
		c.want("after the start", map[delivery.Problem]int{"": lines})
		c.spoil(0, lines)
		seen := c.minutes(13)
		// A line whose binding is there is not worse off for being held.
		for minute, n := range seen {
			if n > 2*(most+1+minuteProbes) {
				t.Errorf("minute %d: %d logins refused", minute, n)
			}
		}
		p := c.problems()
		t.Logf("refused in each minute: %v; %v", seen, p)
		if p[""] != 0 || p[delivery.ProblemHeldBack] < lines/2 {
			t.Errorf("a few minutes later: %v", p)
		}
		if s := c.gate.Crowd(serverAddr); s.Held < lines/2 || s.Next.IsZero() {
			t.Errorf("%+v", s)
		}
		// Put back at the registrar: the next that tries opens the door for all held.
		c.g.set(func(g *registrar) {
			for user := range g.passwords {
				g.passwords[user] = "secret"
			}
		})
		c.after(mostProvenPause + mostHeldSpread + 10*time.Second)
		if n := c.problems()[""]; n < p[delivery.ProblemHeldBack] {
			t.Errorf("%d lines are back, %d were held", n, p[delivery.ProblemHeldBack])
		}
		c.after(mostRefused + mostPause)
		c.want("when all have tried", map[delivery.Problem]int{"": lines})
		c.stop()
	})
}

// minuteProbes is how many lines try in a minute while the others are held, half of
// what may be refused. Each may be wrong twice: with the nonce that the line has, and
// with the one it is challenged with.
const minuteProbes = 10

// TestGoodLinesAmongBadOnes refuses some of the lines that were registered.
func TestGoodLinesAmongBadOnes(t *testing.T) {
	for _, tt := range []struct {
		good, bad int
		always    bool // no good one may ever be without its registration
	}{
		{200, 50, true},
		{5, 195, false},
	} {
		t.Run(fmt.Sprintf("%d good and %d bad", tt.good, tt.bad), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const most = 20
				c := newCrowd(t, tt.good+tt.bad, delivery.Registrar{RefusedPerMinute: most})
				c.start()
				c.after(30 * time.Second)
				c.spoil(0, tt.bad)
				lost := map[int]bool{}
				// Each of the held has its turn in time; then the binding is there again.
				turns := time.Duration(tt.good+tt.bad)*provenPause(most) + 10*time.Minute
				// back is when each was let in first: it must stay from then on.
				back := map[int]bool{}
				var trouble time.Time
				for minute := range 3 * 60 {
					before := c.refused()
					c.after(time.Minute)
					if n := c.refused() - before; n > 2*(most+1+minuteProbes) && !tt.always {
						t.Errorf("minute %d: %d logins refused", minute, n)
					}
					if c.refused() > 0 && trouble.IsZero() {
						trouble = time.Now()
					}
					for i := tt.bad; i < tt.good+tt.bad; i++ {
						s := c.lines[i].Status()
						switch fresh := !trouble.IsZero() && s.ExpiresAt.After(trouble.Add(10*time.Minute)); {
						case s.State == delivery.Registered:
							back[i] = back[i] || fresh
						case tt.always || back[i] || !trouble.IsZero() && time.Since(trouble) > turns:
							t.Fatalf("minute %d: line %d is %+v", minute, i, s)
						default:
							lost[i] = true
						}
					}
				}
				t.Logf("%d good lines were lost for a while; %v in the end", len(lost), c.problems())
				if n := c.problems()[""]; n != tt.good {
					t.Errorf("%d lines are registered, %d are good", n, tt.good)
				}
				c.spoil(0, 0)
				c.stop()
			})
		})
	}
}

// await the state, within one refresh.
func (b *bench) await(want State) {
	b.t.Helper()
	for range 541 {
		if b.after(time.Second); b.r.Status().State == want {
			return
		}
	}
	b.t.Fatalf("status %+v, want %s", b.r.Status(), want)
}

func TestCredentialsThatWorkedAreTriedOnceMoreSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start()
		b.want(delivery.Registered, "", "200 OK")
		b.g.set(func(g *registrar) { g.passwords["alice"], g.nonce = "new", "n2" })
		b.await(delivery.Unauthorized)
		b.want(delivery.Unauthorized, delivery.ProblemUnauthorized, "401 Unauthorized: the registrar refused the password of user alice")
		before := len(b.g.received())
		b.after(secondTry * 7 / 6)
		if n := len(b.g.received()) - before; n < 1 || n > 2 {
			t.Errorf("%d REGISTERs half a minute later", n)
		}
		before = len(b.g.received())
		b.after(200 * time.Second)
		if n := len(b.g.received()) - before; n != 0 {
			t.Errorf("%d REGISTERs within three minutes after that", n)
		}
		b.update(func(c *Config) { c.Password = "new" })
		b.want(delivery.Registered, "", "200 OK")
		// Changed back there a moment later.
		b.g.set(func(g *registrar) { g.passwords["alice"], g.nonce = "other", "n3" })
		b.await(delivery.Unauthorized)
		b.g.set(func(g *registrar) { g.passwords["alice"] = "new" })
		b.after(secondTry * 7 / 6)
		b.want(delivery.Registered, "", "200 OK")
		b.stop()
	})
}
