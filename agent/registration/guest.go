package registration

import (
	"context"
	"net/netip"
	"time"
)

// This file is what others use who ask the same server for other things: the gate,
// which bounds all that an agent asks of it, and the same patience.

// Guest is leave for one request that is no REGISTER, and for the answers to its
// challenges. Guests come after all lines that register.
type Guest struct{ pass *pass }

// Visit waits until a request that is no REGISTER may be sent to a server. repeats:
// it is sent again while there is no answer, over UDP. The error is ctx's, or wraps
// ua.ErrTimeout when the server left those before without any answer; without one, Over is owed.
func (g *Gate) Visit(ctx context.Context, server netip.AddrPort, repeats bool) (*Guest, error) {
	p, err := g.enter(ctx, server, applicant{urgency: visiting, repeats: repeats})
	return &Guest{p}, err
}

// Sent tells that the request has been written.
func (v *Guest) Sent() { v.pass.sent() }

// Answered tells that it has its final response, or the error instead.
func (v *Guest) Answered(err error) { v.pass.answered(err) }

// Again waits for the turn of the answer to a challenge.
func (v *Guest) Again(ctx context.Context) error { return v.pass.again(ctx) }

// Over ends the visit.
func (v *Guest) Over() { v.pass.over(undecided) }

// RefreshAfter is when to refresh what lasts for so long: at 80 to 90 % of its time,
// and early enough that a request which nobody answers (32 s) still leaves time for
// another; what is short at 50 to 60 %. 0 ≤ dice < 1 is the jitter.
func RefreshAfter(granted time.Duration, dice float64) time.Duration {
	return refreshAfter(granted, dice)
}

// Backoff is how long to wait after failures in a row (RFC 5626 §4.5).
func Backoff(failures int, dice float64) time.Duration { return backoff(failures, dice) }

// RefusedAfter is Backoff for what somebody has to mend first, only slower.
func RefusedAfter(failures int, dice float64) time.Duration { return refusedAfter(failures, dice) }

// RetryAfter is the time a server asks for, within bounds, and some more at random.
func RetryAfter(asked time.Duration, dice float64) time.Duration { return retryAfter(asked, dice) }

// Usable tells whether a header may be added to requests of ours from outside.
func (h Header) Usable() bool { return usable(h) }
