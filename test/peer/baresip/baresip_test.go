package baresip

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"
)

// TestTwoOfThemHearEachOther makes sure that the ears this package lends are
// good, before an agent is judged by them.
func TestTwoOfThemHearEachOther(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	alice := ForTest(t, Config{ToneHz: 700, Account: Account{User: "alice", AutoAnswer: true}})
	bob := ForTest(t, Config{ToneHz: 1200, Account: Account{User: "bob"}})
	if err := bob.Dial(ctx, "sip:alice@"+alice.Address().String()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Program{alice, bob} {
		if _, err := p.Await(ctx, "CALL_ESTABLISHED"); err != nil {
			t.Fatal(err)
		}
	}
	await(t, 2*time.Second) // audio takes its time
	if err := bob.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[*Program]float64{alice: 1200, bob: 700} {
		if _, err := p.Await(ctx, "CALL_CLOSED"); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		hz, share, err := p.Heard()
		if err != nil || math.Abs(hz-want) > 2 || share < 0.9 {
			t.Errorf("heard %.0f Hz with a share of %.2f (%v), want %g", hz, share, err, want)
		}
	}
}

// await lets audio flow; how long is the point of it.
func await(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func TestNetstrings(t *testing.T) {
	for in, want := range map[string]string{"3:abc,": "abc", "0:,": "", "3:abcd": "!", "x:": "!", "-1:,": "!", "99999999:": "!", "3:ab": "!"} {
		got, err := newNetstrings(strings.NewReader(in)).next()
		if (want == "!") != (err != nil) || err == nil && string(got) != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}
