//go:build !race && linux && (amd64 || arm64)

package media

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// Both ends of a call over real sockets, on a hand that is turned here: what was fetched is taken in, heard, answered and sent. Its time is
// reckoned, not waited for, so that a busy machine changes nothing.
func TestATurnOnTheSocketsAllocatesNothing(t *testing.T) {
	const frames = 250
	for _, suite := range append([]string{""}, sdp.Suites()...) {
		sessions, frame := handTurned(t, suite)
		for range frames { // the jitter buffer makes room for a packet when it first needs it
			frame()
		}
		// What is allocated here is allocated each time. What the runtime does for itself meanwhile is not.
		var before, after [2]Stats
		least := -1.
		for range 3 {
			for i, s := range sessions {
				before[i] = s.Stats()
			}
			allocs := testing.AllocsPerRun(1, func() { // which runs it twice, and counts the second time
				for range frames {
					frame()
				}
			})
			if least < 0 || allocs < least {
				least = allocs
			}
			for i, s := range sessions {
				after[i] = s.Stats()
			}
		}
		if least != 0 {
			t.Errorf("%q: %v allocations in %d frames of both ends, want none", suite, least, frames)
		}
		for i := range sessions {
			sent, came := after[i].Sent-before[i].Sent, after[i].Received-before[i].Received
			if sent != 2*frames || came != 2*frames || after[i].Lost != 0 || after[i].Discarded != before[i].Discarded {
				t.Errorf("%q: session %d sent %d packets and received %d, want %d: %+v", suite, i, sent, came, 2*frames, after[i])
			}
		}
		for _, s := range sessions {
			closeSession(t, s)
		}
	}
}

// handTurned gives both ends of a call, and what has the next 20 ms pass for them.
func handTurned(t *testing.T, suite string) (sessions [2]*Session, frame func()) {
	t.Helper()
	h := newHand()
	h.running = true // by frame
	clock := &Clock{hands: []*hand{h}}
	var arrivals [2]unix.PollFd
	for i := range sessions {
		s, err := Open(Config{Local: loopback, SymmetricRTP: true, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		sessions[i] = s
		arrivals[i] = unix.PollFd{Fd: int32(s.transport.(*socketPair)[0].fd), Events: unix.POLLIN}
	}
	x, y := agreed(sessions[1].LocalRTP().String()), agreed(sessions[0].LocalRTP().String())
	if suite != "" {
		x, y = withSDES(suite, x, y)
	}
	start(t, sessions[0], x, Tone{Hz: 1000, LevelDBm0: -10})
	start(t, sessions[1], y, Echo{})
	for _, s := range sessions {
		s.reports.next = s.epoch.Add(1000 * time.Hour) // RTCP is once in 250 packets, and may allocate
	}
	now := time.Now()
	return sessions, func() {
		for range phases {
			now = now.Add(grain)
			for at := h.gather(now); len(h.group) > 0; at = h.gather(now) {
				h.serve(at, now)
			}
		}
		for i := range arrivals { // each has sent the other a packet
			n, err := unix.Poll(arrivals[i:i+1], 10_000)
			for err == unix.EINTR {
				n, err = unix.Poll(arrivals[i:i+1], 10_000)
			}
			if n != 1 {
				t.Fatalf("nothing came to session %d: %v", i, err)
			}
		}
	}
}
