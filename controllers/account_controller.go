package controllers

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
)

// Rights, and why. Get, list, watch: accounts, profiles, fleets and agents are what a status is made of.
// patch on the status, and nothing else of an account: the rest is the user's.
// Secrets and ConfigMaps: list and watch are needed for their metadata (a cache
// without contents), get to read the one that an account refers to. Events: what
// happened to a line.
//
// +kubebuilder:rbac:groups=voip.softphone.dev,resources=softphoneaccounts;softphoneprofiles;softphonefleets,verbs=list;watch
// +kubebuilder:rbac:groups=voip.softphone.dev,resources=softphoneaccounts/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets;configmaps,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// accountReconciler keeps the status of accounts: it accepts and renders them,
// and publishes what their agents report.
type accountReconciler struct {
	client.Client
	objects objects
	reader  *reports.Reader
	events  events.EventRecorder
	memo    *renderings
	// writes bounds how many statuses are written a second, in all.
	writes *rate.Limiter
	wakeup *wakeup
}

// Reconcile brings one account's status up to date.
func (r *accountReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	acc := &v1.SoftphoneAccount{}
	if err := r.Get(ctx, req.NamespacedName, acc); err != nil {
		r.memo.forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !acc.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	facts, err := r.gather(ctx, acc)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("account %s: %w", req, err)
	}
	status, again := decideAccount(facts)
	before, changed, err := r.write(ctx, acc, status)
	if err != nil {
		return ctrl.Result{}, err
	}
	if changed {
		r.announce(acc, before)
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

// write patches the status when it differs, as fast as all accounts together may.
func (r *accountReconciler) write(ctx context.Context, acc *v1.SoftphoneAccount, status v1.SoftphoneAccountStatus) (before v1.SoftphoneAccountStatus, changed bool, err error) {
	before = acc.Status
	if equality.Semantic.DeepEqual(before, status) {
		return before, false, nil
	}
	if err := r.writes.Wait(ctx); err != nil {
		return before, false, fmt.Errorf("wait to write the status: %w", err)
	}
	old := acc.DeepCopy()
	acc.Status = status
	changed, err = patchStatus(ctx, r.Client, acc, old, managerAccount)
	return before, changed, err
}

// announce tells every transition of a condition, and only those.
func (r *accountReconciler) announce(acc *v1.SoftphoneAccount, before v1.SoftphoneAccountStatus) {
	for _, n := range news(before.Conditions, acc.Status.Conditions) {
		r.events.Eventf(acc, nil, n.kind, n.reason, n.action, "%s", n.note)
	}
}

// SetupWithManager says what wakes the reconciler.
func (r *accountReconciler) SetupWithManager(mgr ctrl.Manager) error {
	lookup := lookups{r.Client}
	return ctrl.NewControllerManagedBy(mgr).Named("account").
		For(&v1.SoftphoneAccount{}). // its own writes too: what was decided from an older status is decided again
		Watches(&v1.SoftphoneAccount{}, lookup.rivals()).
		Watches(&v1.SoftphoneFleet{}, lookup.rivalsOfFleet()).
		Watches(&v1.SoftphoneFleet{}, lookup.accountsOfFleet(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1.SoftphoneProfile{}, lookup.accountsOfProfile(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1.SoftphoneAgent{}, lookup.linesOfAgent()).
		WatchesMetadata(&corev1.Secret{}, lookup.accountsOfSecret()).
		WatchesMetadata(&corev1.ConfigMap{}, lookup.accountsOfConfigMap()).
		WatchesRawSource(r.wakeup.source()).
		WithOptions(options(8)).
		Complete(r)
}

// gather reads everything an account's status is decided from.
func (r *accountReconciler) gather(ctx context.Context, acc *v1.SoftphoneAccount) (accountFacts, error) {
	f := accountFacts{account: acc, now: time.Now()}
	l, err := r.objects.layers(ctx, acc)
	if err != nil {
		return f, err
	}
	f.passwordSource = l.passwordSource()
	fleet, found, err := fleetOf(ctx, r.Client, acc.Namespace, acc.FleetName())
	if err != nil {
		return f, err
	}
	f.fleetFound, f.fleetSuspended, f.qualifies = found, fleet.Suspend, *fleet.Registrar.QualifySeconds > 0
	if f.rendered, err = r.render(ctx, acc, fleet.TLS); err != nil {
		return f, err
	}
	if f.rival, err = r.rival(ctx, acc, f.rendered.address, fleet.Suspend); err != nil {
		return f, err
	}
	return f, r.gatherPlacement(ctx, &f)
}

// rival finds the older account of the same address, if there is one.
func (r *accountReconciler) rival(ctx context.Context, acc *v1.SoftphoneAccount, address string, suspended bool) (string, error) {
	if address == "" {
		address = addressOf(acc)
	}
	if address == "" || suspended || acc.Suspended() {
		return "", nil
	}
	var others v1.SoftphoneAccountList
	if err := r.List(ctx, &others, client.InNamespace(acc.Namespace), client.MatchingFields{indexAddress: address}); err != nil {
		return "", fmt.Errorf("accounts at %s: %w", address, err)
	}
	claiming, err := r.claiming(ctx, others.Items)
	if err != nil {
		return "", err
	}
	if o := rival(acc, claiming); o != nil {
		return o.Name, nil
	}
	return "", nil
}

// claiming leaves out the accounts of fleets that are suspended.
func (r *accountReconciler) claiming(ctx context.Context, accounts []v1.SoftphoneAccount) ([]v1.SoftphoneAccount, error) {
	var out []v1.SoftphoneAccount
	for _, a := range accounts {
		fleet, _, err := fleetOf(ctx, r.Client, a.Namespace, a.FleetName())
		if err != nil {
			return nil, err
		}
		if !fleet.Suspend {
			out = append(out, a)
		}
	}
	return out, nil
}

// gatherPlacement adds where the line runs and what is said of it there.
func (r *accountReconciler) gatherPlacement(ctx context.Context, f *accountFacts) error {
	var agents v1.SoftphoneAgentList
	if err := r.List(ctx, &agents, client.InNamespace(f.account.Namespace), client.MatchingFields{indexLine: f.account.Name}); err != nil {
		return fmt.Errorf("agents of the line: %w", err)
	}
	agent, binding := holder(f.account, agents.Items, func(agent *v1.SoftphoneAgent) bool {
		l, ok := r.reader.Line(client.ObjectKeyFromObject(agent), f.account.Name)
		return ok && reports.Healthy(l.State)
	})
	if agent == nil {
		return nil
	}
	f.placed = homeOn(agent, binding)
	entry, err := ledgerOf(ctx, r.Client, agent)
	if err != nil {
		return err
	}
	f.delivered = entry.Lines[f.account.Name]
	key := client.ObjectKeyFromObject(agent)
	if line, ok := r.reader.Line(key, f.account.Name); ok {
		f.report = &line
	}
	if report, ok := r.reader.Agent(key); ok {
		f.rejected = rejection(report.Rejected, f.account.Name)
	}
	return nil
}

func homeOn(agent *v1.SoftphoneAgent, b v1.LineBinding) *home {
	p := &home{agent: agent.Name, slot: b.Slot, since: agent.CreationTimestamp.Time}
	for _, c := range agent.Status.Conditions {
		if c.Type == v1.ConditionReady {
			p.ready, p.since = c.Status == metav1.ConditionTrue, c.LastTransitionTime.Time
		}
	}
	return p
}
