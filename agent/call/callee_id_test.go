package call_test

import (
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/call"
)

// Who answered is what the first of the account's places (outgoingRemoteContact) in
// the 200 says.
func TestWhoWasReached(t *testing.T) {
	usual := []string{"pai", "to", "rpid", "ppi"}
	const (
		pai    = `P-Asserted-Identity: "Night desk" <sip:2009@pbx.test;user=phone>`
		ppi    = `P-Preferred-Identity: <sip:2008@pbx.test>`
		called = `Remote-Party-ID: "A, B" <sip:2007@pbx.test>;party=called;privacy=off`
	)
	for sentence, c := range map[string]struct {
		places  []string
		headers []string
		want    string
	}{
		"who was called, without more":         {usual, nil, "sip:2000@pbx.test "},
		"whom our server asserts":              {usual, []string{ppi, pai}, "sip:2009@pbx.test Night desk"},
		"an asserted number":                   {usual, []string{"P-Asserted-Identity: <tel:+1-555-0100>"}, "tel:+15550100 "},
		"To before the others, where it is so": {[]string{"to", "pai"}, []string{pai}, "sip:2000@pbx.test "},
		"the party that is called":             {[]string{"rpid", "to"}, []string{`Remote-Party-ID: <sip:1000@pbx.test>;party=calling, "A, B" <sip:2007@pbx.test>;party=called`}, "sip:2007@pbx.test A, B"},
		"not the party that calls":             {[]string{"rpid", "to"}, []string{"Remote-Party-ID: <sip:1000@pbx.test>;party=calling"}, "sip:2000@pbx.test "},
		"the preferred one, asked for first":   {[]string{"ppi", "pai"}, []string{pai, ppi}, "sip:2008@pbx.test "},
		"nobody, where nothing says":           {[]string{"pai"}, []string{called}, " "},
		"nobody, by an empty list":             {nil, []string{pai}, " "},
		"not who asks for privacy":             {usual, []string{pai, "Privacy: id"}, "sip:anonymous@anonymous.invalid "},
		"nor one whose privacy is not off":     {[]string{"rpid"}, []string{"Remote-Party-ID: <sip:2007@pbx.test>;party=called;privacy=full"}, "sip:anonymous@anonymous.invalid "},
	} {
		t.Run(sentence, func(t *testing.T) {
			simulate(t, func(o *call.Options) { o.Account.OutgoingRemoteContact = c.places }, func(b *bench) {
				b.dial(call.Dial{})
				invite := b.net.only("INVITE")
				invite.respond(200, "OK", "callee", answered(c.headers...)...)
				b.wantState(call.Established)
				if r := b.record(); r.Reached+" "+r.ReachedName != c.want {
					t.Errorf("reached %q %q, want %q", r.Reached, r.ReachedName, c.want)
				}
			})
		})
	}
}
