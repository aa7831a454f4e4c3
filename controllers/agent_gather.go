package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// agentFacts is everything that is done for an agent is decided from. Steps add
// what they did.
type agentFacts struct {
	agent      *v1.SoftphoneAgent
	now        time.Time
	settings   render.Settings
	fleetFound bool
	// lines bound to the agent whose account exists, by name.
	lines []boundLine
	// checks that run here: their files' contents, by name.
	checks map[string][]byte
	// ledger of what was delivered; delivered is false when there is no Secret yet. secretVersion is the cache's.
	ledger        ledger
	delivered     bool
	secretVersion string
	// pod and the node it runs on; nil = there is none.
	pod  *corev1.Pod
	node *corev1.Node
	// report of the agent; nil = it is not followed.
	report *reports.Agent
	// registered counts the lines that report so.
	registered int

	// behind: there is more to deliver, in a moment.
	behind bool
	// credentials as delivered just now; nil = as before.
	credentials map[string][]byte
	// podProblem is why there is no pod, for the user to mend.
	podProblem *render.Failure
}

// boundLine is a line bound to an agent.
type boundLine struct {
	binding v1.LineBinding
	account *v1.SoftphoneAccount
	made    made
}

// row is the line's row of agent.json, but for the TLS files it names.
func (f *agentFacts) row(l boundLine) delivery.Line {
	return render.Row(l.account, l.binding, f.settings.Suspend || l.account.Suspended())
}

func (r *agentReconciler) gather(ctx context.Context, agent *v1.SoftphoneAgent) (*agentFacts, error) {
	f := &agentFacts{agent: agent, now: time.Now()}
	var err error
	if f.settings, f.fleetFound, err = fleetOf(ctx, r.Client, agent.Namespace, agent.Spec.Fleet); err != nil {
		return nil, err
	}
	if err := r.share(ctx, f); err != nil {
		return nil, err
	}
	if err := r.gatherLines(ctx, f); err != nil {
		return nil, err
	}
	if err := r.gatherChecks(ctx, f); err != nil {
		return nil, err
	}
	if f.ledger, f.secretVersion, err = readDelivered(ctx, r.Client, agent); err != nil {
		return nil, err
	}
	f.delivered = f.secretVersion != ""
	if l, ok := r.written.newer(client.ObjectKeyFromObject(agent), f.secretVersion); ok {
		f.ledger, f.delivered = l, true
	}
	if f.pod, err = get(ctx, r.Client, podOf(agent), &corev1.Pod{}); err != nil {
		return nil, err
	}
	if f.pod != nil && f.pod.Spec.NodeName != "" {
		if f.node, err = get(ctx, r.Client, types.NamespacedName{Name: f.pod.Spec.NodeName}, &corev1.Node{}); err != nil {
			return nil, err
		}
	}
	r.gatherReport(f)
	return f, nil
}

// get gives an object, or nil when it does not exist.
func get[T client.Object](ctx context.Context, c client.Reader, key types.NamespacedName, into T) (T, error) {
	var none T
	switch err := c.Get(ctx, key, into); {
	case apierrors.IsNotFound(err):
		return none, nil
	case err != nil:
		return none, fmt.Errorf("get %T %s: %w", into, key, err)
	}
	return into, nil
}

func (r *agentReconciler) gatherLines(ctx context.Context, f *agentFacts) error {
	for _, b := range f.agent.Spec.Lines {
		acc, err := get(ctx, r.Client, types.NamespacedName{Namespace: f.agent.Namespace, Name: b.Name}, &v1.SoftphoneAccount{})
		if err != nil {
			return err
		}
		if acc == nil || !acc.DeletionTimestamp.IsZero() {
			continue // it is deleted: its file goes now, its binding when placement comes by
		}
		now, err := r.objects.made(ctx, acc, f.settings.TLS)
		if err != nil {
			return err
		}
		f.lines = append(f.lines, boundLine{b, acc, now})
	}
	return nil
}

// share gives the agent its part of what its fleet may ask of a registrar.
func (r *agentReconciler) share(ctx context.Context, f *agentFacts) error {
	var agents v1.SoftphoneAgentList
	err := r.List(ctx, &agents, client.InNamespace(f.agent.Namespace), client.MatchingFields{indexFleet: f.agent.Spec.Fleet}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("agents of the fleet: %w", err)
	}
	n := 0
	for i := range agents.Items {
		if agents.Items[i].DeletionTimestamp.IsZero() {
			n++
		}
	}
	f.settings = f.settings.Among(n)
	return nil
}

func (r *agentReconciler) gatherReport(f *agentFacts) {
	key := client.ObjectKeyFromObject(f.agent)
	if report, ok := r.reader.Agent(key); ok {
		f.report = &report
	}
	for _, l := range f.lines {
		if line, ok := r.reader.Line(key, l.binding.Name); ok && line.State == delivery.Registered {
			f.registered++
		}
	}
}

// readDelivered reads the ledger of an agent's Secret off its metadata, and the
// Secret's version; empty = there is none.
func readDelivered(ctx context.Context, c client.Reader, agent *v1.SoftphoneAgent) (ledger, string, error) {
	meta := metadataOf(render.Secret)
	switch err := c.Get(ctx, secretOf(agent), meta); {
	case apierrors.IsNotFound(err):
		return ledger{}, "", nil
	case err != nil:
		return ledger{}, "", fmt.Errorf("metadata of the lines' Secret: %w", err)
	}
	return readLedger(meta.Annotations), meta.ResourceVersion, nil
}

// ledgerOf is readDelivered for those who only ask what was delivered.
func ledgerOf(ctx context.Context, c client.Reader, agent *v1.SoftphoneAgent) (ledger, error) {
	l, _, err := readDelivered(ctx, c, agent)
	return l, err
}
