// Package treatment decides what happens to a call: one that comes in (Decide),
// and one that somebody wants to place (Place). Each is one ordered list of rules
// over values, without clock, socket or dialog, so that the decision can be tested
// as a table and every call record can say in words why the call was answered,
// refused, redirected or left ringing, and why another number was dialled than the
// one that was asked for.
package treatment

import (
	"time"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/account/rewrite"
)

// Input is everything a decision looks at.
type Input struct {
	// Draining lines are leaving this agent; they take no new calls.
	Draining bool
	// IncomingOff is icm=off, or icm=auto on a fleet whose mode is off.
	IncomingOff bool

	// NewCalls counts the calls admitted within the last second and this one.
	// MaxNewCalls bounds it; 0 = no bound.
	NewCalls    int
	MaxNewCalls int

	// Caller is who calls, as rules compare it (rewrite.Caller); CallerBy says which
	// header names it. Now is when.
	Caller   string
	CallerBy string
	Now      time.Time
	// DoNotDisturb and IncomingRewriting are the account's, Network is where it is.
	DoNotDisturb      *account.DoNotDisturb
	IncomingRewriting []account.Rule
	Network           rewrite.Network

	// ForwardingEnabled and ForwardingNumber are the account's. Self is the
	// line's own user part: a line is never forwarded to itself.
	ForwardingEnabled bool
	ForwardingNumber  string
	Self              string
	// DivertedBefore: this line sent the call elsewhere once, and it came back.
	DivertedBefore bool

	// ActiveCalls of the line, both directions, without this one. MaxCalls
	// bounds them; 0 = no bound.
	ActiveCalls int
	MaxCalls    int
	// CallWaiting=false refuses a second call.
	CallWaiting bool

	// AutoAnswer and AutoAnswerAfter are the account's.
	AutoAnswer      bool
	AutoAnswerAfter time.Duration
	// AlertHeaders are the values of Call-Info and Alert-Info, in order.
	AlertHeaders []string
	// AnswerMode and PrivAnswerMode are the headers of RFC 5373; "" = none.
	AnswerMode, PrivAnswerMode string

	// NoAnswer is how long a call may ring.
	NoAnswer time.Duration

	rewritten rewrite.Result // what the rules make of Caller
}

// Action is what to do with a call.
type Action int

const (
	// Ring until answered by somebody, or Decision.RingFor is over: 480.
	Ring Action = iota
	// Answer after Decision.AnswerAfter.
	Answer
	// Redirect to Decision.Target with 302.
	Redirect
	// Reject with Decision.Code.
	Reject
)

// String gives the action's name.
func (a Action) String() string {
	switch a {
	case Ring:
		return "ring"
	case Answer:
		return "answer"
	case Redirect:
		return "redirect"
	case Reject:
		return "reject"
	}
	return "unknown"
}

// Decision is what happens to a call, and why.
type Decision struct {
	Action Action
	// Code and Reason of the final response, for Reject and Redirect.
	Code   int
	Reason string
	// RetryAfter of a Reject; 0 = none is said.
	RetryAfter time.Duration
	// Target of a Redirect: a number or a SIP URI.
	Target string
	// AnswerAfter is how long an Answer rings first.
	AnswerAfter time.Duration
	// RingFor bounds the ringing of Ring: then Code.
	RingFor time.Duration
	// Caller as the account's rules show it; Headers are those they set on our
	// responses. Record: a rule wants the call recorded.
	Caller  string
	Headers []rewrite.Header
	Record  bool
	// Steps are the rules' reasons in the order they were asked; the last one
	// made the decision.
	Steps []string
}

// rule is one step of the list. It decides, or says why it does not.
type rule struct {
	name string
	ask  func(in Input) (d Decision, why string, decided bool)
}

// rules in the order they are asked. What keeps the line from taking calls at
// all comes first, what the called party wants comes after it.
var rules = [...]rule{
	{"drain", askDraining},
	{"icm", askIncomingOff},
	{"rate", askRate},
	{"caller", askCaller},
	{"do-not-disturb", askDoNotDisturb},
	{"rewriting", askRewriting},
	{"forwarding", askForwarding},
	{"busy", askBusy},
	{"auto-answer", askAutoAnswer},
	{"ring", askRing},
}

// Decide asks the rules in order; the first that has an opinion decides.
func Decide(in Input) Decision {
	in.rewritten = rewrite.Apply(in.IncomingRewriting, in.Caller, in.Network)
	steps := make([]string, 0, len(rules))
	for _, r := range rules {
		d, why, decided := r.ask(in)
		steps = append(steps, r.name+": "+why)
		if decided {
			d.Steps, d.Caller = steps, in.rewritten.Output
			d.Headers, d.Record = in.rewritten.Headers, in.rewritten.Record
			return d
		}
	}
	panic("treatment: the last rule always decides")
}
