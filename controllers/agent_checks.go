package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// mostCheckBytes is the room for checks in an agent's Secret, beside the lines'
// documents, agent.json and the credentials: about 130 of them.
const mostCheckBytes = 80_000

// noRoom stands in the ledger for a check that did not fit.
const noRoom = "-"

// gatherChecks finds the checks that this agent runs: those that call from a line
// it holds. While a line moves, and is active on two, only one of them runs its checks.
func (r *agentReconciler) gatherChecks(ctx context.Context, f *agentFacts) error {
	f.checks = map[string][]byte{}
	var all v1.CallCheckList
	if err := r.List(ctx, &all, client.InNamespace(f.agent.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("checks: %w", err)
	}
	held := map[string]bool{} // by line, as far as it was asked
	for _, l := range f.lines {
		if l.binding.State != v1.BindingDraining {
			held[l.account.Name] = false
		}
	}
	for i := range all.Items {
		chk := &all.Items[i]
		if _, here := held[chk.Spec.From]; !here || !chk.DeletionTimestamp.IsZero() {
			continue
		}
		resolved, err := resolveCheck(ctx, r.Client, chk)
		if err != nil {
			return err
		}
		if resolved.problem != nil || resolved.waiting != "" {
			continue
		}
		if !held[chk.Spec.From] {
			holds, err := r.holds(ctx, f.agent, resolved.from)
			if err != nil {
				return err
			}
			if !holds {
				delete(held, chk.Spec.From)
				continue
			}
			held[chk.Spec.From] = true
		}
		f.checks[chk.Name] = render.CheckFile(resolved.check)
	}
	fitChecks(f.checks)
	return nil
}

// fitChecks leaves of the checks what there is room for, in the order of their
// names; the others keep their place without content.
func fitChecks(checks map[string][]byte) {
	room := mostCheckBytes
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		if room -= len(checks[name]) + len(name); room < 0 {
			checks[name] = nil
		}
	}
}

// holds tells whether the agent is the one that speaks for a line.
func (r *agentReconciler) holds(ctx context.Context, agent *v1.SoftphoneAgent, acc *v1.SoftphoneAccount) (bool, error) {
	best, _, err := holderOf(ctx, r.Client, r.reader, acc)
	return best != nil && best.Name == agent.Name, err
}

// holderOf finds the agent that speaks for a line; nil = none has it.
func holderOf(ctx context.Context, c client.Reader, reader *reports.Reader, acc *v1.SoftphoneAccount) (*v1.SoftphoneAgent, v1.LineBinding, error) {
	var agents v1.SoftphoneAgentList
	if err := c.List(ctx, &agents, client.InNamespace(acc.Namespace), client.MatchingFields{indexLine: acc.Name}); err != nil {
		return nil, v1.LineBinding{}, err
	}
	agent, binding := holder(acc, agents.Items, func(agent *v1.SoftphoneAgent) bool {
		l, ok := reader.Line(client.ObjectKeyFromObject(agent), acc.Name)
		return ok && reports.Healthy(l.State)
	})
	return agent, binding, nil
}

// addChecks puts the checks among an agent's files and their hashes into the ledger.
func (f *agentFacts) addChecks(files map[string][]byte, hasher delivery.Hasher) map[string]string {
	hashes := map[string]string{}
	for name, content := range f.checks {
		if content == nil {
			hashes[name] = noRoom
			continue
		}
		files[delivery.CheckFile(name)] = content
		hashes[name] = hasher.Document(content)
	}
	return hashes
}

// labels of the agent's accounts that its metrics carry, by line.
func (f *agentFacts) labels() map[string]map[string]string {
	var all map[string]map[string]string
	for _, l := range f.lines {
		if values := f.settings.Labels(l.account.Labels); values != nil {
			if all == nil {
				all = map[string]map[string]string{}
			}
			all[l.binding.Name] = values
		}
	}
	return all
}
