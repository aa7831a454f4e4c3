package treatment

import (
	"fmt"
	"strings"
)

// askForwarding redirects every call to the account's forwarding number.
func askForwarding(in Input) (Decision, string, bool) {
	number := strings.TrimSpace(in.ForwardingNumber)
	switch {
	case !in.ForwardingEnabled:
		return Decision{}, "off", false
	case number == "":
		return Decision{}, "on, but there is no forwardingNumber", false
	case number == in.Self:
		return Decision{}, "on, but forwardingNumber is this line itself", false
	}
	d := Decision{Action: Redirect, Code: 302, Reason: "Moved Temporarily", Target: number}
	return d, fmt.Sprintf("to %s, 302", number), true
}
