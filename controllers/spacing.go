package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// spacing keeps two events of one object apart: the first happens at once, the
// next not before the interval is over.
type spacing struct {
	interval time.Duration
	mu       sync.Mutex
	last     map[types.NamespacedName]time.Time
}

func newSpacing(interval time.Duration) *spacing {
	return &spacing{interval: interval, last: map[types.NamespacedName]time.Time{}}
}

// wait until the next event of the object may happen; 0 = now.
func (s *spacing) wait(key types.NamespacedName, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.last[key]
	if !ok {
		return 0
	}
	return max(0, last.Add(s.interval).Sub(now))
}

func (s *spacing) done(key types.NamespacedName, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[key] = now
}

func (s *spacing) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, key)
}
