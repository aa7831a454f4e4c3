package registration

import (
	"slices"
	"time"
)

// breaker keeps one server from seeing a crowd with wrong credentials: a bad
// Secret that reaches two hundred lines would otherwise be two hundred failed
// logins from one address, and a ban takes the lines that were right as well.
// It is pure: the gate locks it and tells it the time.
//
// Closed, it lets as many lines try credentials that never worked here as may
// still be refused. One more than that, and it opens: then one line tries after
// a pause that doubles, and the first that is let in closes it. Lines whose
// credentials are proven do not ask it; that they were refused it is told.
type breaker struct {
	refusals []refusal // within the last minute, each line once, oldest first
	trying   int       // lines with unproven credentials whose attempt is under way

	open     bool
	count    int       // lines that were refused when it opened, and since
	next     time.Time // when the next line may try
	pause    time.Duration
	probing  bool
	evidence time.Time // of the last refusal
}

// refusal of a line's best credentials.
type refusal struct {
	line *Registration
	at   time.Time
}

const (
	// refusalAge is how long a refusal counts.
	refusalAge = time.Minute
	// firstPause and mostPause bound the wait between two attempts while it is open.
	firstPause = time.Minute
	mostPause  = 10 * time.Minute
)

// verdict on a line that wants to try.
type verdict int

const (
	mayTry  verdict = iota
	mayWait         // until others know how they fared
	isHeld          // until next, or until it closes
)

// judge says what a line with unproven credentials may do. New ones that came
// after the last refusal may be the mending, so that one line tries them at
// once. Those that were refused already are no use for finding out, unless there
// is nobody else.
func (b *breaker) judge(now time.Time, a applicant, others bool, most int) verdict {
	if !b.open {
		b.forget(now)
		if b.trying == 0 || len(b.refusals)+b.trying <= most {
			return mayTry
		}
		return mayWait
	}
	switch {
	case b.probing, a.denied && others:
		return isHeld
	case !now.Before(b.next), a.changed.After(b.evidence):
		return mayTry
	}
	return isHeld
}

// begin counts an attempt that judge allowed; it tells whether it is a probe.
func (b *breaker) begin() (probe bool) {
	b.trying++
	if b.open {
		b.probing = true
	}
	return b.open
}

// end takes the result of an attempt that began; it tells whether that closed it.
func (b *breaker) end(now time.Time, how result, probe bool) (closed bool) {
	b.trying--
	switch {
	case !b.open:
		return false
	case how == accepted:
		*b = breaker{trying: b.trying}
		return true
	case probe && how == denied:
		b.probing = false
		b.hold(now, min(2*b.pause, mostPause))
	case probe:
		b.probing = false
		b.hold(now, b.pause) // no answer says nothing of credentials
	}
	return false
}

// refuse takes a refusal; it tells whether that opened it.
func (b *breaker) refuse(now time.Time, line *Registration, most int) (opened bool) {
	b.forget(now)
	b.evidence = now
	b.refusals = slices.DeleteFunc(b.refusals, func(r refusal) bool { return r.line == line })
	b.refusals = append(b.refusals, refusal{line, now})
	if b.open {
		b.count++
		return false
	}
	if len(b.refusals) <= most {
		return false
	}
	b.open, b.count, b.probing = true, len(b.refusals), false
	b.hold(now, firstPause)
	return true
}

func (b *breaker) hold(now time.Time, pause time.Duration) {
	b.pause, b.next = pause, now.Add(pause)
}

// until is when a line that is held may ask again: while one tries, after the
// pause that follows if that one is refused.
func (b *breaker) until(now time.Time) time.Time {
	if b.probing || !b.next.After(now) {
		return now.Add(min(2*b.pause, mostPause))
	}
	return b.next
}

func (b *breaker) forget(now time.Time) {
	b.refusals = slices.DeleteFunc(b.refusals, func(r refusal) bool { return now.Sub(r.at) >= refusalAge })
}

// idle: nothing would be lost with it.
func (b *breaker) idle(now time.Time) bool {
	b.forget(now)
	return !b.open && b.trying == 0 && len(b.refusals) == 0
}
