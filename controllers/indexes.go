package controllers

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

// Indexes of the cache.
const (
	indexSecret    = "refs.secret"    // accounts, profiles and fleets by the Secrets they refer to
	indexConfigMap = "refs.configMap" // accounts, profiles and fleets by the ConfigMaps they refer to
	indexPrompts   = "prompts"        // fleets by the ConfigMap of their prompts
	indexProfile   = "profile"        // accounts and fleets by the profiles they name
	indexFleet     = "fleet"          // accounts and agents by fleet
	indexAddress   = "address"        // accounts by address of record
	indexLine      = "line"           // agents by the lines bound to them
	indexNode      = "node"           // agents' pods by node
	indexFrom      = "from"           // checks by the line that calls
	indexTo        = "to"             // checks by the line that is called
)

func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range []struct {
		object client.Object
		name   string
		keys   client.IndexerFunc
	}{
		{&v1.SoftphoneAccount{}, indexSecret, referenced(render.Secret)},
		{&v1.SoftphoneAccount{}, indexConfigMap, referenced(render.ConfigMap)},
		{&v1.SoftphoneFleet{}, indexSecret, referenced(render.Secret)},
		{&v1.SoftphoneFleet{}, indexConfigMap, referenced(render.ConfigMap)},
		{&v1.SoftphoneProfile{}, indexSecret, referenced(render.Secret)},
		{&v1.SoftphoneProfile{}, indexConfigMap, referenced(render.ConfigMap)},
		{&v1.SoftphoneAccount{}, indexProfile, func(o client.Object) []string { return profileNames(o.(*v1.SoftphoneAccount).Spec.Profiles) }},
		{&v1.SoftphoneFleet{}, indexProfile, func(o client.Object) []string { return profileNames(o.(*v1.SoftphoneFleet).Spec.Profiles) }},
		{&v1.SoftphoneFleet{}, indexPrompts, promptsConfigMap},
		{&v1.SoftphoneAccount{}, indexFleet, func(o client.Object) []string { return []string{o.(*v1.SoftphoneAccount).FleetName()} }},
		{&v1.SoftphoneAccount{}, indexAddress, func(o client.Object) []string { return nonEmpty(addressOf(o.(*v1.SoftphoneAccount))) }},
		{&v1.SoftphoneAgent{}, indexFleet, func(o client.Object) []string { return []string{o.(*v1.SoftphoneAgent).Spec.Fleet} }},
		{&v1.SoftphoneAgent{}, indexLine, func(o client.Object) []string { return lineNames(o.(*v1.SoftphoneAgent)) }},
		{&v1.CallCheck{}, indexFrom, func(o client.Object) []string { return nonEmpty(o.(*v1.CallCheck).Spec.From) }},
		{&v1.CallCheck{}, indexTo, func(o client.Object) []string { return nonEmpty(ptr.Deref(o.(*v1.CallCheck).Spec.To.Account, "")) }},
		{&corev1.Pod{}, indexNode, func(o client.Object) []string { return nonEmpty(o.(*corev1.Pod).Spec.NodeName) }},
	} {
		if err := indexer.IndexField(ctx, i.object, i.name, i.keys); err != nil {
			return fmt.Errorf("index %s of %T: %w", i.name, i.object, err)
		}
	}
	return nil
}

func referenced(kind render.Kind) client.IndexerFunc {
	return func(o client.Object) []string {
		var names []string
		for _, ref := range referencesOf(o) {
			if ref.Kind == kind && !slices.Contains(names, ref.Name) {
				names = append(names, ref.Name)
			}
		}
		return names
	}
}

// referencesOf an account, a profile or a fleet.
func referencesOf(o client.Object) []render.Reference {
	if profile, ok := o.(*v1.SoftphoneProfile); ok {
		return render.References(&profile.Spec.AccountLayer)
	}
	if fleet, ok := o.(*v1.SoftphoneFleet); ok {
		return render.TLSReferences(render.TLSOf(nil, fleet.Spec.TLS))
	}
	acc := o.(*v1.SoftphoneAccount)
	return append(render.References(&acc.Spec.AccountLayer), render.TLSReferences(render.TLSOf(acc.Spec.TLS, nil))...)
}

// promptsConfigMap is what holds a fleet's prompts: no account and no agent's files are made of it.
func promptsConfigMap(o client.Object) []string {
	if p := o.(*v1.SoftphoneFleet).Spec.Prompts; p != nil && p.ConfigMap != nil {
		return []string{string(*p.ConfigMap)}
	}
	return nil
}

func lineNames(a *v1.SoftphoneAgent) []string {
	names := make([]string, len(a.Spec.Lines))
	for i, l := range a.Spec.Lines {
		names[i] = l.Name
	}
	return names
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// addressOf is the account's address of record as far as the object alone tells:
// what it says itself, else what was found when it was rendered.
func addressOf(acc *v1.SoftphoneAccount) string {
	if s := acc.Spec.Account; s != nil && s.Username != nil && s.Host != nil {
		return render.Address(*s.Username, string(*s.Host))
	}
	return acc.Status.Address
}
