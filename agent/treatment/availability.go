package treatment

// askDraining: a line on its way out of this agent has another home already,
// or is going away; 480 lets the caller, or its proxy, try that.
func askDraining(in Input) (Decision, string, bool) {
	if in.Draining {
		return unavailable(), "the line is draining, 480", true
	}
	return Decision{}, "the line stays", false
}

// askIncomingOff: icm=off promises that no call reaches the line, even if one
// finds its way here.
func askIncomingOff(in Input) (Decision, string, bool) {
	if in.IncomingOff {
		return unavailable(), "incoming calls are off, 480", true
	}
	return Decision{}, "incoming calls are on", false
}

func unavailable() Decision {
	return Decision{Action: Reject, Code: 480, Reason: "Temporarily Unavailable"}
}
