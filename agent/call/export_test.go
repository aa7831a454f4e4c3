package call

import (
	"strings"

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
