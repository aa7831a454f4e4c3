package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/placement"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// gather reads a namespace; agents come from the given reader, by name.
func (r *placementReconciler) gather(ctx context.Context, namespace string, from client.Reader) (placement.Snapshot, map[string]*v1.SoftphoneAgent, error) {
	s := placement.Snapshot{
		Capacity: map[string]int{}, Registered: map[placement.At]bool{}, Drained: map[placement.At]bool{}, Reserved: map[string]bool{},
	}
	var agents v1.SoftphoneAgentList
	if err := from.List(ctx, &agents, client.InNamespace(namespace)); err != nil {
		return s, nil, fmt.Errorf("agents: %w", err)
	}
	pods, err := r.pods(ctx, namespace)
	if err != nil {
		return s, nil, err
	}
	for name := range pods {
		s.Reserved[name] = true // a pod of a former agent may still be ending
	}
	var accounts v1.SoftphoneAccountList
	if err := r.List(ctx, &accounts, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return s, nil, fmt.Errorf("accounts: %w", err)
	}
	resting := restingStates(accounts.Items)
	byName := map[string]*v1.SoftphoneAgent{}
	for i := range agents.Items {
		a := &agents.Items[i]
		if !a.DeletionTimestamp.IsZero() {
			s.Reserved[a.Name] = true
			continue
		}
		byName[a.Name] = a
		leaving, err := r.leaving(ctx, pods[a.Name])
		if err != nil {
			return s, nil, err
		}
		s.Agents = append(s.Agents, snapshotOf(a, leaving))
		r.progress(a, pods[a.Name], resting, &s)
	}
	return s, byName, r.lines(ctx, namespace, accounts.Items, &s)
}

func (r *placementReconciler) pods(ctx context.Context, namespace string) (map[string]*corev1.Pod, error) {
	var list corev1.PodList
	if err := r.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{podspec.LabelName: podspec.NameAgent}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("pods: %w", err)
	}
	out := map[string]*corev1.Pod{}
	for i := range list.Items {
		out[list.Items[i].Name] = &list.Items[i]
	}
	return out, nil
}

// leaving tells whether the agent's node is cordoned: its lines move before the
// eviction comes.
func (r *placementReconciler) leaving(ctx context.Context, pod *corev1.Pod) (bool, error) {
	if pod == nil || pod.Spec.NodeName == "" {
		return false, nil
	}
	node, err := get(ctx, r.Client, types.NamespacedName{Name: pod.Spec.NodeName}, &corev1.Node{})
	if err != nil || node == nil {
		return false, err
	}
	return node.Spec.Unschedulable, nil
}

func snapshotOf(a *v1.SoftphoneAgent, leaving bool) placement.Agent {
	out := placement.Agent{Name: a.Name, Fleet: a.Spec.Fleet, Leaving: leaving}
	for _, b := range a.Spec.Lines {
		out.Bindings = append(out.Bindings, placement.Binding{Line: b.Name, Slot: int(b.Slot), Draining: b.State == v1.BindingDraining})
	}
	return out
}

// restingStates are the states besides registered in which lines are where they
// shall be: trunks, and what was found not to register by its settings, or is
// suspended. A line that has just started is idle, too, and is not there yet.
func restingStates(accounts []v1.SoftphoneAccount) map[string]v1.LineState {
	out := map[string]v1.LineState{}
	for i := range accounts {
		acc := &accounts[i]
		switch state := acc.Status.State; {
		case state == v1.StateIdle, state == v1.StateDisabled:
			out[acc.Name] = state
		case acc.IsTrunk():
			out[acc.Name] = v1.StateIdle
		}
	}
	return out
}

// progress tells where lines have arrived, and where nothing is left of them.
func (r *placementReconciler) progress(a *v1.SoftphoneAgent, pod *corev1.Pod, resting map[string]v1.LineState, s *placement.Snapshot) {
	key := client.ObjectKeyFromObject(a)
	agent, followed := r.reader.Agent(key)
	for _, b := range a.Spec.Lines {
		at := placement.At{Agent: a.Name, Line: b.Name}
		line, reported := r.reader.Line(key, b.Name)
		arrived := line.State == delivery.Registered || reports.Healthy(line.State) && lineStates[line.State] == resting[b.Name]
		s.Registered[at] = reported && arrived && line.Slot == int(b.Slot)
		switch {
		case pod == nil, pod.Status.Phase == corev1.PodPending:
			s.Drained[at] = true // no process could hold anything
		case followed && agent.Connected && agent.Ready:
			s.Drained[at] = !reported || line.DrainState == delivery.Gone
		}
	}
}

// lines adds the accounts of the namespace and the capacities of their fleets.
func (r *placementReconciler) lines(ctx context.Context, namespace string, accounts []v1.SoftphoneAccount, s *placement.Snapshot) error {
	homes := map[string]string{}
	fleets := map[string]fleetStanding{}
	for _, a := range s.Agents {
		for _, b := range a.Bindings {
			homes[b.Line] = a.Fleet
		}
		if err := r.fleet(ctx, namespace, a.Fleet, fleets); err != nil {
			return err
		}
	}
	for i := range accounts {
		acc := &accounts[i]
		if err := r.fleet(ctx, namespace, acc.FleetName(), fleets); err != nil {
			return err
		}
		if line, ok := lineOf(acc, fleets[acc.FleetName()], homes[acc.Name]); ok {
			s.Lines = append(s.Lines, line)
		}
	}
	for name, f := range fleets {
		s.Capacity[name] = f.capacity
	}
	return nil
}

// fleetStanding is what placement must know of a fleet.
type fleetStanding struct {
	found, suspended bool
	capacity         int
}

func (r *placementReconciler) fleet(ctx context.Context, namespace, name string, known map[string]fleetStanding) error {
	if _, ok := known[name]; ok {
		return nil
	}
	settings, found, err := fleetOf(ctx, r.Client, namespace, name)
	if err != nil {
		return err
	}
	known[name] = fleetStanding{found, settings.Suspend, settings.LinesPerAgent}
	return nil
}

// lineOf tells whether and how an account takes part in placement. home is the
// fleet of the agent that holds it, empty when none does.
func lineOf(acc *v1.SoftphoneAccount, fleet fleetStanding, home string) (placement.Line, bool) {
	accepted := meta.FindStatusCondition(acc.Status.Conditions, v1.ConditionAccepted)
	if !acc.DeletionTimestamp.IsZero() || accepted != nil && accepted.Status == metav1.ConditionFalse {
		return placement.Line{}, false // gone, or in conflict with an older one
	}
	line := placement.Line{Name: acc.Name, Fleet: acc.FleetName(), LastSlot: int(acc.Status.Slot)}
	if !fleet.found && home != "" {
		line.Fleet = home // what runs goes on until the fleet it shall run in exists
	}
	sound := accepted != nil && accepted.ObservedGeneration == acc.Generation && conditionIs(acc.Status.Conditions, v1.ConditionRendered, metav1.ConditionTrue)
	line.Hold = !sound || !fleet.found || fleet.suspended || acc.Suspended()
	return line, true
}

// placeable lets those changes of accounts pass that placement looks at.
func placeable() predicate.Predicate {
	standing := func(o client.Object) [3]string {
		acc := o.(*v1.SoftphoneAccount)
		out := [3]string{fmt.Sprint(acc.Generation, acc.UID, acc.DeletionTimestamp != nil)}
		for i, condition := range []string{v1.ConditionAccepted, v1.ConditionRendered} {
			if c := meta.FindStatusCondition(acc.Status.Conditions, condition); c != nil {
				out[i+1] = fmt.Sprint(c.Status, c.ObservedGeneration)
			}
		}
		return out
	}
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool { return standing(e.ObjectOld) != standing(e.ObjectNew) }}
}

// podMoved lets a pod's coming, going and start pass.
func podMoved() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		was, is := e.ObjectOld.(*corev1.Pod), e.ObjectNew.(*corev1.Pod)
		return was.Spec.NodeName != is.Spec.NodeName || was.Status.Phase != is.Status.Phase
	}}
}

// differs tells whether placement wants anything else than there is.
func differs(agents map[string]*v1.SoftphoneAgent, wanted []placement.Agent) bool {
	for _, w := range wanted {
		is, ok := agents[w.Name]
		if !ok || len(w.Bindings) == 0 || !sameBindings(is.Spec.Lines, w.Bindings) {
			return true
		}
	}
	return false
}

func sameBindings(is []v1.LineBinding, wanted []placement.Binding) bool {
	if len(is) != len(wanted) {
		return false
	}
	by := make(map[string]v1.LineBinding, len(is))
	for _, b := range is {
		by[b.Name] = b
	}
	for _, w := range wanted {
		b, ok := by[w.Line]
		if !ok || int(b.Slot) != w.Slot || (b.State == v1.BindingDraining) != w.Draining {
			return false
		}
	}
	return true
}
