package call_test

import (
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// each gives n different calls once they fit.
func (p *phone) each(n int, says string, fits func(call.Record) bool) []call.Record {
	p.t.Helper()
	var all []call.Record
	seen := make(map[string]bool)
	for len(all) < n {
		r := p.wait(says, func(r call.Record) bool { return !seen[r.ID] && fits(r) })
		seen[r.ID], all = true, append(all, r)
	}
	return all
}

// TestManyTransfersOnTheWire: bob hands ten callers at once on to carol; every one of
// them gets there, nobody is left with bob.
func TestManyTransfersOnTheWire(t *testing.T) {
	const callers = 10
	p := newProxy(t)
	alice := newPhone(t, p, "alice", func(o *call.Options) { o.Transfers.Accept = delivery.AcceptPlaced })
	bob := newPhone(t, p, "bob", autoAnswer)
	carol := newPhone(t, p, "carol", autoAnswer)
	up := func(r call.Record) bool { return r.State == call.Established }
	for range callers {
		alice.dial(call.Dial{To: "bob"})
	}
	for _, r := range bob.each(callers, "answered call", up) {
		if err := bob.set.Transfer(r.ID, call.Transfer{To: "carol"}); err != nil {
			t.Error(err)
		}
	}
	carol.each(callers, "answered call", up)
	for _, r := range bob.each(callers, "ended call", func(r call.Record) bool { return r.State == call.Ended }) {
		if transferOf(r) != "sip:carol@pbx.test succeeded by local: 200 OK" {
			t.Errorf("%s: %+v", transferOf(r), r.End)
		}
	}
	for _, r := range alice.each(callers, "call that was handed on", func(r call.Record) bool { return r.State == call.Ended }) {
		if transferOf(r) != "sip:carol@pbx.test succeeded by remote: 200 OK" {
			t.Errorf("%s: %+v", transferOf(r), r.End)
		}
	}
	if alice.set.Active() != callers || carol.set.Active() != callers || bob.set.Active() != 0 {
		t.Errorf("alice has %d calls, carol %d, bob %d", alice.set.Active(), carol.set.Active(), bob.set.Active())
	}
}
