package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
)

// Rights, and why. Secrets and pods: create and patch are what server-side apply needs. Pods are
// deleted when they failed, are outdated or lost their node; Secrets go with
// their owner. Nodes are read to tell a lost node and a cordoned one. patch on
// the status of agents; update on their finalizers is what the API server asks
// of whoever names them as a blocking owner.
//
// +kubebuilder:rbac:groups=voip.softphone.dev,resources=softphoneagents,verbs=list;watch
// +kubebuilder:rbac:groups=voip.softphone.dev,resources=softphoneagents/status,verbs=patch
// +kubebuilder:rbac:groups=voip.softphone.dev,resources=softphoneagents/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=nodes,verbs=list;watch

// agentReconciler delivers the lines of agents, keeps their pods and follows
// their reports.
type agentReconciler struct {
	client.Client
	objects objects
	reader  *reports.Reader
	wakeup  *wakeup
	image   string
	// writes spaces the writes of one agent's Secret, counts those of numbers in its status.
	writes, counts *spacing
	touches        *touches
	written        *written
}

// Reconcile brings one agent's files, pod and status up to date.
func (r *agentReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	agent := &v1.SoftphoneAgent{}
	if err := r.Get(ctx, req.NamespacedName, agent); err != nil {
		r.forget(req)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !agent.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	f, err := r.gather(ctx, agent)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("agent %s: %w", req, err)
	}
	again, err := run(ctx, f, r.deliver, r.keepPod, r.follow, r.refresh)
	later, statusErr := r.write(ctx, f)
	return ctrl.Result{RequeueAfter: soonest(again, later)}, errors.Join(err, statusErr)
}

// step does one thing for an agent and tells when to come back for it (0 = on the next event).
type step func(ctx context.Context, f *agentFacts) (time.Duration, error)

// run takes the steps in order. The first error ends it.
func run(ctx context.Context, f *agentFacts, steps ...step) (again time.Duration, err error) {
	for _, s := range steps {
		after, err := s(ctx, f)
		if err != nil {
			return 0, err
		}
		again = soonest(again, after)
	}
	return again, nil
}

// soonest of two waits, 0 being none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// forget drops what is remembered of an agent that is gone.
func (r *agentReconciler) forget(req ctrl.Request) {
	r.reader.Forget(req.NamespacedName)
	r.writes.forget(req.NamespacedName)
	r.counts.forget(req.NamespacedName)
	r.touches.forget(req.NamespacedName)
	r.written.forget(req.NamespacedName)
}

// write patches the status when it differs. Numbers alone are written once a
// second at most.
func (r *agentReconciler) write(ctx context.Context, f *agentFacts) (time.Duration, error) {
	status, again := decideAgent(f)
	if equality.Semantic.DeepEqual(f.agent.Status, status) {
		return again, nil
	}
	key := client.ObjectKeyFromObject(f.agent)
	if onlyCounts(f.agent.Status, status) {
		if wait := r.counts.wait(key, f.now); wait > 0 {
			return soonest(again, wait), nil
		}
	}
	r.counts.done(key, f.now)
	old := f.agent.DeepCopy()
	f.agent.Status = status
	_, err := patchStatus(ctx, r.Client, f.agent, old, managerAgent)
	return again, err
}

// SetupWithManager says what wakes the reconciler.
func (r *agentReconciler) SetupWithManager(mgr ctrl.Manager) error {
	lookup := lookups{r.Client}
	return ctrl.NewControllerManagedBy(mgr).Named("agent").
		For(&v1.SoftphoneAgent{}).
		Owns(&corev1.Pod{}).
		Watches(&v1.SoftphoneAgent{}, lookup.peersOfAgent()).
		Watches(&v1.SoftphoneAccount{}, lookup.agentsOfAccount()).
		Watches(&v1.SoftphoneProfile{}, lookup.agentsOfProfile(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1.SoftphoneAccount{}, lookup.agentsCalling()).
		Watches(&v1.CallCheck{}, lookup.agentsOfCheck()).
		Watches(&v1.SoftphoneFleet{}, lookup.agentsOfFleet(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Node{}, lookup.agentsOnNode()).
		WatchesMetadata(&corev1.Secret{}, lookup.agentsOfReferenced(indexSecret)).
		WatchesMetadata(&corev1.ConfigMap{}, lookup.agentsOfReferenced(indexConfigMap)).
		WatchesRawSource(r.wakeup.source()).
		WithOptions(options(4)).
		Complete(r)
}

// podOf names the pod of an agent.
func podOf(agent *v1.SoftphoneAgent) client.ObjectKey { return client.ObjectKeyFromObject(agent) }

func secretOf(agent *v1.SoftphoneAgent) client.ObjectKey {
	return client.ObjectKey{Namespace: agent.Namespace, Name: podspec.SecretName(agent.Name)}
}
