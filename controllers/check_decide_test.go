package controllers

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/controllers/render"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// facts of a check that runs well.
func runningCheck() checkFacts {
	return checkFacts{
		check:    &v1.CallCheck{Spec: v1.CallCheckSpec{From: "alice"}},
		resolved: resolvedCheck{from: &v1.SoftphoneAccount{}, check: check.Check{IntervalSeconds: 60}},
		agent:    "default-0", delivered: "h1",
		report: &delivery.CheckReport{
			Line: "alice", Hash: "h1", Passing: check.IsPassing, Reason: check.Passed,
			Runs: []delivery.CheckRun{{StartedAt: time.Unix(100, 5), Result: check.Pass, Reason: check.Passed}},
		},
	}
}

// checkAfter gives the status that follows the one before, when the facts changed.
func checkAfter(before v1.CallCheckStatus, change func(*checkFacts)) v1.CallCheckStatus {
	f := runningCheck()
	f.check.Status = before
	change(&f)
	return decideCheck(f)
}

func TestWhatIsNewsOfACheck(t *testing.T) {
	steady := decideCheck(runningCheck())
	failing := func(words string) func(*checkFacts) {
		return func(f *checkFacts) {
			f.report.Passing, f.report.Reason, f.report.Message = check.NotPassing, check.AnsweredLate, words
			f.report.Runs = []delivery.CheckRun{{StartedAt: time.Unix(160, 0), Result: check.Fail, Reason: check.AnsweredLate, Message: words}}
		}
	}
	late := checkAfter(steady, failing("answered after 3.1 s, more than 2 s"))
	for says, c := range map[string]struct {
		before v1.CallCheckStatus
		change func(*checkFacts)
		news   bool
		events string // reasons
	}{
		"nothing happened": {steady, func(*checkFacts) {}, false, ""},
		"another run like it": {steady, func(f *checkFacts) {
			f.report.Runs = append([]delivery.CheckRun{{StartedAt: time.Unix(160, 0), Result: check.Pass}}, f.report.Runs...)
			f.report.Counts.Pass = 2
		}, false, ""},
		"it fails":                            {steady, failing("answered after 3.1 s, more than 2 s"), true, "AnsweredLate"},
		"it fails on, in other figures":       {late, failing("answered after 3.2 s, more than 2 s"), false, ""},
		"its line is suspended":               {steady, func(f *checkFacts) { f.resolved.suspended = true }, true, "LineSuspended"},
		"it passes again":                     {late, func(*checkFacts) {}, true, "Passed"},
		"a failure that is within the limits": {steady, func(f *checkFacts) { f.report.Runs[0].Result = check.Fail }, true, ""},
		"a run that was asked for":            {steady, func(f *checkFacts) { f.report.RunAt = "now" }, true, ""},
		"it moves":                            {steady, func(f *checkFacts) { f.agent = "default-1" }, true, ""},
		"its agent begins anew":               {steady, func(f *checkFacts) { f.report.Runs = nil }, false, ""},
		"its account is gone": {steady, func(f *checkFacts) {
			f.resolved.problem = &render.Failure{Reason: v1.ReasonAccountNotFound, Message: "gone"}
		}, true, "AccountNotFound AccountNotFound"},
		"the first verdict is as everyone likes": {v1.CallCheckStatus{}, func(*checkFacts) {}, true, ""},
		"the first verdict is bad":               {v1.CallCheckStatus{}, failing("late"), true, "AnsweredLate"},
	} {
		status := checkAfter(c.before, c.change)
		if got := isNews(c.before, status); got != c.news {
			t.Errorf("%s: news %v, want %v", says, got, c.news)
		}
		events := ""
		for _, n := range checkNews(c.before.Conditions, status.Conditions) {
			if events != "" {
				events += " "
			}
			events += n.reason
		}
		if events != c.events {
			t.Errorf("%s: events %q, want %q", says, events, c.events)
		}
	}
}

func TestAFailingCheckIsReady(t *testing.T) {
	for says, c := range map[string]struct {
		change  func(*checkFacts)
		passing metav1.ConditionStatus
		ready   metav1.ConditionStatus
		reason  string
	}{
		"it passes":                 {func(*checkFacts) {}, "True", "True", v1.ReasonRunning},
		"it fails":                  {func(f *checkFacts) { f.report.Passing = check.NotPassing }, "False", "True", v1.ReasonRunning},
		"it is inconclusive":        {func(f *checkFacts) { f.report.Passing = check.Unknown }, "Unknown", "True", v1.ReasonRunning},
		"no agent has its line":     {func(f *checkFacts) { f.agent, f.report = "", nil }, "Unknown", "False", v1.ReasonPlacing},
		"its agent says nothing":    {func(f *checkFacts) { f.report = nil }, "Unknown", "Unknown", v1.ReasonNoReport},
		"its agent refuses it":      {func(f *checkFacts) { f.rejected = "intervalSeconds: 1" }, "True", "False", v1.ReasonRejectedByAgent},
		"it was not run yet":        {func(f *checkFacts) { f.report.Runs = nil }, "Unknown", "True", v1.ReasonRunning},
		"an address is not known":   {func(f *checkFacts) { f.resolved.waiting = "soon" }, "True", "False", v1.ReasonPlacing},
		"the user must mend it":     {func(f *checkFacts) { f.resolved.problem = &render.Failure{Reason: v1.ReasonInvalidCheck, Message: "x"} }, "Unknown", "False", v1.ReasonInvalidCheck},
		"there is no room for it":   {func(f *checkFacts) { f.delivered, f.report = noRoom, nil }, "Unknown", "False", v1.ReasonTooLarge},
		"its settings are underway": {func(f *checkFacts) { f.delivered = "h2" }, "True", "True", v1.ReasonRunning},
	} {
		status := checkAfter(v1.CallCheckStatus{}, c.change)
		ready, passing := metav1.Condition{}, metav1.Condition{}
		for _, condition := range status.Conditions {
			switch condition.Type {
			case v1.ConditionReady:
				ready = condition
			case v1.ConditionPassing:
				passing = condition
			}
		}
		if ready.Status != c.ready || ready.Reason != c.reason || passing.Status != c.passing {
			t.Errorf("%s: Ready %s %s, Passing %s", says, ready.Status, ready.Reason, passing.Status)
		}
	}
}

func TestChecksThatDoNotFitAreToldSo(t *testing.T) {
	checks := map[string][]byte{}
	for i := range 200 {
		checks[fmt.Sprintf("check-%03d", i)] = make([]byte, 600)
	}
	fitChecks(checks)
	files, total := map[string][]byte{}, 0
	f := agentFacts{checks: checks}
	hashes := f.addChecks(files, delivery.NewHasher(nil))
	for _, content := range files {
		total += len(content)
	}
	if len(files) < 100 || total > mostCheckBytes || len(hashes) != 200 || hashes["check-000"] == noRoom || hashes["check-199"] != noRoom {
		t.Errorf("%d files of %d bytes, %d hashes", len(files), total, len(hashes))
	}
}
