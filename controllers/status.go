package controllers

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patchStatus writes the status of an object whose earlier state was old, and
// tells whether it did. When another version was written meanwhile, nothing is:
// that version is on its way here and wakes the reconciler. An object that is
// gone needs no status.
func patchStatus(ctx context.Context, c client.Client, obj, old client.Object, owner client.FieldOwner) (bool, error) {
	// A patch replaces the list of conditions as a whole, so it must be the one that was read.
	patch := client.MergeFromWithOptions(old, client.MergeFromWithOptimisticLock{})
	switch err := c.Status().Patch(ctx, obj, patch, owner); {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("write the status: %w", err)
	}
	return true, nil
}
