package call

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// referTo is where a REFER leads.
type referTo struct {
	uri      sip.Uri // without headers and method
	replaces *replaced
}

// errNoCall says that a REFER asks for something else than a call.
var errNoCall = errors.New("it asks for something else than a call")

// parseReferTo reads Refer-To. Of the headers that its URI names only Replaces
// counts: the others would add to our request whatever they say.
func parseReferTo(value string) (referTo, error) {
	var to referTo
	params := sip.NewParams()
	if _, err := sip.ParseAddressValue(value, &to.uri, &params); err != nil {
		return to, err
	}
	u := &to.uri
	if strings.EqualFold(u.Scheme, "tel") {
		return to, nil
	}
	if !ua.IsSIP(*u) || u.Wildcard {
		return to, fmt.Errorf("%w: %s:", errNoCall, clip(u.Scheme))
	}
	for _, method := range []string{param(u.UriParams, "method"), param(params, "method")} {
		if method != "" && !strings.EqualFold(method, string(sip.INVITE)) {
			return to, fmt.Errorf("%w: %s", errNoCall, clip(method))
		}
	}
	for _, h := range u.Headers {
		if !strings.EqualFold(h.K, "Replaces") {
			continue
		}
		text, err := url.PathUnescape(h.V)
		if err != nil {
			return to, errReplaces
		}
		r, err := parseReplaces(text)
		if err != nil || to.replaces != nil {
			return to, errReplaces
		}
		to.replaces = &r
	}
	u.Headers, u.Password = nil, ""
	u.UriParams = slices.DeleteFunc(u.UriParams, func(p sip.HeaderKV) bool { return strings.EqualFold(p.K, "method") })
	return to, nil
}
