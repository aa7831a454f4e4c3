package registration

import (
	"slices"
	"time"
)

// relapse is the breaker of lines whose credentials have worked. Those are not
// asked to wait because unproven ones are refused. But when somebody changes
// them all at the registrar, every refresh is a failed login. So when more of
// them are refused within a minute than may be, and more than are let in, the
// rest is held as well and one line at a time tries. The first that is let in
// ends that; one that was let in since the refusals began is known to be right
// and never waits. It is pure like breaker.
type relapse struct {
	refusals []refusal   // within the last minute, each line once, oldest first
	taken    []time.Time // lines let in since the first of them
	surprise []refusal   // those of lines that were known to be right
	trying   int         // attempts under way

	open    bool
	since   time.Time // of the first refusal of this trouble
	count   int       // lines that were refused when it opened, and since
	next    time.Time // when the next line may try
	pause   time.Duration
	probing bool
}

// mostProvenPause bounds the pause between two attempts while lines with proven
// credentials are held.
const mostProvenPause = 30 * time.Second

// relapseAge is how long after the last attempt trouble is the same, or is still
// remembered.
const relapseAge = time.Hour

// provenPause is that pause: all of them together take half of the refusals that a
// minute may have. It stays the same however many are refused, since lines that are
// right may be among the held, each line is held no more once it was refused, and so
// each has its turn within a known time: n lines in n pauses.
func provenPause(most int) time.Duration {
	return min(2*refusalAge/time.Duration(most), mostProvenPause)
}

// known: a line that the server let in since it began to refuse others.
func (r *relapse) known(a applicant) bool { return a.proved.After(r.since) }

// judge says what a line with proven credentials may do.
func (r *relapse) judge(now time.Time, a applicant, most int) verdict {
	switch {
	case !r.open:
		r.forget(now)
		worst := len(r.refusals) + r.trying // if all that try were refused
		if len(r.refusals) == 0 || r.trying == 0 || worst <= most || worst <= len(r.taken) {
			return mayTry
		}
		return mayWait
	case r.known(a):
		return mayTry
	case r.probing || now.Before(r.next):
		return isHeld
	}
	return mayTry
}

// begin counts an attempt that judge allowed; it tells whether it is a probe.
func (r *relapse) begin(a applicant) (probe bool) {
	r.trying++
	probe = r.open && !r.known(a)
	r.probing = r.probing || probe
	return probe
}

// end takes the result of an attempt that began; it tells whether that closed it.
func (r *relapse) end(now time.Time, a applicant, how result, probe bool, most int) (closed bool) {
	r.trying--
	r.forget(now)
	wasKnown := r.known(a)
	switch how {
	case accepted:
		if len(r.refusals) > 0 {
			r.taken = append(r.taken, now)
		}
		if r.open && !wasKnown {
			r.open, r.probing, r.pause = false, false, 0
			return true
		}
	case denied:
		if wasKnown {
			r.surprise = append(r.surprise, refusal{a.line, now})
		}
		r.refuse(now, a.line, most)
		if probe {
			r.hold(now, provenPause(most))
		}
	case undecided:
		if probe {
			r.hold(now, r.pause) // no answer says nothing of credentials
		}
	}
	return false
}

// refuse takes a refusal, and opens when it is one too many. It is the trouble
// there was if that is not long ago, unless too many are refused that were known
// to be right: then nobody is known any more.
func (r *relapse) refuse(now time.Time, line *Registration, most int) {
	r.refusals = slices.DeleteFunc(r.refusals, func(o refusal) bool { return o.line == line })
	r.refusals = append(r.refusals, refusal{line, now})
	r.count++
	if len(r.surprise) > most {
		r.since, r.surprise = r.surprise[0].at, nil
	}
	if r.open || len(r.refusals) <= most || len(r.refusals) <= len(r.taken) {
		return
	}
	if now.Sub(r.next) > relapseAge {
		r.since = r.refusals[0].at
	}
	r.open, r.count = true, len(r.refusals)
	r.hold(now, provenPause(most))
}

func (r *relapse) hold(now time.Time, pause time.Duration) {
	r.pause, r.next, r.probing = pause, now.Add(pause), false
}

// until is when a line that is held may ask again.
func (r *relapse) until(now time.Time) time.Time {
	if r.probing || !r.next.After(now) {
		return now.Add(r.pause)
	}
	return r.next
}

func (r *relapse) forget(now time.Time) {
	old := func(o refusal) bool { return now.Sub(o.at) >= refusalAge }
	r.refusals, r.surprise = slices.DeleteFunc(r.refusals, old), slices.DeleteFunc(r.surprise, old)
	if len(r.refusals) == 0 {
		r.taken = nil
		return
	}
	first := r.refusals[0].at
	r.taken = slices.DeleteFunc(r.taken, func(at time.Time) bool { return at.Before(first) })
}

// idle: nothing would be lost with it.
func (r *relapse) idle(now time.Time) bool {
	r.forget(now)
	return r.trying == 0 && len(r.refusals) == 0 && now.Sub(r.next) > relapseAge
}
