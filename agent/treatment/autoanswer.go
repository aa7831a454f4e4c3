package treatment

import (
	"fmt"
	"time"
)

// askAutoAnswer answers by itself, at once or after a while, because a rule says
// so for this caller or the account for all. What the caller asks for (answer-after,
// RFC 5373) counts only when the account wants automatic answers at all: otherwise
// anybody could open a microphone.
func askAutoAnswer(in Input) (Decision, string, bool) {
	if in.answersAtOnce() {
		return Decision{Action: Answer}, fmt.Sprintf("at once, by rule %d of incomingRewriting", in.rewritten.Decided), true
	}
	after, asked := AnswerAfter(in.AlertHeaders)
	mode := answerModeOf(in.PrivAnswerMode, in.AnswerMode)
	switch {
	case !in.AutoAnswer && mode.auto && mode.required:
		d := Decision{Action: Reject, Code: 403, Reason: "Automatic Answer Forbidden"} // RFC 5373
		return d, "off, but the caller requires an automatic answer, 403", true
	case !in.AutoAnswer && mode.auto:
		return Decision{}, "off; the caller's Answer-Mode does not count", false
	case !in.AutoAnswer && asked:
		return Decision{}, "off; the caller's answer-after does not count", false
	case !in.AutoAnswer:
		return Decision{}, "off", false
	case mode.manual:
		return Decision{}, "on, but the caller wants a person to answer (Answer-Mode)", false
	}
	return answerAfter(in, after, asked, mode)
}

// answerAfter says when an automatic answer comes.
func answerAfter(in Input, after time.Duration, asked bool, mode answerMode) (Decision, string, bool) {
	says := "autoAnswerTimeoutInSeconds"
	switch {
	case asked:
		says = "the caller's answer-after"
	case mode.auto:
		says, after = "the caller's Answer-Mode", 0
	default:
		after = max(in.AutoAnswerAfter, 0)
	}
	if after > 0 && after >= in.NoAnswer {
		return Decision{}, fmt.Sprintf("%s is %v, which is not before the end of ringing", says, after), false
	}
	d := Decision{Action: Answer, AnswerAfter: after}
	if after == 0 {
		return d, "at once, by " + says, true
	}
	return d, fmt.Sprintf("after %v, by %s", after, says), true
}

// askRing ends the list: ring, and give up in the end.
func askRing(in Input) (Decision, string, bool) {
	d := unavailable()
	d.Action = Ring
	d.RingFor = max(in.NoAnswer, 0)
	return d, fmt.Sprintf("for %v, then 480", d.RingFor.Round(time.Millisecond)), true
}
