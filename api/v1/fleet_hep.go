package v1

// HEP is where copies of the lines' SIP messages go, for a capture server such as Homer (HEP version 3, UDP). Secrets are taken out of them
// first: passwords, digest responses, keys, digits and what MESSAGEs say.
type HEP struct {
	// Address of the server, as host:port. Agents' pods must reach it.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:Pattern=`^(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):[0-9]{1,5}$`
	Address string `json:"address,omitempty"`

	// CaptureID tells the server which fleet captured.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	CaptureID *int32 `json:"captureID,omitempty"`
}
