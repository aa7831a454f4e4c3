package ua

import (
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if namespaced() {
		return
	}
	// T1 of 30 ms makes a transaction time out in 1.9 s instead of 32 s.
	sip.SetTimers(30*time.Millisecond, 240*time.Millisecond, 300*time.Millisecond)
	sip.Timer_D = 500 * time.Millisecond
	goleak.VerifyTestMain(m)
}
