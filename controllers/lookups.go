package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
)

// lookups find what must be looked at when something else changed.
type lookups struct{ client.Reader }

type requests = []reconcile.Request

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// changes makes a handler of a function over the object before (nil when it is
// new) and after (nil when it is gone) an event.
func changes(find func(ctx context.Context, before, after client.Object) requests) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(ctx context.Context, q queue, before, after client.Object) {
		for _, req := range find(ctx, before, after) {
			q.Add(req)
		}
	}
	return handler.Funcs{
		CreateFunc:  func(ctx context.Context, e event.CreateEvent, q queue) { add(ctx, q, nil, e.Object) },
		UpdateFunc:  func(ctx context.Context, e event.UpdateEvent, q queue) { add(ctx, q, e.ObjectOld, e.ObjectNew) },
		DeleteFunc:  func(ctx context.Context, e event.DeleteEvent, q queue) { add(ctx, q, e.Object, nil) },
		GenericFunc: func(ctx context.Context, e event.GenericEvent, q queue) { add(ctx, q, e.Object, e.Object) },
	}
}

// either gives the newest state there is.
func either(before, after client.Object) client.Object {
	if after != nil {
		return after
	}
	return before
}

// accounts gives the accounts that an index has under a key.
func (l lookups) accounts(ctx context.Context, namespace, index, key string) []v1.SoftphoneAccount {
	var list v1.SoftphoneAccountList
	err := l.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{index: key}, client.UnsafeDisableDeepCopy)
	if err != nil {
		log.FromContext(ctx).Error(err, "cannot look up accounts", "index", index, "key", key)
	}
	return list.Items
}

// agents gives the agents that an index has under a key.
func (l lookups) agents(ctx context.Context, namespace, index, key string) []v1.SoftphoneAgent {
	var list v1.SoftphoneAgentList
	err := l.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{index: key}, client.UnsafeDisableDeepCopy)
	if err != nil {
		log.FromContext(ctx).Error(err, "cannot look up agents", "index", index, "key", key)
	}
	return list.Items
}

func accountRequests(accounts []v1.SoftphoneAccount) requests {
	out := make(requests, len(accounts))
	for i := range accounts {
		out[i] = request(accounts[i].Namespace, accounts[i].Name)
	}
	return out
}

func agentRequests(agents []v1.SoftphoneAgent) requests {
	out := make(requests, len(agents))
	for i := range agents {
		out[i] = request(agents[i].Namespace, agents[i].Name)
	}
	return out
}

// rivals: accounts of the same address, when one comes, goes or changes its claim.
func (l lookups) rivals() handler.EventHandler {
	claim := func(o client.Object) string {
		acc, ok := o.(*v1.SoftphoneAccount)
		if !ok || acc == nil || acc.Suspended() || !acc.DeletionTimestamp.IsZero() {
			return ""
		}
		return addressOf(acc)
	}
	return changes(func(ctx context.Context, before, after client.Object) requests {
		was, is := claim(before), claim(after)
		if was == is {
			return nil
		}
		o := either(before, after)
		var out requests
		for _, address := range append(nonEmpty(was), nonEmpty(is)...) {
			out = append(out, accountRequests(l.accounts(ctx, o.GetNamespace(), indexAddress, address))...)
		}
		return out
	})
}

// rivalsOfFleet: accounts of the same addresses as those of a fleet that is
// suspended, or no longer is.
func (l lookups) rivalsOfFleet() handler.EventHandler {
	suspended := func(o client.Object) bool {
		fleet, ok := o.(*v1.SoftphoneFleet)
		return ok && fleet.Spec.Suspend != nil && *fleet.Spec.Suspend
	}
	return changes(func(ctx context.Context, before, after client.Object) requests {
		if suspended(before) == suspended(after) {
			return nil
		}
		o := either(before, after)
		var out requests
		for _, acc := range l.accounts(ctx, o.GetNamespace(), indexFleet, o.GetName()) {
			if address := addressOf(&acc); address != "" {
				out = append(out, accountRequests(l.accounts(ctx, acc.Namespace, indexAddress, address))...)
			}
		}
		return out
	})
}

// fleets gives the fleets that refer to an object under an index.
func (l lookups) fleets(ctx context.Context, namespace, index, key string) []v1.SoftphoneFleet {
	var list v1.SoftphoneFleetList
	err := l.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{index: key}, client.UnsafeDisableDeepCopy)
	if err != nil {
		log.FromContext(ctx).Error(err, "cannot look up fleets", "index", index, "key", key)
	}
	return list.Items
}

// referring gives the accounts that an object under an index is part of: those
// that refer to it, and those of the profiles and fleets that do.
func (l lookups) referring(ctx context.Context, namespace, index, name string) requests {
	out := accountRequests(l.accounts(ctx, namespace, index, name))
	for _, f := range l.fleets(ctx, namespace, index, name) {
		out = append(out, accountRequests(l.accounts(ctx, namespace, indexFleet, f.Name))...)
	}
	for _, p := range l.profiles(ctx, namespace, index, name) {
		out = append(out, accountRequests(l.withProfile(ctx, namespace, p.Name))...)
	}
	return out
}

// accountsOfConfigMap: accounts that a ConfigMap is part of.
func (l lookups) accountsOfConfigMap() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) requests {
		return l.referring(ctx, o.GetNamespace(), indexConfigMap, o.GetName())
	})
}

// accountsOfFleet: the accounts of a fleet.
func (l lookups) accountsOfFleet() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) requests {
		return accountRequests(l.accounts(ctx, o.GetNamespace(), indexFleet, o.GetName()))
	})
}

// accountsOfSecret: accounts that a Secret is part of; of an agent's own Secret the
// lines of which something else was delivered.
func (l lookups) accountsOfSecret() handler.EventHandler {
	return changes(func(ctx context.Context, before, after client.Object) requests {
		o := either(before, after)
		if o.GetLabels()[podspec.LabelAgent] == "" {
			return l.referring(ctx, o.GetNamespace(), indexSecret, o.GetName())
		}
		var was ledger
		if before != nil {
			was = readLedger(before.GetAnnotations())
		}
		var out requests
		for name, entry := range readLedger(o.GetAnnotations()).Lines {
			if was.Lines[name] != entry {
				out = append(out, request(o.GetNamespace(), name))
			}
		}
		return out
	})
}

// linesOfAgent: lines whose binding changed; all of them when the agent's
// readiness did.
func (l lookups) linesOfAgent() handler.EventHandler {
	return changes(func(_ context.Context, before, after client.Object) requests {
		was, is := agentBindings(before), agentBindings(after)
		o := either(before, after)
		all := before == nil || after == nil || readinessChanged(before, after)
		var out requests
		for name, b := range is {
			if all || was[name] != b {
				out = append(out, request(o.GetNamespace(), name))
			}
		}
		for name := range was {
			if _, still := is[name]; !still {
				out = append(out, request(o.GetNamespace(), name))
			}
		}
		return out
	})
}

func agentBindings(o client.Object) map[string]v1.LineBinding {
	a, ok := o.(*v1.SoftphoneAgent)
	if !ok {
		return nil
	}
	out := make(map[string]v1.LineBinding, len(a.Spec.Lines))
	for _, b := range a.Spec.Lines {
		out[b.Name] = b
	}
	return out
}

func readinessChanged(before, after client.Object) bool {
	return agentReady(before.(*v1.SoftphoneAgent)) != agentReady(after.(*v1.SoftphoneAgent))
}

// agentReady tells whether the agent is Ready.
func agentReady(a *v1.SoftphoneAgent) bool {
	return conditionIs(a.Status.Conditions, v1.ConditionReady, metav1.ConditionTrue)
}

// agentsOfAccount: the agents that hold the line, when what the user wrote changed.
func (l lookups) agentsOfAccount() handler.EventHandler {
	return changes(func(ctx context.Context, before, after client.Object) requests {
		o := either(before, after)
		if before != nil && after != nil && before.GetGeneration() == after.GetGeneration() && before.GetUID() == after.GetUID() {
			return nil
		}
		return agentRequests(l.agents(ctx, o.GetNamespace(), indexLine, o.GetName()))
	})
}

// agentsOfReferenced: the agents of the lines of the accounts that refer to an
// object, and of the profiles and fleets that do.
func (l lookups) agentsOfReferenced(index string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) requests {
		if agent := o.GetLabels()[podspec.LabelAgent]; agent != "" {
			return requests{request(o.GetNamespace(), agent)}
		}
		out := l.agentsOfLines(ctx, l.accounts(ctx, o.GetNamespace(), index, o.GetName()))
		for _, p := range l.profiles(ctx, o.GetNamespace(), index, o.GetName()) {
			out = append(out, l.agentsOfLines(ctx, l.withProfile(ctx, p.Namespace, p.Name))...)
		}
		for _, f := range l.fleets(ctx, o.GetNamespace(), index, o.GetName()) {
			out = append(out, agentRequests(l.agents(ctx, f.Namespace, indexFleet, f.Name))...)
		}
		return out
	})
}

// agentsOfFleet: the agents of a fleet.
func (l lookups) agentsOfFleet() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) requests {
		return agentRequests(l.agents(ctx, o.GetNamespace(), indexFleet, o.GetName()))
	})
}

// peersOfAgent: the other agents of its fleet, which wait for it while they are
// rolled out and share with it what the fleet may ask of a registrar, when it is
// new or gone, or its readiness changed.
func (l lookups) peersOfAgent() handler.EventHandler {
	return changes(func(ctx context.Context, before, after client.Object) requests {
		if before != nil && after != nil && !readinessChanged(before, after) && before.GetDeletionTimestamp().IsZero() == after.GetDeletionTimestamp().IsZero() {
			return nil
		}
		o := either(before, after)
		return agentRequests(l.agents(ctx, o.GetNamespace(), indexFleet, o.(*v1.SoftphoneAgent).Spec.Fleet))
	})
}

// agentsOnNode: the agents of a node, when it is cordoned, lost, or back.
func (l lookups) agentsOnNode() handler.EventHandler {
	return changes(func(ctx context.Context, before, after client.Object) requests {
		var out requests
		for _, pod := range l.podsOnNode(ctx, before, after) {
			out = append(out, request(pod.Namespace, pod.Labels[podspec.LabelAgent]))
		}
		return out
	})
}

// namespacesOnNode: the namespaces of those agents.
func (l lookups) namespacesOnNode() handler.EventHandler {
	return changes(func(ctx context.Context, before, after client.Object) requests {
		var out requests
		for _, pod := range l.podsOnNode(ctx, before, after) {
			out = append(out, placementRequest(pod.Namespace))
		}
		return out
	})
}

// podsOnNode gives the agents' pods on a node whose standing changed. Nodes
// change all the time; this is about few of those changes.
func (l lookups) podsOnNode(ctx context.Context, before, after client.Object) []corev1.Pod {
	was, _ := before.(*corev1.Node)
	is, _ := after.(*corev1.Node)
	node := is
	if node == nil {
		node = was
	}
	if was != nil && is != nil && was.Spec.Unschedulable == is.Spec.Unschedulable && nodeReady(was) == nodeReady(is) {
		return nil
	}
	var pods corev1.PodList
	if err := l.List(ctx, &pods, client.MatchingFields{indexNode: node.Name}, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "cannot look up the pods of a node", "node", node.Name)
	}
	return pods.Items
}

// fleetOfObject: the fleet an agent, or an object around agents, belongs to.
func fleetOfObject(o client.Object) requests {
	switch o := o.(type) {
	case *v1.SoftphoneAgent:
		return requests{request(o.Namespace, o.Spec.Fleet)}
	case *v1.SoftphoneAccount:
		return requests{request(o.Namespace, o.FleetName())}
	}
	if fleet := o.GetLabels()[podspec.LabelFleet]; fleet != "" {
		return requests{request(o.GetNamespace(), fleet)}
	}
	return nil
}

// ownFleet wakes the fleet that an object belonged and belongs to.
func ownFleet() handler.EventHandler {
	return changes(func(_ context.Context, before, after client.Object) requests {
		var out requests
		for _, o := range []client.Object{before, after} {
			if o != nil {
				out = append(out, fleetOfObject(o)...)
			}
		}
		return out
	})
}

// fleetsOfPrompts: the fleets whose prompts are in a ConfigMap that came or went.
func (l lookups) fleetsOfPrompts() handler.EventHandler {
	return changes(func(ctx context.Context, before, after client.Object) requests {
		if before != nil && after != nil {
			return nil
		}
		var out requests
		o := either(before, after)
		for _, f := range l.fleets(ctx, o.GetNamespace(), indexPrompts, o.GetName()) {
			out = append(out, request(f.Namespace, f.Name))
		}
		return out
	})
}

// namespaceOf wakes placement, which looks at a namespace as a whole.
func namespaceOf() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) requests {
		return requests{placementRequest(o.GetNamespace())}
	})
}

func placementRequest(namespace string) ctrl.Request { return request("", namespace) }
