package agent

import (
	"cmp"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// standing is what a line shall do at the registrar, and why.
type standing struct {
	register bool
	// reason why it does not register, for people.
	reason string
	// problem is set when it should, but cannot.
	problem delivery.Problem
	// calls: it may place calls all the same; lent: and is registered for as
	// long as they take (requiresRegistrationForOutgoingCalls).
	calls, lent bool
	// trunk: what it does instead of registering is to look after its server.
	trunk bool
}

// standingOf decides whether a target registers. The first row that applies decides.
func standingOf(t *target) standing {
	a := t.Account
	switch {
	case t.Row.State != delivery.Active:
		return standing{reason: "draining"}
	case t.Row.Suspended:
		return standing{reason: "suspended"}
	case t.settings.network.Type == delivery.NoNetwork:
		return standing{reason: "no network"}
	case t.Row.Trunk:
		// Its server sends calls unasked: where they are not wanted (icm), each is refused.
		return standing{register: true, calls: true, trunk: true}
	case incomingMode(t) == modeOff:
		return standing{reason: "incoming calls are off (icm)", calls: true, lent: a.RequiresRegistrationForOutgoingCalls}
	}
	return standing{register: true, calls: true}
}

// Modes of incoming calls (icm).
const (
	modeAuto = "auto"
	modePush = "push"
	modeOff  = "off"
)

// incomingMode is the account's icm; auto takes the fleet's.
func incomingMode(t *target) string {
	if mode := cmp.Or(t.Account.ICM, modeAuto); mode != modeAuto {
		return mode
	}
	return t.settings.incomingMode
}

// keepsAlive tells whether the line sends keepalives: if the account says so,
// and always where push would have to wake us over UDP.
func keepsAlive(t *target) bool {
	return t.Account.KeepAlive || incomingMode(t) == modePush
}
