package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Rights, and why. list and watch: checks are delivered to agents. patch on their
// status, and nothing else of them: the rest is the user's.
//
// +kubebuilder:rbac:groups=voip.softphone.dev,resources=callchecks,verbs=list;watch
// +kubebuilder:rbac:groups=voip.softphone.dev,resources=callchecks/status,verbs=patch

// steadyInterval is the least time between two writes of the status of a check
// that has no news: every run is a change, but not one worth a write each.
const steadyInterval = time.Minute

// checkReconciler keeps the status of checks: it accepts them, and publishes what
// their agents report. Agents run them by themselves.
type checkReconciler struct {
	client.Client
	reader *reports.Reader
	events events.EventRecorder
	wakeup *wakeup
	// steady spaces writes without news.
	steady *spacing
}

// Reconcile brings one check's status up to date.
func (r *checkReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	chk := &v1.CallCheck{}
	if err := r.Get(ctx, req.NamespacedName, chk); err != nil {
		r.steady.forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !chk.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	facts, err := r.gather(ctx, chk)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("check %s: %w", req, err)
	}
	again, err := r.write(ctx, chk, decideCheck(facts))
	return ctrl.Result{RequeueAfter: again}, err
}

// write patches the status: news at once, the rest once in a while.
func (r *checkReconciler) write(ctx context.Context, chk *v1.CallCheck, status v1.CallCheckStatus) (time.Duration, error) {
	before := chk.Status
	if equality.Semantic.DeepEqual(before, status) {
		return 0, nil
	}
	key, now := client.ObjectKeyFromObject(chk), time.Now()
	if !isNews(before, status) {
		if wait := r.steady.wait(key, now); wait > 0 {
			return wait, nil
		}
	}
	old := chk.DeepCopy()
	chk.Status = status
	changed, err := patchStatus(ctx, r.Client, chk, old, managerCheck)
	if err != nil || !changed {
		return 0, err
	}
	r.steady.done(key, now)
	for _, n := range checkNews(before.Conditions, status.Conditions) {
		r.events.Eventf(chk, nil, n.kind, n.reason, n.action, "%s", n.note)
	}
	return 0, nil
}

// gather reads everything a check's status is decided from.
func (r *checkReconciler) gather(ctx context.Context, chk *v1.CallCheck) (checkFacts, error) {
	f := checkFacts{check: chk}
	var err error
	if f.resolved, err = resolveCheck(ctx, r.Client, chk); err != nil || f.resolved.from == nil {
		return f, err
	}
	agent, _, err := holderOf(ctx, r.Client, r.reader, f.resolved.from)
	if err != nil || agent == nil {
		return f, err
	}
	f.agent = agent.Name
	entry, err := ledgerOf(ctx, r.Client, agent)
	if err != nil {
		return f, err
	}
	f.delivered = entry.Checks[chk.Name]
	key := client.ObjectKeyFromObject(agent)
	if report, ok := r.reader.Check(key, chk.Name); ok && report.Line == chk.Spec.From {
		f.report = &report
	}
	if report, ok := r.reader.Agent(key); ok {
		for _, rejected := range report.Rejected {
			if rejected.File == delivery.CheckFile(chk.Name) {
				f.rejected = clean(rejected.Reason)
			}
		}
	}
	return f, nil
}

// SetupWithManager says what wakes the reconciler.
func (r *checkReconciler) SetupWithManager(mgr ctrl.Manager) error {
	lookup := lookups{r.Client}
	return ctrl.NewControllerManagedBy(mgr).Named("check").
		For(&v1.CallCheck{}).
		Watches(&v1.SoftphoneAccount{}, lookup.checksOfAccount()).
		Watches(&v1.SoftphoneFleet{}, lookup.checksOfFleet(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1.SoftphoneAgent{}, lookup.checksOfAgent()).
		WatchesMetadata(&corev1.Secret{}, checksOfSecret()).
		WatchesRawSource(r.wakeup.source()).
		WithOptions(options(4)).
		Complete(r)
}
