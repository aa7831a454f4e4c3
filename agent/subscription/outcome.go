package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/registration"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// outcome is how one SUBSCRIBE ended, challenges included, or a subscription.
type outcome struct {
	code       int    // of the final response; 0 = there was none
	reason     string // in words for the user
	problem    problem
	granted    time.Duration // 2xx
	minExpires time.Duration // 423
	retryAfter time.Duration
	terminated bool // the notifier ended what was there
}

// problem is what the machine wants to know of a failure.
type problem int

const (
	noProblem       problem = iota
	problemUnheard          // nobody answered
	problemUnsent           // the line is not registered: nothing was sent
	problemRefused          // credentials; trying them again soon would look like an attack
	problemFinal            // asking again makes no sense
	problemSlow             // may be mended by somebody, at some time
	problemOther            // worth another try
	problemSilent           // no NOTIFY
	problemEnded            // by the notifier
	problemInternal         // a defect of ours
)

func (o *outcome) ok() bool { return o.problem == noProblem }

// final: nothing but a change leads to another attempt.
func (o *outcome) final() bool { return o.problem == problemFinal }

// gone: after this answer to a refresh nothing is left of the subscription
// (RFC 6665 §4.1.2.2).
func (o *outcome) gone() bool {
	return o.problem == problemUnheard || slices.Contains([]int{404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604}, o.code)
}

// counts is by how much the failures in a row grow: what was not sent has not failed.
func (o *outcome) counts() int {
	if o.problem == problemUnsent {
		return 0
	}
	return 1
}

// unsentWait is how long a line waits that is not registered. When it is, it is told.
const unsentWait = time.Minute

// wait is how long after so many failures another try is due.
func (o *outcome) wait(failures int, dice float64) time.Duration {
	var after time.Duration
	switch o.problem {
	case problemUnsent:
		return unsentWait
	case problemRefused, problemSlow:
		after = registration.RefusedAfter(failures, dice)
	default:
		after = registration.Backoff(failures, dice)
	}
	if o.retryAfter > 0 {
		asked := registration.RetryAfter(o.retryAfter, dice)
		if o.problem == problemRefused {
			asked = max(asked, after)
		}
		return asked
	}
	return after
}

// failure is the outcome of an attempt that got no final response.
func failure(err error, server string) *outcome {
	o := &outcome{problem: problemUnheard}
	switch {
	case errors.Is(err, errNotRegistered):
		o.problem, o.reason = problemUnsent, "the line is not registered"
	case errors.Is(err, ua.ErrHostNotFound), errors.Is(err, ua.ErrDNS):
		o.reason = "the server was not found: " + clip(err.Error())
	case errors.Is(err, ua.ErrUnreachable):
		o.reason = server + " is unreachable"
	case errors.Is(err, ua.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		o.reason = "no answer from " + server
	default:
		o.problem, o.reason = problemOther, "SUBSCRIBE could not be sent: "+clip(err.Error())
	}
	return o
}

// errNotRegistered: nothing is sent for a line without a way to its server.
var errNotRegistered = errors.New("line is not registered")

// answered is the outcome of a final response; why is what kept us from answering
// its challenge, if it has one.
func answered(res *sip.Response, asked time.Duration, event string, why error) *outcome {
	o := &outcome{
		code: res.StatusCode, reason: statusLine(res),
		minExpires: seconds(res, "Min-Expires"), retryAfter: seconds(res, "Retry-After"),
	}
	if res.IsSuccess() {
		// "200-class responses to SUBSCRIBE requests also MUST contain an "Expires"
		// header field" (§4.2.1.1); who leaves it out takes what was asked.
		o.granted = asked
		if res.GetHeader("Expires") != nil {
			o.granted = min(seconds(res, "Expires"), asked)
		}
		if asked > 0 && o.granted <= 0 {
			o.problem = problemOther
			o.reason += ": the server granted the subscription no time"
		}
		return o
	}
	var hint string
	o.problem, hint = judge(res.StatusCode, event, why)
	if hint != "" {
		o.reason += ": " + hint
	}
	return o
}

// judge gives the problem behind a response, and what to tell the user of it.
func judge(code int, event string, why error) (problem, string) {
	var unsupported *ua.UnsupportedError
	switch {
	case errors.As(why, &unsupported):
		return problemSlow, "the server asks for " + clip(unsupported.What) + ", which is not supported"
	case errors.Is(why, ua.ErrNoPassword):
		return problemSlow, "the server asks for a password and the account has none"
	case code == 401, code == 407:
		return problemRefused, "the server refused the line's password"
	case code == 489:
		return problemFinal, fmt.Sprintf("the server does not know the event package %s", event)
	case code == 405, code == 501:
		return problemFinal, "the server knows no SUBSCRIBE"
	case code == 403, code == 603:
		return problemSlow, "the server does not let the line subscribe"
	case code == 404, code == 604, code == 410:
		return problemSlow, "the server does not know whom this is about"
	case code == 416, code == 420, code == 406, code == 415:
		return problemSlow, ""
	}
	return problemOther, ""
}

func statusLine(res *sip.Response) string {
	return strings.TrimSpace(strconv.Itoa(res.StatusCode) + " " + clip(res.Reason))
}

// seconds reads a header like "120 (maintenance);duration=3600"; 0 = none.
func seconds(m sip.Message, name string) time.Duration {
	all := m.GetHeaders(name)
	if len(all) == 0 {
		return 0
	}
	return deltaSeconds(all[0].Value())
}

// deltaSeconds reads the number that a value begins with (RFC 3261 §25.1); 0 = none.
func deltaSeconds(value string) time.Duration {
	digits := strings.TrimSpace(value)
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = digits[:i]
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
