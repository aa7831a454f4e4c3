package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestVerdictOnACall(t *testing.T) {
	for says, c := range map[string]struct {
		call string
		want error
		in   string
	}{
		"answered with audio":    {`{"setupMs":7,"rtp":{"sent":9,"received":9},"end":{"code":200,"reason":"BYE","by":"remote"}}`, nil, ""},
		"answered without audio": {`{"setupMs":7,"rtp":{"sent":9,"received":0},"end":{"code":200,"reason":"BYE","by":"remote"}}`, errNoAudio, ""},
		"busy":                   {`{"rtp":{},"end":{"code":486,"reason":"486 Busy Here","by":"remote"}}`, errNotAnswered, "answered: 486 Busy Here"},
		"nobody there":           {`{"rtp":{},"end":{"code":408,"reason":"no answer within 60 s","by":"timeout"}}`, errNotAnswered, "408 no answer within 60 s"},
	} {
		var call Call
		if err := json.Unmarshal([]byte(c.call), &call); err != nil {
			t.Fatal(err)
		}
		err := verdict(call)
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.in) {
			t.Errorf("%s: %v, want %v with %q", says, err, c.want, c.in)
		}
	}
}

func TestACallKeepsWhatThisProgramDoesNotKnow(t *testing.T) {
	const told = `{"id":"x","line":"alice","invention":[1,2]}`
	var call Call
	if err := json.Unmarshal([]byte(told), &call); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(call); err != nil || string(again) != told {
		t.Errorf("%s became %s, %v", told, again, err)
	}
}

func TestWhatWasNotMeasuredIsADash(t *testing.T) {
	var out bytes.Buffer
	if err := printCalls(&out, []Call{{Line: "alice", State: "ended"}}); err != nil {
		t.Fatal(err)
	}
	row := strings.Fields(strings.Split(out.String(), "\n")[1])
	if got, want := strings.Join(row, " "), "alice ended - 0 0 0 - - - - -"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestHeadersAreNameAndValue(t *testing.T) {
	got, err := parseHeaders([]string{"X-Site=north=1"})
	if err != nil || got["X-Site"] != "north=1" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"X-Site", "=north"} {
		if _, err := parseHeaders([]string{bad}); err == nil {
			t.Errorf("%q passes for a header", bad)
		}
	}
}
