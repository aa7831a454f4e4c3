package registration

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestALostConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(func(c *Config) { c.Link.Transport = ua.TCP })
		b.want(delivery.Registered, "", "200 OK")
		before, first := len(b.g.received()), b.ep.lose
		first(errors.New("reset by peer"))
		synctest.Wait()
		if s := b.r.Status(); s.State != delivery.Registering || s.Contact == "" {
			t.Errorf("nobody gets here, but the status is %+v", s)
		}
		if n := len(b.g.received()); n != before {
			t.Errorf("%d REGISTERs at once, with everybody else's", n-before)
		}
		b.after(mostLostWait)
		b.want(delivery.Registered, "", "200 OK")
		if n := len(b.g.received()) - before; n != 1 {
			t.Errorf("%d REGISTERs for a lost connection", n)
		}
		if b.ep.attached != 1 {
			t.Errorf("the line waits for the end of %d connections", b.ep.attached)
		}
		// The end of the old one is no news any more.
		before = len(b.g.received())
		first(errors.New("again"))
		b.after(time.Minute)
		b.want(delivery.Registered, "", "200 OK")
		if n := len(b.g.received()) - before; n != 0 {
			t.Errorf("%d REGISTERs for a connection that was replaced", n)
		}
		b.stop()
		if b.ep.attached != 0 {
			t.Errorf("after stop the line waits for %d connections", b.ep.attached)
		}
	})
}

func TestALostConnectionToAServerThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(func(c *Config) { c.Link.Transport = ua.TCP })
		b.ep.set(func(f *fakeEndpoint) { f.sendErr = ua.ErrUnreachable })
		b.ep.lose(errors.New("reset by peer"))
		b.after(mostLostWait)
		if s := b.r.Status(); s.State != delivery.Error || s.Problem != delivery.ProblemUnreachable {
			t.Errorf("%+v", s)
		}
		b.after(30 * time.Second)
		b.ep.set(func(f *fakeEndpoint) { f.sendErr = nil })
		b.after(time.Minute)
		b.want(delivery.Registered, "", "200 OK")
		b.stop()
	})
}

func TestAThousandLostConnectionsAreNoBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 1000, delivery.Registrar{RequestsPerSecond: 250})
		c.start()
		c.after(20 * time.Second)
		for _, r := range c.lines {
			run := r.running()
			run.post(message{kind: lost, sequence: run.flow})
		}
		c.after(20 * time.Second)
		c.want("after they lost their connections", map[delivery.Problem]int{"": 1000})
		if n := c.ep.busiest(); n > 250 {
			t.Errorf("%d requests within a second", n)
		}
		c.stop()
	})
}

// A refresh that is given up, but has gone out already, must not reach the
// registrar after the un-REGISTER: it would leave a binding.
func TestNothingOvertakesTheUnregister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 1, delivery.Registrar{})
		c.start()
		c.after(time.Second)
		c.cfgs[0].Expires = time.Hour
		c.lines[0].Update(c.cfgs[0]) // the refresh takes 20 ms
		synctest.Wait()
		c.ep.latency = time.Millisecond
		c.stop()
		c.after(time.Second)
		if got := c.g.bound("line0"); len(got) != 0 {
			t.Errorf("still bound: %q", got)
		}
	})
}
