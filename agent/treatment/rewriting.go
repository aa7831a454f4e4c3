package treatment

import (
	"fmt"
	"strings"

	"github.com/softphone-operator/softphone-operator/account/rewrite"
)

// askRewriting obeys the account's rules for incoming calls: they turn a caller
// away, send the call elsewhere, have it answered at once (which is up to
// auto-answer, behind busy), or show the caller under another number.
func askRewriting(in Input) (Decision, string, bool) {
	r := in.rewritten
	switch {
	case len(in.IncomingRewriting) == 0:
		return Decision{}, "no rules", false
	case r.Incoming == "rejectCall":
		return busyHere(), rulesSay(r, fmt.Sprintf("rule %d rejects, 486", r.Decided)), true
	case r.Incoming == "forwardCall":
		d, why, decided := redirect(in, r.Param)
		return d, rulesSay(r, fmt.Sprintf("rule %d forwards %s", r.Decided, why)), decided
	case r.Incoming == "answerImmediately":
		return Decision{}, rulesSay(r, fmt.Sprintf("rule %d answers at once", r.Decided)), false
	}
	return Decision{}, rulesSay(r, ""), false
}

// answersAtOnce tells whether a rule wants the call answered.
func (in Input) answersAtOnce() bool { return in.rewritten.Incoming == "answerImmediately" }

// rulesSay tells what rules made of a number, and what else they do.
func rulesSay(r rewrite.Result, more string) string {
	var says []string
	for _, s := range r.Rules {
		if s.Matched && s.Before != s.After {
			says = append(says, fmt.Sprintf("rule %d makes %s of %s", s.Rule, orNothing(s.After), orNothing(s.Before)))
		}
	}
	if more != "" {
		says = append(says, more)
	}
	if len(says) > 0 {
		return strings.Join(says, "; ")
	}
	for _, s := range r.Rules {
		if s.Matched {
			return fmt.Sprintf("rule %d matches, the number stays", s.Rule)
		}
	}
	return "no rule matches"
}

func orNothing(number string) string {
	if number == "" {
		return `""`
	}
	return number
}
