package interop

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// residentKB is the resident memory of a process.
func residentKB(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// cpuTime a process has used.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+2:]))
	ticks := 0
	for _, i := range []int{11, 12} { // utime, stime
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100
}

// registeredLines runs an agent with n lines and waits until all are registered.
func registeredLines(t *testing.T, n int) (a *softphone, took time.Duration) {
	t.Helper()
	var users []string
	for i := range n {
		users = append(users, fmt.Sprintf("line%04d", i))
	}
	_, host := registrar(t, kamailio.Config{}, users...)
	files := map[string]string{}
	for _, u := range users {
		files[u+".xml"] = accountXML(u, "secret-"+u, host)
	}
	began := time.Now()
	a = startAgent(t, options{files: files})
	lookEvery(t, 100*time.Millisecond, fmt.Sprintf("%d lines are registered", n), func() (bool, string) {
		registered, other := 0, ""
		for _, l := range a.status().Lines {
			if l.State == "registered" {
				registered++
			} else {
				other = pretty(l)
			}
		}
		return registered == n, fmt.Sprintf("%d registered, another one says %s", registered, other)
	})
	return a, time.Since(began)
}

// TestMemoryAndTimeOfAThousandLines prints what a line costs: right after all
// have registered, and at rest, when what that left behind was given back.
func TestMemoryAndTimeOfAThousandLines(t *testing.T) {
	const n, most = 1000, 25 // kB a line at rest; 19 were measured
	one, _ := registeredLines(t, 1)
	many, took := registeredLines(t, n)
	base := residentKB(t, one.Pid)
	perLine := func() float64 { return float64(residentKB(t, many.Pid)-base) / (n - 1) }
	after, before := perLine(), cpuTime(t, many.Pid)
	began := time.Now()
	rest := after
	lookEvery(t, 500*time.Millisecond, "the burst's memory is given back", func() (bool, string) {
		rest = perLine()
		return rest < most, fmt.Sprintf("%.1f kB a line", rest)
	})
	cpu := 100 * (cpuTime(t, many.Pid) - before).Seconds() / time.Since(began).Seconds()
	t.Logf("1 line: %d kB; %d lines: %.1f kB a line after registration, %.1f at rest; all registered %s after the start; %.1f %% of a core since",
		base, n, after, rest, ms(took), cpu)
	outcome(t, "kamailio", "%d lines registered in %s, %.1f kB RSS a line, %.1f at rest, idle CPU %.1f %%", n, ms(took), after, rest, cpu)
}
