package treatment

// askCaller says who calls, and who says so. It decides nothing: the rules behind
// it look at the caller.
func askCaller(in Input) (Decision, string, bool) {
	if in.Caller == "" {
		return Decision{}, "nobody says who calls", false
	}
	return Decision{}, in.Caller + ", by " + in.CallerBy, false
}
