package controllers

import (
	"fmt"
	"math"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// checkFacts is everything a check's status is decided from.
type checkFacts struct {
	check    *v1.CallCheck
	resolved resolvedCheck
	// agent that has the line that calls; empty = none yet.
	agent string
	// delivered is the hash of what that agent was given; empty = nothing yet.
	delivered string
	// report of that agent about the check; nil = it said nothing of it.
	report *delivery.CheckReport
	// rejected is why the agent refused the check's file; empty = it did not.
	rejected string
}

// decideCheck gives the status.
func decideCheck(f checkFacts) v1.CallCheckStatus {
	status := *f.check.Status.DeepCopy()
	status.ObservedGeneration = f.check.Generation
	status.Agent, status.DeliveredHash, status.ReportedHash = f.agent, f.delivered, ""
	if f.report != nil {
		status.ReportedHash, status.RunAt = f.report.Hash, f.report.RunAt
		if len(f.report.Runs) > 0 { // an agent that begins anew has none: what was known stays
			status.Runs = runsOf(f.report.Runs)
			status.LastRun = status.Runs[0].DeepCopy()
		}
		status.Counts = countsOf(f.report.Counts)
	}
	c := conditionSet{&status.Conditions, f.check.Generation}
	decidePassing(f, c)
	c.write(judgeReady(f))
	return status
}

// decidePassing tells what the runs found. It says nothing of whether the check is well.
func decidePassing(f checkFacts, c conditionSet) {
	known := meta.FindStatusCondition(*c.conditions, v1.ConditionPassing)
	switch {
	case f.resolved.problem != nil:
		c.set(v1.ConditionPassing, metav1.ConditionUnknown, f.resolved.problem.Reason, "it cannot run: "+f.resolved.problem.Message)
	case f.resolved.suspended:
		c.set(v1.ConditionPassing, metav1.ConditionUnknown, string(check.LineSuspended), fmt.Sprintf("nobody looks: line %s is suspended", f.check.Spec.From))
	case f.report != nil && len(f.report.Runs) > 0:
		reason, message := string(f.report.Reason), f.report.Message
		if f.report.Passing == check.IsPassing && message == "" {
			message = "the last run showed what was expected"
		} else if f.report.Warning {
			message = "warning: " + message
		}
		c.set(v1.ConditionPassing, metav1.ConditionStatus(f.report.Passing), reason, message)
	case known != nil && known.Reason != v1.ReasonNoRun && known.ObservedGeneration == f.check.Generation && known.Status != metav1.ConditionUnknown:
		// Its agent begins anew: what was found last holds until the next run.
	default:
		c.set(v1.ConditionPassing, metav1.ConditionUnknown, v1.ReasonNoRun, "no run was made yet")
	}
}

// judgeReady tells whether the check runs, whatever it finds: the first row that holds wins.
func judgeReady(f checkFacts) verdict {
	switch {
	case f.resolved.problem != nil:
		return stalled(f.resolved.problem.Reason, f.resolved.problem.Message)
	case f.rejected != "":
		return stalled(v1.ReasonRejectedByAgent, fmt.Sprintf("agent %s refuses the check: %s", f.agent, f.rejected))
	case f.resolved.waiting != "":
		return reconciling(metav1.ConditionFalse, v1.ReasonPlacing, f.resolved.waiting)
	case f.resolved.suspended:
		return ready(v1.ReasonSuspended, fmt.Sprintf("line %s is suspended, and its checks with it", f.check.Spec.From))
	case f.agent == "":
		return reconciling(metav1.ConditionFalse, v1.ReasonPlacing, fmt.Sprintf("line %s is on no agent yet", f.check.Spec.From))
	case f.delivered == noRoom:
		return stalled(v1.ReasonTooLarge, fmt.Sprintf("agent %s has no room for more checks: lower linesPerAgent of its fleet, or give another account some of them", f.agent))
	case f.report == nil:
		return reconciling(metav1.ConditionUnknown, v1.ReasonNoReport, fmt.Sprintf("agent %s has not reported the check yet", f.agent))
	case f.check.Suspended():
		return withHash(f, ready(v1.ReasonSuspended, "the schedule is suspended"))
	}
	return withHash(f, ready(v1.ReasonRunning, fmt.Sprintf("it runs every %s on agent %s", short(f.resolved.check.Interval()), f.agent)))
}

// withHash adds that the newest settings are on their way while they are.
func withHash(f checkFacts, v verdict) verdict {
	v.reconciling = f.delivered == "" || f.report.Hash != f.delivered
	return v
}

// short writes a duration without zero parts: 60s, not 1m0s.
func short(d time.Duration) string { return strconv.Itoa(int(d/time.Second)) + " s" }

// isNews tells what must be written at once from what may wait: further runs like
// the ones before, and other figures in the same words.
func isNews(before, after v1.CallCheckStatus) bool {
	if before.ObservedGeneration != after.ObservedGeneration || before.Agent != after.Agent || before.RunAt != after.RunAt ||
		before.DeliveredHash != after.DeliveredHash || before.ReportedHash != after.ReportedHash {
		return true
	}
	if (before.LastRun == nil) != (after.LastRun == nil) || before.LastRun != nil && before.LastRun.Result != after.LastRun.Result {
		return true
	}
	if len(before.Conditions) != len(after.Conditions) {
		return true
	}
	for _, now := range after.Conditions {
		old := meta.FindStatusCondition(before.Conditions, now.Type)
		if old == nil || old.Status != now.Status || old.Reason != now.Reason {
			return true
		}
	}
	return false
}

// checkNews lists the transitions between two states of a check's conditions that
// are worth an Event: another verdict, and that the user must act.
func checkNews(before, after []metav1.Condition) []piece {
	var out []piece
	tell := func(condition, action string, kind func(metav1.Condition) string) {
		now, old := meta.FindStatusCondition(after, condition), meta.FindStatusCondition(before, condition)
		if now == nil || old != nil && old.Status == now.Status && old.Reason == now.Reason {
			return
		}
		if kind := kind(*now); kind != "" && !(kind == corev1.EventTypeNormal && old == nil) {
			out = append(out, piece{kind, now.Reason, action, now.Message[:min(len(now.Message), 1000)]})
		}
	}
	tell(v1.ConditionPassing, "Check", func(c metav1.Condition) string {
		switch {
		case c.Status == metav1.ConditionTrue:
			return corev1.EventTypeNormal
		case c.Status == metav1.ConditionUnknown && c.Reason == v1.ReasonNoRun:
			return ""
		}
		return corev1.EventTypeWarning
	})
	tell(v1.ConditionStalled, "Accept", func(metav1.Condition) string { return corev1.EventTypeWarning })
	return out
}

func runsOf(runs []delivery.CheckRun) []v1.CheckRun {
	out := make([]v1.CheckRun, len(runs))
	for i, r := range runs {
		out[i] = v1.CheckRun{
			StartedAt: metav1.NewTime(r.StartedAt).Rfc3339Copy(), Took: ptr.To(metav1.Duration{Duration: time.Duration(r.Seconds*1000) * time.Millisecond}),
			Result: string(r.Result), Reason: string(r.Reason), Message: clean(r.Message), Code: int32(r.Code),
			Ring: milliseconds(r.RingMs), Setup: milliseconds(r.SetupMs), FirstPacket: milliseconds(r.FirstPacketMs), Jitter: milliseconds(r.JitterMs),
			MOS: decimal(r.MOS), LossPercent: decimal(r.LossPercent), SentLossPercent: decimal(r.SentLossPercent), CallID: clean(r.CallID),
			MouthToEar: milliseconds(r.MouthToEarMs), SegmentalSNR: decimal(r.SegmentalSNRDB), SpectralDistance: decimal(r.SpectralDistanceDB),
		}
	}
	return out
}

func countsOf(c delivery.CheckCounts) *v1.CheckCounts {
	return &v1.CheckCounts{
		Since: ptr.To(metav1.NewTime(c.Since).Rfc3339Copy()), Pass: int32(c.Pass), Warn: int32(c.Warn), Fail: int32(c.Fail), Inconclusive: int32(c.Inconclusive),
	}
}

// milliseconds is a duration of so many; what is under ten keeps a decimal.
func milliseconds(v *float64) *metav1.Duration {
	if v == nil {
		return nil
	}
	ms := math.Round(*v)
	if *v < 10 {
		ms = math.Round(*v*10) / 10
	}
	return &metav1.Duration{Duration: time.Duration(ms * float64(time.Millisecond))}
}

// decimal is a number as the API shows it; nil when there is none.
func decimal(v *float64) *v1.Decimal {
	if v == nil {
		return nil
	}
	return ptr.To(v1.Decimal(strconv.FormatFloat(math.Round(*v*100)/100, 'f', -1, 64)))
}
