package v1

// Destinations guard what the lines of a fleet may call. Without them emergency numbers and premium-rate prefixes are refused.
type Destinations struct {
	// AllowEmergency lets lines call emergency numbers.
	// +optional
	// +kubebuilder:default=false
	AllowEmergency *bool `json:"allowEmergency,omitempty"`

	// AllowPremium lets lines call premium-rate numbers.
	// +optional
	// +kubebuilder:default=false
	AllowPremium *bool `json:"allowPremium,omitempty"`

	// Allow are beginnings of numbers that may be called, whatever else is refused. The longest beginning that fits decides.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	Allow []NumberPrefix `json:"allow,omitempty"`

	// Deny are beginnings of numbers that may not be called. The longest beginning that fits decides; of two as long, deny.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	Deny []NumberPrefix `json:"deny,omitempty"`

	// MinutesPerDay of answered outgoing calls that one line may make in a day (UTC); 0 = no bound. The count begins anew when a
	// line moves to another agent or its agent restarts.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MinutesPerDay *int32 `json:"minutesPerDay,omitempty"`
}

// NumberPrefix is the beginning of a number: +49 89, 0900.
//
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:Pattern=`^[0-9*#+][0-9*# ().+/-]*$`
type NumberPrefix string

// MetricLabel is the key of a label of SoftphoneAccounts. Metrics name it as Prometheus can: what stands behind the slash, with
// underscores for dashes and dots.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:Pattern=`^([a-z0-9.-]+/)?[A-Za-z0-9][A-Za-z0-9._-]*$`
// +kubebuilder:validation:XValidation:rule="!(self.split('/')[self.split('/').size()-1] in ['account','check','verdict','code','state','direction','outcome','name','version','namespace','pod','instance','job','container','le','quantile'])",message="metrics have a label of that name already"
type MetricLabel string
