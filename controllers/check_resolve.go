package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/controllers/render"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// resolvedCheck is a check and what it refers to.
type resolvedCheck struct {
	from *v1.SoftphoneAccount
	// problem the user must mend; nil = none.
	problem *render.Failure
	// suspended: the line that calls is, by its account or its fleet.
	suspended bool
	// waiting is what is about to be known; empty = nothing is.
	waiting string
	check   check.Check
}

// resolveCheck finds the accounts of a check and judges the whole.
func resolveCheck(ctx context.Context, c client.Reader, chk *v1.CallCheck) (resolvedCheck, error) {
	var r resolvedCheck
	var err error
	if r.from, err = accountNamed(ctx, c, chk.Namespace, chk.Spec.From); err != nil {
		return r, err
	}
	if r.from == nil {
		r.problem = &render.Failure{Reason: v1.ReasonAccountNotFound, Message: fmt.Sprintf("from: SoftphoneAccount %s does not exist", chk.Spec.From)}
		return r, nil
	}
	address := ""
	if name := chk.Spec.To.Account; name != nil {
		to, err := accountNamed(ctx, c, chk.Namespace, *name)
		if err != nil {
			return r, err
		}
		if to == nil {
			r.problem = &render.Failure{Reason: v1.ReasonAccountNotFound, Message: fmt.Sprintf("to: SoftphoneAccount %s does not exist", *name)}
			return r, nil
		}
		if address = addressOf(to); address == "" {
			r.waiting = fmt.Sprintf("the address of SoftphoneAccount %s is not known yet", *name)
			return r, nil
		}
	}
	r.check = render.Check(chk, address)
	settings, _, err := fleetOf(ctx, c, chk.Namespace, r.from.FleetName())
	if err != nil {
		return r, err
	}
	r.suspended = settings.Suspend || r.from.Suspended()
	r.problem = judgeCheck(r.check, settings.Destinations)
	return r, nil
}

// judgeCheck finds what the agent would refuse.
func judgeCheck(c check.Check, guard delivery.Destinations) *render.Failure {
	if err := c.Validate(); err != nil {
		return &render.Failure{Reason: v1.ReasonInvalidCheck, Message: err.Error()}
	}
	if why := guard.Refuse(c.To); why != "" {
		return &render.Failure{Reason: v1.ReasonDestinationRefused, Message: "to: " + why}
	}
	return nil
}

// accountNamed gives an account that is there to stay; nil = there is none.
func accountNamed(ctx context.Context, c client.Reader, namespace, name string) (*v1.SoftphoneAccount, error) {
	acc, err := get(ctx, c, types.NamespacedName{Namespace: namespace, Name: name}, &v1.SoftphoneAccount{})
	if err != nil || acc == nil || !acc.DeletionTimestamp.IsZero() {
		return nil, err
	}
	return acc, nil
}
