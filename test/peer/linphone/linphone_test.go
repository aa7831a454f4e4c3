package linphone

import (
	"context"
	"testing"
	"time"
)

// TestTwoOfThemTalk makes sure that this peer can be trusted, before an agent is
// judged by it: one calls, the other takes the call, and the first ends it.
func TestTwoOfThemTalk(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	alice := ForTest(t, Config{ToneHz: 700, User: "alice", AutoAnswer: true})
	bob := ForTest(t, Config{ToneHz: 1200, User: "bob"})
	id, err := bob.Dial("sip:alice@" + alice.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Program{alice, bob} {
		if _, err := p.Await(ctx, "StreamsRunning"); err != nil {
			t.Fatal(err)
		}
	}
	if err := bob.Play(id); err != nil {
		t.Error(err)
	}
	if err := bob.Hangup(id); err != nil {
		t.Error(err)
	}
	if _, err := alice.Await(ctx, "End"); err != nil {
		t.Error(err)
	}
	if _, err := bob.Command("no-such-command"); err == nil {
		t.Error("an unknown command is no error")
	}
}
