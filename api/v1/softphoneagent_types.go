package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SoftphoneAgentSpec is the binding of lines to an agent. The operator writes it.
type SoftphoneAgentSpec struct {
	// Fleet the agent belongs to.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=50
	Fleet string `json:"fleet"`

	// Lines placed on the agent: names of SoftphoneAccounts in this namespace.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=2000
	Lines []LineBinding `json:"lines,omitempty"`
}

// LineBinding is a line on an agent.
type LineBinding struct {
	// Name of the SoftphoneAccount.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// Slot of the line here; it flips whenever the line moves to another agent, so that a registrar can tell both apart.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2
	Slot int32 `json:"slot"`

	// State wanted of the line here. A draining line removes its own binding at the registrar and lets running calls finish.
	// +optional
	// +kubebuilder:default=active
	State BindingState `json:"state,omitempty"`
}

// BindingState is what is wanted of a line on an agent.
//
// +kubebuilder:validation:Enum=active;draining
type BindingState string

// The states of a binding.
const (
	BindingActive   BindingState = "active"
	BindingDraining BindingState = "draining"
)

// SoftphoneAgentStatus is the agent as a whole, never its single lines.
type SoftphoneAgentStatus struct {
	// ObservedGeneration is the metadata.generation this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Lines placed here.
	// +optional
	Lines int32 `json:"lines"`

	// RegisteredLines are those that a registrar knows; trunks are not among them.
	// +optional
	RegisteredLines int32 `json:"registeredLines"`

	// Address of the agent's pod.
	// +optional
	Address string `json:"address,omitempty"`

	// Node the pod runs on.
	// +optional
	Node string `json:"node,omitempty"`

	// Version of the agent program.
	// +optional
	Version string `json:"version,omitempty"`

	// DeliveredHash of the files given to the agent.
	// +optional
	DeliveredHash string `json:"deliveredHash,omitempty"`

	// ReportedHash of the files the agent runs.
	// +optional
	ReportedHash string `json:"reportedHash,omitempty"`

	// Conditions of the agent: Ready, Draining.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SoftphoneAgent is one agent pod and the lines placed on it. The operator makes and removes them; there is nothing to
// write here by hand.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=sagent,categories=softphone
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Fleet",type=string,JSONPath=`.spec.fleet`
// +kubebuilder:printcolumn:name="Lines",type=integer,JSONPath=`.status.lines`
// +kubebuilder:printcolumn:name="Registered",type=integer,JSONPath=`.status.registeredLines`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.address`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.status.node`,priority=1
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 58 && !self.metadata.name.contains('.')",message="the name of a SoftphoneAgent has at most 58 characters and no dot"
type SoftphoneAgent struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec SoftphoneAgentSpec `json:"spec"`
	// +optional
	Status SoftphoneAgentStatus `json:"status,omitempty"`
}

// SoftphoneAgentList is a list of agents.
//
// +kubebuilder:object:root=true
type SoftphoneAgentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SoftphoneAgent `json:"items"`
}
