package registration

import (
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	lines := make([]*Registration, 10)
	for i := range lines {
		lines[i] = new(Registration)
	}
	const most = 3
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	// tripped was opened at t0.
	tripped := func() *breaker {
		b := new(breaker)
		for i := range most + 1 {
			probe := b.begin()
			opened := b.refuse(t0, lines[i], most)
			b.end(t0, denied, probe)
			if opened != (i == most) {
				t.Fatalf("after %d refusals it is open: %v", i+1, opened)
			}
		}
		return b
	}
	for name, tt := range map[string]struct {
		b      func() *breaker
		now    int // seconds after t0
		a      applicant
		others bool
		want   verdict
	}{
		"the first one":                     {func() *breaker { return new(breaker) }, 0, applicant{}, false, mayTry},
		"as many as may be refused and one": {func() *breaker { return &breaker{trying: most} }, 0, applicant{}, false, mayTry},
		"one more waits for them":           {func() *breaker { return &breaker{trying: most + 1} }, 0, applicant{}, false, mayWait},
		"refusals count with those under way": {func() *breaker {
			return &breaker{trying: 2, refusals: []refusal{{lines[0], t0}, {lines[1], t0}}}
		}, 0, applicant{}, false, mayWait},
		"for a minute": {func() *breaker {
			return &breaker{trying: 2, refusals: []refusal{{lines[0], t0}, {lines[1], t0}}}
		}, 60, applicant{}, false, mayTry},
		"a bound that was lowered leaves nobody waiting for nothing": {func() *breaker {
			return &breaker{refusals: make([]refusal, 9)}
		}, 0, applicant{}, false, mayTry},
		"held once it is open":               {tripped, 1, applicant{}, false, isHeld},
		"until the pause is over":            {tripped, 60, applicant{}, false, mayTry},
		"one at a time":                      {func() *breaker { b := tripped(); b.begin(); return b }, 100, applicant{}, false, isHeld},
		"not one that was refused":           {tripped, 60, applicant{denied: true}, true, isHeld},
		"unless there is no other":           {tripped, 60, applicant{denied: true}, false, mayTry},
		"new credentials may be the mending": {tripped, 2, applicant{changed: at(1)}, false, mayTry},
		"older ones are not":                 {tripped, 2, applicant{changed: at(-1)}, false, isHeld},
		"nor those that came with others that were refused": {func() *breaker {
			b := tripped()
			probe := b.begin()
			b.refuse(at(2), lines[7], most)
			b.end(at(2), denied, probe)
			return b
		}, 3, applicant{changed: at(1)}, false, isHeld},
		"a refused probe doubles the pause": {func() *breaker {
			b := tripped()
			b.end(at(60), denied, b.begin())
			return b
		}, 60 + 119, applicant{}, false, isHeld},
		"and no more than that": {func() *breaker {
			b := tripped()
			b.end(at(60), denied, b.begin())
			return b
		}, 60 + 120, applicant{}, false, mayTry},
		"one without an answer does not": {func() *breaker {
			b := tripped()
			b.end(at(60), undecided, b.begin())
			return b
		}, 60 + 60, applicant{}, false, mayTry},
		"one that is let in closes it": {func() *breaker {
			b := tripped()
			if !b.end(at(60), accepted, b.begin()) {
				t.Error("it was not closed")
			}
			return b
		}, 61, applicant{denied: true}, true, mayTry},
	} {
		if got := tt.b().judge(at(tt.now), tt.a, tt.others, most); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
