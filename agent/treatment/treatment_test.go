package treatment_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// outcome writes a decision on one line.
func outcome(d treatment.Decision) string {
	s := d.Action.String()
	switch d.Action {
	case treatment.Answer:
		s += fmt.Sprintf(" after %v", d.AnswerAfter)
	case treatment.Ring:
		s += fmt.Sprintf(" for %v then %d", d.RingFor, d.Code)
	case treatment.Redirect:
		s += fmt.Sprintf(" %d to %s", d.Code, d.Target)
	case treatment.Reject:
		s += fmt.Sprintf(" %d %s", d.Code, d.Reason)
		if d.RetryAfter > 0 {
			s += fmt.Sprintf(", again after %v", d.RetryAfter)
		}
	}
	return s
}

func TestDecide(t *testing.T) {
	plain := treatment.Input{CallWaiting: true, NoAnswer: 60 * time.Second, Self: "1000"}
	with := func(change func(*treatment.Input)) treatment.Input {
		in := plain
		change(&in)
		return in
	}
	for sentence, c := range map[string]struct {
		in   treatment.Input
		want string
		why  string // the last step
	}{
		"a plain line rings, then gives up": {
			plain, "ring for 1m0s then 480", "ring: for 1m0s, then 480"},
		"a draining line takes no calls, whatever else it would do": {
			with(func(in *treatment.Input) {
				in.Draining, in.AutoAnswer, in.ForwardingEnabled, in.ForwardingNumber = true, true, true, "2000"
			}),
			"reject 480 Temporarily Unavailable", "drain: the line is draining, 480"},
		"icm=off takes no calls": {
			with(func(in *treatment.Input) { in.IncomingOff, in.AutoAnswer = true, true }),
			"reject 480 Temporarily Unavailable", "icm: incoming calls are off, 480"},
		"as many new calls as allowed are taken": {
			with(func(in *treatment.Input) { in.NewCalls, in.MaxNewCalls = 10, 10 }),
			"ring for 1m0s then 480", "ring: for 1m0s, then 480"},
		"one new call more than allowed is told to come again": {
			with(func(in *treatment.Input) { in.NewCalls, in.MaxNewCalls = 11, 10 }),
			"reject 486 Busy Here, again after 1s", "rate: 11 new calls this second, 10 allowed, 486"},
		"the rate counts before forwarding, or a flood would be passed on": {
			with(func(in *treatment.Input) {
				in.NewCalls, in.MaxNewCalls, in.ForwardingEnabled, in.ForwardingNumber = 2, 1, true, "2000"
			}),
			"reject 486 Busy Here, again after 1s", "rate: 2 new calls this second, 1 allowed, 486"},
		"forwarding redirects": {
			with(func(in *treatment.Input) { in.ForwardingEnabled, in.ForwardingNumber = true, " +15550100 " }),
			"redirect 302 to +15550100", "forwarding: to +15550100, 302"},
		"forwarding wins over busy and auto-answer": {
			with(func(in *treatment.Input) {
				in.ForwardingEnabled, in.ForwardingNumber, in.ActiveCalls, in.CallWaiting, in.AutoAnswer = true, "2000", 1, false, true
			}),
			"redirect 302 to 2000", "forwarding: to 2000, 302"},
		"forwarding to nowhere is no forwarding": {
			with(func(in *treatment.Input) { in.ForwardingEnabled = true }),
			"ring for 1m0s then 480", "ring: for 1m0s, then 480"},
		"forwarding to itself is no forwarding": {
			with(func(in *treatment.Input) { in.ForwardingEnabled, in.ForwardingNumber = true, "1000" }),
			"ring for 1m0s then 480", "ring: for 1m0s, then 480"},
		"a second call waits": {
			with(func(in *treatment.Input) { in.ActiveCalls = 1 }),
			"ring for 1m0s then 480", "ring: for 1m0s, then 480"},
		"a second call is refused without call waiting": {
			with(func(in *treatment.Input) { in.ActiveCalls, in.CallWaiting = 1, false }),
			"reject 486 Busy Here", "busy: a call is up and callWaiting is off, 486"},
		"the first call is taken without call waiting": {
			with(func(in *treatment.Input) { in.CallWaiting = false }),
			"ring for 1m0s then 480", "ring: for 1m0s, then 480"},
		"the last call under the cap is taken": {
			with(func(in *treatment.Input) { in.ActiveCalls, in.MaxCalls = 19, 20 }),
			"ring for 1m0s then 480", "ring: for 1m0s, then 480"},
		"a call over the cap is refused, auto-answer or not": {
			with(func(in *treatment.Input) { in.ActiveCalls, in.MaxCalls, in.AutoAnswer = 20, 20, true }),
			"reject 486 Busy Here", "busy: 20 calls are up, 20 allowed, 486"},
		"auto-answer at once": {
			with(func(in *treatment.Input) { in.AutoAnswer = true }),
			"answer after 0s", "auto-answer: at once, by autoAnswerTimeoutInSeconds"},
		"auto-answer after a while": {
			with(func(in *treatment.Input) { in.AutoAnswer, in.AutoAnswerAfter = true, 5*time.Second }),
			"answer after 5s", "auto-answer: after 5s, by autoAnswerTimeoutInSeconds"},
		"the caller's answer-after wins for the delay": {
			with(func(in *treatment.Input) {
				in.AutoAnswer, in.AutoAnswerAfter, in.AlertHeaders = true, 5*time.Second, []string{"<sip:pbx>;answer-after=0"}
			}),
			"answer after 0s", "auto-answer: at once, by the caller's answer-after"},
		"the caller's answer-after does not switch auto-answer on": {
			with(func(in *treatment.Input) { in.AlertHeaders = []string{"<sip:pbx>;answer-after=0"} }),
			"ring for 1m0s then 480", "ring: for 1m0s, then 480"},
		"an answer that would come after the ringing does not come": {
			with(func(in *treatment.Input) { in.AutoAnswer, in.AutoAnswerAfter = true, 60*time.Second }),
			"ring for 1m0s then 480", "ring: for 1m0s, then 480"},
	} {
		t.Run(sentence, func(t *testing.T) {
			d := treatment.Decide(c.in)
			if got := outcome(d); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if len(d.Steps) == 0 || d.Steps[len(d.Steps)-1] != c.why {
				t.Errorf("steps %q do not end with %q", d.Steps, c.why)
			}
		})
	}
}

func TestEveryRuleAskedSaysWhy(t *testing.T) {
	d := treatment.Decide(treatment.Input{CallWaiting: true, NoAnswer: time.Minute, ForwardingEnabled: true,
		AlertHeaders: []string{";answer-after=1"}, MaxNewCalls: 3, NewCalls: 1, MaxCalls: 2})
	want := []string{
		"drain: the line stays",
		"icm: incoming calls are on",
		"rate: 1 of 3 new calls this second",
		"caller: nobody says who calls",
		"do-not-disturb: off",
		"rewriting: no rules",
		"forwarding: on, but there is no forwardingNumber",
		"busy: 0 of 2 calls are up",
		"auto-answer: off; the caller's answer-after does not count",
		"ring: for 1m0s, then 480",
	}
	if !slices.Equal(d.Steps, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(d.Steps, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnswerAfter(t *testing.T) {
	for sentence, c := range map[string]struct {
		values []string
		want   string
	}{
		"no header":                          {nil, "none"},
		"a parameter of Call-Info":           {[]string{"<sip:pbx.example>;answer-after=2"}, "2s"},
		"without a URI":                      {[]string{";answer-after=0"}, "0s"},
		"bare":                               {[]string{"answer-after=7"}, "7s"},
		"in any case and with spaces":        {[]string{"<sip:x> ; Answer-After = 3"}, "3s"},
		"in the second element of a list":    {[]string{"<http://x/icon>;purpose=icon, <sip:x>;answer-after=4"}, "4s"},
		"in the second header":               {[]string{"<http://x>;info=ring", "<sip:x>;answer-after=5"}, "5s"},
		"a URI's own parameter is none":      {[]string{"<sip:x;answer-after=2>"}, "none"},
		"a name that says so is none":        {[]string{`"x;answer-after=2" <sip:x>`}, "none"},
		"an escaped quote does not end one":  {[]string{`"x\";answer-after=2" <sip:x>`}, "none"},
		"not a number":                       {[]string{"<sip:x>;answer-after=soon"}, "none"},
		"negative":                           {[]string{"<sip:x>;answer-after=-1"}, "none"},
		"larger than any call":               {[]string{"<sip:x>;answer-after=99999999999"}, "none"},
		"the first that is a number":         {[]string{"<sip:x>;answer-after=x;answer-after=6"}, "6s"},
		"Alert-Info's auto-answer is no N":   {[]string{"<http://x>;info=alert-autoanswer"}, "none"},
		"a parameter that only ends like it": {[]string{"<sip:x>;no-answer-after=2"}, "none"},
	} {
		got := "none"
		if d, ok := treatment.AnswerAfter(c.values); ok {
			got = d.String()
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", sentence, got, c.want)
		}
	}
}

func FuzzAnswerAfter(f *testing.F) {
	f.Add(`"x" <sip:x>;answer-after=2, <y>`)
	f.Fuzz(func(t *testing.T, value string) {
		d, ok := treatment.AnswerAfter([]string{value})
		if d < 0 || !ok && d != 0 || d > 1<<20*time.Second {
			t.Errorf("%q gave %v, %v", value, d, ok)
		}
		if ok && !strings.Contains(strings.ToLower(value), "answer-after") {
			t.Errorf("%q has no answer-after", value)
		}
	})
}
