package controllers

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// settleTime an unhealthy state must last before it is written: a line that loses
// its registration for a moment is no news.
const settleTime = 5 * time.Second

// accountFacts is everything an account's status is decided from.
type accountFacts struct {
	account *v1.SoftphoneAccount
	now     time.Time

	fleetFound     bool
	fleetSuspended bool
	// qualifies: agents of the fleet ask servers whether they are there.
	qualifies bool
	// rival is the name of the older account with the same address; empty = none.
	rival    string
	rendered rendering
	// passwordSource says where the user finds the password.
	passwordSource string

	// placed is where the line shall be; nil = nowhere yet.
	placed *home
	// delivered is the line's entry in the ledger of that agent.
	delivered ledgerLine
	// report of that agent about the line; nil = it said nothing of it.
	report *reports.Line
	// rejected is why the agent refused the line's file; empty = it did not.
	rejected string
}

// rendering is the outcome of rendering an account, without the document.
type rendering struct {
	made     made
	address  string
	inline   []string
	warnings []string
	// secure: it has, or while it failed could have, TLS material.
	secure bool
	// failure is a condition's reason and message; reason empty = rendered.
	reason, message string
}

// home is the agent that holds a line's active binding.
type home struct {
	agent string
	slot  int32
	// ready is the agent's condition; since is when it last changed.
	ready bool
	since time.Time
}

// decideAccount gives the status, and when to look again (0 = on the next event).
func decideAccount(f accountFacts) (v1.SoftphoneAccountStatus, time.Duration) {
	status := *f.account.Status.DeepCopy()
	status.ObservedGeneration = f.account.Generation
	if f.rendered.address != "" {
		status.Address = f.rendered.address
	}
	c := conditionSet{&status.Conditions, f.account.Generation}
	accept(f, c)
	rendered(f, c)
	inlineSecret(f, c)
	schedule(f, c)
	again := soonest(register(f, &status, c), certificates(f, c))
	mediaReachable(f, c)
	c.write(judgeAccount(f, status))
	return status, again
}

// accept tells whether the account may run beside the others.
func accept(f accountFacts, c conditionSet) {
	if f.rival != "" {
		c.set(v1.ConditionAccepted, metav1.ConditionFalse, v1.ReasonNameConflict, conflictMessage(f))
		return
	}
	message := "the account may run"
	if len(f.rendered.warnings) > 0 {
		message += "; worth a look: " + strings.Join(f.rendered.warnings, "; ")
	}
	c.set(v1.ConditionAccepted, metav1.ConditionTrue, v1.ReasonAccepted, message)
}

func conflictMessage(f accountFacts) string {
	return fmt.Sprintf("%s is the address of the older SoftphoneAccount %s already: give this one another username or host, or delete one of the two", addressOrBest(f), f.rival)
}

func addressOrBest(f accountFacts) string {
	if f.rendered.address != "" {
		return f.rendered.address
	}
	return addressOf(f.account)
}

// rendered tells whether the account XML could be made.
func rendered(f accountFacts, c conditionSet) {
	if f.rendered.reason != "" {
		c.set(v1.ConditionRendered, metav1.ConditionFalse, f.rendered.reason, f.rendered.message)
		return
	}
	c.set(v1.ConditionRendered, metav1.ConditionTrue, v1.ReasonRendered, "the account XML is complete")
}

// inlineSecret is there while a secret stands in plain sight.
func inlineSecret(f accountFacts, c conditionSet) {
	if len(f.rendered.inline) == 0 {
		if f.rendered.reason == "" {
			c.remove(v1.ConditionInlineSecret)
		}
		return
	}
	c.set(v1.ConditionInlineSecret, metav1.ConditionTrue, v1.ReasonInlineSecret, fmt.Sprintf(
		"everyone who may read this object can read %s: move the value to a Secret and refer to it with secretKeyRef", strings.Join(f.rendered.inline, ", ")))
}

// schedule tells where the line runs.
func schedule(f accountFacts, c conditionSet) {
	switch {
	case f.placed != nil:
		c.set(v1.ConditionScheduled, metav1.ConditionTrue, v1.ReasonScheduled, "the line is placed on agent "+f.placed.agent)
	case f.rival != "":
		c.set(v1.ConditionScheduled, metav1.ConditionFalse, v1.ReasonNameConflict, "an account in conflict is not placed")
	case suspended(f):
		c.set(v1.ConditionScheduled, metav1.ConditionFalse, v1.ReasonSuspended, "a suspended account is not placed")
	case !f.fleetFound:
		c.set(v1.ConditionScheduled, metav1.ConditionFalse, v1.ReasonFleetNotFound, fleetNotFoundMessage(f))
	case f.rendered.reason != "":
		c.set(v1.ConditionScheduled, metav1.ConditionFalse, f.rendered.reason, "an account that cannot be rendered is not placed")
	default:
		c.set(v1.ConditionScheduled, metav1.ConditionFalse, v1.ReasonPlacing, "the line is about to be placed")
	}
}

func suspended(f accountFacts) bool { return f.account.Suspended() || f.fleetSuspended }

func fleetNotFoundMessage(f accountFacts) string {
	return fmt.Sprintf("SoftphoneFleet %s does not exist: create it, or take spec.fleet out to run in the built-in fleet default", f.account.FleetName())
}

// judgeAccount is the sum: the first row that holds wins.
func judgeAccount(f accountFacts, status v1.SoftphoneAccountStatus) verdict {
	switch {
	case f.rendered.reason != "":
		return stalled(f.rendered.reason, f.rendered.message+stillInForce(f))
	case f.rival != "":
		return stalled(v1.ReasonNameConflict, conflictMessage(f))
	case suspended(f) && (f.placed == nil || status.State == v1.StateDisabled):
		return ready(v1.ReasonSuspended, "the line is suspended")
	case f.placed == nil && !f.fleetFound:
		return reconciling(metav1.ConditionFalse, v1.ReasonFleetNotFound, fleetNotFoundMessage(f))
	case f.placed == nil:
		return reconciling(metav1.ConditionFalse, v1.ReasonPlacing, "the line is about to be placed on an agent")
	case f.rejected != "":
		return stalled(v1.ReasonRejectedByAgent, fmt.Sprintf("agent %s refuses the account XML, and the one before it stays in force: %s", f.placed.agent, f.rejected))
	}
	if f.delivered.current(f.rendered.made) && f.delivered.Kept {
		return stalled(v1.ReasonTooLarge, fmt.Sprintf("agent %s has no room for the account XML and its certificates: shorten them, or lower linesPerAgent of the fleet%s", f.placed.agent, stillInForce(f)))
	}
	v := judgeRegistration(f, status)
	if !v.stalled && (!f.delivered.current(f.rendered.made) || status.ReportedHash != status.DeliveredHash) {
		v.reconciling = true // the newest settings are on their way
	}
	return v
}

// stillInForce says that the line goes on with what it had.
func stillInForce(f accountFacts) string {
	if f.placed == nil || f.delivered.Delivered == "" {
		return ""
	}
	return " (the line keeps running with its last good settings)"
}

// judgeRegistration reads the verdict off the published registration.
func judgeRegistration(f accountFacts, status v1.SoftphoneAccountStatus) verdict {
	for _, c := range status.Conditions {
		if c.Type != v1.ConditionRegistered {
			continue
		}
		switch {
		case c.Status == metav1.ConditionTrue:
			return ready(v1.ReasonRegistered, c.Message)
		case c.Reason == v1.ReasonNotRegisteringByPolicy, c.Reason == v1.ReasonTrunkUp:
			return ready(c.Reason, c.Message)
		case mustMend[c.Reason]:
			return stalled(c.Reason, c.Message)
		}
		return reconciling(c.Status, c.Reason, c.Message)
	}
	return reconciling(metav1.ConditionUnknown, v1.ReasonNoReport, "agent "+f.placed.agent+" has not reported the line yet")
}

// mustMend are the reasons that no waiting helps against.
var mustMend = map[string]bool{
	v1.ReasonUnauthorized: true, v1.ReasonForbidden: true, v1.ReasonUserNotFound: true, v1.ReasonUnsupportedDigest: true,
	v1.ReasonHostNotFound: true, v1.ReasonBadConfiguration: true,
}

// lineStates names an agent's states as the API does.
var lineStates = map[delivery.State]v1.LineState{
	delivery.Idle: v1.StateIdle, delivery.Registering: v1.StateRegistering, delivery.Registered: v1.StateRegistered,
	delivery.Unauthorized: v1.StateUnauthorized, delivery.Error: v1.StateError, delivery.Disabled: v1.StateDisabled,
}
