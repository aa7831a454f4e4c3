//go:build !race

package media

import (
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// The race detector has every pool forget things now and then, those of the ciphers included: nothing could be counted under it.

func TestTheHotPathAllocatesNothing(t *testing.T) {
	for _, source := range []Source{Silence{}, Echo{}, Tone{Hz: 1000, LevelDBm0: -10}} {
		if allocs := testing.AllocsPerRun(1000, steadyState(t, source, 0, 0)); allocs != 0 {
			t.Errorf("%T: %v allocations in 20 ms, want none", source, allocs)
		}
	}
	for _, suite := range sdp.Suites() {
		if allocs := testing.AllocsPerRun(1000, steadySecure(t, suite, Echo{}, 0, 0)); allocs != 0 {
			t.Errorf("%s: %v allocations in 20 ms, want none", suite, allocs)
		}
	}
	for _, sends := range audioCodecs {
		for _, hears := range audioCodecs {
			if allocs := testing.AllocsPerRun(300, steadyState(t, Echo{}, sends, hears)); allocs != 0 {
				t.Errorf("codec %d sent, %d heard: %v allocations in 20 ms, want none", sends, hears, allocs)
			}
		}
	}
}
