package interop

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
)

// secured is an account's wish for both directions of calls.
func secured(way, policy string) string {
	return fmt.Sprintf("<%[1]sIncoming>%[2]s</%[1]sIncoming><%[1]sOutgoing>%[2]s</%[1]sOutgoing>", way, policy)
}

// protections are wishes of ours, baresip's mode and what must come of them: the
// way the media is protected, or "" for a call that must not come about.
var protections = map[string]struct{ ours, theirs, weCall, theyCall string }{
	"SDES, both insist":            {secured("sdes", "required"), "srtp-mand", "sdes", "sdes"},
	"SDES, it would like to":       {secured("sdes", "required"), "srtp", "sdes", "sdes"},
	"SDES, we would like to":       {secured("sdes", "enabled"), "srtp-mand", "sdes", "sdes"},
	"SDES wished for, it has none": {secured("sdes", "enabled"), "", "none", "none"},
	"SDES required, it has none":   {secured("sdes", "required"), "", "", ""},
	"nothing of ours, it insists":  {"", "srtp-mand", "", ""},
	"nothing of ours, it would":    {"", "srtp", "none", "none"},
	"DTLS, both insist":            {secured("dtls", "required"), "dtls_srtp", "dtls", "dtls"},
	"DTLS wished for, it insists":  {secured("dtls", "enabled"), "dtls_srtp", "dtls", "dtls"},
	"both wished for, it has SDES": {secured("dtls", "enabled") + secured("sdes", "enabled"), "srtp-mand", "sdes", "sdes"},
	"DTLS required, it has SDES":   {secured("dtls", "required"), "srtp-mand", "", ""},
	"ZRTP required: nobody has it": {secured("zrtp", "required"), "srtp", "", ""},
}

// TestProtectionWithBaresip holds every wish against a softphone of its own mind,
// in both directions, and listens on both sides.
func TestProtectionWithBaresip(t *testing.T) {
	for name, row := range protections {
		t.Run(name+"/we call", func(t *testing.T) {
			t.Parallel()
			a, b, ctx := withBaresip(t, baresip.Account{AutoAnswer: true, Encryption: row.theirs}, row.ours)
			id := a.dial(`{"line":"alice","to":"bob","seconds":3,"toneHz":1004}`)
			end := a.awaitCall(id, "has ended", ended)
			if row.weCall == "" {
				refusedForProtection(t, end)
				return
			}
			if _, err := b.Await(ctx, "CALL_CLOSED"); err != nil {
				t.Fatal(err)
			}
			hz, share := baresipHeard(t, b)
			if math.Abs(hz-1004) > 2 || share < 0.5 || !near(end, 700) {
				t.Errorf("it heard %.0f Hz with a share of %.2f, we sent 1004; it sent 700: %s", hz, share, pretty(end))
			}
			protectedAs(t, end, row.weCall)
		})
		t.Run(name+"/it calls", func(t *testing.T) {
			t.Parallel()
			a, b, ctx := withBaresip(t, baresip.Account{Encryption: row.theirs}, autoAnswer, row.ours)
			must(t, b.Dial(ctx, "alice"))
			if row.theyCall == "" {
				if _, err := b.Await(ctx, "CALL_CLOSED"); err != nil {
					t.Fatal(err)
				}
				refusedForProtection(t, a.awaitIncoming("alice", "ended", ended))
				return
			}
			a.awaitIncoming("alice", "hears it", func(r record) bool { return r.RTP.Received > 100 && near(r, 700) })
			must(t, b.Hangup(ctx))
			end := a.awaitIncoming("alice", "ended", ended)
			hz, share := baresipHeard(t, b)
			if math.Abs(hz-700) > 2 || share < 0.5 {
				t.Errorf("it heard %.0f Hz with a share of %.2f of the echo of its 700", hz, share)
			}
			protectedAs(t, end, row.theyCall)
		})
	}
}

func protectedAs(t *testing.T, end record, want string) {
	t.Helper()
	if end.Protection != want || (end.Cipher == "") != (want == "none") || end.RTP.Lost > 2 {
		t.Errorf("want %s, the record says %s", want, pretty(end))
	}
	outcome(t, "baresip", "media %s %s, %d packets each way, lost %d", end.Protection, end.Cipher, end.RTP.Received, end.RTP.Lost)
}

func refusedForProtection(t *testing.T, end record) {
	t.Helper()
	if end.End.Code != 488 && end.End.Code != 415 && !strings.Contains(end.End.Reason, "protect") || end.RTP.Received > 0 {
		t.Errorf("a call that nobody can protect: %s", pretty(end))
	}
	outcome(t, "baresip", "no call: %d %s, by %s", end.End.Code, end.End.Reason, end.End.By)
}
