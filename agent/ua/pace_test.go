package ua

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPacerSpreadsWhatGoesToOneDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pacer{interval: 10 * time.Millisecond}
		a, b := netip.MustParseAddrPort("192.0.2.1:5060"), netip.MustParseAddrPort("192.0.2.2:5060")
		began := time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if err := p.wait(t.Context(), a); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if d := time.Since(began); d != 990*time.Millisecond {
			t.Errorf("100 took %s", d)
		}
		// Another destination does not wait for it, nor does this one later.
		if err := p.wait(t.Context(), b); err != nil || time.Since(began) != 990*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		time.Sleep(time.Second)
		if d := p.turn(a, time.Now()); d != 0 {
			t.Errorf("after a pause: %s", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.wait(ctx, a); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}
