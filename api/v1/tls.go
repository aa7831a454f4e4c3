package v1

// TLS is what TLS connections to SIP servers are made with. A line takes each part from its account, else from its
// fleet; the Secrets and ConfigMaps are in the same namespace, and a new version of one is in force in seconds.
//
// +kubebuilder:validation:XValidation:rule="has(self.caRef) || has(self.clientCertificateSecretName)",message="give caRef, clientCertificateSecretName, or both"
type TLS struct {
	// CARef is a bundle of PEM certificates: authorities that are trusted beside the well-known ones.
	// +optional
	CARef *CASource `json:"caRef,omitempty"`

	// ClientCertificateSecretName names a Secret of type kubernetes.io/tls, as cert-manager writes it: tls.crt is the
	// certificate with its chain, tls.key its key. It is shown to servers that ask for a client certificate.
	// +optional
	ClientCertificateSecretName *ObjectName `json:"clientCertificateSecretName,omitempty"`
}

// CASource is a bundle of authorities, kept in a Secret or a ConfigMap.
//
// +kubebuilder:validation:XValidation:rule="has(self.secretKeyRef) != has(self.configMapKeyRef)",message="give either secretKeyRef or configMapKeyRef, and not both"
type CASource struct {
	// SecretKeyRef names the Secret and its key, such as ca.crt of a Secret that cert-manager wrote.
	// +optional
	SecretKeyRef *KeyRef `json:"secretKeyRef,omitempty"`

	// ConfigMapKeyRef names the ConfigMap and its key, such as one that trust-manager wrote.
	// +optional
	ConfigMapKeyRef *KeyRef `json:"configMapKeyRef,omitempty"`
}
