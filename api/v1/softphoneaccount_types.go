package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SoftphoneAccountSpec is one line.
//
// +kubebuilder:validation:XValidation:rule="has(self.xmlFrom) || has(self.profiles) || (has(self.account) && has(self.account.username)) || (has(self.extra) && 'username' in self.extra)",message="account.username is needed, unless xmlFrom or a profile gives it"
// +kubebuilder:validation:XValidation:rule="has(self.xmlFrom) || has(self.profiles) || has(self.fleet) || (has(self.account) && has(self.account.host)) || (has(self.extra) && 'host' in self.extra)",message="account.host is needed, unless xmlFrom, a profile, or a profile of the fleet that is named gives it"
type SoftphoneAccountSpec struct {
	// Fleet the line runs in; absent: default. Without an object of that name the fleet default has built-in settings.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=50
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	Fleet *string `json:"fleet,omitempty"`

	// Suspend un-registers the line and keeps the object.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// Trunk lines do not register: their server knows them by address. Calls come from it and go to it, and OPTIONS tell
	// whether it is there.
	// +optional
	Trunk *bool `json:"trunk,omitempty"`

	// TLS of the line, if its transport is TLS. What it leaves open the fleet decides.
	// +optional
	TLS *TLS `json:"tls,omitempty"`

	// Profiles are shared layers of account settings, SoftphoneProfiles of this namespace by name. They are merged in this
	// order after those of the fleet, and under what the account says itself.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Profiles []ProfileName `json:"profiles,omitempty"`

	AccountLayer `json:",inline"`
}

// SoftphoneAccountStatus is the truth about the line, as its agent reports it.
type SoftphoneAccountStatus struct {
	// ObservedGeneration is the metadata.generation this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// State of the line's registration.
	// +optional
	State LineState `json:"state,omitempty"`

	// Address of record of the line after merging all layers, user@host.
	// +optional
	Address string `json:"address,omitempty"`

	// Server in use, with port and transport.
	// +optional
	Server string `json:"server,omitempty"`

	// Contact URI that is registered.
	// +optional
	Contact string `json:"contact,omitempty"`

	// Agent the line runs on.
	// +optional
	Agent string `json:"agent,omitempty"`

	// Slot of the line, 1 or 2; it flips whenever the line moves to another agent.
	// +optional
	Slot int32 `json:"slot,omitempty"`

	// Code of the registrar's last final answer.
	// +optional
	Code int32 `json:"code,omitempty"`

	// Reason phrase of that answer, or why there was none, in one word.
	// +optional
	Reason string `json:"reason,omitempty"`

	// Since when the state holds.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// GrantedSeconds is the registration time the registrar granted.
	// +optional
	GrantedSeconds int32 `json:"grantedSeconds,omitempty"`

	// Messages in the line's mailbox, as its server says; absent until it told (account.subscribeForVoicemail).
	// +optional
	Messages *MessagesStatus `json:"messages,omitempty"`

	// Watching of others' calls (account.blf): how it stands. What those others do is not here, as it changes with every
	// call: the agent's metrics and /statusz tell.
	// +optional
	Watching *WatchingStatus `json:"watching,omitempty"`

	// DeliveredHash of the document and settings given to the agent. It is keyed: nobody can try passwords against it.
	// +optional
	DeliveredHash string `json:"deliveredHash,omitempty"`

	// ReportedHash is what the agent says it runs; equal to deliveredHash when the last edit is in force.
	// +optional
	ReportedHash string `json:"reportedHash,omitempty"`

	// EffectiveHash of the document after external provisioning.
	// +optional
	EffectiveHash string `json:"effectiveHash,omitempty"`

	// Conditions of the line; see the constants of this package.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// MessagesStatus is what a mailbox holds.
type MessagesStatus struct {
	// Waiting: there are messages to be listened to.
	// +optional
	Waiting bool `json:"waiting"`

	// New messages.
	// +optional
	New int32 `json:"new"`

	// Old messages.
	// +optional
	Old int32 `json:"old"`

	// Urgent messages among the new ones.
	// +optional
	Urgent int32 `json:"urgent,omitempty"`

	// Account of the mailbox, where the server names it.
	// +optional
	Account string `json:"account,omitempty"`

	// Since when this is so.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}

// WatchingStatus is how the watching of others' calls stands.
type WatchingStatus struct {
	// Targets that are to be watched.
	// +optional
	Targets int32 `json:"targets"`

	// Active subscriptions to them.
	// +optional
	Active int32 `json:"active"`

	// Failed are the first of those that are not, and why.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	Failed []FailedWatch `json:"failed,omitempty"`
}

// FailedWatch is somebody who cannot be watched now.
type FailedWatch struct {
	// Target as account.blf names it.
	// +required
	Target string `json:"target"`

	// Reason in words.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// LineState is the state of a line's registration.
//
// +kubebuilder:validation:Enum=Pending;Idle;Registering;Registered;Unauthorized;Error;Disabled
type LineState string

// The states of a line. All but Pending are an agent's.
const (
	// StatePending lines are not on an agent yet, or the agent did not report them yet.
	StatePending LineState = "Pending"
	// StateIdle lines do not register, by their settings; trunks whose server is there among them.
	StateIdle LineState = "Idle"
	// StateRegistering lines wait for the registrar's answer.
	StateRegistering LineState = "Registering"
	// StateRegistered lines can be called.
	StateRegistered LineState = "Registered"
	// StateUnauthorized lines were refused by the registrar.
	StateUnauthorized LineState = "Unauthorized"
	// StateError lines do not reach the registrar, or get errors from it; the agent keeps trying.
	StateError LineState = "Error"
	// StateDisabled lines are suspended.
	StateDisabled LineState = "Disabled"
)

// SoftphoneAccount is one SIP line. spec.account mirrors the account XML node by node; one account and the Secret with
// its password are enough for a registered line.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=sacc,categories=softphone
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Server",type=string,JSONPath=`.status.server`
// +kubebuilder:printcolumn:name="Agent",type=string,JSONPath=`.status.agent`
// +kubebuilder:printcolumn:name="Code",type=integer,JSONPath=`.status.code`
// +kubebuilder:printcolumn:name="Since",type=date,JSONPath=`.status.since`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Messages",type=integer,JSONPath=`.status.messages.new`,priority=1
// +kubebuilder:printcolumn:name="Contact",type=string,JSONPath=`.status.contact`,priority=1
// +kubebuilder:printcolumn:name="Expires",type=integer,JSONPath=`.status.grantedSeconds`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.reason`,priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="the name of a SoftphoneAccount has at most 63 characters"
type SoftphoneAccount struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec SoftphoneAccountSpec `json:"spec"`
	// +optional
	Status SoftphoneAccountStatus `json:"status,omitempty"`
}

// FleetName is the fleet the account runs in.
func (a *SoftphoneAccount) FleetName() string {
	if a.Spec.Fleet == nil {
		return DefaultFleet
	}
	return *a.Spec.Fleet
}

// Suspended tells whether the account asks to be un-registered.
func (a *SoftphoneAccount) Suspended() bool { return a.Spec.Suspend != nil && *a.Spec.Suspend }

// IsTrunk tells whether the account's server knows the line without registration.
func (a *SoftphoneAccount) IsTrunk() bool { return a.Spec.Trunk != nil && *a.Spec.Trunk }

// SoftphoneAccountList is a list of accounts.
//
// +kubebuilder:object:root=true
type SoftphoneAccountList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SoftphoneAccount `json:"items"`
}
