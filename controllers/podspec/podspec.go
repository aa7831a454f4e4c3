// Package podspec builds the Kubernetes objects around an agent: its Pod, and
// for a fleet the NetworkPolicy and the PodDisruptionBudget. It is pure.
//
// An agent talks to hostile networks, so its pod holds nothing worth stealing
// and may do nothing but its work: it fits PodSecurity "restricted".
package podspec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// Labels and annotations of the objects around agents.
const (
	LabelName      = "app.kubernetes.io/name"
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelFleet     = "voip.softphone.dev/fleet"
	LabelAgent     = "voip.softphone.dev/agent"

	NameAgent = "softphone-agent"
	ManagedBy = "softphone-operator"

	// AnnotationTemplate is the hash of what a pod was built from: another hash, another pod.
	AnnotationTemplate = "voip.softphone.dev/template"
	// AnnotationDelivered is touched after the agent's files changed, so that the kubelet refreshes them now.
	AnnotationDelivered = "voip.softphone.dev/delivered"
)

// Ports and paths of the agent's container.
const (
	PortListen = 8080
	PortReport = 8443

	controlAddress = "127.0.0.1:8081"
	linesPath      = "/etc/softphone/lines"
	statePath      = "/var/lib/softphone"
	promptsPath    = "/etc/softphone/prompts"
	// user of the image; distroless calls it nonroot.
	user = 65532
	// drainMargin is added to a fleet's drainSeconds: un-registering, BYE and exit.
	drainMargin = 10
	// leaveSeconds after which an agent leaves a node that is not ready or unreachable.
	leaveSeconds = 5
)

// ContainerName of the agent in its pod.
const ContainerName = "agent"

// Settings of a pod that do not come from the agent itself.
type Settings struct {
	// Image used when the fleet names none.
	Image string
	// DrainSeconds of the fleet.
	DrainSeconds int
	// Prompts of the fleet; nil = none.
	Prompts *v1.Prompts
	// Pod settings of the fleet; may be nil.
	Pod *v1.AgentPod
}

// Labels of everything that belongs to a fleet's agents.
func Labels(fleet string) map[string]string {
	return map[string]string{LabelName: NameAgent, LabelManagedBy: ManagedBy, LabelFleet: fleet}
}

// SecretName of the files given to an agent.
func SecretName(agent string) string { return agent + "-lines" }

// Pod builds the pod of an agent. The error tells what is wrong in the fleet's pod settings.
func Pod(agent *v1.SoftphoneAgent, s Settings) (*corev1.Pod, error) {
	if s.Pod == nil {
		s.Pod = &v1.AgentPod{}
	}
	affinity, err := affinity(s.Pod)
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: agent.Name, Namespace: agent.Namespace, Labels: map[string]string{}, Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			RestartPolicy:                 corev1.RestartPolicyAlways,
			TerminationGracePeriodSeconds: ptr.To(int64(s.DrainSeconds + drainMargin)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   ptr.To(true),
				RunAsUser:      ptr.To(int64(user)),
				RunAsGroup:     ptr.To(int64(user)),
				FSGroup:        ptr.To(int64(user)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			ImagePullSecrets:  pullSecrets(s.Pod),
			NodeSelector:      s.Pod.NodeSelector,
			Affinity:          affinity,
			Tolerations:       tolerations(s.Pod),
			PriorityClassName: ptr.Deref(s.Pod.PriorityClassName, ""),
			Containers:        []corev1.Container{container(agent.Name, s)},
			Volumes:           volumes(agent.Name),
		},
	}
	if s.Prompts != nil {
		addPrompts(&pod.Spec, s.Prompts)
	}
	maps.Copy(pod.Labels, s.Pod.Labels)
	maps.Copy(pod.Labels, Labels(agent.Spec.Fleet))
	pod.Labels[LabelAgent] = agent.Name
	maps.Copy(pod.Annotations, s.Pod.Annotations)
	pod.Annotations[AnnotationTemplate] = templateHash(pod)
	return pod, nil
}

func container(agent string, s Settings) corev1.Container {
	return corev1.Container{
		Name:            ContainerName,
		Image:           ptr.Deref(s.Pod.Image, s.Image),
		ImagePullPolicy: corev1.PullPolicy(ptr.Deref(s.Pod.ImagePullPolicy, string(corev1.PullIfNotPresent))),
		Args: []string{
			"--accounts", linesPath,
			"--listen", fmt.Sprintf(":%d", PortListen),
			"--report", fmt.Sprintf(":%d", PortReport),
			"--control", controlAddress,
			"--state", statePath,
			"--name", agent,
		},
		Ports: []corev1.ContainerPort{
			{Name: "http", ContainerPort: PortListen, Protocol: corev1.ProtocolTCP},
			{Name: "report", ContainerPort: PortReport, Protocol: corev1.ProtocolTCP},
		},
		Resources: resources(s.Pod.Resources),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false),
			ReadOnlyRootFilesystem:   ptr.To(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		LivenessProbe:  probe("/healthz", 10, 3),
		ReadinessProbe: probe("/readyz", 2, 2),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "lines", MountPath: linesPath, ReadOnly: true},
			{Name: "state", MountPath: statePath},
		},
	}
}

func probe(path string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(PortListen), Scheme: corev1.URISchemeHTTP}},
		// The agent listens within a second: asked before, it would only give rise to a Warning event.
		InitialDelaySeconds: 1,
		PeriodSeconds:       period,
		TimeoutSeconds:      3,
		FailureThreshold:    failures,
		SuccessThreshold:    1,
	}
}

func volumes(agent string) []corev1.Volume {
	return []corev1.Volume{
		{Name: "lines", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: SecretName(agent), DefaultMode: ptr.To(int32(0o440))}}},
		{Name: "state", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr.To(resource.MustParse("64Mi"))}}},
	}
}

// addPrompts mounts a fleet's audio files. A ConfigMap may be missing, as lines are there for more than to play files; a claim cannot.
func addPrompts(spec *corev1.PodSpec, p *v1.Prompts) {
	volume := corev1.Volume{Name: "prompts"}
	if p.PersistentVolumeClaim != nil {
		volume.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: string(*p.PersistentVolumeClaim), ReadOnly: true}
	} else {
		volume.ConfigMap = &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: string(ptr.Deref(p.ConfigMap, ""))}, Optional: ptr.To(true),
		}
	}
	spec.Volumes = append(spec.Volumes, volume)
	c := &spec.Containers[0]
	c.Args = append(c.Args, "--prompts", promptsPath)
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volume.Name, MountPath: promptsPath, ReadOnly: true})
}

func resources(r *v1.Resources) corev1.ResourceRequirements {
	out := corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
	}
	if r == nil {
		return out
	}
	if r.Requests != nil {
		out.Requests = list(r.Requests)
	}
	if r.Limits != nil {
		out.Limits = list(r.Limits)
	}
	return out
}

func list(in map[string]resource.Quantity) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, q := range in {
		out[corev1.ResourceName(name)] = q
	}
	return out
}

func pullSecrets(p *v1.AgentPod) []corev1.LocalObjectReference {
	var out []corev1.LocalObjectReference
	for _, name := range p.ImagePullSecrets {
		out = append(out, corev1.LocalObjectReference{Name: string(name)})
	}
	return out
}

func tolerations(p *v1.AgentPod) []corev1.Toleration {
	var out []corev1.Toleration
	for _, t := range p.Tolerations {
		out = append(out, corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: t.Value, Effect: corev1.TaintEffect(t.Effect), TolerationSeconds: t.TolerationSeconds})
	}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		out = append(out, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To(int64(leaveSeconds))})
	}
	return out
}

// affinity is kept as written in the API, which does not repeat the whole of core/v1.
func affinity(p *v1.AgentPod) (*corev1.Affinity, error) {
	if p.Affinity == nil || len(p.Affinity.Raw) == 0 {
		return nil, nil
	}
	out := &corev1.Affinity{}
	d := json.NewDecoder(bytes.NewReader(p.Affinity.Raw))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil {
		return nil, fmt.Errorf("spec.pod.affinity: %w", err)
	}
	return out, nil
}

// templateHash tells two builds of a pod apart.
func templateHash(pod *corev1.Pod) string {
	encoded, err := json.Marshal(struct {
		Labels, Annotations map[string]string
		Spec                corev1.PodSpec
	}{pod.Labels, pod.Annotations, pod.Spec})
	if err != nil {
		panic(err) // a PodSpec made above always encodes
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:8])
}
