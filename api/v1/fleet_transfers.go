package v1

// Transfers say who may send a line's calls elsewhere (REFER, RFC 3515). Following a transfer places a call on the line's bill;
// Destinations and Caps bound it as they bound every call.
type Transfers struct {
	// Accept says whose transfers a line follows: nobody's, those of whom it has called itself (placed), or those of
	// whoever has called it as well (any).
	// +optional
	// +kubebuilder:default=none
	// +kubebuilder:validation:Enum=none;placed;any
	Accept *string `json:"accept,omitempty"`
}
