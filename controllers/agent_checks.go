package controllers

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// gatherChecks finds the checks that this agent runs: those that call from a line
// it holds. While a line moves, and is active on two, only one of them runs its checks.
func (r *agentReconciler) gatherChecks(ctx context.Context, f *agentFacts) error {
	f.checks = map[string][]byte{}
	for _, l := range f.lines {
		if l.binding.State == v1.BindingDraining {
			continue
		}
		checks, err := checksFrom(ctx, r.Client, f.agent.Namespace, l.account.Name)
		if err != nil {
			return err
		}
		if len(checks) == 0 {
			continue
		}
		holds, err := r.holds(ctx, f.agent, l.account)
		if err != nil {
			return err
		}
		if !holds {
			continue
		}
		for i := range checks {
			resolved, err := resolveCheck(ctx, r.Client, &checks[i])
			if err != nil {
				return err
			}
			if checks[i].DeletionTimestamp.IsZero() && resolved.problem == nil && resolved.waiting == "" {
				f.checks[checks[i].Name] = render.CheckFile(resolved.check)
			}
		}
	}
	return nil
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
