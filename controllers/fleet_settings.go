package controllers

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

// fleetOf gives a fleet's settings. The fleet default needs no object: without
// one it has the built-in settings. Any other that is missing is not found.
func fleetOf(ctx context.Context, c client.Reader, namespace, name string) (render.Settings, bool, error) {
	fleet := &v1.SoftphoneFleet{}
	err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, fleet)
	if apierrors.IsNotFound(err) {
		return render.FleetSettings(v1.SoftphoneFleetSpec{}), name == v1.DefaultFleet, nil
	}
	if err != nil {
		return render.Settings{}, false, fmt.Errorf("fleet %s: %w", name, err)
	}
	return render.FleetSettings(fleet.Spec), true, nil
}
