package agent

import (
	"fmt"
	"testing"
)

// Whether a line registers, may call, and registers for a call, by icm, the fleet's
// mode behind icm=auto, and requiresRegistrationForOutgoingCalls; and whether it sends
// keepalives though the account does not ask for them.
func TestIncomingModes(t *testing.T) {
	const (
		stays   = "registers, calls"
		lent    = "does not register, registers for calls"
		calls   = "does not register, calls"
		nothing = "does not register, does not call"
		push    = ", keepalives"
	)
	for _, tt := range []struct{ nodes, fleet, row, want string }{
		// icm, the fleet's mode, requiresRegistrationForOutgoingCalls
		{"", "", "", stays},
		{"", "keepAwake", "", stays},
		{"", "push", "", stays + push},
		{"", "off", "", lent},
		{"<icm>auto</icm>", "", "", stays},
		{"<icm>auto</icm>", "off", "", lent},
		{"<icm>auto</icm><requiresRegistrationForOutgoingCalls>0</requiresRegistrationForOutgoingCalls>", "off", "", calls},
		{"<icm>auto</icm><requiresRegistrationForOutgoingCalls>0</requiresRegistrationForOutgoingCalls>", "keepAwake", "", stays},
		{"<icm>keepAwake</icm>", "", "", stays},
		{"<icm>keepAwake</icm>", "off", "", stays},
		{"<icm>keepAwake</icm>", "push", "", stays},
		{"<icm>push</icm>", "", "", stays + push},
		{"<icm>push</icm>", "off", "", stays + push},
		{"<icm>localPush</icm>", "", "", stays + push},
		{"<icm>off</icm>", "", "", lent},
		{"<icm>off</icm>", "push", "", lent},
		{"<icm>off</icm><requiresRegistrationForOutgoingCalls>1</requiresRegistrationForOutgoingCalls>", "", "", lent},
		{"<icm>off</icm><requiresRegistrationForOutgoingCalls>0</requiresRegistrationForOutgoingCalls>", "", "", calls},
		// What was before icm becomes it.
		{"<incomingDisabled>1</incomingDisabled>", "", "", lent},
		{"<pushMethod>tunnel</pushMethod>", "", "", stays + push},
		{"<keepAwake>1</keepAwake>", "off", "", stays},
		{"<incomingUseGlobalSettings>1</incomingUseGlobalSettings><incomingDisabled>1</incomingDisabled>", "", "", stays},
		{"<registerWhenIncomingOff>1</registerWhenIncomingOff>", "", "", lent},
		{"<incomingDisabled>1</incomingDisabled><icm>keepAwake</icm>", "", "", stays},
		// The line's row in agent.json goes before.
		{"", "", `"suspended":true`, nothing},
		{"<icm>off</icm>", "", `"suspended":true`, nothing},
		{"", "", `"state":"draining"`, nothing},
		{"<icm>off</icm>", "", `"trunk":true`, "looks after its server, calls"},
	} {
		says := fmt.Sprintf("%s in a fleet with %q, %s", tt.nodes, tt.fleet, tt.row)
		all := world(t, map[string]string{
			"alice.xml":  accountXML(tt.nodes),
			"agent.json": fmt.Sprintf(`{"incomingCallMode":%q,"lines":{"alice":{%s}}}`, tt.fleet, tt.row),
		})
		target := all["alice"]
		if target == nil {
			t.Errorf("%s: the account was refused", says)
			continue
		}
		got := described(standingOf(target))
		if keepsAlive(target) {
			got += push
		}
		if got != tt.want {
			t.Errorf("%s: %s; want %s", says, got, tt.want)
		}
	}
}

func described(s standing) string {
	said := "does not register, "
	switch {
	case s.trunk:
		said = "looks after its server, "
	case s.register:
		said = "registers, "
	case s.reason == "" || s.problem != "":
		return fmt.Sprintf("does not register, and why is not policy: %+v", s)
	}
	switch {
	case s.lent:
		return said + "registers for calls"
	case s.calls:
		return said + "calls"
	}
	return said + "does not call"
}
