package rewrite

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/account"
)

// rules reads rules the short way: "startsWith 00, longerThan 8: replace +, continue".
func rules(lines ...string) []account.Rule {
	var out []account.Rule
	for _, line := range lines {
		conditions, actions, _ := strings.Cut(line, ": ")
		out = append(out, account.Rule{Conditions: clauses(conditions), Actions: clauses(actions)})
	}
	return out
}

func clauses(list string) []account.Clause {
	var out []account.Clause
	for item := range strings.SplitSeq(list, ", ") {
		if name, param, _ := strings.Cut(item, " "); name != "" && name != "always" {
			out = append(out, account.Clause{Type: name, Param: param})
		}
	}
	return out
}

// apply uses the documents' own way: the rules are written as XML and read again.
func apply(t *testing.T, list []account.Rule, number string, n Network) Result {
	t.Helper()
	var d account.Document
	d.SetRewriting("rewriting", list, 40, "gui")
	a, _ := account.Effective(&d)
	return Apply(a.Rewriting, number, n)
}

// documentRules is the example of the account document: add +420 to numbers that
// do not start with + and are longer than 8 digits.
var documentRules = rules("doesntStartWith +, longerThan 8: prepend +420")

func TestNumbers(t *testing.T) {
	wifi, cellular, none := Network{"wifi", "Office"}, Network{Type: "cellular"}, Network{Type: "none"}
	tests := map[string]struct {
		rules   []account.Rule
		network Network
		numbers map[string]string
	}{
		"the document's example": {documentRules, wifi, map[string]string{
			"777123456": "+420777123456", "+1777123456": "+1777123456", "12345678": "12345678", "112": "112"}},
		"without rules a number stays":             {nil, wifi, map[string]string{"1": "1", "": ""}},
		"startsWith and replace":                   {rules("startsWith 00: replace +"), wifi, map[string]string{"00420": "+420", "0420": "0420", "10042": "10042"}},
		"equals and replace":                       {rules("equals 112: replace +420112"), wifi, map[string]string{"112": "+420112", "1121": "1121"}},
		"contains replaces the first":              {rules("contains -: replace "), wifi, map[string]string{"1-2-3": "12-3", "123": "123"}},
		"the first matching condition is replaced": {rules("startsWith 0, contains 5: replace X"), wifi, map[string]string{"0150": "X150"}},
		"replace knows its part among additions":   {rules("startsWith 0: prepend 9, replace +, append 0"), wifi, map[string]string{"01": "9+10"}},
		"replace twice":                            {rules("startsWith 0: replace 1, replace 2"), wifi, map[string]string{"09": "29"}},
		"replace without a matched part":           {rules("longerThan 1: replace X"), wifi, map[string]string{"12": "X12"}},
		"prepend and append":                       {rules("always: prepend 1, prepend 2, append 3, append 4"), wifi, map[string]string{"0": "21034"}},
		"lengthEquals counts the +":                {rules("lengthEquals 3: append !"), wifi, map[string]string{"123": "123!", "+12": "+12!", "12": "12"}},
		"lengths count characters":                 {rules("lengthEquals 3: append !"), wifi, map[string]string{"äöü": "äöü!"}},
		"shorterThan":                              {rules("shorterThan 3: append !"), wifi, map[string]string{"12": "12!", "123": "123", "": "!"}},
		"longerThan":                               {rules("longerThan 2: append !"), wifi, map[string]string{"12": "12", "123": "123!"}},
		"numeric":                                  {rules("numeric: append !"), wifi, map[string]string{"12": "12!", "+12": "+12!", "": "", "+": "+", "1+2": "1+2", "bob": "bob", "++1": "++1"}},
		"doesntStartWith":                          {rules("doesntStartWith 0: prepend 0"), wifi, map[string]string{"1": "01", "01": "01"}},
		"any network on wifi":                      {rules("networkType any: append !"), wifi, map[string]string{"1": "1!"}},
		"any network on a cellular one":            {rules("networkType any: append !"), cellular, map[string]string{"1": "1!"}},
		"any network without one":                  {rules("networkType any: append !"), none, map[string]string{"1": "1"}},
		"no network without one":                   {rules("networkType none: append !"), none, map[string]string{"1": "1!"}},
		"no network on wifi":                       {rules("networkType none: append !"), wifi, map[string]string{"1": "1"}},
		"cellular on wifi":                         {rules("networkType cellular: append !"), wifi, map[string]string{"1": "1"}},
		"cellular":                                 {rules("networkType cellular: append !"), cellular, map[string]string{"1": "1!"}},
		"the SSID":                                 {rules("ssid Office: append !"), wifi, map[string]string{"1": "1!"}},
		"the SSID is compared exactly":             {rules("ssid office: append !"), wifi, map[string]string{"1": "1"}},
		"the first rule that matches ends it":      {rules("startsWith 0: append a", "startsWith 0: append b"), wifi, map[string]string{"0": "0a"}},
		"continue goes on with the new number":     {rules("startsWith 0: replace 1, continue", "startsWith 0: append a", "startsWith 1: append b"), wifi, map[string]string{"09": "19b"}},
		"continue may stand anywhere":              {rules("always: continue, append a", "always: append b"), wifi, map[string]string{"0": "0ab"}},
		"a rule that does not match is passed":     {rules("equals x: append a", "always: append b"), wifi, map[string]string{"0": "0b"}},
		"an unknown condition never matches":       {rules("beginsWith 0: append a", "always: append b"), wifi, map[string]string{"0": "0b"}},
		"an unknown action keeps a rule from it":   {rules("always: explode, append a", "always: append b"), wifi, map[string]string{"0": "0b"}},
		"a length that is none never matches":      {rules("longerThan x: append a", "longerThan -1: append a"), wifi, map[string]string{"0": "0"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for number, want := range tt.numbers {
				r := apply(t, tt.rules, number, tt.network)
				if r.Output != want || r.Input != number {
					t.Errorf("%q becomes %q, want %q: %+v", number, r.Output, want, r.Rules)
				}
			}
		})
	}
}

func TestActions(t *testing.T) {
	tests := map[string]struct {
		rules []account.Rule
		want  string // the fields that were set, as JSON without the trace
	}{
		"recordCall":                   {rules("always: recordCall"), `{"record":true}`},
		"dialOut":                      {rules("always: dialOut cellular"), `{"dialOut":"cellular"}`},
		"confirm":                      {rules("always: confirm"), `{"confirm":true}`},
		"drop names its rule":          {rules("equals x: drop", "always: drop"), `{"dropped":true,"rule":2}`},
		"callThrough":                  {rules("always: callThrough"), `{"dialAction":"callThrough"}`},
		"overrideDialAction":           {rules("always: overrideDialAction videoCall"), `{"dialAction":"videoCall"}`},
		"the last dial action stays":   {rules("always: callThrough, continue", "always: overrideDialAction gsmCall"), `{"dialAction":"gsmCall"}`},
		"setHeader":                    {rules("always: setHeader X-A:  1 , setHeader X-B: x:y"), `{"headers":[{"name":"X-A","value":"1"},{"name":"X-B","value":"x:y"}]}`},
		"the last value of one header": {rules("always: setHeader X-A: 1, continue", "always: setHeader x-a: 2"), `{"headers":[{"name":"x-a","value":"2"}]}`},
		"rejectCall":                   {rules("always: rejectCall"), `{"action":"rejectCall","rule":1}`},
		"forwardCall":                  {rules("always: forwardCall 200"), `{"action":"forwardCall","param":"200","rule":1}`},
		"answerImmediately":            {rules("always: answerImmediately"), `{"action":"answerImmediately","rule":1}`},
		"the last of several":          {rules("always: forwardCall 200, continue", "always: rejectCall"), `{"action":"rejectCall","rule":2}`},
		"a rule that does not match":   {rules("equals x: rejectCall, recordCall, drop"), `{}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := apply(t, tt.rules, "100", Network{Type: "wifi"})
			if r.Output != "100" {
				t.Errorf("the number became %q", r.Output)
			}
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var all, want map[string]any
			if err := json.Unmarshal(text, &all); err != nil {
				t.Fatal(err)
			}
			for field, value := range all {
				if field == "input" || field == "output" || field == "rules" || value == false {
					delete(all, field)
				}
			}
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(all) != fmt.Sprint(want) {
				t.Errorf("%v, want %v", all, want)
			}
		})
	}
}

// TestExplain: every rule that was tried says why it did or did not match.
func TestExplain(t *testing.T) {
	r := apply(t, rules(
		"startsWith +: append a", "longerThan 8: append a", "networkType cellular: append a", "ssid Home: append a",
		"beginsWith 1: append a", "always: explode", "numeric, contains 2: replace 9, continue", "always: recordCall", "always: drop"),
		"123", Network{"wifi", "Office"})
	var got []string
	for _, s := range r.Rules {
		got = append(got, fmt.Sprintf("%d %v %s%s>%s", s.Rule, s.Matched, s.Why, s.Before, s.After))
	}
	want := []string{
		"1 false startsWith +: the number is 123>",
		"2 false longerThan 8: the number has 3 characters>",
		"3 false networkType cellular: the network is wifi>",
		`4 false ssid Home: the network is "Office">`,
		"5 false condition beginsWith is unknown>",
		"6 false action explode is unknown>",
		"7 true 123>193",
		"8 true 193>193",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("explained\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if r.Dropped || !r.Record {
		t.Error("the rules behind the one that ended it were tried")
	}
}

// FuzzApply: rules of any kind end, and a number without a matching rule stays.
func FuzzApply(f *testing.F) {
	f.Add("startsWith", "00", "replace", "+", "00420")
	f.Add("contains", "", "replace", "x", "1")
	f.Add("longerThan", "8", "continue", "", "123456789")
	f.Fuzz(func(t *testing.T, condition, p, action, q, number string) {
		rule := account.Rule{Conditions: []account.Clause{{Type: condition, Param: p}}, Actions: []account.Clause{{Type: action, Param: q}}}
		r := Apply([]account.Rule{rule, rule}, number, Network{Type: "wifi", SSID: "x"})
		if len(r.Rules) == 0 || r.Input != number {
			t.Fatalf("%+v", r)
		}
		if !r.Rules[0].Matched && (r.Output != number || r.Rules[0].Why == "") {
			t.Fatalf("no rule matched, and still %+v", r)
		}
	})
}
