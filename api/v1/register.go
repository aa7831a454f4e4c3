package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of the kinds in this package.
var GroupVersion = schema.GroupVersion{Group: "voip.softphone.dev", Version: "v1"}

// SchemeBuilder collects the kinds; AddToScheme adds them to a scheme.
var (
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
	AddToScheme   = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&SoftphoneAccount{}, &SoftphoneAccountList{},
		&SoftphoneProfile{}, &SoftphoneProfileList{},
		&SoftphoneFleet{}, &SoftphoneFleetList{},
		&SoftphoneAgent{}, &SoftphoneAgentList{},
		&CallCheck{}, &CallCheckList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
