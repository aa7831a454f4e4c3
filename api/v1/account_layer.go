package v1

// AccountLayer is one layer of account settings, as it is merged with others.
type AccountLayer struct {
	// Account mirrors the account XML node by node, under the same names. A field that is not set says nothing:
	// another layer, or the node's default, decides.
	// +optional
	Account *AccountSettings `json:"account,omitempty"`

	// Extra carries nodes that spec.account has no field for, or whose value does not fit the field's type: the node's
	// name, and its text. A value that begins with "<NAME" is taken as the whole XML element of that name, with
	// attributes and children.
	// +optional
	// +kubebuilder:validation:MaxProperties=200
	// +kubebuilder:validation:XValidation:rule="self.all(node, node.size() <= 128 && node.matches('^[\\\\pL_][\\\\pL\\\\pN_.:-]*$'))",message="a key of extra is the name of an XML node: a letter or _, then letters, digits, and the characters _ . : -"
	Extra map[string]ExtraValue `json:"extra,omitempty"`

	// ExtraFrom is extra for values that must not be read by everyone.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(node, node.size() <= 128 && node.matches('^[\\\\pL_][\\\\pL\\\\pN_.:-]*$'))",message="a key of extraFrom is the name of an XML node: a letter or _, then letters, digits, and the characters _ . : -"
	ExtraFrom map[string]ExtraSource `json:"extraFrom,omitempty"`

	// Attributes of the account element itself, carried unused.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Attributes map[string]AttributeValue `json:"attributes,omitempty"`

	// Merge says for single nodes what mergeable XML can say of them.
	// +optional
	// +listType=map
	// +listMapKey=node
	// +kubebuilder:validation:MaxItems=400
	Merge []NodeMerge `json:"merge,omitempty"`

	// XMLFrom takes over an existing account XML. It is merged before spec.account, so that spec.account wins.
	// +optional
	XMLFrom *XMLSource `json:"xmlFrom,omitempty"`
}

// ExtraValue is the text of a node, or its whole XML element.
//
// +kubebuilder:validation:MaxLength=65536
type ExtraValue string

// ExtraSource is where the text of a node, or its whole XML element, is kept.
type ExtraSource struct {
	// SecretKeyRef names the Secret, in the namespace of this object, and its key.
	// +required
	SecretKeyRef KeyRef `json:"secretKeyRef"`
}

// AttributeValue is the value of an XML attribute.
//
// +kubebuilder:validation:MaxLength=4096
type AttributeValue string

// NodeMerge is how one node of a layer meets the other layers.
type NodeMerge struct {
	// Node is the node's XML name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[\pL_][\pL\pN_.:-]*$`
	Node string `json:"node"`

	// Priority of the node; absent: that of its layer (an account's 40, a profile's 10). The higher wins, ties go to the later layer; default is 0,
	// provisioning 10, external provisioning 20.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Priority *int32 `json:"priority,omitempty"`

	// Source is free text saying where the value comes from; absent: that of its layer (gui, provisioning).
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Source *string `json:"source,omitempty"`

	// Operation subnode-union adds the node's children to those of other layers instead of replacing them.
	// +optional
	Operation *MergeOperation `json:"operation,omitempty"`

	// Empty makes the node explicitly empty, which is not the same as saying nothing.
	// +optional
	Empty *bool `json:"empty,omitempty"`
}

// MergeOperation is how a node meets a stored one.
//
// +kubebuilder:validation:Enum=subnode-union
type MergeOperation string

// SubnodeUnion appends the children that are not there yet.
const SubnodeUnion MergeOperation = "subnode-union"
