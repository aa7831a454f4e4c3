// Package v1 is the API that users write: the kinds of group
// voip.softphone.dev, version v1. A SoftphoneAccount is one SIP line, a
// SoftphoneFleet says how lines run, a SoftphoneAgent is one agent pod and
// belongs to the operator.
//
// The package knows apimachinery and nothing of ours, so that other programs
// can import it to talk to the operator.
//
// +kubebuilder:object:generate=true
// +groupName=voip.softphone.dev
package v1
