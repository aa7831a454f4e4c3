package interop

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// footprint is what an agent takes up.
type footprint struct {
	goroutines, descriptors, residentKB int
	panics                              int // caught at lines' boundaries
}

func (f footprint) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %.1f MB resident", f.goroutines, f.descriptors, float64(f.residentKB)/1024)
}

// Room for noise: a connection that was just replaced, a timer that fires, and the
// garbage that the runtime has not given back yet.
const (
	roomGoroutines  = 12
	roomDescriptors = 4
	roomResidentKB  = 12 << 10
)

func (f footprint) within(other footprint) bool {
	return f.goroutines <= other.goroutines+roomGoroutines && f.descriptors <= other.descriptors+roomDescriptors &&
		f.residentKB <= other.residentKB+roomResidentKB && f.panics == 0
}

// footprint now.
func (s *softphone) footprint() footprint {
	s.t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	return footprint{
		goroutines: s.metric("go_goroutines"), descriptors: len(open), residentKB: residentKB(s.t, s.Pid), panics: s.metric("softphone_panics_total"),
	}
}

// metric without labels, as the agent serves it.
func (s *softphone) metric(name string) int {
	s.t.Helper()
	_, page := s.request("GET", "/metrics", "")
	for line := range strings.Lines(string(page)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return int(v)
		}
	}
	s.t.Fatalf("no metric %s", name)
	return 0
}

// awaitFootprint waits until the agent is as small as it was before: connections
// that were replaced live on for a transaction's time, memory is given back when
// nothing happens.
func (s *softphone) awaitFootprint(before footprint) footprint {
	s.t.Helper()
	var now footprint
	lookEvery(s.t, 500*time.Millisecond, "the agent takes up no more than "+before.String(), func() (bool, string) {
		now = s.footprint()
		return now.within(before), fmt.Sprintf("%s, %d panics", now, now.panics)
	})
	return now
}
