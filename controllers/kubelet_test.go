package controllers_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// kubelet runs the pods of one namespace as fake agents. Like the real one it
// looks at a pod's Secret when the pod starts and when the pod changes.
type kubelet struct {
	namespace string
	mu        sync.Mutex
	agents    map[types.UID]*fakeAgent
	started   int
	nodes     []string
	// away nodes have no kubelet any more.
	away map[string]bool
	// registrar answers REGISTER: nil = 200 for everyone.
	registrar func(name, document string) delivery.LineReport
}

func newKubelet(namespace string) *kubelet {
	return &kubelet{namespace: namespace, agents: map[types.UID]*fakeAgent{}, away: map[string]bool{}}
}

func (k *kubelet) addNode(t *testing.T, name string) {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	must(t, api.Create(t.Context(), node))
	k.setNode(t, name, corev1.ConditionTrue)
	k.mu.Lock()
	k.nodes = append(k.nodes, name)
	k.mu.Unlock()
}

func (k *kubelet) setNode(t *testing.T, name string, ready corev1.ConditionStatus) {
	t.Helper()
	node := &corev1.Node{}
	must(t, api.Get(t.Context(), client.ObjectKey{Name: name}, node))
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	must(t, api.Status().Update(t.Context(), node))
}

// run follows the namespace's pods and agents until ctx ends.
func (k *kubelet) run(ctx context.Context) {
	pods, err := api.Watch(ctx, &corev1.PodList{}, client.InNamespace(k.namespace))
	if err != nil {
		panic(err)
	}
	agents, err := api.Watch(ctx, &v1.SoftphoneAgentList{}, client.InNamespace(k.namespace))
	if err != nil {
		panic(err)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-pods.ResultChan():
			if pod, ok := e.Object.(*corev1.Pod); ok {
				k.sync(ctx, e.Type, pod)
			}
		case e := <-agents.ResultChan():
			if agent, ok := e.Object.(*v1.SoftphoneAgent); ok && e.Type == watch.Deleted {
				k.collect(ctx, agent)
			}
		}
	}
}

// collect is the garbage collector: what an agent owned goes with it.
func (k *kubelet) collect(ctx context.Context, agent *v1.SoftphoneAgent) {
	_ = api.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: agent.Namespace, Name: agent.Name}})
	_ = api.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: agent.Namespace, Name: podspec.SecretName(agent.Name)}})
}

func (k *kubelet) sync(ctx context.Context, event watch.EventType, pod *corev1.Pod) {
	k.mu.Lock()
	agent, away := k.agents[pod.UID], k.away[pod.Spec.NodeName]
	k.mu.Unlock()
	switch {
	case event == watch.Deleted:
		k.stop(pod.UID)
	case away:
	case pod.DeletionTimestamp != nil:
		k.stop(pod.UID)
		_ = api.Delete(ctx, pod, client.GracePeriodSeconds(0), client.Preconditions{UID: &pod.UID})
	case pod.Status.Phase == corev1.PodFailed:
		k.stop(pod.UID)
	case pod.Spec.NodeName == "":
		k.schedule(ctx, pod)
	case agent == nil:
		k.start(ctx, pod)
	default:
		agent.load(k.files(ctx, pod))
	}
}

// schedule binds the pod to the first node that takes pods.
func (k *kubelet) schedule(ctx context.Context, pod *corev1.Pod) {
	k.mu.Lock()
	nodes := slices.Clone(k.nodes)
	k.mu.Unlock()
	for _, name := range nodes {
		node := &corev1.Node{}
		if err := api.Get(ctx, client.ObjectKey{Name: name}, node); err != nil || node.Spec.Unschedulable || k.isAway(name) {
			continue
		}
		_ = api.SubResource("binding").Create(ctx, pod, &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: name}})
		return
	}
}

func (k *kubelet) isAway(node string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.away[node]
}

func (k *kubelet) start(ctx context.Context, pod *corev1.Pod) {
	k.mu.Lock()
	k.started++
	ip := fmt.Sprintf("10.99.0.%d", k.started)
	agent := newFakeAgent(pod.Name, ip, func(name, document string) delivery.LineReport {
		k.mu.Lock()
		answer := k.registrar
		k.mu.Unlock()
		if answer == nil {
			return delivery.LineReport{State: delivery.Registered, LastCode: 200, LastReason: "OK", GrantedSeconds: 600}
		}
		return answer(name, document)
	})
	k.mu.Unlock()
	agent.load(k.files(ctx, pod))
	if agent.server == nil {
		return // no files yet
	}
	k.mu.Lock()
	k.agents[pod.UID] = agent
	k.mu.Unlock()
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}
	_ = api.Status().Update(ctx, pod)
}

func (k *kubelet) files(ctx context.Context, pod *corev1.Pod) map[string][]byte {
	secret := &corev1.Secret{}
	if err := api.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: podspec.SecretName(pod.Name)}, secret); err != nil {
		return nil
	}
	return secret.Data
}

func (k *kubelet) stop(uid types.UID) {
	k.mu.Lock()
	agent := k.agents[uid]
	delete(k.agents, uid)
	k.mu.Unlock()
	if agent != nil {
		agent.close()
	}
}

func (k *kubelet) stopAll() {
	k.mu.Lock()
	uids := slices.Collect(maps.Keys(k.agents))
	k.mu.Unlock()
	for _, uid := range uids {
		k.stop(uid)
	}
}

// setRegistrar changes how the registrar answers; agents try again at once.
func (k *kubelet) setRegistrar(answer func(name, document string) delivery.LineReport) {
	k.mu.Lock()
	k.registrar = answer
	agents := slices.Collect(maps.Values(k.agents))
	k.mu.Unlock()
	for _, a := range agents {
		a.load(nil)
	}
}

// lose makes a node vanish with everything on it.
func (k *kubelet) lose(t *testing.T, node string) {
	t.Helper()
	k.mu.Lock()
	k.away[node] = true
	k.mu.Unlock()
	k.stopAll()
	k.setNode(t, node, corev1.ConditionUnknown)
}

// fakeAgent loads files and reports on them as an agent does, without any SIP.
type fakeAgent struct {
	name, ip  string
	registrar func(name, document string) delivery.LineReport
	server    *httptest.Server

	mu      sync.Mutex
	files   map[string][]byte
	report  delivery.Report
	changed chan struct{} // closed and replaced at every change
}

func newFakeAgent(name, ip string, registrar func(name, document string) delivery.LineReport) *fakeAgent {
	return &fakeAgent{name: name, ip: ip, registrar: registrar, changed: make(chan struct{})}
}

var passwordNode = regexp.MustCompile(`<password[^>]*>([^<]*)</password>`)

// password of an account XML.
func password(document string) string {
	m := passwordNode.FindStringSubmatch(document)
	if m == nil {
		return ""
	}
	return m[1]
}

// load takes files into force; nil = those it has, looked at anew.
func (a *fakeAgent) load(files map[string][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if files != nil {
		a.files = files
	}
	if a.files == nil {
		return
	}
	if a.server == nil {
		a.serve()
	}
	var settings delivery.Agent
	if err := json.Unmarshal(a.files[delivery.AgentFile], &settings); err != nil || settings.Validate() != nil {
		panic(fmt.Sprint("agent.json: ", err, settings.Validate()))
	}
	hasher := delivery.NewHasher(settings.HashKey)
	inForce := map[string][]byte{}
	report := delivery.Report{Agent: delivery.AgentReport{Name: a.name, Version: "fake", Ready: true}}
	for file, content := range a.files {
		name, isLine := delivery.LineName(file)
		if check, is := delivery.CheckName(file); is {
			inForce[file] = content
			report.Checks = append(report.Checks, a.check(check, content, hasher))
		}
		if isLine || file == delivery.AgentFile || strings.HasPrefix(file, "tls-") {
			inForce[file] = content
		}
		if isLine {
			report.Lines = append(report.Lines, a.line(name, content, settings.Line(name), hasher))
		}
	}
	report.Agent.SnapshotHash = hasher.Snapshot(inForce)
	a.report = report
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *fakeAgent) line(name string, content []byte, row delivery.Line, hasher delivery.Hasher) delivery.LineReport {
	var l delivery.LineReport
	switch {
	case row.State == delivery.Draining:
		l = delivery.LineReport{State: delivery.Idle, DrainState: delivery.Gone}
	case row.Suspended:
		l = delivery.LineReport{State: delivery.Disabled}
	default:
		l = a.registrar(name, string(content))
		l.Server = "10.77.0.1:5060/udp"
	}
	l.Name, l.Slot = name, row.Slot
	l.ConfigHash, l.EffectiveHash = hasher.Line(content, row), hasher.Document(content)
	l.Since = time.Now()
	for _, old := range a.report.Lines {
		if old.Name == name && old.State == l.State {
			l.Since = old.Since
		}
	}
	return l
}

func (a *fakeAgent) serve() {
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(a.stream))
	a.server.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		cert, err := tls.X509KeyPair(a.files[delivery.ReportCertFile], a.files[delivery.ReportKeyFile])
		return &cert, err
	}}
	a.server.StartTLS()
}

// stream tells everything at every change: the reader finds out what is new.
func (a *fakeAgent) stream(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	token := string(a.files[delivery.ReportTokenFile])
	a.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	for {
		a.mu.Lock()
		report, changed := a.report, a.changed
		a.mu.Unlock()
		if err := json.NewEncoder(w).Encode(delivery.Event{Type: delivery.EventSnapshot, Report: &report}); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func (a *fakeAgent) close() {
	a.server.CloseClientConnections()
	a.server.Close()
}
