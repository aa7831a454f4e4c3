package v1

// Registrar bounds what a fleet asks of one registrar, so that no start, outage or wrong Secret of many lines gets the
// cluster's address banned. Requests and requests in flight are shared out evenly among the agents of the fleet, at
// least one for each. The number of agents is rounded up to 1, 2, 3, 4, 6, 8, 12, 16 and so on, so that few changes of
// the fleet's size change what an agent may do; the fleet as a whole may then ask for up to a third less.
type Registrar struct {
	// RequestsPerSecond are the REGISTER requests that all lines of the fleet together send to one registrar, answers
	// to its challenges included.
	// +optional
	// +kubebuilder:default=200
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	RequestsPerSecond *int32 `json:"requestsPerSecond,omitempty"`

	// InFlight are the REGISTER requests of all lines of the fleet to one registrar that have no final answer yet.
	// +optional
	// +kubebuilder:default=50
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	InFlight *int32 `json:"inFlight,omitempty"`

	// RefusedPerMinute is how many lines of one agent a registrar may refuse within a minute before lines whose
	// credentials never worked wait (reason HeldBack). Lines that were registered go on. It is not shared out: pods
	// have addresses of their own.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	RefusedPerMinute *int32 `json:"refusedPerMinute,omitempty"`

	// QualifySeconds between two OPTIONS of an agent to one server, which measure its answer time and tell whether the
	// server of a trunk is there; 0 = none.
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	QualifySeconds *int32 `json:"qualifySeconds,omitempty"`
}
