package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DefaultFleet is the fleet of accounts that name none. It needs no object.
const DefaultFleet = "default"

// SoftphoneFleetSpec says how lines run. Every field is optional; {} is the built-in settings.
type SoftphoneFleetSpec struct {
	// Suspend un-registers all lines of the fleet and keeps everything else.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// LinesPerAgent is the most lines one agent pod runs. All their documents together must fit one Secret: 1.5 kB a line
	// at the maximum.
	// +optional
	// +kubebuilder:default=200
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=500
	LinesPerAgent *int32 `json:"linesPerAgent,omitempty"`

	// Network the lines believe to be on. It chooses between the Wi-Fi and the cellular half of an account's settings.
	// +optional
	Network *Network `json:"network,omitempty"`

	// IncomingCallMode stands behind icm: auto.
	// +optional
	// +kubebuilder:default=keepAwake
	// +kubebuilder:validation:Enum=keepAwake;push;off
	IncomingCallMode *string `json:"incomingCallMode,omitempty"`

	// NoAnswerSeconds until an incoming call that nobody answers gets 480.
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	NoAnswerSeconds *int32 `json:"noAnswerSeconds,omitempty"`

	// DrainSeconds that running calls may take when an agent stops.
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=7200
	DrainSeconds *int32 `json:"drainSeconds,omitempty"`

	// Caps bound what one line may do.
	// +optional
	Caps *Caps `json:"caps,omitempty"`

	// SourceRequestsPerSecond that one address on the network may send to an agent; 0 = no bound. The servers of the
	// agent's lines may send more.
	// +optional
	// +kubebuilder:default=50
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	SourceRequestsPerSecond *int32 `json:"sourceRequestsPerSecond,omitempty"`

	// Registrar bounds what the whole fleet asks of one registrar.
	// +optional
	Registrar *Registrar `json:"registrar,omitempty"`

	// TLS of the lines whose transport is TLS, each part unless their account has its own.
	// +optional
	TLS *TLS `json:"tls,omitempty"`

	// Destinations guard what lines may call.
	// +optional
	Destinations *Destinations `json:"destinations,omitempty"`

	// Transfers say who may send a line's calls elsewhere.
	// +optional
	Transfers *Transfers `json:"transfers,omitempty"`

	// HEP is where copies of the lines' SIP messages go; absent, nowhere.
	// +optional
	HEP *HEP `json:"hep,omitempty"`

	// Prompts are the audio files that the fleet's lines can play.
	// +optional
	Prompts *Prompts `json:"prompts,omitempty"`

	// MetricLabels are keys of labels of SoftphoneAccounts that the agents' metrics carry: carrier, site.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	MetricLabels []MetricLabel `json:"metricLabels,omitempty"`

	// Profiles are shared layers of account settings, SoftphoneProfiles of this namespace by name, for all lines of the
	// fleet. They are merged in this order, under the profiles and the settings of the accounts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Profiles []ProfileName `json:"profiles,omitempty"`

	// Pod holds what may be said about the agents' pods.
	// +optional
	Pod *AgentPod `json:"pod,omitempty"`
}

// ProfileName is the name of a profile.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
type ProfileName string

// Network is the network lines believe to be on.
//
// +kubebuilder:validation:XValidation:rule="!has(self.ssid) || !has(self.type) || self.type == 'wifi'",message="ssid means something on wifi only"
type Network struct {
	// Type of the network.
	// +optional
	// +kubebuilder:default=wifi
	// +kubebuilder:validation:Enum=wifi;cellular;none
	Type *string `json:"type,omitempty"`

	// SSID of the Wi-Fi network, for rules that ask for it.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	SSID *string `json:"ssid,omitempty"`
}

// Caps bound what one line may do.
type Caps struct {
	// ConcurrentCalls of a line, both directions together; 0 = no bound.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	ConcurrentCalls *int32 `json:"concurrentCalls,omitempty"`

	// NewCallsPerSecond a line takes from the network; 0 = no bound.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	NewCallsPerSecond *int32 `json:"newCallsPerSecond,omitempty"`

	// MaxCallSeconds after which a call is ended.
	// +optional
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	MaxCallSeconds *int32 `json:"maxCallSeconds,omitempty"`
}

// SoftphoneFleetStatus is the fleet as a whole.
type SoftphoneFleetStatus struct {
	// ObservedGeneration is the metadata.generation this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Agents of the fleet.
	// +optional
	Agents int32 `json:"agents"`

	// ReadyAgents are those whose condition Ready is True.
	// +optional
	ReadyAgents int32 `json:"readyAgents"`

	// Lines of the fleet: its accounts.
	// +optional
	Lines int32 `json:"lines"`

	// RegisteredLines are those that a registrar knows; trunks are not among them.
	// +optional
	RegisteredLines int32 `json:"registeredLines"`

	// Conditions of the fleet: Ready, Progressing, and PromptsReady of one with prompts.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SoftphoneFleet says how lines run: how many on an agent, on which network, within which bounds, in what kind of pod.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=sfleet,categories=softphone
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Agents",type=integer,JSONPath=`.status.agents`
// +kubebuilder:printcolumn:name="Lines",type=integer,JSONPath=`.status.lines`
// +kubebuilder:printcolumn:name="Registered",type=integer,JSONPath=`.status.registeredLines`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 50 && !self.metadata.name.contains('.')",message="the name of a SoftphoneFleet has at most 50 characters and no dot"
type SoftphoneFleet struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec SoftphoneFleetSpec `json:"spec,omitempty"`
	// +optional
	Status SoftphoneFleetStatus `json:"status,omitempty"`
}

// SoftphoneFleetList is a list of fleets.
//
// +kubebuilder:object:root=true
type SoftphoneFleetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SoftphoneFleet `json:"items"`
}
