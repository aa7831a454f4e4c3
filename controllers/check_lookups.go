package controllers

import (
	"context"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
)

// checks gives the checks that an index has under a line's name.
func (l lookups) checks(ctx context.Context, namespace, index, line string) []v1.CallCheck {
	var list v1.CallCheckList
	err := l.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{index: line}, client.UnsafeDisableDeepCopy)
	if err != nil {
		log.FromContext(ctx).Error(err, "cannot look up checks", "index", index, "key", line)
	}
	return list.Items
}

func (l lookups) checkRequests(ctx context.Context, namespace string, lines ...string) requests {
	var out requests
	for _, line := range lines {
		for _, c := range l.checks(ctx, namespace, indexFrom, line) {
			out = append(out, request(c.Namespace, c.Name))
		}
	}
	return out
}

// sameAccount tells whether checks see no difference between two states of an account.
func sameAccount(before, after client.Object) bool {
	was, _ := before.(*v1.SoftphoneAccount)
	is, _ := after.(*v1.SoftphoneAccount)
	return was != nil && is != nil && was.UID == is.UID && was.Suspended() == is.Suspended() && was.FleetName() == is.FleetName() && addressOf(was) == addressOf(is) &&
		was.DeletionTimestamp.IsZero() == is.DeletionTimestamp.IsZero()
}

// checksOfAccount: the checks that call from an account, or to it.
func (l lookups) checksOfAccount() handler.EventHandler {
	return changes(func(ctx context.Context, before, after client.Object) requests {
		if sameAccount(before, after) {
			return nil
		}
		o := either(before, after)
		out := l.checkRequests(ctx, o.GetNamespace(), o.GetName())
		for _, c := range l.checks(ctx, o.GetNamespace(), indexTo, o.GetName()) {
			out = append(out, request(c.Namespace, c.Name))
		}
		return out
	})
}

// checksOfFleet: the checks of a fleet's accounts, which it guards.
func (l lookups) checksOfFleet() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) requests {
		var out requests
		for _, acc := range l.accounts(ctx, o.GetNamespace(), indexFleet, o.GetName()) {
			out = append(out, l.checkRequests(ctx, acc.Namespace, acc.Name)...)
		}
		return out
	})
}

// checksOfAgent: the checks from lines whose binding changed.
func (l lookups) checksOfAgent() handler.EventHandler {
	return changes(func(ctx context.Context, before, after client.Object) requests {
		was, is := agentBindings(before), agentBindings(after)
		var lines []string
		for name, b := range is {
			if was[name] != b {
				lines = append(lines, name)
			}
		}
		for name := range was {
			if _, still := is[name]; !still {
				lines = append(lines, name)
			}
		}
		return l.checkRequests(ctx, either(before, after).GetNamespace(), lines...)
	})
}

// checksOfSecret: of an agent's own Secret the checks of which something else was delivered.
func checksOfSecret() handler.EventHandler {
	return changes(func(_ context.Context, before, after client.Object) requests {
		o := either(before, after)
		if o.GetLabels()[podspec.LabelAgent] == "" {
			return nil
		}
		var was, is ledger
		if before != nil {
			was = readLedger(before.GetAnnotations())
		}
		if after != nil {
			is = readLedger(after.GetAnnotations())
		}
		names := map[string]bool{}
		for name, hash := range is.Checks {
			names[name] = was.Checks[name] != hash
		}
		for name := range was.Checks {
			names[name] = names[name] || is.Checks[name] == ""
		}
		var out requests
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if names[name] {
				out = append(out, request(o.GetNamespace(), name))
			}
		}
		return out
	})
}

// agentsOfCheck: the agents that hold the line a check calls from, when what the
// user wrote changed.
func (l lookups) agentsOfCheck() handler.EventHandler {
	return changes(func(ctx context.Context, before, after client.Object) requests {
		was, _ := before.(*v1.CallCheck)
		is, _ := after.(*v1.CallCheck)
		if was != nil && is != nil && was.Generation == is.Generation && was.Annotations[v1.AnnotationRunAt] == is.Annotations[v1.AnnotationRunAt] && was.UID == is.UID {
			return nil
		}
		var out requests
		for _, c := range []*v1.CallCheck{was, is} {
			if c != nil {
				out = append(out, agentRequests(l.agents(ctx, c.Namespace, indexLine, c.Spec.From))...)
			}
		}
		return out
	})
}

// agentsCalling: the agents whose checks call an account, when its address changed,
// and those that hold it, when its labels did.
func (l lookups) agentsCalling() handler.EventHandler {
	return changes(func(ctx context.Context, before, after client.Object) requests {
		o := either(before, after)
		var out requests
		if !sameAccount(before, after) {
			for _, c := range l.checks(ctx, o.GetNamespace(), indexTo, o.GetName()) {
				out = append(out, agentRequests(l.agents(ctx, c.Namespace, indexLine, c.Spec.From))...)
			}
		}
		if before != nil && after != nil && !maps.Equal(before.GetLabels(), after.GetLabels()) {
			out = append(out, agentRequests(l.agents(ctx, o.GetNamespace(), indexLine, o.GetName()))...)
		}
		return out
	})
}
