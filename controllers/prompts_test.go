package controllers_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
)

func fleetWithPrompts(p *v1.Prompts) *v1.SoftphoneFleet {
	return &v1.SoftphoneFleet{ObjectMeta: line("default").ObjectMeta, Spec: v1.SoftphoneFleetSpec{Prompts: p}}
}

func onConfigMap(name v1.ObjectName) *v1.Prompts { return &v1.Prompts{ConfigMap: &name} }
func onClaim(name v1.ObjectName) *v1.Prompts     { return &v1.Prompts{PersistentVolumeClaim: &name} }

// prompts waits until the fleet says so of its prompts; "" = nothing.
func (w *world) prompts(status metav1.ConditionStatus, reason string) (*v1.SoftphoneFleet, string) {
	w.t.Helper()
	var message string
	f := await(w, "default", &v1.SoftphoneFleetList{}, func(f *v1.SoftphoneFleet) bool {
		c := condition(f.Status.Conditions, v1.ConditionPromptsReady)
		message = c.Message
		return f.Status.ObservedGeneration == f.Generation && c.Status == status && c.Reason == reason
	})
	return f, message
}

func TestAMissingConfigMapOfPromptsIsToldAndHoldsUpNoLine(t *testing.T) {
	w := newWorld(t)
	w.apply(fleetWithPrompts(onConfigMap("sounds")), secret("alice", unique("alice")), line("alice"))
	w.registered("alice")
	if _, m := w.prompts("False", v1.ReasonConfigMapNotFound); m != "ConfigMap sounds does not exist: create it with the audio files; until then lines run, and calls that want a file are refused" {
		t.Errorf("got %s", m)
	}
	await(w, "default", &v1.SoftphoneFleetList{}, func(f *v1.SoftphoneFleet) bool {
		return condition(f.Status.Conditions, v1.ConditionReady).Status == "True"
	})
	sounds := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "sounds"}}
	w.apply(sounds)
	w.prompts("True", v1.ReasonPromptsFound)
	must(t, api.Delete(t.Context(), sounds))
	w.prompts("False", v1.ReasonConfigMapNotFound)
	edit(w, "default", &v1.SoftphoneFleet{}, func(f *v1.SoftphoneFleet) { f.Spec.Prompts = nil })
	w.prompts("", "")
}

func TestAMissingClaimOfPromptsIsTold(t *testing.T) {
	w := newWorld(t)
	w.apply(fleetWithPrompts(onClaim("sounds")))
	if _, m := w.prompts("False", v1.ReasonPersistentVolumeClaimNotFound); m != "PersistentVolumeClaim sounds does not exist: create it; until then new pods of agents do not start" {
		t.Errorf("got %s", m)
	}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "sounds"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
	}}
	w.apply(claim)
	if _, m := w.prompts("False", v1.ReasonPersistentVolumeClaimNotBound); !strings.HasPrefix(m, "PersistentVolumeClaim sounds has no volume yet (Pending)") {
		t.Errorf("got %s", m)
	}
	claim.Status.Phase = corev1.ClaimBound
	must(t, api.Status().Update(t.Context(), claim))
	if _, m := w.prompts("True", v1.ReasonPromptsFound); m != "PersistentVolumeClaim sounds is bound" {
		t.Errorf("got %s", m)
	}
}

func TestOtherPromptsMakeOtherPods(t *testing.T) {
	w := newWorld(t)
	w.apply(fleetWithPrompts(nil), secret("alice", unique("alice")), line("alice"))
	w.registered("alice")
	pod := w.running("default-0")
	for _, c := range []struct {
		prompts      *v1.Prompts
		volume, args string
	}{
		{onConfigMap("sounds"), "ConfigMap sounds, optional", "--prompts /etc/softphone/prompts"},
		{onConfigMap("others"), "ConfigMap others, optional", "--prompts /etc/softphone/prompts"},
		{onClaim("others"), "PersistentVolumeClaim others", "--prompts /etc/softphone/prompts"},
		{nil, "", ""},
	} {
		edit(w, "default", &v1.SoftphoneFleet{}, func(f *v1.SoftphoneFleet) { f.Spec.Prompts = c.prompts })
		next := w.another(pod)
		if a, b := pod.Annotations[podspec.AnnotationTemplate], next.Annotations[podspec.AnnotationTemplate]; a == b || b == "" {
			t.Errorf("%q: the template was %q and is %q", c.volume, a, b)
		}
		args := strings.Join(next.Spec.Containers[0].Args, " ")
		if got := promptsVolume(next); got != c.volume || !strings.HasSuffix(args, c.args) || strings.Contains(args, "--prompts") != (c.args != "") {
			t.Errorf("the pod has %q and runs with %s; want %q and %q", got, args, c.volume, c.args)
		}
		w.readyAt(next)
		pod = next
	}
	w.registered("alice")
}

// promptsVolume in words.
func promptsVolume(pod *corev1.Pod) string {
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.Name != "prompts":
		case v.ConfigMap != nil && ptr.Deref(v.ConfigMap.Optional, false):
			return "ConfigMap " + v.ConfigMap.Name + ", optional"
		case v.ConfigMap != nil:
			return "ConfigMap " + v.ConfigMap.Name
		case v.PersistentVolumeClaim != nil:
			return "PersistentVolumeClaim " + v.PersistentVolumeClaim.ClaimName
		}
	}
	return ""
}
