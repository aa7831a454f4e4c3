package treatment_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/account/rewrite"
	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// quiet is the document's own example: the night desk between 8 and 10 on
// workdays, and everybody on weekends, one hour east of Greenwich.
func quiet() *account.DoNotDisturb {
	offset := 60
	return &account.DoNotDisturb{GMTOffsetInMinutes: &offset, Entries: []account.DNDEntry{
		{Enabled: true, From: "08:00", To: "10:00", Weekdays: 31, Contacts: []account.DNDContact{{Phone: "+1 (222) 333-4455"}}},
		{Enabled: true, From: "00:00", To: "23:59", Weekdays: 96, Comment: "Do not disturb on weekends"},
	}}
}

// rules writes rules the short way: "startsWith 00: replace +, continue".
func rules(lines ...string) []account.Rule {
	clauses := func(list string) (out []account.Clause) {
		for item := range strings.SplitSeq(list, ", ") {
			if name, param, _ := strings.Cut(item, " "); name != "always" {
				out = append(out, account.Clause{Type: name, Param: param})
			}
		}
		return out
	}
	var out []account.Rule
	for _, line := range lines {
		conditions, actions, _ := strings.Cut(line, ": ")
		out = append(out, account.Rule{Conditions: clauses(conditions), Actions: clauses(actions)})
	}
	return out
}

// monday is 08:30 in the zone of quiet.
var monday = time.Date(2026, 11, 23, 7, 30, 0, 0, time.UTC)

func TestIncomingWishes(t *testing.T) {
	const rings = "ring for 1m0s then 480"
	for sentence, c := range map[string]struct {
		change func(*treatment.Input)
		want   string
		says   string // one of the steps
	}{
		"do-not-disturb turns the document's caller away on a Monday morning": {
			func(in *treatment.Input) { in.DoNotDisturb, in.Now = quiet(), monday },
			"reject 486 Busy Here", "do-not-disturb: entry 1 of doNotDisturb, 486"},
		"another caller gets through then": {
			func(in *treatment.Input) { in.DoNotDisturb, in.Now, in.Caller = quiet(), monday, "2000" },
			rings, "do-not-disturb: no entry concerns this caller now"},
		"the zone is the account's: half an hour earlier it is half past seven there": {
			func(in *treatment.Input) { in.DoNotDisturb, in.Now = quiet(), monday.Add(-time.Hour) },
			rings, "do-not-disturb: no entry concerns this caller now"},
		"on weekends nobody gets through": {
			func(in *treatment.Input) {
				in.DoNotDisturb, in.Now, in.Caller = quiet(), monday.AddDate(0, 0, -1), "anonymous"
			},
			"reject 486 Busy Here", "do-not-disturb: entry 2 of doNotDisturb, 486"},
		"do-not-disturb goes before forwarding and auto-answer": {
			func(in *treatment.Input) {
				in.DoNotDisturb, in.Now, in.AutoAnswer, in.ForwardingEnabled, in.ForwardingNumber = quiet(), monday, true, true, "3000"
			},
			"reject 486 Busy Here", "do-not-disturb: entry 1 of doNotDisturb, 486"},
		"a rule rejects a caller": {
			func(in *treatment.Input) { in.IncomingRewriting = rules("startsWith +1222: rejectCall") },
			"reject 486 Busy Here", "rewriting: rule 1 rejects, 486"},
		"a rule forwards a caller, before forwarding for all": {
			func(in *treatment.Input) {
				in.IncomingRewriting = rules("equals 1: rejectCall", "startsWith +1222: forwardCall 4000")
				in.ForwardingEnabled, in.ForwardingNumber = true, "3000"
			},
			"redirect 302 to 4000", "rewriting: rule 2 forwards to 4000, 302"},
		"a rule answers a caller at once, whatever forwarding says": {
			func(in *treatment.Input) {
				in.IncomingRewriting = rules("always: answerImmediately")
				in.ForwardingEnabled, in.ForwardingNumber = true, "3000"
			},
			"answer after 0s", "forwarding: on, but rule 1 of incomingRewriting answers this caller"},
		"an answer by rule is told as such": {
			func(in *treatment.Input) { in.IncomingRewriting = rules("always: answerImmediately") },
			"answer after 0s", "auto-answer: at once, by rule 1 of incomingRewriting"},
		"busy goes before an answer by rule": {
			func(in *treatment.Input) {
				in.IncomingRewriting, in.ActiveCalls, in.CallWaiting = rules("always: answerImmediately"), 1, false
			},
			"reject 486 Busy Here", "busy: a call is up and callWaiting is off, 486"},
		"a rule shows another number": {
			func(in *treatment.Input) { in.IncomingRewriting = rules("startsWith +1: replace 001") },
			rings + " from 0012223334455", "rewriting: rule 1 makes 0012223334455 of +12223334455"},
		"a rule that matches and leaves the number is told": {
			func(in *treatment.Input) { in.IncomingRewriting = rules("startsWith +1: recordCall") },
			rings + " recorded", "rewriting: rule 1 matches, the number stays"},
		"a rule sets a header": {
			func(in *treatment.Input) { in.IncomingRewriting = rules("startsWith +1: setHeader X-Rule: 1") },
			rings + " with X-Rule: 1", "rewriting: rule 1 matches, the number stays"},
		"a rule for another network does not match": {
			func(in *treatment.Input) { in.IncomingRewriting = rules("networkType cellular: rejectCall") },
			rings, "rewriting: no rule matches"},
		"a call that this line diverted before is not diverted again": {
			func(in *treatment.Input) {
				in.ForwardingEnabled, in.ForwardingNumber, in.DivertedBefore = true, "3000", true
			},
			rings, "forwarding: to 3000, but this line diverted the call before: a loop"},
		"Answer-Mode: Auto is obeyed at once where the account answers": {
			func(in *treatment.Input) {
				in.AutoAnswer, in.AutoAnswerAfter, in.AnswerMode = true, 5*time.Second, "Auto"
			},
			"answer after 0s", "auto-answer: at once, by the caller's Answer-Mode"},
		"Answer-Mode: Auto opens no microphone": {
			func(in *treatment.Input) { in.AnswerMode = "Auto" },
			rings, "auto-answer: off; the caller's Answer-Mode does not count"},
		"one that requires it is refused": {
			func(in *treatment.Input) { in.PrivAnswerMode = "auto ; REQUIRE" },
			"reject 403 Automatic Answer Forbidden", "auto-answer: off, but the caller requires an automatic answer, 403"},
		"Answer-Mode: Manual is not answered automatically": {
			func(in *treatment.Input) { in.AutoAnswer, in.AnswerMode = true, "Manual" },
			rings, "auto-answer: on, but the caller wants a person to answer (Answer-Mode)"},
		"Priv-Answer-Mode goes before Answer-Mode": {
			func(in *treatment.Input) {
				in.AutoAnswer, in.AutoAnswerAfter, in.AnswerMode, in.PrivAnswerMode = true, time.Second, "Manual", "Auto"
			},
			"answer after 0s", "auto-answer: at once, by the caller's Answer-Mode"},
		"a mode nobody knows is none": {
			func(in *treatment.Input) {
				in.AutoAnswer, in.AutoAnswerAfter, in.AnswerMode = true, time.Second, "Perhaps;require"
			},
			"answer after 1s", "auto-answer: after 1s, by autoAnswerTimeoutInSeconds"},
	} {
		t.Run(sentence, func(t *testing.T) {
			in := treatment.Input{
				CallWaiting: true, NoAnswer: time.Minute, Self: "1000", Caller: "+12223334455", CallerBy: "From", Now: monday,
				Network: rewrite.Network{Type: "wifi"},
			}
			c.change(&in)
			d := treatment.Decide(in)
			got := outcome(d)
			if d.Caller != in.Caller {
				got += " from " + d.Caller
			}
			if d.Record {
				got += " recorded"
			}
			for _, h := range d.Headers {
				got += fmt.Sprintf(" with %s: %s", h.Name, h.Value)
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if steps := "\n" + strings.Join(d.Steps, "\n") + "\n"; !strings.Contains(steps, "\n"+c.says+"\n") {
				t.Errorf("no step %q in%s", c.says, steps)
			}
		})
	}
}
