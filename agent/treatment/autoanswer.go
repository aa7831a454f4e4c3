package treatment

import (
	"fmt"
	"time"
)

// askAutoAnswer answers by itself, at once or after a while. A caller's
// answer-after wins over the account's delay, but counts only when the account
// wants automatic answers at all: otherwise anybody could open a microphone.
func askAutoAnswer(in Input) (Decision, string, bool) {
	after, asked := AnswerAfter(in.AlertHeaders)
	if !in.AutoAnswer {
		if asked {
			return Decision{}, "off; the caller's answer-after does not count", false
		}
		return Decision{}, "off", false
	}
	says := "autoAnswerTimeoutInSeconds"
	if asked {
		says = "the caller's answer-after"
	} else {
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
