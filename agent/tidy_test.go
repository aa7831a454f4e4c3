package agent

import (
	"testing"
	"time"
)

func TestMemoryIsGivenBackAfterABurstAndWhenItsTransactionsAreOver(t *testing.T) {
	var tidy tidier
	now := time.Now()
	for i, look := range []struct {
		says       string
		registered int
		calm       bool
	}{
		{"nothing yet", 0, false},
		{"they come", 400, false},
		{"more come", 1000, false},
		{"all are there", 1000, true},
		{"and stay", 1000, false},
		{"a few leave", 990, false},
		{"which is no burst", 990, false},
		{"the registrar is away", 0, false},
		{"and stays away", 0, true},
		{"they come back", 990, false},
		{"and stay", 990, true},
		{"their transactions are not over", 990, false},
		{"now they are, but one leaves", 989, false},
		{"and nothing happens", 989, true},
		{"which was that", 989, false},
	} {
		now = now.Add(map[bool]time.Duration{true: transactionLife}[look.says == "now they are, but one leaves"] + time.Second)
		if got := tidy.calm(look.registered, now); got != look.calm {
			t.Errorf("%d, %s: %v", i, look.says, got)
		}
	}
	few := tidier{}
	few.calm(burst-1, now)
	if few.calm(burst-1, now) {
		t.Error("a few lines are a burst")
	}
}
