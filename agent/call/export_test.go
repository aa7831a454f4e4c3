package call

import (
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
)

// TryIdentity reads everything of an INVITE that names people.
func TryIdentity(req *sip.Request, places []string) {
	id := callerOf(req, places)
	if shown := id.shown("") + id.name; strings.ContainsAny(shown, "\r\n") {
		panic("a line break got through: " + shown)
	}
	_, _ = historyInfo(req, sip.Uri{Scheme: "sip", User: "1", Host: "x"}), divertedBy(req, &account.Account{Settings: &account.Settings{}})
}

// ParseReferTo reads Refer-To: its URI, and what it replaces ("" = nothing).
func ParseReferTo(value string) (uri, replaces string, err error) {
	to, err := parseReferTo(value)
	if to.replaces != nil {
		replaces = to.replaces.String()
	}
	return to.uri.String(), replaces, err
}

// ParseReplaces reads Replaces and writes it again, as it is and as in a URI.
func ParseReplaces(value string) (plain, escaped string, err error) {
	r, err := parseReplaces(value)
	return r.String(), r.escaped(), err
}

// ParseExpires reads Session-Expires.
func ParseExpires(value string) (seconds int64, refresher string, err error) {
	e, err := parseExpires(value)
	return int64(e.interval / time.Second), e.refresher, err
}
