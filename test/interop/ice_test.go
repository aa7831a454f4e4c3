package interop

import (
	"math"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
)

const withICE = "<natTraversal>ice</natTraversal>"

// TestICEWithBaresip calls baresip and is called by it, both with ICE: in the clear, and with the keys of DTLS going the same way.
func TestICEWithBaresip(t *testing.T) {
	t.Parallel()
	if !inOwnNetwork(t) {
		return
	}
	for what, c := range map[string]struct{ theirs, ours, want string }{
		"in the clear": {"", "", "none"},
		"with DTLS":    {"dtls_srtp", "<dtlsIncoming>enabled</dtlsIncoming><dtlsOutgoing>enabled</dtlsOutgoing>", "dtls"},
	} {
		bob := baresip.Account{AutoAnswer: true, NAT: "ice", Interface: ownAddress, Encryption: c.theirs}
		a, b, ctx := withBaresip(t, bob, autoAnswer, withICE, c.ours)
		id := a.dial(`{"line":"alice","to":"bob","seconds":3,"toneHz":1004}`)
		end := a.awaitCall(id, "has ended", ended)
		if _, err := b.Await(ctx, "CALL_CLOSED"); err != nil {
			t.Fatal(err)
		}
		must(t, b.Dial(ctx, "alice"))
		a.awaitIncoming("alice", "hears it", func(r record) bool { return r.ID != id && r.RTP.Received > 100 && near(r, 700) })
		must(t, b.Hangup(ctx))
		in := a.awaitIncoming("alice", "ended", func(r record) bool { return r.ID != id && ended(r) })
		hz, share := baresipHeard(t, b)
		for _, r := range []record{end, in} {
			if !strings.HasPrefix(r.NAT, "ice host/") || !strings.HasPrefix(r.Protection, c.want) || !near(r, 700) || r.RTP.Received < 90 || r.RTP.Lost > 2 {
				t.Errorf("%s, %s: the record says %s", what, r.Direction, pretty(r))
			}
			outcome(t, "baresip", "ICE %s, %s: %s, %d packets each way", what, r.Direction, r.NAT, r.RTP.Received)
		}
		if math.Abs(hz-700) > 2 || share < 0.5 {
			t.Errorf("%s: it heard %.0f Hz with a share of %.2f of the echo of its 700", what, hz, share)
		}
	}
}
