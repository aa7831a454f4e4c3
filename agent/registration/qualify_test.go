package registration

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// options a registrar was sent.
func (g *registrar) options() []*sip.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*sip.Request(nil), g.asked...)
}

// qualified makes a crowd whose servers are asked each interval.
func qualified(t *testing.T, lines int, every time.Duration) (*crowd, *Qualifier) {
	c := newCrowd(t, lines, delivery.Registrar{})
	q := NewQualifier(c.ep, every, nil)
	for i := range c.cfgs {
		c.cfgs[i].Qualifier = q
	}
	t.Cleanup(q.Close)
	return c, q
}

func TestOneServerIsAskedOnceForAllItsLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, q := qualified(t, 100, time.Minute)
		began := time.Now()
		c.start()
		c.after(2 * time.Second)
		all := q.Servers()
		if len(all) != 1 {
			t.Fatalf("servers %+v", all)
		}
		s := all[0]
		if s.Server.String() != "10.77.0.1:5060/udp" || !s.Known || !s.Up || s.RTT != 20*time.Millisecond || s.LastCode != 200 || !s.Since.After(began) || s.Failures != 0 {
			t.Errorf("%+v", s)
		}
		req := c.g.options()[0]
		text := req.String()
		for _, want := range []string{"OPTIONS sip:sip.test SIP/2.0\r\n", "From: <sip:sip.test>;tag=", "To: <sip:sip.test>\r\n", "Accept: application/sdp\r\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in\n%s", want, text)
			}
		}
		c.after(time.Hour)
		if n := len(c.g.options()); n < 60 || n > 75 {
			t.Errorf("%d OPTIONS in an hour, one a minute or a little more were wanted", n)
		}
		if again := q.Servers()[0]; again.Since != s.Since {
			t.Errorf("up since %s, before %s", again.Since, s.Since)
		}
		q.Set(0)
		before := len(c.g.options())
		c.after(time.Hour)
		if n := len(c.g.options()) - before; n != 0 || q.Servers()[0].Known {
			t.Errorf("%d OPTIONS when there should be none; %+v", n, q.Servers())
		}
		q.Set(10 * time.Second)
		c.after(time.Minute)
		if n := len(c.g.options()) - before; n < 6 || n > 8 || !q.Servers()[0].Up {
			t.Errorf("%d OPTIONS in a minute; %+v", n, q.Servers())
		}
		c.stop()
		if left := q.Servers(); len(left) != 0 {
			t.Errorf("servers that nobody uses: %+v", left)
		}
		before = len(c.g.options())
		c.after(time.Hour)
		if n := len(c.g.options()) - before; n != 0 {
			t.Errorf("%d OPTIONS to a server that nobody uses", n)
		}
	})
}

func TestAnyAnswerShowsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, q := qualified(t, 1, time.Minute)
		c.start()
		c.after(time.Second)
		c.g.set(func(g *registrar) { g.code = 483 })
		c.after(time.Minute)
		if s := q.Servers()[0]; !s.Up || s.LastCode != 483 || s.Failures != 0 {
			t.Errorf("%+v", s)
		}
		c.g.set(func(g *registrar) { g.code = 0 })
		c.stop()
	})
}

func TestAServerThatGoesAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, q := qualified(t, 200, time.Minute)
		c.start()
		c.after(10 * time.Second)
		rtt := q.Servers()[0].RTT
		c.g.set(func(g *registrar) { g.silent = true })
		asked := len(c.g.options())
		c.after(20 * time.Minute)
		s := q.Servers()[0]
		if s.Up || s.Problem != delivery.ProblemTimeout || s.LastReason != "no answer from 10.77.0.1:5060/udp" || s.LastCode != 0 || s.RTT != rtt {
			t.Errorf("%+v", s)
		}
		// First every 5 s, in the end every minute; a little more, since none is sent
		// while another has no end.
		if n := len(c.g.options()) - asked; n < 22 || n > 45 || s.Failures < uint64(n-1) {
			t.Errorf("%d OPTIONS in 20 minutes, %d failures", n, s.Failures)
		}
		c.want("in the outage", map[delivery.Problem]int{delivery.ProblemTimeout: 200})
		// Backoffs are minutes by now, and OPTIONS a minute apart again; they tell sooner.
		c.g.set(func(g *registrar) { g.silent = false })
		c.after(time.Minute + qualifyTimeout + 5*time.Second)
		if n := c.problems()[""]; n < 150 { // the rest had sent something, which is lost here
			t.Errorf("%d lines are back a minute after their server", n)
		}
		c.after(mostBackoff)
		c.want("one backoff after it", map[delivery.Problem]int{"": 200})
		if s := q.Servers()[0]; !s.Up || s.Problem != "" {
			t.Errorf("%+v", s)
		}
		c.stop()
	})
}

func TestServersAreWatchedWhereLinesAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, q := qualified(t, 2, time.Minute)
		c.start()
		c.after(time.Second)
		other, elsewhere := newRegistrar(), netip.MustParseAddrPort("10.77.0.2:5060")
		c.ep.set(func(f *fakeEndpoint) {
			f.registrars[elsewhere], f.hosts = other, map[string]netip.AddrPort{"other.test": elsewhere}
		})
		c.cfgs[1].Proxy = "other.test"
		c.lines[1].Update(c.cfgs[1])
		c.after(5 * time.Second)
		all := q.Servers()
		if len(all) != 2 || all[0].Server.Addr != serverAddr || all[1].Server.Addr != elsewhere || !all[1].Up {
			t.Errorf("%+v", all)
		}
		c.stop()
	})
}

func TestAPanicIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(newRegistrar())
		f.panics = 1
		q := NewQualifier(f, time.Minute, nil)
		defer q.Close()
		w := q.swap(nil, ua.Candidate{Transport: ua.UDP, Addr: serverAddr}, "sip.test")
		time.Sleep(time.Second)
		synctest.Wait()
		if s := q.of(w); s.Up || s.Failures != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := q.of(w); !s.Up || s.Failures != 1 {
			t.Errorf("%+v", s)
		}
	})
}
