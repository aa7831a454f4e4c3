package call

import (
	"fmt"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// sayWhoCalls puts the caller into an INVITE of ours, as the account says
// (userCallerId, userCallerIdMethod, userDisplayName), and gives what it did in
// words. A call that asks for privacy (Privacy: id or user, RFC 3323 §4.1, RFC 3325
// §9.3) has an anonymous From; the server is told in P-Preferred-Identity who pays,
// unless the account tells it in its own way. Headers that are there stay.
func sayWhoCalls(req *sip.Request, a *account.Account, link ua.Link, tag string) (steps []string) {
	methods, privacy := identityMethods(a), privacyOf(req)
	real := sip.FromHeader{DisplayName: quoted(a.UserDisplayName), Address: link.URI(a.CallerID(), a.Host)}
	from := real
	if !slices.Contains(methods, "from") {
		from.Address = link.URI(a.Username, a.Host)
	}
	if privacy != "" {
		from = sip.FromHeader{DisplayName: "Anonymous", Address: sip.Uri{Scheme: "sip", User: "anonymous", Host: anonymousHost}}
		steps = append(steps, "privacy: "+privacy+" is asked for, From is anonymous")
		if slices.Equal(methods, []string{"from"}) {
			methods = append(methods, "ppi")
		}
	}
	from.Params.Add("tag", tag)
	req.ReplaceHeader(&from)
	for _, m := range methods {
		name, value := identityHeaders[m], real.Value()
		if m == "from" || req.GetHeader(name) != nil {
			continue
		}
		if m == "rpid" {
			value += ";party=calling;privacy=" + map[bool]string{true: "full", false: "off"}[privacy != ""]
		}
		req.AppendHeader(sip.NewHeader(name, value))
		steps = append(steps, fmt.Sprintf("identity: %s says %s", name, plainURI(real.Address)))
	}
	return steps
}

// identityMethods are the headers that carry userCallerId, From when none is known.
func identityMethods(a *account.Account) []string {
	var methods []string
	for m := range strings.SplitSeq(a.UserCallerIDMethod, ",") {
		m = strings.ToLower(strings.TrimSpace(m))
		if identityHeaders[m] != "" && !slices.Contains(methods, m) {
			methods = append(methods, m)
		}
	}
	if len(methods) == 0 {
		return []string{"from"}
	}
	return methods
}
