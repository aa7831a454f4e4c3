package treatment

import (
	"fmt"
	"strings"
)

// askForwarding redirects every call to the account's forwarding number, except
// those a rule wants answered.
func askForwarding(in Input) (Decision, string, bool) {
	switch {
	case !in.ForwardingEnabled:
		return Decision{}, "off", false
	case in.answersAtOnce():
		return Decision{}, fmt.Sprintf("on, but rule %d of incomingRewriting answers this caller", in.rewritten.Decided), false
	case strings.TrimSpace(in.ForwardingNumber) == "":
		return Decision{}, "on, but there is no forwardingNumber", false
	case strings.TrimSpace(in.ForwardingNumber) == in.Self:
		return Decision{}, "on, but forwardingNumber is this line itself", false
	}
	return redirect(in, in.ForwardingNumber)
}

// redirect sends a call elsewhere, unless it was here before: two lines that
// forward to each other would hand it to and fro for good.
func redirect(in Input, target string) (Decision, string, bool) {
	target = strings.TrimSpace(target)
	switch {
	case target == in.Self:
		return Decision{}, fmt.Sprintf("to %s, which is this line itself", target), false
	case in.DivertedBefore:
		return Decision{}, fmt.Sprintf("to %s, but this line diverted the call before: a loop", target), false
	}
	d := Decision{Action: Redirect, Code: 302, Reason: "Moved Temporarily", Target: target}
	return d, fmt.Sprintf("to %s, 302", target), true
}
