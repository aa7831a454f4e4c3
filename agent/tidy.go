package agent

import (
	"runtime/debug"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// tidier tells when a burst of registrations is over. A thousand lines that
// register at once leave garbage that nobody collects while they are quiet
// afterwards: memory a neighbour could have.
type tidier struct {
	last   int // registered lines at the last look
	tidied int // and when memory was given back last
}

const (
	tidyEvery = 5 * time.Second
	burst     = 50 // lines; fewer leave nothing worth a garbage collection
)

// calm takes another look: true when many lines have come or gone since memory
// was given back, and none since the last look.
func (t *tidier) calm(registered int) bool {
	still := registered == t.last
	t.last = registered
	moved := registered - t.tidied
	if !still || moved < burst && -moved < burst {
		return false
	}
	t.tidied = registered
	return true
}

// tidy gives memory back after a burst. It costs one garbage collection, which
// does not stop the audio of running calls.
func (s *supervisor) tidy() {
	registered := 0
	s.mu.RLock()
	for _, l := range s.lines {
		if v := l.published.Load(); v != nil && v.status.State == delivery.Registered {
			registered++
		}
	}
	s.mu.RUnlock()
	if s.tidier.calm(registered) {
		debug.FreeOSMemory()
	}
}
