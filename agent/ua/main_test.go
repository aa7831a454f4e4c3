package ua

import (
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// T1 of 20 ms makes a transaction time out in 1.3 s instead of 32 s.
	sip.SetTimers(20*time.Millisecond, 160*time.Millisecond, 200*time.Millisecond)
	sip.Timer_D = 500 * time.Millisecond
	goleak.VerifyTestMain(m)
}
