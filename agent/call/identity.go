package call

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account/rewrite"
	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// anonymousHost is the domain of nobody (RFC 3323 §4.1.1.3).
const anonymousHost = "anonymous.invalid"

// identity is who calls, as the INVITE says it.
type identity struct {
	uri  sip.Uri
	name string // display name
	by   string // the header that says so
	// anonymous: nobody is named, or it is asked not to show who.
	anonymous bool
}

// identityHeaders are what remoteContact may name.
var identityHeaders = map[string]string{
	"pai": "P-Asserted-Identity", "ppi": "P-Preferred-Identity", "rpid": "Remote-Party-ID", "from": "From",
}

// callerOf finds who calls: the first of the account's places (remoteContact) that
// names somebody counts. A caller who asks for privacy (RFC 3323, RFC 3325 §9.3) is
// nobody, even where our server still tells us who it is.
func callerOf(req *sip.Request, places []string) identity {
	if len(places) == 0 {
		places = []string{"from"}
	}
	for _, place := range places {
		name := identityHeaders[place]
		for _, h := range req.GetHeaders(name) {
			if id, ok := named(h.Value(), place); ok {
				return id.hidden(req, name)
			}
		}
	}
	from, _ := named(req.From().Value(), "from") // the parser saw that there is one
	return from.hidden(req, "From, as nothing else says")
}

// hidden takes an identity away that is not to be shown.
func (i identity) hidden(m sip.Message, by string) identity {
	i.by = by
	switch wants := privacyOf(m); {
	case i.anonymous:
		i.by += ", whose privacy is not off"
	case wants != "":
		i.by += ", with Privacy: " + wants
	case !strings.EqualFold(i.uri.Host, anonymousHost):
		return i
	}
	return identity{uri: sip.Uri{Scheme: "sip", User: "anonymous", Host: anonymousHost}, by: i.by, anonymous: true}
}

// named reads one header's value; place is its word in remoteContact.
func named(value, place string) (identity, bool) {
	for element := range treatment.Split(value, ",") {
		var i identity
		params := sip.NewParams()
		name, err := sip.ParseAddressValue(element, &i.uri, &params)
		if i.uri = number(i.uri); err != nil || i.uri.Wildcard || i.uri.User == "" && i.uri.Host == "" {
			continue
		}
		if place == "rpid" {
			if party := param(params, "party"); party != "" && !strings.EqualFold(party, "calling") {
				continue
			}
			privacy := param(params, "privacy")
			i.anonymous = privacy != "" && !strings.EqualFold(privacy, "off")
		}
		i.name = clip(printable(unquoted(name)))
		return i, true
	}
	return identity{}, false
}

// number gives the number of a tel URI a place; sipgo keeps such URIs as they came.
func number(u sip.Uri) sip.Uri {
	if strings.EqualFold(u.Scheme, "tel") {
		return sip.Uri{Scheme: "tel", User: rewrite.Caller(u.Raw())}
	}
	return u
}

// param is a header's parameter, without quotes.
func param(p sip.HeaderParams, name string) string {
	for _, kv := range p {
		if strings.EqualFold(strings.TrimSpace(kv.K), name) {
			return strings.Trim(strings.TrimSpace(kv.V), `"`)
		}
	}
	return ""
}

// privacyOf is what a caller asks for that hides who calls; "" = nothing. Where
// several are asked for the first is told.
func privacyOf(m sip.Message) string {
	for _, h := range m.GetHeaders("Privacy") {
		for _, want := range strings.FieldsFunc(h.Value(), func(c rune) bool { return c == ';' || c == ',' || c == ' ' }) {
			if hides(want) {
				return strings.ToLower(want)
			}
		}
	}
	return ""
}

// hides tells whether a value of Privacy asks that a caller is not shown: user and
// header of RFC 3323 §4.2, id of RFC 3325 §9.3.
func hides(want string) bool {
	switch strings.ToLower(want) {
	case "id", "user", "header":
		return true
	}
	return false
}

// unquoted reads the escapes of a quoted display name.
func unquoted(name string) string {
	if !strings.Contains(name, `\`) {
		return name
	}
	var b strings.Builder
	escaped := false
	for _, c := range name {
		if escaped = !escaped && c == '\\'; !escaped {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// user is what rules compare of the caller.
func (i identity) user() string {
	if i.uri.User == "" {
		return i.uri.Host
	}
	return rewrite.Caller(i.uri.User)
}

// shown is the caller with the number that rules made of it.
func (i identity) shown(number string) string {
	u := i.uri
	if number != "" && number != i.user() {
		u.User = number
	}
	if u.Scheme == "tel" {
		return printable("tel:" + u.User)
	}
	return plainURI(u)
}
