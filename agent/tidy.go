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
	last   int       // registered lines at the last look
	tidied int       // and when memory was given back last
	again  time.Time // when it is given back once more
}

const (
	tidyEvery = 5 * time.Second
	burst     = 50 // lines; fewer leave nothing worth a garbage collection
)

// calm takes another look: true when many lines have come or gone since memory
// was given back, and none since the last look. It is true once more when the last
// of their transactions has ended: until then a timer that was stopped may hold one.
func (t *tidier) calm(registered int, now time.Time) bool {
	still := registered == t.last
	t.last = registered
	moved := registered - t.tidied
	switch {
	case !still:
	case moved >= burst || -moved >= burst:
		t.tidied, t.again = registered, now.Add(transactionLife)
		return true
	case !t.again.IsZero() && now.After(t.again):
		t.again = time.Time{}
		return true
	}
	return false
}

// tidy gives memory back after a burst, and tells so: what an agent takes up from
// then on is what its lines take up. It costs one garbage collection, which
// does not stop the audio of running calls.
func (s *supervisor) tidy() {
	registered := 0
	s.mu.RLock()
	for _, l := range s.lines {
		if v := l.published.Load(); v != nil && v.report.State == delivery.Registered {
			registered++
		}
	}
	s.mu.RUnlock()
	if s.tidier.calm(registered, time.Now()) {
		debug.FreeOSMemory()
		s.log.Info("memory of a burst given back", "registered", registered)
	}
}
