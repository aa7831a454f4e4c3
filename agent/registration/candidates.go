package registration

import (
	"context"
	"slices"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// Candidates gives the places for a request that is none of the registration's, the
// best first, never none without an error: the one in use, unless it lately did not
// answer, then those that DNS names beside it (RFC 3263 §4.3); those of the first hop
// of a service route that leads elsewhere. Where the registrar keeps our flow, nothing
// goes any other way (RFC 5626 §4.3).
func (r *Registration) Candidates(ctx context.Context) ([]ua.Candidate, error) {
	r.mu.Lock()
	servers, cfg := r.servers, *r.wanted
	r.mu.Unlock()
	if hop, away := r.serviceHop(cfg, servers); away {
		return r.reach(ctx, cfg, hop)
	}
	if cfg.Link.Reach.Now().Outbound && len(servers) > 0 {
		server, err := serverOf(ctx, r.ep, cfg, servers)
		return []ua.Candidate{server}, err
	}
	return candidatesOf(ctx, r.ep, cfg, servers)
}

// Candidates are those of a Registration.
func (t *Trunk) Candidates(ctx context.Context) ([]ua.Candidate, error) {
	t.mu.Lock()
	servers, cfg := t.servers, t.cfg
	t.mu.Unlock()
	return candidatesOf(ctx, t.ep, cfg, servers)
}

func candidatesOf(ctx context.Context, ep Endpoint, cfg Config, known []ua.Candidate) ([]ua.Candidate, error) {
	found, err := ep.Resolve(ctx, cfg.target(), cfg.Link.Transport)
	switch {
	case err != nil && len(known) > 0:
		return known, nil
	case err != nil:
		return nil, err
	}
	if len(known) > 0 {
		found = prefer(found, known[0])
	}
	for i, c := range found {
		found[i] = cfg.Link.Through(c)
	}
	return found, nil
}

// prefer puts the server in use first, unless it is among those to be avoided. One
// that DNS names no longer (a redirection led to it) is tried first, too.
func prefer(found []ua.Candidate, inUse ua.Candidate) []ua.Candidate {
	i := slices.IndexFunc(found, func(c ua.Candidate) bool { return c.Addr == inUse.Addr })
	switch {
	case i < 0:
		return slices.Insert(found, 0, inUse)
	case found[i].Avoided():
		return found
	}
	used := found[i]
	return slices.Insert(slices.Delete(found, i, i+1), 0, used)
}
