package v1

// SecretValue is the value of a node that must not be read by everyone: a
// reference to a key of a Secret, or, for trials, the value itself.
//
// +structType=atomic
// +kubebuilder:validation:XValidation:rule="has(self.value) != has(self.secretKeyRef)",message="give either secretKeyRef or value, and not both"
type SecretValue struct {
	// Value in plain sight of everyone who may read this object. The object gets the condition InlineSecret.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Value *string `json:"value,omitempty"`

	// SecretKeyRef names the Secret, in the namespace of this object, and its key.
	// +optional
	SecretKeyRef *KeyRef `json:"secretKeyRef,omitempty"`
}

// KeyRef names one key of a Secret or ConfigMap in the namespace of the object that refers to it.
//
// +structType=atomic
type KeyRef struct {
	// Name of the Secret or ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key in it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// XMLSource is an account XML kept in a Secret or a ConfigMap.
//
// +structType=atomic
// +kubebuilder:validation:XValidation:rule="has(self.secretKeyRef) != has(self.configMapKeyRef)",message="give either secretKeyRef or configMapKeyRef, and not both"
type XMLSource struct {
	// SecretKeyRef names the Secret and its key. The right place for a document with a password in it.
	// +optional
	SecretKeyRef *KeyRef `json:"secretKeyRef,omitempty"`

	// ConfigMapKeyRef names the ConfigMap and its key.
	// +optional
	ConfigMapKeyRef *KeyRef `json:"configMapKeyRef,omitempty"`
}
