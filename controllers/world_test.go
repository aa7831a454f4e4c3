package controllers_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// world is one namespace with a manager at work in it, and everything around it
// that an API server alone does not have: a node, a kubelet with fake agents, and
// the garbage collector as far as agents need it.
type world struct {
	t         *testing.T
	namespace string
	kubelet   *kubelet
	stop      func()
}

var worlds = struct {
	sync.Mutex
	n int
}{}

// newWorld starts a world whose namespace admits restricted pods alone.
func newWorld(t *testing.T) *world {
	t.Helper()
	worlds.Lock()
	worlds.n++
	name := fmt.Sprintf("world-%d", worlds.n)
	worlds.Unlock()
	must(t, api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}))
	w := &world{t: t, namespace: name, kubelet: newKubelet(name)}
	w.kubelet.addNode(t, name+"-a")
	w.startKubelet()
	w.startManager()
	return w
}

func (w *world) startKubelet() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.kubelet.run(ctx) }()
	w.t.Cleanup(func() { cancel(); <-done; w.kubelet.stopAll() })
}

// startManager runs the controllers as the service account they are installed with.
func (w *world) startManager() {
	w.t.Helper()
	mgr, err := ctrl.NewManager(managerConfig(w.t), ctrl.Options{
		Scheme:     scheme,
		Cache:      controllers.CacheOptions([]string{w.namespace}),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	must(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	must(w.t, controllers.Setup(ctx, mgr, controllers.Options{
		AgentImage: "agent:test", ManagerNamespace: "softphone-system", Log: slog.New(slog.NewTextHandler(testLog, nil)), Dial: w.kubelet.dial,
	}))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("the manager ended: %v", err)
			}
		})
	}
	w.t.Cleanup(w.stop)
}

var managerUser = sync.OnceValues(func() (*rest.Config, error) {
	content, err := os.ReadFile(filepath.Join("..", "config", "rbac", "role.yaml"))
	if err != nil {
		return nil, err
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.Unmarshal(content, role); err != nil {
		return nil, err
	}
	if err := api.Create(context.Background(), role); err != nil {
		return nil, err
	}
	if err := api.Create(context.Background(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "manager"}},
	}); err != nil {
		return nil, err
	}
	c := rest.CopyConfig(restConfig)
	c.Impersonate.UserName = "manager"
	return c, nil
})

// managerConfig may do what config/rbac/role.yaml allows, and no more.
func managerConfig(t *testing.T) *rest.Config {
	t.Helper()
	c, err := managerUser()
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// apply creates objects in the world's namespace.
func (w *world) apply(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		o.SetNamespace(w.namespace)
		must(w.t, api.Create(w.t.Context(), o))
	}
}

// edit changes an object that exists, whoever else writes to it.
func edit[T client.Object](w *world, name string, o T, change func(T)) {
	w.t.Helper()
	must(w.t, api.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, o))
	old := o.DeepCopyObject().(T)
	change(o)
	must(w.t, api.Patch(w.t.Context(), o, client.MergeFrom(old)))
}

// await watches one object until it is as wanted, and gives it.
func await[T client.Object](w *world, name string, list client.ObjectList, want func(T) bool) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	watcher, err := api.Watch(ctx, list, client.InNamespace(w.namespace), client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", name)})
	must(w.t, err)
	defer watcher.Stop()
	var last T
	for e := range watcher.ResultChan() {
		o, ok := e.Object.(T)
		if !ok || e.Type == watch.Deleted {
			continue
		}
		if last = o; want(o) {
			return o
		}
	}
	encoded, _ := yaml.Marshal(last)
	w.t.Fatalf("%T %s did not become what was wanted in %s; last seen:\n%s", last, name, patience, encoded)
	return last
}

// awaitGone watches one object until it does not exist.
func awaitGone(w *world, name string, list client.ObjectList, o client.Object) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	watcher, err := api.Watch(ctx, list, client.InNamespace(w.namespace), client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", name)})
	must(w.t, err)
	defer watcher.Stop()
	if err := api.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, o); client.IgnoreNotFound(err) == nil && err != nil {
		return
	}
	for e := range watcher.ResultChan() {
		if e.Type == watch.Deleted {
			return
		}
	}
	w.t.Fatalf("%T %s is still there after %s", o, name, patience)
}

func (w *world) account(name string, want func(*v1.SoftphoneAccount) bool) *v1.SoftphoneAccount {
	w.t.Helper()
	return await(w, name, &v1.SoftphoneAccountList{}, want)
}

func (w *world) agent(name string, want func(*v1.SoftphoneAgent) bool) *v1.SoftphoneAgent {
	w.t.Helper()
	return await(w, name, &v1.SoftphoneAgentList{}, want)
}

func (w *world) pod(name string, want func(*corev1.Pod) bool) *corev1.Pod {
	w.t.Helper()
	return await(w, name, &corev1.PodList{}, want)
}

func (w *world) registered(name string) *v1.SoftphoneAccount {
	w.t.Helper()
	return w.account(name, isReady(v1.ReasonRegistered))
}

// isReady wants a line that is ready for a reason, with its newest settings in force.
func isReady(reason string) func(*v1.SoftphoneAccount) bool {
	return func(a *v1.SoftphoneAccount) bool {
		c := condition(a.Status.Conditions, v1.ConditionReady)
		return a.Status.ObservedGeneration == a.Generation && c.Status == metav1.ConditionTrue && c.Reason == reason &&
			condition(a.Status.Conditions, v1.ConditionReconciling).Type == ""
	}
}

// isStalled wants an account that its user must mend for a reason.
func isStalled(reason string) func(*v1.SoftphoneAccount) bool {
	return func(a *v1.SoftphoneAccount) bool {
		c := condition(a.Status.Conditions, v1.ConditionStalled)
		return a.Status.ObservedGeneration == a.Generation && c.Status == metav1.ConditionTrue && c.Reason == reason
	}
}

func condition(all []metav1.Condition, kind string) metav1.Condition {
	for _, c := range all {
		if c.Type == kind {
			return c
		}
	}
	return metav1.Condition{}
}

// secret is a Secret with a password.
func secret(name, password string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"password": password}}
}

// line is an account whose password is in the Secret of its name.
func line(name string) *v1.SoftphoneAccount {
	return &v1.SoftphoneAccount{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.SoftphoneAccountSpec{AccountLayer: v1.AccountLayer{Account: &v1.AccountSettings{
		Username: ptr.To(name), Host: ptr.To(v1.HostPort("registrar.test")),
		Password: &v1.SecretValue{SecretKeyRef: &v1.KeyRef{Name: name, Key: "password"}},
	}}}}
}

// unique is a password that stands nowhere by chance.
func unique(name string) string { return "pw-" + name + "-7fK2xQ" }

// dial reaches fake agents by the addresses of their pods.
func (k *kubelet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.agents {
		if a.ip == host {
			return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(a.server.URL, "https://"))
		}
	}
	return nil, fmt.Errorf("dial %s: nobody is there", address)
}
