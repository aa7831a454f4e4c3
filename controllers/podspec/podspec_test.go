package podspec_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
)

func agent() *v1.SoftphoneAgent {
	return &v1.SoftphoneAgent{ObjectMeta: metav1.ObjectMeta{Name: "default-0", Namespace: "voip"}, Spec: v1.SoftphoneAgentSpec{Fleet: "default"}}
}

func build(t *testing.T, s podspec.Settings) *corev1.Pod {
	t.Helper()
	pod, err := podspec.Pod(agent(), s)
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// The rules are those of PodSecurity "restricted" and of the threat model; e2e
// asks the API server itself.
func TestAgentPodMayDoNothingButItsWork(t *testing.T) {
	pod := build(t, podspec.Settings{Image: "agent:1", DrainSeconds: 30})
	spec, c := pod.Spec, pod.Spec.Containers[0]
	for rule, kept := range map[string]bool{
		"no token":                       !*spec.AutomountServiceAccountToken,
		"no service environment":         !*spec.EnableServiceLinks,
		"one container":                  len(spec.Containers) == 1 && len(spec.InitContainers) == 0,
		"not root":                       *spec.SecurityContext.RunAsNonRoot && *spec.SecurityContext.RunAsUser == 65532,
		"seccomp of the runtime":         spec.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"no escalation":                  !*c.SecurityContext.AllowPrivilegeEscalation,
		"read-only root":                 *c.SecurityContext.ReadOnlyRootFilesystem,
		"no capabilities":                len(c.SecurityContext.Capabilities.Drop) == 1 && c.SecurityContext.Capabilities.Drop[0] == "ALL" && len(c.SecurityContext.Capabilities.Add) == 0,
		"no host namespaces":             !spec.HostNetwork && !spec.HostPID && !spec.HostIPC,
		"files read-only":                c.VolumeMounts[0].ReadOnly && c.VolumeMounts[0].MountPath == "/etc/softphone/lines",
		"calls in progress may end":      *spec.TerminationGracePeriodSeconds == 40,
		"no limit on cpu, one on memory": c.Resources.Limits.Cpu().IsZero() && !c.Resources.Limits.Memory().IsZero(),
		"control on loopback alone":      strings.Contains(strings.Join(c.Args, " "), "--control 127.0.0.1:8081"),
		"the default image":              c.Image == "agent:1",
	} {
		if !kept {
			t.Errorf("broken: %s", rule)
		}
	}
	for _, taint := range []string{"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"} {
		found := false
		for _, tol := range spec.Tolerations {
			found = found || tol.Key == taint && *tol.TolerationSeconds == 5
		}
		if !found {
			t.Errorf("taint %s is not tolerated for 5 s", taint)
		}
	}
}

func TestFleetSettingsReachThePodButDoNotLoosenIt(t *testing.T) {
	plain := build(t, podspec.Settings{Image: "agent:1", DrainSeconds: 30})
	pod := build(t, podspec.Settings{Image: "agent:1", DrainSeconds: 30, Pod: &v1.AgentPod{
		Image:            ptr.To("mine:2"),
		ImagePullSecrets: []v1.ObjectName{"pull"},
		NodeSelector:     map[string]string{"zone": "a"},
		Labels:           map[string]string{"team": "voice", podspec.LabelFleet: "stolen"},
		Annotations:      map[string]string{"note": "x"},
		Affinity:         &runtime.RawExtension{Raw: []byte(`{"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"podAffinityTerm":{"topologyKey":"kubernetes.io/hostname"}}]}}`)},
	}})
	if pod.Spec.Containers[0].Image != "mine:2" || pod.Spec.ImagePullSecrets[0].Name != "pull" || pod.Spec.NodeSelector["zone"] != "a" ||
		pod.Labels["team"] != "voice" || pod.Annotations["note"] != "x" || pod.Spec.Affinity.PodAntiAffinity == nil {
		t.Errorf("settings lost: %+v", pod)
	}
	if pod.Labels[podspec.LabelFleet] != "default" {
		t.Error("a fleet's label replaces one of the operator's")
	}
	if pod.Annotations[podspec.AnnotationTemplate] == plain.Annotations[podspec.AnnotationTemplate] {
		t.Error("another pod has the same template hash")
	}
	again := build(t, podspec.Settings{Image: "agent:1", DrainSeconds: 30})
	if again.Annotations[podspec.AnnotationTemplate] != plain.Annotations[podspec.AnnotationTemplate] {
		t.Error("the same pod has another template hash")
	}
}

func TestPromptsAreReadAndHoldUpNothing(t *testing.T) {
	for what, prompts := range map[string]v1.Prompts{
		"ConfigMap": {ConfigMap: ptr.To(v1.ObjectName("greetings"))}, "PersistentVolumeClaim": {PersistentVolumeClaim: ptr.To(v1.ObjectName("greetings"))},
	} {
		pod := build(t, podspec.Settings{Image: "agent:1", Prompts: &prompts})
		c, volume := pod.Spec.Containers[0], pod.Spec.Volumes[len(pod.Spec.Volumes)-1]
		mount := c.VolumeMounts[len(c.VolumeMounts)-1]
		if !strings.HasSuffix(strings.Join(c.Args, " "), " --prompts "+mount.MountPath) || !mount.ReadOnly || mount.Name != volume.Name {
			t.Errorf("%s: arguments %v, mount %+v", what, c.Args, mount)
		}
		switch {
		case what == "ConfigMap":
			if m := volume.ConfigMap; m == nil || m.Name != "greetings" || !*m.Optional {
				t.Errorf("%s: %+v, want one that may be missing", what, volume)
			}
		case volume.PersistentVolumeClaim == nil || volume.PersistentVolumeClaim.ClaimName != "greetings" || !volume.PersistentVolumeClaim.ReadOnly:
			t.Errorf("%s: %+v", what, volume)
		}
	}
	if plain := build(t, podspec.Settings{Image: "agent:1"}); strings.Contains(strings.Join(plain.Spec.Containers[0].Args, " "), "--prompts") {
		t.Error("a fleet without prompts has a directory of them")
	}
}

func TestWrongAffinityIsNamed(t *testing.T) {
	_, err := podspec.Pod(agent(), podspec.Settings{Pod: &v1.AgentPod{Affinity: &runtime.RawExtension{Raw: []byte(`{"nodeAffinty":{}}`)}}})
	want := `spec.pod.affinity: json: unknown field "nodeAffinty"`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestReportIsForTheManagerAlone(t *testing.T) {
	covered := func(managerNamespace string, port int32) (open, guarded bool) {
		for _, rule := range podspec.NetworkPolicy("voip", "default", managerNamespace).Spec.Ingress {
			for _, p := range rule.Ports {
				last := p.Port.IntVal
				if p.EndPort != nil {
					last = *p.EndPort
				}
				if *p.Protocol == corev1.ProtocolTCP && p.Port.IntVal <= port && port <= last {
					open = open || len(rule.From) == 0
					guarded = guarded || len(rule.From) > 0
				}
			}
		}
		return open, guarded
	}
	if open, guarded := covered("softphone-system", 8443); open || !guarded {
		t.Error("the report port is open to everyone")
	}
	for _, port := range []int32{1, 5060, 8080, 8442, 8444, 65535} {
		if open, _ := covered("softphone-system", port); !open {
			t.Errorf("port %d is closed", port)
		}
	}
	if open, _ := covered("", 8443); !open {
		t.Error("a manager outside of the cluster is shut out")
	}
}

func TestDisruptionBudgetCountsAgentsThatHoldLines(t *testing.T) {
	pdb := podspec.DisruptionBudget("voip", "default", 3)
	if pdb.Spec.MinAvailable.IntVal != 3 || pdb.Spec.MinAvailable.StrVal != "" || pdb.Spec.Selector.MatchLabels[podspec.LabelFleet] != "default" {
		t.Errorf("got %+v", pdb.Spec)
	}
}
