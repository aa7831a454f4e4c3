package subscription

import (
	"strings"
	"testing"
	"time"
)

func TestSubscriptionStates(t *testing.T) {
	for value, want := range map[string]notice{
		"active":                {state: "active"},
		"Active ; Expires=3600": {state: "active", expires: time.Hour},
		"terminated;reason=probation;retry-after=5": {state: "terminated", reason: "probation", retryAfter: 5 * time.Second},
		`terminated;reason="deactivated"`:           {state: "terminated", reason: "deactivated"},
		"pending;expires=x":                         {state: "pending"},
		"active;expires=99999999999":                {state: "active"},
		"":                                          {},
	} {
		if got := parseState(value); got != want {
			t.Errorf("%q: %+v, want %+v", value, got, want)
		}
	}
}

func FuzzSubscriptionState(f *testing.F) {
	f.Add("terminated;reason=probation;retry-after=5")
	f.Add(`active;expires="3600";x="a;b"`)
	f.Fuzz(func(t *testing.T, value string) {
		n := parseState(value)
		if n.expires < 0 || n.retryAfter < 0 || n.state != strings.ToLower(n.state) {
			t.Fatalf("%q: %+v", value, n)
		}
		// Whatever it says, the machine goes on.
		s, _ := next(state{phase: active, expires: holds}, event{kind: notified, at: t0, notice: n})
		if s.phase != active && s.phase != waiting && s.phase != refused && s.phase != subscribing {
			t.Fatalf("%q leads to %s", value, s.phase)
		}
	})
}
