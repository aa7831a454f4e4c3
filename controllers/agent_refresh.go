package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/softphone-operator/softphone-operator/controllers/podspec"
)

// The kubelet looks at a pod's mounted Secret when the pod changes, and else once
// in a while. So the pod is touched after its files changed, and again when the
// agent has not reported them in time.
const (
	touchAgain = 2 * time.Second
	touchMost  = time.Minute
)

// touched is what was done to make a snapshot reach an agent.
type touched struct {
	snapshot string
	times    int
	at       time.Time
}

// planTouch decides whether to touch the pod now, and else when to look again.
func planTouch(f *agentFacts, last touched) (bool, time.Duration) {
	switch {
	case !f.delivered, f.pod == nil, f.pod.DeletionTimestamp != nil, f.pod.Status.Phase != corev1.PodRunning:
		return false, 0 // files are mounted as they are when the pod starts
	case f.report != nil && f.report.Connected && f.report.SnapshotHash == f.ledger.Snapshot:
		return false, 0 // they have arrived
	case last.snapshot != f.ledger.Snapshot:
		return true, 0
	case f.report != nil && f.report.Connected && len(f.report.Rejected) > 0:
		return false, 0 // what is refused is never in force, however often it is sent
	}
	wait := last.at.Add(min(touchAgain<<min(last.times-1, 10), touchMost)).Sub(f.now)
	return wait <= 0, max(wait, 0)
}

// refresh makes the kubelet bring new files into the pod now.
func (r *agentReconciler) refresh(ctx context.Context, f *agentFacts) (time.Duration, error) {
	key := client.ObjectKeyFromObject(f.agent)
	now, again := planTouch(f, r.touches.last(key))
	if !now {
		return again, nil
	}
	times := r.touches.touched(key, f.ledger.Snapshot, f.now)
	patch := fmt.Sprintf(`{"metadata":{"uid":%q,"annotations":{%q:"%s.%d"}}}`, f.pod.UID, podspec.AnnotationDelivered, f.ledger.Snapshot, times)
	err := r.Patch(ctx, f.pod.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)), managerDelivery)
	if client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("touch pod %s: %w", f.pod.Name, err)
	}
	_, again = planTouch(f, r.touches.last(key))
	return again, nil
}

// touches remember what was done for each agent.
type touches struct {
	mu sync.Mutex
	by map[types.NamespacedName]touched
}

func newTouches() *touches { return &touches{by: map[types.NamespacedName]touched{}} }

func (t *touches) last(agent types.NamespacedName) touched {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.by[agent]
}

// touched notes a touch and tells how many there were for this snapshot.
func (t *touches) touched(agent types.NamespacedName, snapshot string, now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.by[agent]
	if last.snapshot != snapshot {
		last = touched{snapshot: snapshot}
	}
	last.times, last.at = last.times+1, now
	t.by[agent] = last
	return last.times
}

func (t *touches) forget(agent types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.by, agent)
}
