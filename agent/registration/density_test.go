package registration

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// mostLines that are registered. The race detector makes everything ten times
// slower and larger, and one machine holds only so much of it.
var mostLines = map[bool]int{false: 1000, true: 200}[raceDetector]

// bytesPerLine is what a registered line with all its timers may take of memory
// right after a thousand have registered at once. Seen: 10 to 12 kB, of which
// 4 kB are alive and the rest is room in the heap that the next refreshes use.
// (baresip: 7.9 kB.)
const bytesPerLine = 15_000

// TestDensity registers a thousand lines from one socket and looks at what they
// cost: go test -run Density -v ./agent/registration
func TestDensity(t *testing.T) {
	server, e := startRegistrar(t), endpoint(t)
	registered, gate := make(chan string, 4*mostLines), NewGate(delivery.Registrar{RequestsPerSecond: 1000})
	lines := func(from, to int) (all []*Registration) {
		for i := from; i < to; i++ {
			name := fmt.Sprintf("line%d", i)
			r := New(Config{
				Name: name, AOR: AOR{User: name, Host: "sip.test"}, Proxy: server, Password: ua.Secret("secret"), Expires: time.Hour,
				ContactUser: ua.NewContactUser(), Instance: "urn:uuid:" + name, RInstance: name, KeepAlive: true, Gate: gate,
			}, e, func(s Status) {
				if s.State == delivery.Registered {
					registered <- name
				}
			})
			r.Start(t.Context())
			all = append(all, r)
		}
		deadline := time.After(time.Minute)
		for i := range all {
			select {
			case <-registered:
			case <-deadline:
				t.Fatalf("%d of %d lines are registered after a minute: %+v", i, len(all), all[i].Status())
			}
		}
		return all
	}
	all := lines(0, 20) // whatever the first ones bring along
	rss, goroutines, cpu := residentBytes(t), runtime.NumGoroutine(), cpuTime(t)
	began := time.Now()
	all = append(all, lines(20, mostLines)...)
	took, busy := time.Since(began), cpuTime(t)-cpu
	n := len(all) - 20
	perLine := (residentBytes(t) - rss) / n
	t.Logf("%d lines registered with digest in %s (%.2f ms CPU a line); %d bytes RSS and %.2f goroutines a line",
		n, took.Round(time.Millisecond), busy.Seconds()*1000/float64(n), perLine, float64(runtime.NumGoroutine()-goroutines)/float64(n))
	if !raceDetector && perLine > bytesPerLine {
		t.Errorf("%d bytes a line, more than %d", perLine, bytesPerLine)
	}
	began = time.Now()
	stopped := make(chan error)
	for _, r := range all {
		go func() { stopped <- r.Stop(t.Context()) }()
	}
	for range all {
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d lines un-registered in %s", len(all), time.Since(began).Round(time.Millisecond))
}

// residentBytes is the process' resident set after everything unused is given back.
func residentBytes(t *testing.T) int {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kB, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kB * 1024
}

// cpuTime the process has used, of /proc/self/stat (in ticks of 10 ms).
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
