// Package rewrite applies number-rewriting rules. An account carries them twice:
// for numbers that are dialled and for callers of incoming calls. The agent obeys
// the result, explain shows how it came about; both must be the same code.
//
//	rules are tried in order; the first one whose conditions all hold acts, and
//	ends the rewriting unless one of its actions is "continue": then the rules
//	behind it are tried with the number as it has become.
//
//	conditions: startsWith P, doesntStartWith P, equals P, contains P, numeric,
//	            lengthEquals N, shorterThan N, longerThan N,
//	            networkType wifi|cellular|any|none, ssid S
//	actions:    replace P, prepend P, append P, continue, recordCall, dialOut A,
//	            confirm, drop, callThrough, overrideDialAction D, setHeader "N: V",
//	            and for incoming calls rejectCall, forwardCall P, answerImmediately
//
// Lengths count characters, a leading + included. A rule with a condition or
// action nobody knows never matches.
package rewrite

import (
	"strings"

	"github.com/softphone-operator/softphone-operator/account"
)

// Network is what the network conditions compare with.
type Network struct {
	// Type is wifi, cellular or none.
	Type string
	// SSID is the Wi-Fi's name; it is compared exactly.
	SSID string
}

// Header is a SIP header a rule sets on the call.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Result is what the rules make of a number, and how.
type Result struct {
	// Input and Output are the number before and after.
	Input  string `json:"input"`
	Output string `json:"output"`
	// Rules tells of every rule that was tried.
	Rules []Step `json:"rules"`
	// Headers to set on the call.
	Headers []Header `json:"headers,omitempty"`
	// DialOut names another account to call through.
	DialOut string `json:"dialOut,omitempty"`
	// DialAction replaces the dial action of the call.
	DialAction string `json:"dialAction,omitempty"`
	Record     bool   `json:"record"`
	// Dropped calls are not dialled; Confirm ones only when the request says it is confirmed.
	Dropped bool `json:"dropped"`
	Confirm bool `json:"confirm"`
	// Incoming is what happens to an incoming call: rejectCall, forwardCall,
	// answerImmediately or nothing; Param is where a forwarded one goes.
	Incoming string `json:"action,omitempty"`
	Param    string `json:"param,omitempty"`
	// Decided is the rule, from 1, that dropped, rejected, forwarded or answered the call; 0 is none.
	Decided int `json:"rule,omitempty"`
}

// Step is one rule that was tried.
type Step struct {
	// Rule counts from 1.
	Rule    int  `json:"rule"`
	Matched bool `json:"matched"`
	// Why names the condition that did not hold; it is empty when all did.
	Why string `json:"why,omitempty"`
	// Before and After are the number at a rule that matched.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Apply applies rules to the number of a call.
func Apply(rules []account.Rule, number string, n Network) Result {
	r := Result{Input: number, Output: number, Rules: []Step{}}
	for i, rule := range rules {
		parts, why := match(rule, r.Output, n)
		if why != "" {
			r.Rules = append(r.Rules, Step{Rule: i + 1, Why: why})
			continue
		}
		before, goOn := r.Output, false
		for _, a := range rule.Actions {
			goOn = goOn || a.Type == "continue"
			r.act(a, parts, i+1)
		}
		r.Output = parts.String()
		r.Rules = append(r.Rules, Step{Rule: i + 1, Matched: true, Before: before, After: r.Output})
		if !goOn {
			break
		}
	}
	return r
}

// parts is a number, cut where a condition matched a part of it: what is put in
// front or behind never becomes part of the match.
type parts struct{ head, matched, tail string }

func (p *parts) String() string { return p.head + p.matched + p.tail }

// act carries out one action. Later ones have the last word.
func (r *Result) act(a account.Clause, number *parts, rule int) {
	switch a.Type {
	case "replace":
		number.matched = a.Param
	case "prepend":
		number.head = a.Param + number.head
	case "append":
		number.tail += a.Param
	case "recordCall":
		r.Record = true
	case "dialOut":
		r.DialOut = a.Param
	case "confirm":
		r.Confirm = true
	case "drop":
		r.Dropped, r.Decided = true, rule
	case "callThrough":
		r.DialAction = "callThrough"
	case "overrideDialAction":
		r.DialAction = a.Param
	case "setHeader":
		r.setHeader(a.Param)
	case "rejectCall", "answerImmediately":
		r.Incoming, r.Param, r.Decided = a.Type, "", rule
	case "forwardCall":
		r.Incoming, r.Param, r.Decided = a.Type, a.Param, rule
	}
}

// setHeader sets "Name: value"; a name has no case, and the last value stays.
func (r *Result) setHeader(param string) {
	name, value, _ := strings.Cut(param, ":")
	h := Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)}
	for i := range r.Headers {
		if strings.EqualFold(r.Headers[i].Name, h.Name) {
			r.Headers[i] = h
			return
		}
	}
	r.Headers = append(r.Headers, h)
}
