package treatment_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/account/rewrite"
	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// placed writes a placement on one line.
func placed(p treatment.Placement) string {
	s := [...]string{"dial", "drop", "open", "unconfirmed", "no target", "impossible"}[p.Outcome]
	switch {
	case p.Outcome == treatment.Placed:
		s += " " + p.To
	case p.URL != "":
		s += " " + p.URL
	default:
		s += ": " + p.Why
	}
	if p.Line != "" {
		s += " from " + p.Line
	}
	if p.Digits != "" {
		s += " then " + p.Digits + " for " + p.Reaches
	}
	if p.Record {
		s += " recorded"
	}
	for _, h := range p.Headers {
		s += fmt.Sprintf(" with %s: %s", h.Name, h.Value)
	}
	return s
}

func TestPlace(t *testing.T) {
	type setup struct {
		w *treatment.Wanted
		a *account.Account
	}
	for sentence, c := range map[string]struct {
		change func(setup)
		want   string
		steps  string
	}{
		"a plain call is placed, and nothing is said about it": {func(setup) {}, "dial 777123456", ""},
		"the document's rule makes it international": {
			func(s setup) { s.a.Rewriting = rules("doesntStartWith +, longerThan 8: prepend +420") },
			"dial +420777123456", "rewriting: rule 1 makes +420777123456 of 777123456"},
		"rules see numbers without separators": {
			func(s setup) {
				s.a.Rewriting, s.w.To = rules("lengthEquals 6: drop", "equals 123: prepend 0"), " 1-2(3)"
			},
			"dial 0123", "rewriting: rule 2 makes 0123 of 123"},
		"continue tries the rules behind it": {
			func(s setup) {
				s.a.Rewriting = rules("startsWith 777: replace 888, continue", "startsWith 888: append 9")
			},
			"dial 8881234569", "rewriting: rule 1 makes 888123456 of 777123456; rule 2 makes 8881234569 of 888123456"},
		"a SIP URI at the own domain is a number, too": {
			func(s setup) { s.a.Rewriting, s.w.To = rules("startsWith 0900: drop"), "sip:0900123@PBX.test" },
			"drop: rule 1 of rewriting drops the call", "rewriting: rule 1 matches, the number stays|drop: rule 1 of rewriting drops the call"},
		"a SIP URI that no rule changes is dialled as it stands": {
			func(s setup) { s.a.Rewriting, s.w.To = rules("startsWith 0900: drop"), "sip:bob@pbx.test;x=1" },
			"dial sip:bob@pbx.test;x=1", "rewriting: no rule matches"},
		"a SIP URI of somebody else is not rewritten": {
			func(s setup) { s.a.Rewriting, s.w.To = rules("always: drop"), "sip:0900123@elsewhere.test" },
			"dial sip:0900123@elsewhere.test", "rewriting: no rule concerns a URI of another domain"},
		"the network counts": {
			func(s setup) {
				s.a.Rewriting, s.w.Network = rules("networkType wifi, ssid Office: prepend 9"), rewrite.Network{Type: "wifi", SSID: "Office"}
			},
			"dial 9777123456", "rewriting: rule 1 makes 9777123456 of 777123456"},
		"drop goes before confirm": {
			func(s setup) { s.a.Rewriting = rules("always: confirm, drop") },
			"drop: rule 1 of rewriting drops the call", "rewriting: rule 1 matches, the number stays|drop: rule 1 of rewriting drops the call"},
		"a number to confirm is refused": {
			func(s setup) { s.a.Rewriting = rules("startsWith 777: prepend 00, confirm") },
			"unconfirmed: a rule of rewriting asks to confirm a call to 00777123456", "rewriting: rule 1 makes 00777123456 of 777123456|confirm: a rule of rewriting asks to confirm a call to 00777123456"},
		"and dialled once it is confirmed": {
			func(s setup) { s.a.Rewriting, s.w.Confirmed = rules("startsWith 777: confirm"), true },
			"dial 777123456", "rewriting: rule 1 matches, the number stays|confirm: asked for by a rule of rewriting, and given"},
		"dialOut calls from another account": {
			func(s setup) { s.a.Rewriting = rules("startsWith 777: dialOut trunk") },
			"dial 777123456 from trunk", "rewriting: rule 1 matches, the number stays|dialOut: a rule of rewriting calls from trunk"},
		"recordCall and setHeader go with the call": {
			func(s setup) { s.a.Rewriting = rules("always: recordCall, setHeader X-Matched: yes") },
			"dial 777123456 recorded with X-Matched: yes", "rewriting: rule 1 matches, the number stays"},
		"voicemail is the account's number": {
			func(s setup) { s.w.To, s.a.VoiceMailNumber = "voicemail", "*97" }, "dial *97", "voicemail: is *97"},
		"rules see the voicemail number": {
			func(s setup) {
				s.w.To, s.a.VoiceMailNumber, s.a.Rewriting = "voicemail", "*97", rules("equals *97: replace *98")
			},
			"dial *98", "voicemail: is *97|rewriting: rule 1 makes *98 of *97"},
		"without a number there is no voicemail": {
			func(s setup) { s.w.To = "voicemail" }, "no target: the account has no voiceMailNumber", "voicemail: the account has no voiceMailNumber"},
		"openUrl tells the URL, escaped": {
			func(s setup) {
				s.w.DialAction, s.w.To, s.a.CustomActionURL = "openUrl", "+1555", "https://crm.test/?n=%uri%"
			},
			"open https://crm.test/?n=%2B1555", "dial action: openUrl: https://crm.test/?n=%2B1555"},
		"openUrl without a URL is refused": {
			func(s setup) { s.w.DialAction = "openUrl" }, "impossible: openUrl needs a customActionUrl", "dial action: openUrl needs a customActionUrl"},
		"a rule overrides the dial action": {
			func(s setup) {
				s.w.DialAction, s.a.Rewriting = "gsmCall", rules("always: overrideDialAction voiceCall")
			},
			"dial 777123456", "rewriting: rule 1 matches, the number stays"},
		"there is no GSM in a pod": {
			func(s setup) { s.a.Rewriting = rules("always: overrideDialAction gsmCall") },
			"impossible: gsmCall is nothing an agent can do", "rewriting: rule 1 matches, the number stays|dial action: gsmCall is nothing an agent can do"},
		"nobody is there to choose": {
			func(s setup) { s.w.DialAction = "customOptions" }, "impossible: customOptions needs a person to choose", "dial action: customOptions needs a person to choose"},
		"callThrough dials the access number and sends the rest": {
			func(s setup) {
				s.a.Rewriting, s.a.CTHEnabled, s.a.CTHDialString = rules("always: prepend +420, callThrough"), true, "+1800 555,,1234p%targetNumber%#"
			},
			"dial +1800555 then ,,1234,420777123456# for +420777123456",
			"rewriting: rule 1 makes +420777123456 of 777123456|dial action: callThrough: +1800555 is dialled, then ,,1234,420777123456#"},
		"callThrough that is off is refused": {
			func(s setup) { s.w.DialAction, s.a.CTHDialString = "callThrough", "1,%targetNumber%" },
			"impossible: callThrough needs cth_enabled=1", "dial action: callThrough needs cth_enabled=1"},
		"callThrough with another placeholder is refused": {
			func(s setup) {
				s.w.DialAction, s.a.CTHEnabled, s.a.CTHDialString = "callThrough", true, "1,%account[password]%"
			},
			"impossible: cth_dialString has a placeholder other than %targetNumber%", "dial action: cth_dialString has a placeholder other than %targetNumber%"},
		"video is told to be missing": {
			func(s setup) { s.w.DialAction = "videoCall" }, "dial 777123456", "dial action: videoCall is placed without video"},
	} {
		t.Run(sentence, func(t *testing.T) {
			a := &account.Account{Username: "1000", Settings: &account.Settings{Host: "pbx.test:5080"}}
			w := treatment.Wanted{To: "777123456", Account: a, Network: rewrite.Network{Type: "wifi"}}
			c.change(setup{&w, a})
			p := treatment.Place(w)
			if got := placed(p); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := strings.Join(p.Steps, "|"); got != c.steps {
				t.Errorf("steps are\n%s\nwant\n%s", got, c.steps)
			}
		})
	}
}
