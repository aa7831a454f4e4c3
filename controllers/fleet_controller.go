package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
)

// Rights, and why. NetworkPolicies and PodDisruptionBudgets: create and patch are what
// server-side apply needs; they are deleted with the last agent.
//
// +kubebuilder:rbac:groups=voip.softphone.dev,resources=softphonefleets/status,verbs=patch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=list;watch;create;patch;delete

// fleetReconciler guards the agents of a fleet and sums the fleet up. A fleet
// without an object (default) has no status, but is guarded all the same.
type fleetReconciler struct {
	client.Client
	reader *reports.Reader
	wakeup *wakeup
	// managerNamespace is where the manager's pods run; empty = outside of the cluster.
	managerNamespace string
	counts           *spacing
	claims           *claims
}

// Reconcile brings one fleet's guards and status up to date.
func (r *fleetReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	f, err := r.gather(ctx, req)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("fleet %s: %w", req, err)
	}
	if err := r.guard(ctx, f); err != nil {
		return ctrl.Result{}, fmt.Errorf("fleet %s: %w", req, err)
	}
	if f.fleet == nil {
		r.counts.forget(req.NamespacedName)
		r.claims.forget(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	again, err := r.write(ctx, f)
	if f.prompts != nil {
		again = soonest(again, f.prompts.again)
	}
	return ctrl.Result{RequeueAfter: again}, err
}

// guard keeps the fleet's NetworkPolicy and PodDisruptionBudget while it has agents.
func (r *fleetReconciler) guard(ctx context.Context, f *fleetFacts) error {
	key := client.ObjectKey{Namespace: f.key.Namespace, Name: podspec.FleetObjectName(f.key.Name)}
	policy, err := get(ctx, r.Client, key, &networkingv1.NetworkPolicy{})
	if err != nil {
		return err
	}
	budget, err := get(ctx, r.Client, key, &policyv1.PodDisruptionBudget{})
	if err != nil {
		return err
	}
	if len(f.agents) == 0 {
		return r.unguard(ctx, policy, budget)
	}
	wantPolicy := podspec.NetworkPolicy(key.Namespace, f.key.Name, r.managerNamespace)
	if policy == nil || !equality.Semantic.DeepEqual(policy.Spec, wantPolicy.Spec) {
		if err := apply(ctx, r.Client, wantPolicy, managerFleet); err != nil {
			return err
		}
	}
	wantBudget := podspec.DisruptionBudget(key.Namespace, f.key.Name, f.holding())
	if budget == nil || !equality.Semantic.DeepEqual(budget.Spec, wantBudget.Spec) {
		return apply(ctx, r.Client, wantBudget, managerFleet)
	}
	return nil
}

func (r *fleetReconciler) unguard(ctx context.Context, policy *networkingv1.NetworkPolicy, budget *policyv1.PodDisruptionBudget) error {
	if policy != nil {
		if err := client.IgnoreNotFound(r.Delete(ctx, policy)); err != nil {
			return fmt.Errorf("delete the NetworkPolicy: %w", err)
		}
	}
	if budget != nil {
		if err := client.IgnoreNotFound(r.Delete(ctx, budget)); err != nil {
			return fmt.Errorf("delete the PodDisruptionBudget: %w", err)
		}
	}
	return nil
}

// write patches the status when it differs; numbers alone once a second at most.
func (r *fleetReconciler) write(ctx context.Context, f *fleetFacts) (time.Duration, error) {
	status := decideFleet(f)
	if equality.Semantic.DeepEqual(f.fleet.Status, status) {
		return 0, nil
	}
	if equality.Semantic.DeepEqual(f.fleet.Status.Conditions, status.Conditions) && f.fleet.Status.ObservedGeneration == status.ObservedGeneration {
		if wait := r.counts.wait(f.key, f.now); wait > 0 {
			return wait, nil
		}
	}
	r.counts.done(f.key, f.now)
	old := f.fleet.DeepCopy()
	f.fleet.Status = status
	_, err := patchStatus(ctx, r.Client, f.fleet, old, managerFleet)
	return 0, err
}

// SetupWithManager says what wakes the reconciler.
func (r *fleetReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("fleet").
		For(&v1.SoftphoneFleet{}).
		Watches(&v1.SoftphoneAgent{}, ownFleet()).
		Watches(&v1.SoftphoneAccount{}, ownFleet()).
		Watches(&networkingv1.NetworkPolicy{}, ownFleet()).
		Watches(&policyv1.PodDisruptionBudget{}, ownFleet()).
		WatchesMetadata(&corev1.ConfigMap{}, lookups{r.Client}.fleetsOfPrompts()).
		WatchesRawSource(r.wakeup.source()).
		WithOptions(options(2)).
		Complete(r)
}
