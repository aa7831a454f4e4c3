package agent

import "testing"

func TestMemoryIsGivenBackOnceAfterABurst(t *testing.T) {
	var tidy tidier
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
	} {
		if got := tidy.calm(look.registered); got != look.calm {
			t.Errorf("%d, %s: %v", i, look.says, got)
		}
	}
	few := tidier{}
	few.calm(burst - 1)
	if few.calm(burst - 1) {
		t.Error("a few lines are a burst")
	}
}
