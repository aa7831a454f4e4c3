package interop

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// survives is how long calls of these tests outlive their other side.
const survives = "<networkLossCallTimeoutMs>6000</networkLossCallTimeoutMs>"

// A softphone that dies in a call says no goodbye. Killed, its port refuses what
// comes; stopped, as when its machine is gone, nothing says anything.
func TestAPeerThatVanishesDoesNotKeepItsCall(t *testing.T) {
	t.Parallel()
	for sentence, end := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "frozen": syscall.SIGSTOP} {
		t.Run(sentence, func(t *testing.T) {
			a, b, ctx := withBaresip(t, baresip.Account{}, autoAnswer, survives)
			if err := b.Dial(ctx, "alice"); err != nil {
				t.Fatal(err)
			}
			a.awaitIncoming("alice", "hears baresip", func(r record) bool { return r.RTP.Received > 50 && near(r, 700) })
			if err := b.Signal(end); err != nil {
				t.Fatal(err)
			}
			from := time.Now()
			r := a.awaitIncoming("alice", "has ended", ended)
			took := time.Since(from)
			if r.End.By == "remote" || r.End.By == "local" || !strings.HasPrefix(r.End.Reason, "the other side has vanished: nothing heard for ") || took < 5*time.Second {
				t.Errorf("%s: the call ended after %v: %s", sentence, took, pretty(r))
			}
			outcome(t, "baresip", "%s in a call: ended after %.1f s (asked for 6 s) by %s, %q", sentence, took.Seconds(), r.End.By, r.End.Reason)
		})
	}
}

// Who sends no audio but answers is there: two questions, and the call goes on.
func TestASilentPeerKeepsItsCall(t *testing.T) {
	t.Parallel()
	a, r := called(t, autoAnswer, survives)
	result := finished(t, callAlice(t, r, sipp.Caller{Hold: 9 * time.Second}))
	end := a.awaitIncoming("alice", "ended", ended)
	if asked := strings.Count(result.Messages, "CSeq: 2 OPTIONS") + strings.Count(result.Messages, "CSeq: 1 OPTIONS"); end.End.By != "remote" || end.RTP.Received != 0 || asked == 0 {
		t.Errorf("asked %d times; the record says %s", asked, pretty(end))
	}
	outcome(t, "sipp", "9 s without a packet at 6 s allowed: sipp answered OPTIONS, and said BYE itself")
}
