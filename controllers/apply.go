package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// Field managers, one per writer, so that `kubectl get --show-managed-fields`
// tells who wrote what.
const (
	managerPlacement = client.FieldOwner("softphone-operator/placement")
	managerDelivery  = client.FieldOwner("softphone-operator/delivery")
	managerAgent     = client.FieldOwner("softphone-operator/agent")
	managerAccount   = client.FieldOwner("softphone-operator/account")
	managerCheck     = client.FieldOwner("softphone-operator/check")
	managerFleet     = client.FieldOwner("softphone-operator/fleet")
)

// apply writes a built object by server-side apply: the fields that are set are
// ours, all others are left alone.
func apply(ctx context.Context, c client.Client, obj client.Object, owner client.FieldOwner) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return fmt.Errorf("encode %T %s: %w", obj, obj.GetName(), err)
	}
	u := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	switch err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), owner, client.ForceOwnership); {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil // everything here goes away, and what asked for this object too
	case err != nil:
		return fmt.Errorf("apply %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}

// ownedBy makes the agent the controller of an object: both go together.
func ownedBy(agent *v1.SoftphoneAgent) []metav1.OwnerReference {
	return []metav1.OwnerReference{{
		APIVersion: v1.GroupVersion.String(), Kind: "SoftphoneAgent", Name: agent.Name, UID: agent.UID,
		Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}}
}
