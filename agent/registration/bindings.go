package registration

import (
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// own is what makes a binding at the registrar ours.
type own struct {
	uri       sip.Uri // that we registered
	instance  string  // "urn:uuid:…"
	rinstance string  // base, without the slot
	public    string  // our address as the server sees it, ip:port
}

// readBindings looks through the Contact list of a 200 (RFC 3261 §10.3 step 8:
// "it MUST contain Contact header field values enumerating all current
// bindings"): how long our own was granted, and which others are ours too but
// lead elsewhere, left by a pod or a node that is gone.
//
// asked is what counts when the registrar says nothing.
func readBindings(res *sip.Response, o own, asked time.Duration) (granted time.Duration, leftovers []string) {
	granted = asked
	if d, ok := secondsOf(res, "Expires"); ok {
		granted = d
	}
	ours := o.all(res)
	mine, certain := o.pick(ours)
	if mine == nil {
		// A registrar that lists nothing, or rewrites what it lists beyond
		// recognition: its 200 still is a 200.
		return granted, nil
	}
	// RFC 3261 §10.2.4: expiry is the parameter of our own Contact, else Expires.
	if v, ok := param(mine.Params, "expires"); ok {
		granted = parseSeconds(strings.Trim(v, `"`))
	}
	if !certain {
		return granted, nil
	}
	for _, c := range ours {
		if c != mine {
			leftovers = append(leftovers, c.Address.String())
		}
	}
	return granted, leftovers
}

// all bindings that are ours in the list of a 200.
func (o own) all(res *sip.Response) (ours []*sip.ContactHeader) {
	for _, h := range res.GetHeaders("Contact") {
		if c, ok := h.(*sip.ContactHeader); ok && !c.Address.Wildcard && o.owns(c) {
			ours = append(ours, c)
		}
	}
	return ours
}

// listed says that the binding with our own URI is in the list of a 200, for certain.
func (o own) listed(res *sip.Response) bool {
	mine, certain := o.pick(o.all(res))
	return mine != nil && certain
}

// owns: same instance, or an rinstance of ours, in either slot.
func (o own) owns(c *sip.ContactHeader) bool {
	if sameURI(&c.Address, &o.uri) {
		return true
	}
	if v, ok := param(c.Params, "+sip.instance"); ok && o.instance != "" && strings.EqualFold(strings.Trim(v, `"<>`), o.instance) {
		return true
	}
	v, ok := param(c.Address.UriParams, "rinstance")
	return ok && o.rinstance != "" && (v == o.rinstance+"-1" || v == o.rinstance+"-2")
}

// pick finds the binding we just made: the one with our URI, else the one a
// registrar has written our public address into, else any that has our user and
// rinstance. The last is a guess: then nothing may be called a leftover, since
// it could be ourselves.
func (o own) pick(ours []*sip.ContactHeader) (mine *sip.ContactHeader, certain bool) {
	for _, c := range ours {
		if sameURI(&c.Address, &o.uri) {
			return c, true
		}
	}
	var rewritten []*sip.ContactHeader
	for _, c := range ours {
		if c.Address.User == o.uri.User && rinstanceOf(&c.Address) == rinstanceOf(&o.uri) {
			rewritten = append(rewritten, c)
		}
	}
	for _, c := range rewritten {
		if o.public != "" && hostPort(&c.Address) == o.public {
			return c, true
		}
	}
	if len(rewritten) > 0 {
		return rewritten[0], false
	}
	return nil, false
}

// sameURI compares what tells bindings apart (RFC 3261 §19.1.4, of which
// registrars keep only parts).
func sameURI(a, b *sip.Uri) bool {
	return a.User == b.User && hostPort(a) == hostPort(b) && rinstanceOf(a) == rinstanceOf(b)
}

func rinstanceOf(u *sip.Uri) string { v, _ := param(u.UriParams, "rinstance"); return v }

// param finds a parameter; their names have no case (RFC 3261 §7.3.1).
func param(params sip.HeaderParams, name string) (string, bool) {
	for _, kv := range params {
		if strings.EqualFold(strings.TrimSpace(kv.K), name) {
			return strings.TrimSpace(kv.V), true
		}
	}
	return "", false
}

func secondsOf(res *sip.Response, name string) (time.Duration, bool) {
	if res.GetHeader(name) == nil {
		return 0, false
	}
	return seconds(res, name), true
}
