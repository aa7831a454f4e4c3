package controllers

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
)

// statusesPerSecond bounds the account statuses written in all: a registrar's
// outage must not become one of the API server.
const statusesPerSecond = 50

// Options of the controllers.
type Options struct {
	// AgentImage for fleets that name none.
	AgentImage string
	// ManagerNamespace is where this manager's pods run; empty = outside of the cluster.
	ManagerNamespace string
	Log              *slog.Logger
	// Dial replaces the network on the way to agents; nil = as it is.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Scheme knows every kind that the controllers touch.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("scheme: %w", err)
		}
	}
	return scheme, nil
}

// CacheOptions keep in memory what the controllers look at and nothing else:
// of pods the agents', of nodes their standing.
func CacheOptions(namespaces []string) cache.Options {
	o := cache.Options{
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:  {Label: labels.SelectorFromSet(labels.Set{podspec.LabelName: podspec.NameAgent})},
			&corev1.Node{}: {Transform: slimNode},
		},
		DefaultTransform: cache.TransformStripManagedFields(),
	}
	if len(namespaces) > 0 {
		o.DefaultNamespaces = map[string]cache.Config{}
		for _, n := range namespaces {
			o.DefaultNamespaces[n] = cache.Config{}
		}
	}
	return o
}

// slimNode keeps of a node whether it is cordoned and whether it is ready.
func slimNode(in any) (any, error) {
	node, ok := in.(*corev1.Node)
	if !ok {
		return in, nil
	}
	node.ManagedFields, node.Annotations, node.Labels = nil, nil, nil
	conditions := node.Status.Conditions
	node.Spec = corev1.NodeSpec{Unschedulable: node.Spec.Unschedulable}
	node.Status = corev1.NodeStatus{}
	for _, c := range conditions {
		if c.Type == corev1.NodeReady {
			node.Status.Conditions = []corev1.NodeCondition{c}
		}
	}
	return node, nil
}

// Setup adds the controllers to a manager.
func Setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := addIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	accounts, agents, places, fleets, checks := &wakeup{}, &wakeup{}, &wakeup{}, &wakeup{}, &wakeup{}
	n := newsOfAgents{lookups{mgr.GetClient()}, accounts, agents, places, fleets, checks}
	reader := reports.New(reports.Options{Log: o.Log, Dial: o.Dial, AgentChanged: n.agent, LineChanged: n.line, CheckChanged: n.check})
	if err := mgr.Add(reader); err != nil {
		return fmt.Errorf("report reader: %w", err)
	}
	referenced := objects{cached: mgr.GetClient(), live: mgr.GetAPIReader()}
	for _, r := range []interface{ SetupWithManager(ctrl.Manager) error }{
		&accountReconciler{
			Client: mgr.GetClient(), objects: referenced, reader: reader, wakeup: accounts, memo: newRenderings(),
			events: mgr.GetEventRecorder("softphone-operator"), writes: rate.NewLimiter(statusesPerSecond, statusesPerSecond),
		},
		&placementReconciler{Client: mgr.GetClient(), live: mgr.GetAPIReader(), reader: reader, wakeup: places},
		&agentReconciler{
			Client: mgr.GetClient(), objects: referenced, reader: reader, wakeup: agents, image: o.AgentImage,
			writes: newSpacing(deliverInterval), counts: newSpacing(time.Second), touches: newTouches(), written: newWritten(),
		},
		&checkReconciler{
			Client: mgr.GetClient(), reader: reader, wakeup: checks, steady: newSpacing(steadyInterval),
			events: mgr.GetEventRecorder("softphone-operator"),
		},
		&fleetReconciler{Client: mgr.GetClient(), reader: reader, wakeup: fleets, managerNamespace: o.ManagerNamespace, counts: newSpacing(time.Second), claims: newClaims(mgr.GetAPIReader())},
	} {
		if err := r.SetupWithManager(mgr); err != nil {
			return fmt.Errorf("set up %T: %w", r, err)
		}
	}
	return nil
}

// newsOfAgents tells the reconcilers what agents said.
type newsOfAgents struct {
	lookups
	accounts, agents, places, fleets, checks *wakeup
}

// check news concern the check alone.
func (n newsOfAgents) check(agent types.NamespacedName, check string) {
	n.checks.add(request(agent.Namespace, check))
}

// agent news concern the agent and all lines on it.
func (n newsOfAgents) agent(key types.NamespacedName) {
	n.agents.add(reconcile.Request{NamespacedName: key})
	n.places.add(placementRequest(key.Namespace))
}

// line news concern the line, the sums it is part of, and placement while it moves.
func (n newsOfAgents) line(agent types.NamespacedName, line string) {
	n.accounts.add(request(agent.Namespace, line))
	n.agents.add(reconcile.Request{NamespacedName: agent})
	holders := n.lookups.agents(context.Background(), agent.Namespace, indexLine, line)
	for _, a := range holders {
		n.fleets.add(request(agent.Namespace, a.Spec.Fleet))
	}
	if len(holders) > 1 {
		n.places.add(placementRequest(agent.Namespace))
		for _, a := range holders { // which of them runs the line's checks depends on how it is on both
			n.agents.add(request(a.Namespace, a.Name))
		}
	}
}

// options of a controller: failures are tried again soon, since users wait.
func options(concurrent int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: concurrent,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](10*time.Millisecond, 30*time.Second),
	}
}
