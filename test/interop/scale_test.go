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

// TestMemoryAndTimeOfAThousandLines prints what a line costs.
func TestMemoryAndTimeOfAThousandLines(t *testing.T) {
	const n = 1000
	one, _ := registeredLines(t, 1)
	many, took := registeredLines(t, n)
	// What start and registration left behind goes when it was garbage collected;
	// the scrape below is a moment of ordinary life.
	before := cpuTime(t, many.Pid)
	const window = 2 * time.Second
	select {
	case <-time.After(window):
	case <-t.Context().Done():
	}
	cpu := cpuTime(t, many.Pid) - before
	base, all := residentKB(t, one.Pid), residentKB(t, many.Pid)
	perLine := float64(all-base) / (n - 1)
	t.Logf("1 line: %d kB; %d lines: %d kB; %.1f kB a line; all registered %s after the start; %.1f %% of a core while idle",
		base, n, all, perLine, ms(took), 100*cpu.Seconds()/window.Seconds())
	if perLine > 60 {
		t.Errorf("%.1f kB a line", perLine)
	}
	outcome(t, "kamailio", "%d lines registered in %s, RSS %.1f MB (%.1f kB a line), idle CPU %.1f %%",
		n, ms(took), float64(all)/1024, perLine, 100*cpu.Seconds()/window.Seconds())
}
