package treatment

import "fmt"

// askDoNotDisturb turns callers away at times the account names.
func askDoNotDisturb(in Input) (Decision, string, bool) {
	if in.DoNotDisturb == nil || len(in.DoNotDisturb.Entries) == 0 {
		return Decision{}, "off", false
	}
	if entry, rejected := in.DoNotDisturb.Rejects(in.Caller, in.Now); rejected {
		return busyHere(), fmt.Sprintf("entry %d of doNotDisturb, 486", entry), true
	}
	return Decision{}, "no entry concerns this caller now", false
}
