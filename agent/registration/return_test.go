package registration

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// After an outage of any length all lines are back within seconds: the first that
// has an answer, a line's REGISTER or OPTIONS, calls the others.
func TestAllAreBackSoonAfterTheirServer(t *testing.T) {
	for name, tt := range map[string]struct {
		away time.Duration
		fake func(f *fakeEndpoint, away bool)
		soon time.Duration
	}{
		"unreachable for a minute":   {time.Minute, unreachable, 7 * time.Second},
		"unreachable for ten":        {10 * time.Minute, unreachable, 61 * time.Second},
		"unreachable for a few secs": {4 * time.Second, unreachable, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const lines, rate = 200, 100
				c, _ := qualified(t, lines, time.Minute)
				c.gate.Set(delivery.Registrar{RequestsPerSecond: rate})
				c.g.most = 20 * time.Second // so that every line learns of it
				c.start()
				c.after(30 * time.Second)
				c.want("after the start", map[delivery.Problem]int{"": lines})
				c.ep.set(func(f *fakeEndpoint) { tt.fake(f, true) })
				c.after(tt.away)
				c.ep.set(func(f *fakeEndpoint) { tt.fake(f, false) })
				c.after(tt.soon + lines*time.Second/rate)
				c.want("soon after it", map[delivery.Problem]int{"": lines})
				c.stop()
				if n := c.ep.busiest(); n > rate+1 { // and one OPTIONS
					t.Errorf("%d requests within a second", n)
				}
			})
		})
	}
}

func unreachable(f *fakeEndpoint, away bool) {
	f.sendErr = nil
	if away {
		f.sendErr = ua.ErrUnreachable
	}
}

// A server that answers some lines and not others is not asked by those again
// and again: what they try because another had an answer they try once.
func TestAnAnswerToOthersIsTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQualifier(newFake(newRegistrar()), 0, nil)
		defer q.Close()
		w := q.swap(nil, ua.Candidate{Transport: ua.UDP, Addr: serverAddr}, "sip.test")
		b := newBench(t)
		q.miss(w, New(b.cfg, b.ep, nil), true)
		q.miss(w, New(b.cfg, b.ep, nil), false)
		q.heard(w)
		if len(w.missing) != 1 {
			t.Errorf("%d lines wait for the server itself, want the one that tried in vain", len(w.missing))
		}
	})
}
