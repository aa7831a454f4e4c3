package controllers

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// fleetFacts is everything a fleet is judged by.
type fleetFacts struct {
	key types.NamespacedName
	// fleet is nil when the fleet has no object.
	fleet  *v1.SoftphoneFleet
	now    time.Time
	agents []v1.SoftphoneAgent
	// lines are the fleet's accounts; unplaced those that wait for an agent.
	lines, unplaced int
	// registered and unreachable count reports of lines.
	registered, unreachable int
}

// holding counts the agents that hold lines.
func (f *fleetFacts) holding() int {
	n := 0
	for i := range f.agents {
		if len(f.agents[i].Spec.Lines) > 0 {
			n++
		}
	}
	return n
}

func (r *fleetReconciler) gather(ctx context.Context, req ctrl.Request) (*fleetFacts, error) {
	f := &fleetFacts{key: req.NamespacedName, now: time.Now()}
	var err error
	if f.fleet, err = get(ctx, r.Client, req.NamespacedName, &v1.SoftphoneFleet{}); err != nil {
		return nil, err
	}
	var agents v1.SoftphoneAgentList
	if err := r.List(ctx, &agents, client.InNamespace(req.Namespace), client.MatchingFields{indexFleet: req.Name}); err != nil {
		return nil, fmt.Errorf("agents: %w", err)
	}
	placed := map[string]bool{}
	for _, a := range agents.Items {
		if !a.DeletionTimestamp.IsZero() {
			continue
		}
		f.agents = append(f.agents, a)
		for _, b := range a.Spec.Lines {
			placed[b.Name] = true
			r.count(f, client.ObjectKeyFromObject(&a), b)
		}
	}
	if f.fleet == nil {
		return f, nil
	}
	var accounts v1.SoftphoneAccountList
	if err := r.List(ctx, &accounts, client.InNamespace(req.Namespace), client.MatchingFields{indexFleet: req.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	f.lines = len(accounts.Items)
	standing := fleetStanding{found: true, suspended: f.fleet.Spec.Suspend != nil && *f.fleet.Spec.Suspend}
	for i := range accounts.Items {
		if line, ok := lineOf(&accounts.Items[i], standing, ""); ok && !line.Hold && !placed[line.Name] {
			f.unplaced++
		}
	}
	return f, nil
}

// count takes one line's report into the sums.
func (r *fleetReconciler) count(f *fleetFacts, agent types.NamespacedName, b v1.LineBinding) {
	line, ok := r.reader.Line(agent, b.Name)
	if !ok || b.State == v1.BindingDraining {
		return
	}
	switch {
	case line.State == delivery.Registered:
		f.registered++
	case line.Problem == delivery.ProblemTimeout, line.Problem == delivery.ProblemUnreachable, line.Problem == delivery.ProblemServer, line.Problem == delivery.ProblemDNS:
		f.unreachable++
	}
}

// decideFleet gives the fleet's status.
func decideFleet(f *fleetFacts) v1.SoftphoneFleetStatus {
	status := *f.fleet.Status.DeepCopy()
	status.ObservedGeneration = f.fleet.Generation
	status.Agents, status.Lines, status.RegisteredLines, status.ReadyAgents = int32(len(f.agents)), int32(f.lines), int32(f.registered), 0
	progressing := ""
	for i := range f.agents {
		a := &f.agents[i]
		if agentReady(a) {
			status.ReadyAgents++
		} else if progressing == "" {
			progressing = fmt.Sprintf("agent %s is not ready", a.Name)
		}
	}
	c := conditionSet{&status.Conditions, f.fleet.Generation}
	if progressing != "" {
		c.set(v1.ConditionProgressing, metav1.ConditionTrue, v1.ReasonRollingOut, progressing)
	} else {
		c.set(v1.ConditionProgressing, metav1.ConditionFalse, v1.ReasonAsDesired, "every agent is as it should be")
	}
	c.write(judgeFleet(f, progressing))
	return status
}

// judgeFleet: the first row that holds wins.
func judgeFleet(f *fleetFacts, progressing string) verdict {
	for _, a := range f.agents {
		for _, c := range a.Status.Conditions {
			if c.Type == v1.ConditionStalled && c.Status == metav1.ConditionTrue {
				return stalled(c.Reason, c.Message)
			}
		}
	}
	switch {
	case f.unreachable > 0 && f.unreachable > f.registered:
		// One condition for thousands of lines, at once; nothing to mend in the fleet itself.
		return reconciling(metav1.ConditionFalse, v1.ReasonRegistrarUnreachable, fmt.Sprintf("%d of %d lines do not reach their registrar; the agents keep trying", f.unreachable, f.lines))
	case f.unplaced > 0:
		return reconciling(metav1.ConditionFalse, v1.ReasonPlacing, fmt.Sprintf("%d lines are about to be placed", f.unplaced))
	case progressing != "":
		return reconciling(metav1.ConditionFalse, v1.ReasonAgentNotReady, progressing)
	}
	return ready(v1.ReasonReady, "all agents run and no line waits")
}
