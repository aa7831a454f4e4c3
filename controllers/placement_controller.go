package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/placement"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
)

// Rights, and why. create, patch and delete of agents: they are the operator's own.
//
// +kubebuilder:rbac:groups=voip.softphone.dev,resources=softphoneagents,verbs=create;patch;delete

// placementReconciler binds the lines of a namespace to agents. It makes agents,
// and removes those that have nothing left to do.
type placementReconciler struct {
	client.Client
	live   client.Reader
	reader *reports.Reader
	wakeup *wakeup
}

// Reconcile places the lines of one namespace (the request's name).
func (r *placementReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	snapshot, agents, err := r.gather(ctx, req.Name, r.Client)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("placement in %s: %w", req.Name, err)
	}
	if !differs(agents, placement.Compute(snapshot)) {
		return ctrl.Result{}, nil
	}
	// The cache may be behind our own last write: decide again on what really is.
	if snapshot, agents, err = r.gather(ctx, req.Name, r.live); err != nil {
		return ctrl.Result{}, fmt.Errorf("placement in %s: %w", req.Name, err)
	}
	if err := r.write(ctx, req.Name, agents, placement.Compute(snapshot)); err != nil {
		return ctrl.Result{}, fmt.Errorf("placement in %s: %w", req.Name, err)
	}
	return ctrl.Result{}, nil
}

// write makes the agents what placement wants them to be.
func (r *placementReconciler) write(ctx context.Context, namespace string, agents map[string]*v1.SoftphoneAgent, wanted []placement.Agent) error {
	for _, w := range wanted {
		is := agents[w.Name]
		switch {
		case len(w.Bindings) == 0 && is == nil:
		case len(w.Bindings) == 0:
			if err := r.remove(ctx, is); err != nil {
				return err
			}
		case is == nil || !sameBindings(is.Spec.Lines, w.Bindings):
			if err := apply(ctx, r.Client, agentObject(namespace, is, w), managerPlacement); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *placementReconciler) remove(ctx context.Context, agent *v1.SoftphoneAgent) error {
	err := r.Delete(ctx, agent, client.Preconditions(metav1.Preconditions{UID: &agent.UID, ResourceVersion: &agent.ResourceVersion}))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("remove agent %s: %w", agent.Name, err)
	}
	return nil
}

// agentObject is the agent with the bindings wanted. It is written over the
// version it was decided from, or not at all.
func agentObject(namespace string, is *v1.SoftphoneAgent, w placement.Agent) *v1.SoftphoneAgent {
	out := &v1.SoftphoneAgent{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1.GroupVersion.String(), Kind: "SoftphoneAgent"},
		ObjectMeta: metav1.ObjectMeta{Name: w.Name, Namespace: namespace, Labels: podspec.Labels(w.Fleet)},
		Spec:       v1.SoftphoneAgentSpec{Fleet: w.Fleet},
	}
	if is != nil {
		out.UID, out.ResourceVersion = is.UID, is.ResourceVersion
	}
	for _, b := range w.Bindings {
		state := v1.BindingActive
		if b.Draining {
			state = v1.BindingDraining
		}
		out.Spec.Lines = append(out.Spec.Lines, v1.LineBinding{Name: b.Line, Slot: int32(b.Slot), State: state})
	}
	return out
}

// SetupWithManager says what wakes the reconciler.
func (r *placementReconciler) SetupWithManager(mgr ctrl.Manager) error {
	lookup := lookups{r.Client}
	return ctrl.NewControllerManagedBy(mgr).Named("placement").
		Watches(&v1.SoftphoneAccount{}, namespaceOf(), builder.WithPredicates(placeable())).
		Watches(&v1.SoftphoneAgent{}, namespaceOf(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1.SoftphoneFleet{}, namespaceOf(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Node{}, lookup.namespacesOnNode()).
		Watches(&corev1.Pod{}, namespaceOf(), builder.WithPredicates(podMoved())).
		WatchesRawSource(r.wakeup.source()).
		WithOptions(options(1)).
		Complete(r)
}
