package registration

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// TestGuestsComeAfterThoseWhoRegister: they are paced with them, and wait for them.
func TestGuestsComeAfterThoseWhoRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond = 10
		gate := NewGate(delivery.Registrar{RequestsPerSecond: perSecond, InFlight: 100})
		server := netip.MustParseAddrPort("192.0.2.1:5060")
		var mu sync.Mutex
		var order []string
		var at []time.Time
		var all sync.WaitGroup
		came := func(who string) {
			mu.Lock()
			defer mu.Unlock()
			order, at = append(order, who), append(at, time.Now())
		}
		for range 15 {
			all.Go(func() {
				v, err := gate.Visit(context.Background(), server, true)
				if err != nil {
					t.Error(err)
					return
				}
				v.Sent()
				came("guest")
				v.Answered(nil)
				v.Over()
			})
		}
		synctest.Wait() // those that had a turn at once have gone
		before := len(order)
		for range 10 {
			all.Go(func() {
				p, err := gate.enter(context.Background(), server, applicant{line: &Registration{}, urgency: unproven, repeats: true})
				if err != nil {
					t.Error(err)
					return
				}
				p.sent()
				came("line")
				p.answered(nil)
				p.over(accepted)
			})
		}
		all.Wait()
		if rest := order[before:]; slices.Contains(rest[:10], "guest") {
			t.Errorf("a guest went first: %v", rest)
		}
		for i := perSecond; i < len(at); i++ {
			if at[i].Sub(at[i-perSecond]) < time.Second {
				t.Errorf("%d requests within %s", perSecond+1, at[i].Sub(at[i-perSecond]))
			}
		}
		if len(order) != 25 {
			t.Errorf("%d of 25 had their turn", len(order))
		}
	})
}
