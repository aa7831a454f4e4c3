package treatment

import (
	"fmt"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/account/rewrite"
)

// Voicemail is the destination that stands for the account's voiceMailNumber.
const Voicemail = "voicemail"

// Wanted is a call somebody wants to place, and what decides on it.
type Wanted struct {
	// To is what somebody asked for: a number, a URI, or Voicemail.
	To string
	// DialAction somebody asked for; "" = autoCall.
	DialAction string
	// Confirmed: whoever asked has confirmed the number.
	Confirmed bool

	// Account the call is asked of, and the network it is on.
	Account *account.Account
	Network rewrite.Network
}

// Outcome is what becomes of a call that is wanted.
type Outcome int

// The outcomes.
const (
	// Placed calls are dialled: Placement.To.
	Placed Outcome = iota
	// Dropped calls are not dialled; a rule says so.
	Dropped
	// Opened calls are not dialled; Placement.URL is what is there instead.
	Opened
	// Unconfirmed calls are dialled once somebody confirms the number.
	Unconfirmed
	// NoTarget: there is nothing to dial.
	NoTarget
	// Impossible calls want what an agent cannot do.
	Impossible
)

// Placement is what becomes of a call that is wanted, and why.
type Placement struct {
	Outcome Outcome
	// Why in words, unless Placed.
	Why string
	// To is what is dialled: a number or a URI. Reaches is the number that a call
	// through an access number is for; "" = To is.
	To, Reaches string
	// Digits to send after the answer, before all others.
	Digits string
	// Line is the account to call from instead; "" = this one.
	Line string
	// DialAction in force.
	DialAction string
	// Headers that rules set on the call.
	Headers []rewrite.Header
	// Record: a rule wants the call recorded.
	Record bool
	// URL to open instead of a call.
	URL string
	// Steps say in words what was decided, in order. A call nobody has an opinion
	// on has none.
	Steps []string

	number    string // as rules left it
	isNumber  bool
	rewritten rewrite.Result
}

// placingStep is one of them.
type placingStep struct {
	name string
	do   func(w Wanted, p *Placement) (why string)
}

// placing are the steps to a call that is wanted, in order. A step says why it did
// something, or "" when it had nothing to do; one that sets an outcome ends the list.
var placing = [...]placingStep{
	{"voicemail", findVoicemail},
	{"rewriting", applyRules},
	{"drop", dropCall},
	{"confirm", askConfirmation},
	{"dial action", chooseAction},
	{"dialOut", chooseLine},
}

// Place decides what becomes of a call that is wanted.
func Place(w Wanted) Placement { return place(w, placing[:]) }

// PlaceText decides what becomes of a text message that is wanted: the rules for
// numbers apply, those for how to call do not.
func PlaceText(w Wanted) Placement {
	return place(w, []placingStep{
		{"rewriting", applyRules},
		{"drop", dropCall},
		{"confirm", askConfirmation},
		{"dialOut", chooseLine},
	})
}

func place(w Wanted, steps []placingStep) Placement {
	p := Placement{To: w.To, DialAction: w.DialAction}
	for _, step := range steps {
		if why := step.do(w, &p); why != "" {
			p.Steps = append(p.Steps, step.name+": "+why)
		}
		if p.Outcome != Placed {
			break
		}
	}
	return p
}

func (p *Placement) refuse(o Outcome, why string) string {
	p.Outcome, p.Why = o, why
	return why
}

func findVoicemail(w Wanted, p *Placement) string {
	if w.To != Voicemail {
		return ""
	}
	if p.To = w.Account.VoiceMailNumber; p.To == "" {
		return p.refuse(NoTarget, "the account has no voiceMailNumber")
	}
	return "is " + p.To
}

// applyRules applies the account's rules for numbers that are dialled. What is no
// number of this account's (a SIP URI of somebody else) is dialled as it stands.
func applyRules(w Wanted, p *Placement) string {
	p.number, p.isNumber = rewrite.Target(p.To, w.Account.Host)
	switch {
	case len(w.Account.Rewriting) == 0:
		return ""
	case !p.isNumber:
		return "no rule concerns a URI of another domain"
	}
	r := rewrite.Apply(w.Account.Rewriting, p.number, w.Network)
	p.rewritten, p.Headers, p.Record = r, r.Headers, r.Record
	if r.Output != p.number {
		p.To, p.number = r.Output, r.Output
	}
	if r.DialAction != "" {
		p.DialAction = r.DialAction
	}
	return rulesSay(r, "")
}

func dropCall(_ Wanted, p *Placement) string {
	if !p.rewritten.Dropped {
		return ""
	}
	return p.refuse(Dropped, fmt.Sprintf("rule %d of rewriting drops the call", p.rewritten.Decided))
}

func askConfirmation(w Wanted, p *Placement) string {
	switch {
	case !p.rewritten.Confirm:
		return ""
	case w.Confirmed:
		return "asked for by a rule of rewriting, and given"
	}
	return p.refuse(Unconfirmed, fmt.Sprintf("a rule of rewriting asks to confirm a call to %s", p.To))
}

// chooseLine lets the call go out by another account.
func chooseLine(_ Wanted, p *Placement) string {
	if p.Line = p.rewritten.DialOut; p.Line == "" {
		return ""
	}
	if p.isNumber && p.Reaches == "" {
		p.To = p.number // at the other account's domain, however it was written
	}
	return "a rule of rewriting calls from " + p.Line
}
