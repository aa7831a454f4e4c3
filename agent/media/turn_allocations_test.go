//go:build !race && linux && (amd64 || arm64)

package media

import (
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// Both ends of a call over real sockets, given their turns here as a clock gives them: what was fetched is taken in, heard and answered, at
// the pace of the audio.
func TestATurnOnTheSocketsAllocatesNothing(t *testing.T) {
	for _, suite := range []string{"", sdp.Suites()[0], "AES_CM_128_HMAC_SHA1_80"} {
		sessions, end := talk(t, 1, suite)
		var desks [2]*desk
		for i, s := range sessions {
			s.clock.leave()
			s.mu.Lock()
			s.reports.next = time.Now().Add(time.Hour) // RTCP is once in 250 packets, and may allocate
			s.mu.Unlock()
			desks[i] = newDesk()
		}
		at := time.Now()
		turn := func() {
			time.Sleep(time.Until(at))
			for i, s := range sessions {
				d := desks[i]
				d.now = time.Now()
				s.fetch(d)
				d.next = s.turn(at, d)
				s.post(d)
			}
			at = at.Add(20 * time.Millisecond)
		}
		for range 70 { // the jitter buffer makes room for a packet when it first needs it
			turn()
		}
		before := sessions[0].Stats()
		allocs := testing.AllocsPerRun(50, turn)
		after := sessions[0].Stats()
		if allocs != 0 {
			t.Errorf("%q: %v allocations in 20 ms, want none", suite, allocs)
		}
		if sent, came := after.Sent-before.Sent, after.Received-before.Received; sent < 48 || came < 48 {
			t.Errorf("%q: %d packets were sent in 50 turns, and %d received", suite, sent, came)
		}
		end()
	}
}
