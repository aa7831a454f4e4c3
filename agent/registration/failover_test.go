package registration

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

var otherAddr = netip.MustParseAddrPort("10.77.0.2:5060")

// TestNextServerIsTriedWhenOneIsSilent (RFC 3263 §4.3): the first of two gets a part
// of the time, the last all of it.
func TestNextServerIsTriedWhenOneIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.ep.found = []netip.AddrPort{otherAddr, serverAddr} // nobody is at the first
		b.start()
		defer func() { _ = b.r.Stop(t.Context()) }()
		time.Sleep(silenceTimeout - time.Millisecond)
		synctest.Wait()
		if s := b.r.Status(); s.State != delivery.Registering {
			t.Errorf("too early: %+v", s)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if s := b.r.Status(); s.State != delivery.Registered || s.Server != "10.77.0.1:5060/udp" {
			t.Errorf("%+v", s)
		}
		if got := b.r.Servers(); len(got) != 2 || got[0] != serverAddr || got[1] != otherAddr {
			t.Errorf("calls are taken from %v", got)
		}
	})
}

// TestReasonNamesAllThatWereTried: nobody is anywhere.
func TestReasonNamesAllThatWereTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.ep.found = []netip.AddrPort{otherAddr, serverAddr}
		b.g.silent = true
		b.start()
		time.Sleep(silenceTimeout + 33*time.Second)
		synctest.Wait()
		s := b.r.Status()
		const want = "no answer from 10.77.0.1:5060/udp; before that, of the servers of sip.test: no answer from 10.77.0.2:5060/udp"
		if s.State != delivery.Error || s.Problem != delivery.ProblemTimeout || !strings.HasPrefix(s.LastReason, want) {
			t.Errorf("%+v", s)
		}
		_ = b.r.Stop(t.Context())
	})
}
