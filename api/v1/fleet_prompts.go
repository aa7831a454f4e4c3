package v1

// Prompts are the audio files that lines can play: WAV and CAF, each by its name in the volume. The fleet's
// condition PromptsReady says what is missing.
//
// +kubebuilder:validation:XValidation:rule="has(self.configMap) || has(self.persistentVolumeClaim)",message="say where the files are: configMap or persistentVolumeClaim is needed"
// +kubebuilder:validation:XValidation:rule="!has(self.configMap) || !has(self.persistentVolumeClaim)",message="give either configMap or persistentVolumeClaim, and not both"
type Prompts struct {
	// ConfigMap of this namespace by name, whose keys are the files' names; it holds 1 MiB at most. Lines run without it
	// while it is missing, and calls that want a file of it are refused.
	// +optional
	ConfigMap *ObjectName `json:"configMap,omitempty"`

	// PersistentVolumeClaim of this namespace by name. It is only read. Pods wait until it can be mounted.
	// +optional
	PersistentVolumeClaim *ObjectName `json:"persistentVolumeClaim,omitempty"`
}
