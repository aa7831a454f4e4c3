package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SoftphoneProfileSpec is a layer of account settings that many accounts share.
type SoftphoneProfileSpec struct {
	// Priority of the layer's nodes; the higher wins. What an account says itself has 40, external provisioning 20.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Priority *int32 `json:"priority,omitempty"`

	AccountLayer `json:",inline"`
}

// SoftphoneProfile is a layer of account settings that many accounts share: a carrier, a site. Accounts and fleets name it
// in spec.profiles, and it is merged under what the accounts say themselves. Its Secrets are those of its own namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=sprof,categories=softphone
// +kubebuilder:printcolumn:name="Priority",type=integer,JSONPath=`.spec.priority`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.account.host`
// +kubebuilder:printcolumn:name="Transport",type=string,JSONPath=`.spec.account.transport`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type SoftphoneProfile struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec SoftphoneProfileSpec `json:"spec,omitempty"`
}

// SoftphoneProfileList is a list of profiles.
//
// +kubebuilder:object:root=true
type SoftphoneProfileList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SoftphoneProfile `json:"items"`
}
