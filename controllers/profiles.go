package controllers

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

// layers are the objects that an account is merged from.
type layers struct {
	account *v1.SoftphoneAccount
	// profiles of the fleet, then of the account, in order; missing are those that do not exist.
	profiles []*v1.SoftphoneProfile
	missing  []missingProfile
}

// missingProfile is a profile that somebody names and nobody made.
type missingProfile struct{ name, namedBy string }

// layers reads the profiles that are merged under an account.
func (o objects) layers(ctx context.Context, acc *v1.SoftphoneAccount) (layers, error) {
	l := layers{account: acc}
	fleet, err := get(ctx, o.cached, types.NamespacedName{Namespace: acc.Namespace, Name: acc.FleetName()}, &v1.SoftphoneFleet{})
	if err != nil {
		return l, err
	}
	if fleet != nil {
		if err := o.addProfiles(ctx, &l, fleet.Spec.Profiles, "SoftphoneFleet "+fleet.Name); err != nil {
			return l, err
		}
	}
	return l, o.addProfiles(ctx, &l, acc.Spec.Profiles, "the account")
}

func (o objects) addProfiles(ctx context.Context, l *layers, names []v1.ProfileName, namedBy string) error {
	for _, name := range names {
		p, err := get(ctx, o.cached, types.NamespacedName{Namespace: l.account.Namespace, Name: string(name)}, &v1.SoftphoneProfile{})
		switch {
		case err != nil:
			return err
		case p == nil:
			l.missing = append(l.missing, missingProfile{string(name), namedBy})
		default:
			l.profiles = append(l.profiles, p)
		}
	}
	return nil
}

// failure tells that a profile is missing; nil: all are there.
func (l layers) failure() error {
	if len(l.missing) == 0 {
		return nil
	}
	return &render.Failure{Reason: v1.ReasonProfileNotFound, Message: fmt.Sprintf(
		"SoftphoneProfile %s does not exist: create it, or take it out of spec.profiles of %s", l.missing[0].name, l.missing[0].namedBy)}
}

// references lists what the account and its profiles refer to.
func (l layers) references() []render.Reference {
	refs := render.References(&l.account.Spec.AccountLayer)
	for _, p := range l.profiles {
		refs = append(refs, render.References(&p.Spec.AccountLayer)...)
	}
	return refs
}

// identity tells these objects from others, and from themselves before an edit.
func (l layers) identity() []any {
	out := []any{l.account.UID, l.account.Generation}
	for _, p := range l.profiles {
		out = append(out, "profile", p.UID, p.Generation)
	}
	for _, m := range l.missing {
		out = append(out, "missing", m.name)
	}
	return out
}

// rendered are the profiles as the renderer takes them.
func (l layers) rendered() []render.Profile {
	out := make([]render.Profile, len(l.profiles))
	for i, p := range l.profiles {
		out[i] = render.ProfileOf(p)
	}
	return out
}

// passwordSource says where the user finds the password: the topmost layer that gives one.
func (l layers) passwordSource() string {
	if source := render.PasswordSource(&l.account.Spec.AccountLayer); source != "" {
		return source
	}
	for _, p := range slices.Backward(l.profiles) {
		if source := render.PasswordSource(&p.Spec.AccountLayer); source != "" {
			return source + ", which SoftphoneProfile " + p.Name + " names"
		}
	}
	return ""
}

// profileNames are the keys of indexProfile.
func profileNames(list []v1.ProfileName) []string {
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = string(n)
	}
	return names
}

// profiles gives the profiles that refer to an object under an index.
func (l lookups) profiles(ctx context.Context, namespace, index, key string) []v1.SoftphoneProfile {
	var list v1.SoftphoneProfileList
	err := l.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{index: key}, client.UnsafeDisableDeepCopy)
	if err != nil {
		log.FromContext(ctx).Error(err, "cannot look up profiles", "index", index, "key", key)
	}
	return list.Items
}

// withProfile gives the accounts that a profile is merged into: those that name
// it, and those of the fleets that do.
func (l lookups) withProfile(ctx context.Context, namespace, profile string) []v1.SoftphoneAccount {
	out := l.accounts(ctx, namespace, indexProfile, profile)
	for _, f := range l.fleets(ctx, namespace, indexProfile, profile) {
		out = append(out, l.accounts(ctx, namespace, indexFleet, f.Name)...)
	}
	return out
}

// accountsOfProfile: accounts that the profile is merged into.
func (l lookups) accountsOfProfile() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) requests {
		return accountRequests(l.withProfile(ctx, o.GetNamespace(), o.GetName()))
	})
}

// agentsOfProfile: the agents of their lines.
func (l lookups) agentsOfProfile() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) requests {
		return l.agentsOfLines(ctx, l.withProfile(ctx, o.GetNamespace(), o.GetName()))
	})
}

// agentsOfLines: the agents that hold the accounts' lines.
func (l lookups) agentsOfLines(ctx context.Context, accounts []v1.SoftphoneAccount) requests {
	var out requests
	for i := range accounts {
		out = append(out, agentRequests(l.agents(ctx, accounts[i].Namespace, indexLine, accounts[i].Name))...)
	}
	return out
}
