package treatment

import (
	"slices"
	"strings"
)

// answerMode is what a caller wants of the answer (RFC 5373): that it comes by
// itself, or that a person gives it.
type answerMode struct {
	auto, manual bool
	// required: the call is refused rather than answered in another way.
	required bool
}

// answerModeOf reads Priv-Answer-Mode, which goes first, and
// Answer-Mode.
func answerModeOf(privileged, plain string) answerMode {
	for _, value := range []string{privileged, plain} {
		words := slices.Collect(Split(value, ";,"))
		m := answerMode{}
		switch strings.ToLower(words[0]) {
		case "auto":
			m.auto = true
		case "manual":
			m.manual = true
		default:
			continue
		}
		for _, p := range words[1:] {
			m.required = m.required || strings.EqualFold(p, "require")
		}
		return m
	}
	return answerMode{}
}
