package check

import "fmt"

// Passing is what the last runs say of the check, the condition of that name.
type Passing string

// What Passing may be.
const (
	IsPassing  Passing = "True"
	NotPassing Passing = "False"
	Unknown    Passing = "Unknown"
)

// Window gives what the runs say together, newest first: whether the check
// passes, and the run that says so. Runs that could not be tried say nothing,
// except that the newest one leaves the check Unknown: nobody looks any more.
func (l Limits) Window(runs []Verdict) (Passing, Verdict) {
	if len(runs) == 0 {
		return Unknown, Verdict{}
	}
	if runs[0].Result == Inconclusive {
		return Unknown, runs[0]
	}
	failures, of := l.Failures, l.Of
	if failures == 0 && l.Consecutive == 0 {
		failures, of = 1, 1
	}
	if failures > 0 && of == 0 {
		of = 1
	}
	var failed, row, seen int
	var newest *Verdict
	unbroken := true
	for i := range runs {
		r := &runs[i]
		if r.Result == Inconclusive {
			continue
		}
		if r.Result != Fail {
			unbroken = false
		} else {
			if newest == nil {
				newest = r
			}
			if seen < of {
				failed++
			}
			if unbroken {
				row++
			}
		}
		seen++
	}
	if failures > 0 && failed >= failures || l.Consecutive > 0 && row >= l.Consecutive {
		return NotPassing, l.explain(*newest, failed, min(seen, of), row)
	}
	if runs[0].Result == Fail {
		return IsPassing, Verdict{Warn, runs[0].Reason, "within its limits: " + runs[0].Message}
	}
	return IsPassing, runs[0]
}

// explain says beside the newest failure how many there were, where one alone would not do.
func (l Limits) explain(v Verdict, failed, of, row int) Verdict {
	switch {
	case l.Failures > 1 && failed >= l.Failures:
		v.Message = fmt.Sprintf("%s (%d of the last %d runs failed)", v.Message, failed, of)
	case l.Consecutive > 1 && row >= l.Consecutive:
		v.Message = fmt.Sprintf("%s (%d runs failed in a row)", v.Message, row)
	}
	return v
}
