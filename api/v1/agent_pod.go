package v1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
)

// AgentPod is what may be said about the pods of a fleet's agents. What an agent needs to run, and to stay confined, is
// not to be chosen: security context, volumes, probes, arguments.
type AgentPod struct {
	// Image of the agent; absent: the one the operator was installed with.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image *string `json:"image,omitempty"`

	// ImagePullPolicy as of any container; absent: IfNotPresent.
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy *string `json:"imagePullPolicy,omitempty"`

	// ImagePullSecrets by name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	ImagePullSecrets []ObjectName `json:"imagePullSecrets,omitempty"`

	// Resources of the agent's container.
	// +optional
	Resources *Resources `json:"resources,omitempty"`

	// NodeSelector: labels a node must have.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Tolerations of node taints. Two are always there: an agent leaves a node that is not ready or unreachable after 5 s.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Tolerations []Toleration `json:"tolerations,omitempty"`

	// Affinity as of any pod (core/v1 Affinity).
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	Affinity *runtime.RawExtension `json:"affinity,omitempty"`

	// PriorityClassName as of any pod.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName *string `json:"priorityClassName,omitempty"`

	// Labels added to the pods; those of the operator win.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]string `json:"labels,omitempty"`

	// Annotations added to the pods; those of the operator win.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ObjectName is the name of an object in the same namespace.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
type ObjectName string

// Resources of a container.
type Resources struct {
	// Requests: what the node must have to spare. Absent: cpu 50m, memory 64Mi.
	// +optional
	Requests map[string]resource.Quantity `json:"requests,omitempty"`
	// Limits: what the container never gets more of. Absent: memory 512Mi.
	// +optional
	Limits map[string]resource.Quantity `json:"limits,omitempty"`
}

// Toleration of a node taint, as of any pod.
type Toleration struct {
	// Key of the taint; absent with operator Exists: every taint.
	// +optional
	// +kubebuilder:validation:MaxLength=316
	Key string `json:"key,omitempty"`
	// Operator: Equal (default) or Exists.
	// +optional
	// +kubebuilder:validation:Enum=Equal;Exists
	Operator string `json:"operator,omitempty"`
	// Value of the taint, with Equal.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Value string `json:"value,omitempty"`
	// Effect of the taint; absent: every effect.
	// +optional
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect string `json:"effect,omitempty"`
	// TolerationSeconds with NoExecute; absent: forever.
	// +optional
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}
