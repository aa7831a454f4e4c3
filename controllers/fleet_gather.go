package controllers

import (
	"context"
	"fmt"
	"time"

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
	// registered, up (trunks whose server is there) and unreachable count reports of lines.
	registered, up, unreachable int
	// prompts is nil when the fleet has none.
	prompts *promptsFacts
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
	if f.prompts, err = r.gatherPrompts(ctx, f.fleet, f.now); err != nil {
		return nil, err
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
	case line.State == delivery.Idle:
		f.up++
	case line.Problem == delivery.ProblemTimeout, line.Problem == delivery.ProblemUnreachable, line.Problem == delivery.ProblemServer, line.Problem == delivery.ProblemDNS:
		f.unreachable++
	}
}
