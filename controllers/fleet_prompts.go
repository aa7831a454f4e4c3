package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

// Rights, and why. Whether a claim is bound stands in its status; it is read now and then, and no claim is kept in memory.
//
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get

const (
	// claimLook is how often a claim that pods cannot have is looked at, claimKept how long one that they can have passes for it.
	claimLook = 5 * time.Second
	claimKept = 5 * time.Minute
)

// promptsFacts tell whether what a fleet's prompts name is there.
type promptsFacts struct {
	// configMap that is named, and whether it exists; nil = the prompts are on a claim.
	configMap *configMapSeen
	claim     claimSeen
	// again is when to look at the claim again; 0 = events tell.
	again time.Duration
}

type configMapSeen struct {
	name  string
	found bool
}

// claimSeen is a claim as it was at a time.
type claimSeen struct {
	name          string
	found, ending bool
	phase         corev1.PersistentVolumeClaimPhase
	at            time.Time
}

// usable tells whether new pods get the claim's volume.
func (s claimSeen) usable() bool { return s.found && !s.ending && s.phase == corev1.ClaimBound }

// kept is how long the claim is taken to be as it was seen.
func (s claimSeen) kept() time.Duration {
	if s.usable() {
		return claimKept
	}
	return claimLook
}

// claims remembers the claim of every fleet: a fleet is looked at for each line's news, and a claim is asked for at the API server.
type claims struct {
	live client.Reader
	mu   sync.Mutex
	seen map[types.NamespacedName]claimSeen
}

func newClaims(live client.Reader) *claims {
	return &claims{live: live, seen: map[types.NamespacedName]claimSeen{}}
}

// of gives the claim that a fleet names, and how long that is good for.
func (c *claims) of(ctx context.Context, fleet types.NamespacedName, name string, now time.Time) (claimSeen, time.Duration, error) {
	c.mu.Lock()
	s, ok := c.seen[fleet]
	c.mu.Unlock()
	if left := s.at.Add(s.kept()).Sub(now); ok && s.name == name && left > 0 {
		return s, left, nil
	}
	claim, err := get(ctx, c.live, types.NamespacedName{Namespace: fleet.Namespace, Name: name}, &corev1.PersistentVolumeClaim{})
	if err != nil {
		return claimSeen{}, 0, err
	}
	s = claimSeen{name: name, at: now}
	if claim != nil {
		s.found, s.ending, s.phase = true, claim.DeletionTimestamp != nil, claim.Status.Phase
	}
	c.mu.Lock()
	c.seen[fleet] = s
	c.mu.Unlock()
	return s, s.kept(), nil
}

func (c *claims) forget(fleet types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, fleet)
}

// gatherPrompts looks at what the fleet's prompts name; nil = there are none.
func (r *fleetReconciler) gatherPrompts(ctx context.Context, fleet *v1.SoftphoneFleet, now time.Time) (*promptsFacts, error) {
	key, p := client.ObjectKeyFromObject(fleet), fleet.Spec.Prompts
	if p == nil || p.PersistentVolumeClaim == nil {
		r.claims.forget(key)
	}
	switch {
	case p == nil:
		return nil, nil
	case p.PersistentVolumeClaim != nil:
		f := &promptsFacts{}
		var err error
		f.claim, f.again, err = r.claims.of(ctx, key, string(*p.PersistentVolumeClaim), now)
		return f, err
	case p.ConfigMap != nil:
		name := string(*p.ConfigMap)
		found, err := get(ctx, r.Client, types.NamespacedName{Namespace: fleet.Namespace, Name: name}, metadataOf(render.ConfigMap))
		return &promptsFacts{configMap: &configMapSeen{name, found != nil}}, err
	}
	return nil, nil
}

// promptsReady tells what the user would otherwise look for in the events of pods.
func promptsReady(f *fleetFacts, c conditionSet) {
	if f.prompts == nil {
		c.remove(v1.ConditionPromptsReady)
		return
	}
	if reason, message := f.prompts.problem(); reason != "" {
		c.set(v1.ConditionPromptsReady, metav1.ConditionFalse, reason, message)
		return
	}
	if m := f.prompts.configMap; m != nil {
		c.set(v1.ConditionPromptsReady, metav1.ConditionTrue, v1.ReasonPromptsFound, fmt.Sprintf("ConfigMap %s exists", m.name))
		return
	}
	for i := range f.agents {
		if ready := meta.FindStatusCondition(f.agents[i].Status.Conditions, v1.ConditionReady); ready != nil && ready.Reason == v1.ReasonVolumesNotMounted {
			c.set(v1.ConditionPromptsReady, metav1.ConditionFalse, ready.Reason,
				fmt.Sprintf("PersistentVolumeClaim %s is bound, but agent %s waits: %s", f.prompts.claim.name, f.agents[i].Name, ready.Message))
			return
		}
	}
	c.set(v1.ConditionPromptsReady, metav1.ConditionTrue, v1.ReasonPromptsFound, fmt.Sprintf("PersistentVolumeClaim %s is bound", f.prompts.claim.name))
}

// problem of what is named; reason "" = none.
func (p *promptsFacts) problem() (reason, message string) {
	if m := p.configMap; m != nil {
		if m.found {
			return "", ""
		}
		return v1.ReasonConfigMapNotFound, fmt.Sprintf("ConfigMap %s does not exist: create it with the audio files; until then lines run, and calls that want a file are refused", m.name)
	}
	switch c := p.claim; {
	case !c.found:
		return v1.ReasonPersistentVolumeClaimNotFound, fmt.Sprintf("PersistentVolumeClaim %s does not exist: create it; until then new pods of agents do not start", c.name)
	case c.ending:
		return v1.ReasonPersistentVolumeClaimNotBound, fmt.Sprintf("PersistentVolumeClaim %s is being deleted: new pods of agents do not start", c.name)
	case c.phase != corev1.ClaimBound:
		return v1.ReasonPersistentVolumeClaimNotBound, fmt.Sprintf("PersistentVolumeClaim %s has no volume yet (%s): new pods of agents do not start without", c.name, phaseName(c.phase))
	}
	return "", ""
}

// holdsUp is the verdict over a fleet whose agents are not ready, when the claim is why; false = it is not.
func (p *promptsFacts) holdsUp() (verdict, bool) {
	if p == nil || p.configMap != nil || p.claim.usable() {
		return verdict{}, false
	}
	reason, message := p.problem()
	if !p.claim.found {
		return stalled(reason, message), true
	}
	return reconciling(metav1.ConditionFalse, reason, message), true
}

func phaseName(p corev1.PersistentVolumeClaimPhase) string {
	if p == "" {
		return string(corev1.ClaimPending)
	}
	return clean(string(p))
}
