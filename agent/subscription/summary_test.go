package subscription

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestSummaries(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want Summary
	}{
		"as RFC 3842 has it": {
			"Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\nVoice-Message: 4/8 (1/2)\r\nVideo-message: 0/2 (0/0)\r\n\r\nTo: <alice@atlanta.example.com>\r\nFrom: <bob@biloxi.example.com>\r\n",
			Summary{Waiting: true, Account: "sip:alice@vmail.example.com", Classes: []Class{{"voice-message", 4, 8, 1, 2}, {"video-message", 0, 2, 0, 0}}},
		},
		"the lamp is out":         {"Messages-Waiting: no\r\n", Summary{}},
		"bare line feeds":         {"Messages-Waiting: yes\nVoice-Message: 1/0\n", Summary{Waiting: true, Classes: []Class{{Name: "voice-message", New: 1}}}},
		"letters' case and space": {"MESSAGES-WAITING :  YES\r\nvoice-message:2 / 3 ( 0 / 1 )\r\n", Summary{Waiting: true, Classes: []Class{{"voice-message", 2, 3, 0, 1}}}},
		"no line end at the end":  {"Messages-Waiting: yes", Summary{Waiting: true}},
		"blank lines before":      {"\r\n\r\nMessages-Waiting: no\r\n", Summary{}},
		"unknown lines":           {"Messages-Waiting: no\r\nX-Vendor: 1\r\n", Summary{}},
		"the account in brackets": {"Messages-Waiting: no\r\nMessage-Account: <sip:1@pbx>\r\n", Summary{Account: "sip:1@pbx"}},
		"a folded line":           {"Messages-Waiting:\r\n yes\r\nVoice-Message: 1/\r\n\t2\r\n", Summary{Waiting: true, Classes: []Class{{Name: "voice-message", New: 1, Old: 2}}}},
		"a class that comes twice": {"Messages-Waiting: yes\r\nVoice-Message: 1/0\r\nVoice-Message: 2/0\r\n",
			Summary{Waiting: true, Classes: []Class{{Name: "voice-message", New: 2}}}},
	} {
		got, err := ParseSummary([]byte(c.body))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
}

func TestWhatIsNoSummary(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":                       "",
		"another text":                  "hello",
		"a lamp that is neither":        "Messages-Waiting: maybe\r\n",
		"counts without the lamp":       "Voice-Message: 1/0\r\n",
		"a count that is none":          "Messages-Waiting: yes\r\nVoice-Message: some/0\r\n",
		"a negative count":              "Messages-Waiting: yes\r\nVoice-Message: -1/0\r\n",
		"a count too large":             "Messages-Waiting: yes\r\nVoice-Message: 99999999999/0\r\n",
		"half a count":                  "Messages-Waiting: yes\r\nVoice-Message: 1\r\n",
		"urgent ones without an end":    "Messages-Waiting: yes\r\nVoice-Message: 1/0 (1/0\r\n",
		"something after the urgent":    "Messages-Waiting: yes\r\nVoice-Message: 1/0 (1/0) x\r\n",
		"a line without a colon":        "Messages-Waiting: yes\r\nvoice\r\n",
		"more than anybody would write": "Messages-Waiting: yes\r\n" + strings.Repeat("X: y\r\n", mostSummary/6+1),
	} {
		if got, err := ParseSummary([]byte(body)); !errors.Is(err, ErrSummary) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzSummary(f *testing.F) {
	f.Add([]byte("Messages-Waiting: yes\r\nMessage-Account: sip:a@b\r\nVoice-Message: 4/8 (1/2)\r\nfax-message: 2147483647/2147483647\r\n"))
	f.Add([]byte("Messages-Waiting: no"))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := ParseSummary(body)
		if err != nil {
			return
		}
		all := s.total()
		for _, n := range []int{all.New, all.Old, all.UrgentNew, all.UrgentOld} {
			if n < 0 || n > mostCount {
				t.Fatalf("%+v adds up to %+v", s, all)
			}
		}
		if len(s.Classes) > mostClasses || len([]rune(s.Account)) > 121 {
			t.Fatalf("%d classes, account %q", len(s.Classes), s.Account)
		}
	})
}
