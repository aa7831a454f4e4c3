package podspec

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// FleetObjectName is the name of a fleet's NetworkPolicy and PodDisruptionBudget.
func FleetObjectName(fleet string) string { return "softphone-" + fleet }

func fleetMeta(namespace, fleet string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: FleetObjectName(fleet), Namespace: namespace, Labels: Labels(fleet)}
}

func selector(fleet string) metav1.LabelSelector {
	return metav1.LabelSelector{MatchLabels: map[string]string{LabelName: NameAgent, LabelFleet: fleet}}
}

// DisruptionBudget of a fleet: no agent that holds lines may be evicted. The
// operator moves the lines first, and an empty agent goes by itself. minAvailable
// is a number, since a percentage needs a controller that pods without one lack.
func DisruptionBudget(namespace, fleet string, holding int) *policyv1.PodDisruptionBudget {
	sel := selector(fleet)
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: fleetMeta(namespace, fleet),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable:               ptr.To(intstr.FromInt(holding)),
			Selector:                   &sel,
			UnhealthyPodEvictionPolicy: ptr.To(policyv1.AlwaysAllow),
		},
	}
}

// NetworkPolicy of a fleet. Calls and media come from anywhere, on ports that
// are chosen at run time; the report is for the manager alone. Without a
// managerNamespace (a manager outside of the cluster) the report is left to its
// certificate and token.
func NetworkPolicy(namespace, fleet, managerNamespace string) *networkingv1.NetworkPolicy {
	from := []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": managerNamespace}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{LabelName: ManagedBy}},
	}}
	if managerNamespace == "" {
		from = nil
	}
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: fleetMeta(namespace, fleet),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: selector(fleet),
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{
				{Ports: []networkingv1.NetworkPolicyPort{
					ports(corev1.ProtocolUDP, 1, 65535),
					ports(corev1.ProtocolTCP, 1, PortReport-1),
					ports(corev1.ProtocolTCP, PortReport+1, 65535),
				}},
				{From: from, Ports: []networkingv1.NetworkPolicyPort{ports(corev1.ProtocolTCP, PortReport, PortReport)}},
			},
		},
	}
}

func ports(protocol corev1.Protocol, first, last int32) networkingv1.NetworkPolicyPort {
	p := networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: ptr.To(intstr.FromInt32(first))}
	if last != first {
		p.EndPort = ptr.To(last)
	}
	return p
}
