package v1

// Labels and annotations that the operator puts on what it owns; scripts may select by them.
const (
	// LabelAgent names the SoftphoneAgent that a Pod or Secret belongs to.
	LabelAgent = "voip.softphone.dev/agent"
	// LabelFleet names the fleet of an agent and of what belongs to it.
	LabelFleet = "voip.softphone.dev/fleet"
	// AnnotationRunAt on a CallCheck asks for a run now, each time its value changes.
	AnnotationRunAt = "voip.softphone.dev/run-at"
	// AnnotationDelivered is the hash of the files last written for a pod; touching it makes the kubelet refresh the
	// pod's volumes now.
	AnnotationDelivered = "voip.softphone.dev/delivered"
)
