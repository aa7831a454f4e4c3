package sipp

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/tone"
)

// TestTheScriptsFitEachOther calls one sipp by another: whatever an agent does
// wrong in a test later, the script is not to blame.
func TestTheScriptsFitEachOther(t *testing.T) {
	toneFile := filepath.Join(t.TempDir(), "tone.ul")
	if err := os.WriteFile(toneFile, tone.MuLaw(tone.Sine(1000, time.Second)), 0o600); err != nil {
		t.Fatal(err)
	}
	for says, c := range map[string]struct {
		caller Caller
		callee Callee
	}{
		"answered at once":     {Caller{From: "a", Hold: 100 * time.Millisecond}, Callee{}},
		"answered after rings": {Caller{From: "a", Ringing: true, Hold: 100 * time.Millisecond}, Callee{Ring: 200 * time.Millisecond}},
		"busy":                 {Caller{From: "a", Expect: 486}, Callee{Refuse: "486 Busy Here"}},
		"given up":             {Caller{From: "a", CancelAfter: 100 * time.Millisecond}, Callee{Cancelled: true}},
		"with a tone":          {Caller{From: "a", Tone: toneFile, Hold: 500 * time.Millisecond}, Callee{}},
		"with digits":          {Caller{From: "a", Digits: "1#"}, Callee{}},
	} {
		t.Run(says, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			callee := ForTest(t, Config{Scenario: c.callee.Scenario(), Echo: true})
			caller := ForTest(t, Config{Scenario: c.caller.Scenario(), Remote: callee.Address(), Service: "b"})
			for who, p := range map[string]*Program{"caller": caller, "callee": callee} {
				r, err := p.Wait(ctx)
				if err != nil || r.Successful != 1 || r.Failed != 0 {
					t.Errorf("%s: %d successful, %d failed, %v", who, r.Successful, r.Failed, err)
				}
				if !strings.Contains(r.Messages, "INVITE sip:b@") {
					t.Errorf("%s: no messages kept", who)
				}
			}
		})
	}
}

func TestAFailedCallIsCounted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	callee := ForTest(t, Config{Scenario: Callee{Refuse: "486 Busy Here"}.Scenario()})
	caller := ForTest(t, Config{Scenario: Caller{From: "a", Hold: time.Second}.Scenario(), Remote: callee.Address(), Service: "b"})
	r, err := caller.Wait(ctx)
	if err != nil || r.Successful != 0 || r.Failed != 1 {
		t.Errorf("%d successful, %d failed, %v", r.Successful, r.Failed, err)
	}
}
