package controllers

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// register publishes what is known of the registration, and tells when to look
// again. What is published stays until there is something better to say: a
// report that is missing for a moment, or an unhealthy state that has not lasted
// yet, changes nothing.
func register(f accountFacts, status *v1.SoftphoneAccountStatus, c conditionSet) time.Duration {
	if f.placed == nil {
		unplaced(f, status, c)
		return 0
	}
	moved := status.Agent != f.placed.agent || status.Slot != f.placed.slot
	status.Agent, status.Slot = f.placed.agent, f.placed.slot
	status.DeliveredHash = f.delivered.Delivered
	if f.report == nil || f.report.Slot != int(f.placed.slot) {
		return unreported(f, status, c, moved)
	}
	status.ReportedHash, status.EffectiveHash = f.report.ConfigHash, f.report.EffectiveHash
	if f.report.State == delivery.Registering && f.report.Problem != delivery.ProblemHeldBack && unhealthyPublished(status) {
		return 0 // one more try is no news until it succeeds
	}
	if wait := f.report.Since.Add(settleTime).Sub(f.now); !reports.Healthy(f.report.State) && !published(status, f.report.State) && wait > 0 && !moved {
		if status.State == v1.StatePending {
			publish(f, status, c, registeringReport(f.report.LineReport)) // nothing to lose by telling that it began
		}
		return wait
	}
	publish(f, status, c, f.report.LineReport)
	return 0
}

// registeringReport is the report of a line that began to register, whatever came of it since.
func registeringReport(r delivery.LineReport) delivery.LineReport {
	return delivery.LineReport{Name: r.Name, State: delivery.Registering, Since: r.Since, Slot: r.Slot}
}

// published tells whether the status names the state already.
func published(status *v1.SoftphoneAccountStatus, s delivery.State) bool {
	return status.State == lineStates[s]
}

func unhealthyPublished(status *v1.SoftphoneAccountStatus) bool {
	return status.State == v1.StateUnauthorized || status.State == v1.StateError
}

// unplaced lines have nothing but the slot they had last.
func unplaced(f accountFacts, status *v1.SoftphoneAccountStatus, c conditionSet) {
	state, reason, message := v1.StatePending, v1.ReasonPlacing, "the line is on no agent"
	if suspended(f) {
		state, reason, message = v1.StateDisabled, v1.ReasonSuspended, "the line is suspended"
	}
	clearReport(f, status, state)
	status.Agent, status.DeliveredHash, status.ReportedHash, status.EffectiveHash = "", "", "", ""
	c.set(v1.ConditionRegistered, metav1.ConditionFalse, reason, message)
}

// unreported lines keep what was published, unless they moved, or their agent
// has been away for too long.
func unreported(f accountFacts, status *v1.SoftphoneAccountStatus, c conditionSet, moved bool) time.Duration {
	known := !moved && meta.FindStatusCondition(status.Conditions, v1.ConditionRegistered) != nil
	switch wait := f.placed.since.Add(settleTime).Sub(f.now); {
	case known && f.placed.ready:
		return 0
	case known && wait > 0:
		return wait
	case f.placed.ready:
		clearReport(f, status, v1.StatePending)
		c.set(v1.ConditionRegistered, metav1.ConditionUnknown, v1.ReasonNoReport, "agent "+f.placed.agent+" has not reported the line yet")
	default:
		clearReport(f, status, v1.StatePending)
		c.set(v1.ConditionRegistered, metav1.ConditionUnknown, v1.ReasonAgentNotReady, "agent "+f.placed.agent+" is not ready: kubectl describe softphoneagent "+f.placed.agent)
	}
	return 0
}

func clearReport(f accountFacts, status *v1.SoftphoneAccountStatus, state v1.LineState) {
	if status.State != state || status.Since == nil {
		since := metav1.NewTime(f.now)
		status.Since = &since
	}
	status.State, status.Server, status.Contact, status.Reason = state, "", "", ""
	status.Code, status.GrantedSeconds = 0, 0
	status.Messages, status.Watching = nil, nil
}

// publish takes a report over.
func publish(f accountFacts, status *v1.SoftphoneAccountStatus, c conditionSet, r delivery.LineReport) {
	since := metav1.NewTime(r.Since).Rfc3339Copy()
	status.State, status.Since = lineStates[r.State], &since
	status.Server, status.Contact = clean(r.Server), clean(r.Contact)
	status.Code, status.Reason, status.GrantedSeconds = int32(r.LastCode), phrase(r), int32(r.GrantedSeconds)
	status.Messages, status.Watching = messages(r.Messages), watching(r.Watching)
	switch r.State {
	case delivery.Registered:
		c.set(v1.ConditionRegistered, metav1.ConditionTrue, v1.ReasonRegistered, "registered at "+status.Server+": "+answer(status))
	case delivery.Idle:
		if f.account.IsTrunk() {
			trunk(f, status, c)
			return
		}
		c.set(v1.ConditionRegistered, metav1.ConditionFalse, v1.ReasonNotRegisteringByPolicy, "the line does not register, since its incoming call mode (icm) is off")
	case delivery.Disabled:
		if !suspended(f) { // the agent ends, and says goodbye for its lines first
			status.State = v1.StatePending
			c.set(v1.ConditionRegistered, metav1.ConditionFalse, v1.ReasonAgentNotReady, "agent "+f.placed.agent+" has un-registered the line: its pod is ending, another follows")
			return
		}
		c.set(v1.ConditionRegistered, metav1.ConditionFalse, v1.ReasonSuspended, "the line is suspended")
	case delivery.Registering:
		if r.Problem == delivery.ProblemHeldBack {
			reason, message := explain(f, status, r)
			c.set(v1.ConditionRegistered, metav1.ConditionFalse, reason, message)
			return
		}
		c.set(v1.ConditionRegistered, metav1.ConditionUnknown, v1.ReasonRegistering, "waiting for the registrar's answer")
	default:
		reason, message := explain(f, status, r)
		c.set(v1.ConditionRegistered, metav1.ConditionFalse, reason, message)
	}
}

// trunk publishes what OPTIONS told of a trunk's server. Where nobody asks, the
// trunk is as good as its server is taken to be.
func trunk(f accountFacts, status *v1.SoftphoneAccountStatus, c conditionSet) {
	switch server := "its server" + at(status); {
	case status.Code > 0:
		c.set(v1.ConditionRegistered, metav1.ConditionFalse, v1.ReasonTrunkUp, fmt.Sprintf("a trunk does not register; %s answers OPTIONS with %d", server, status.Code))
	case f.qualifies:
		c.set(v1.ConditionRegistered, metav1.ConditionUnknown, v1.ReasonQualifying, fmt.Sprintf("a trunk does not register; %s is asked whether it is there", server))
	default:
		c.set(v1.ConditionRegistered, metav1.ConditionFalse, v1.ReasonTrunkUp, fmt.Sprintf("a trunk does not register; nobody asks whether %s is there (spec.registrar.qualifySeconds of the fleet is 0)", server))
	}
}

// phrase is the registrar's reason phrase alone; without an answer, the agent's
// words for what happened, else the problem's name.
func phrase(r delivery.LineReport) string {
	said := strings.TrimPrefix(clean(r.LastReason), "trunk: ")
	if r.LastCode > 0 { // "401 Unauthorized: a hint of the agent's"
		said = strings.TrimPrefix(said, strconv.Itoa(r.LastCode))
		said, _, _ = strings.Cut(said, ": ")
	}
	if said = strings.TrimSpace(said); said == "" {
		said = string(r.Problem)
	}
	return said
}

// answer is the registrar's last answer as "200 OK"; "no answer" when there was none.
func answer(status *v1.SoftphoneAccountStatus) string {
	if status.Code == 0 {
		return "no answer"
	}
	return strings.TrimSpace(strconv.Itoa(int(status.Code)) + " " + status.Reason)
}

// clean makes text that came over the network fit for a status: one line of
// printable characters, not too long.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	const most = 200
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strings.TrimSpace(s)
}
