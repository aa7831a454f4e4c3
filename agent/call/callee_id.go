package call

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// calleeOf finds who was reached by an outgoing call: the first of the account's
// places (outgoingRemoteContact) in a response that names somebody. That may be
// another than was called: whoever it was forwarded to, or who picked it up. to is
// always there, and says who was called.
func calleeOf(res *sip.Response, places []string) (identity, bool) {
	for _, place := range places {
		if place == "to" {
			id, ok := named(res.To().Value(), place)
			id.by = "To"
			return id, ok
		}
		name := identityHeaders[place]
		for _, h := range res.GetHeaders(name) {
			if id, ok := calledIn(h.Value(), place); ok {
				return id.hidden(res, name), true
			}
		}
	}
	return identity{}, false
}

// calledIn is named, but for a Remote-Party-ID of the called side.
func calledIn(value, place string) (identity, bool) {
	if place != "rpid" {
		return named(value, place)
	}
	for element := range treatment.Split(value, ",") {
		id, ok := named(element, "")
		params := sip.NewParams()
		if _, err := sip.ParseAddressValue(element, &sip.Uri{}, &params); err != nil || !ok {
			continue
		}
		if party := param(params, "party"); party != "" && !strings.EqualFold(party, "called") {
			continue
		}
		privacy := param(params, "privacy")
		id.anonymous = privacy != "" && !strings.EqualFold(privacy, "off")
		return id, true
	}
	return identity{}, false
}

// reached notes who answered, where that is told.
func (c *call) reached(res *sip.Response) {
	if id, ok := calleeOf(res, c.opts.Account.OutgoingRemoteContact); ok {
		c.rec.Reached, c.rec.ReachedName = id.shown(""), id.name
		if id.anonymous {
			c.rec.ReachedName = ""
		}
	}
}
