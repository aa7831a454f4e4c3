package treatment

import "fmt"

// askBusy refuses a call the line has no room for: the cap on concurrent
// calls, and callWaiting=0 while a call is up.
func askBusy(in Input) (Decision, string, bool) {
	switch {
	case in.MaxCalls > 0 && in.ActiveCalls >= in.MaxCalls:
		return busyHere(), fmt.Sprintf("%d calls are up, %d allowed, 486", in.ActiveCalls, in.MaxCalls), true
	case !in.CallWaiting && in.ActiveCalls > 0:
		return busyHere(), "a call is up and callWaiting is off, 486", true
	case in.MaxCalls > 0:
		return Decision{}, fmt.Sprintf("%d of %d calls are up", in.ActiveCalls, in.MaxCalls), false
	}
	return Decision{}, fmt.Sprintf("%d calls are up", in.ActiveCalls), false
}

func busyHere() Decision { return Decision{Action: Reject, Code: 486, Reason: "Busy Here"} }
