package treatment

import (
	"fmt"
	"time"
)

// askRate bounds new calls per second.
//
// The answer is 486 with Retry-After (RFC 3261 §20.33), not 503: a proxy that
// gets 503 may take the whole address out of service for that time (§21.5.4),
// and all lines of an agent share one address.
func askRate(in Input) (Decision, string, bool) {
	if in.MaxNewCalls <= 0 {
		return Decision{}, "no bound on new calls", false
	}
	if in.NewCalls <= in.MaxNewCalls {
		return Decision{}, fmt.Sprintf("%d of %d new calls this second", in.NewCalls, in.MaxNewCalls), false
	}
	d := busyHere()
	d.RetryAfter = time.Second
	return d, fmt.Sprintf("%d new calls this second, %d allowed, 486", in.NewCalls, in.MaxNewCalls), true
}
