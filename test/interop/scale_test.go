package interop

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// residentKB is the resident memory of a process.
func residentKB(t testing.TB, pid int) int {
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
func cpuTime(t testing.TB, pid int) time.Duration {
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
// It looks at the agent's log: to ask for a page of thousands of lines again and
// again would be what is measured.
func registeredLines(t *testing.T, n int) (a *softphone, took time.Duration) {
	t.Helper()
	var users []string
	for i := range n {
		users = append(users, fmt.Sprintf("line%05d", i))
	}
	_, host := registrar(t, kamailio.Config{}, users...)
	files := map[string]string{"agent.json": `{"registrar":{"requestsPerSecond":3000}}`}
	for _, u := range users {
		files[u+".xml"] = accountXML(u, "secret-"+u, host)
	}
	began := time.Now()
	a = startAgent(t, options{files: files, args: []string{"--log-level", "info"}})
	lookEvery(t, 100*time.Millisecond, fmt.Sprintf("%d lines are registered", n), func() (bool, string) {
		registered := strings.Count(a.Log(), "state=registered")
		return registered >= n, fmt.Sprintf("%d registered; the log ends with %s", registered, a.Tail(500))
	})
	took = time.Since(began)
	if failed := strings.Count(a.Log(), `msg="not registered"`); failed > 0 {
		t.Errorf("%d attempts failed of %d lines", failed, n)
	}
	return a, took
}

// Bounds of a line at rest over UDP. What an agent takes up whatever its lines are,
// room for the next burst with it, is a larger part of a thousand lines.
// So are the messages of lines that it keeps for traces: 512 kB, however many lines
// there are, which an agent of one line is without and one of a thousand has.
var mostPerLine = drill.Pick(14.0, 10.0) // kB resident

// mostPerThousand is the CPU of 1,000 lines between refreshes, in percent of a core.
const mostPerThousand = 1.0

// atRest waits until the agent has given back, for the last time, what so many
// registrations in one moment took: when the last of their transactions is over.
func atRest(t *testing.T, a *softphone) {
	t.Helper()
	waited := time.Now()
	for times := 0; times < 2; time.Sleep(100 * time.Millisecond) {
		if times = strings.Count(a.Log(), `msg="memory of a burst given back"`); time.Since(waited) > 3*patience {
			t.Fatalf("the agent has given memory back %d times", times)
		}
	}
}

// TestMemoryAndTimeOfManyLines tells what a line costs: right after all have
// registered, and at rest, when what that left behind was given back. What it
// costs is the difference between an agent with many lines and one with fewer.
func TestMemoryAndTimeOfManyLines(t *testing.T) {
	m, n := drill.Pick(1, 1000), drill.Pick(1000, 10_000)
	few, _ := registeredLines(t, m)
	if m > 1 {
		atRest(t, few)
	}
	many, took := registeredLines(t, n)
	perLine := func() float64 { return float64(residentKB(t, many.Pid)-residentKB(t, few.Pid)) / float64(n-m) }
	after := perLine()
	atRest(t, many)
	rest := perLine()
	if rest > mostPerLine {
		t.Errorf("a line takes up %.1f kB at rest, more than %.0f", rest, mostPerLine)
	}
	idle := 0.0
	lookEvery(t, 5*time.Second, fmt.Sprintf("1,000 lines take no more than %.0f %% of a core", mostPerThousand), func() (bool, string) {
		before, began := cpuTime(t, many.Pid), time.Now()
		time.Sleep(10 * time.Second) // not for anything to happen: what is asked is how much does not
		idle = 100 * (cpuTime(t, many.Pid) - before).Seconds() / time.Since(began).Seconds() * 1000 / float64(n)
		return idle < mostPerThousand, fmt.Sprintf("%.2f %%", idle)
	})
	registered := 0
	for _, l := range many.status().Lines {
		if l.State == "registered" {
			registered++
		}
	}
	if registered != n {
		t.Errorf("%d of %d lines are registered in the end", registered, n)
	}
	densityPage.Measured(t, fmt.Sprintf("%d lines over UDP", n), "all registered %s after the start, 0 failed; resident %.1f kB a line then, %.1f kB at rest; CPU between refreshes %.2f %% of a core per 1,000 lines",
		ms(took), after, rest, idle)
	outcome(t, "kamailio", "%d lines registered in %s, %.1f kB RSS a line, %.1f at rest, idle CPU %.2f %% per 1,000 lines", n, ms(took), after, rest, idle)
}

// densityPage is what lines cost.
var densityPage = drill.Page{
	File: "density.md", Title: "Lines in one agent",
	Intro: "One agent and its registrar, kamailio, share the machine; `registrar.requestsPerSecond` is 3,000 so that the registrar's pace is what counts. " +
		"A line's memory is the difference between the resident sets of an agent with many lines and of one with fewer (1 of 1,000, 1,000 of 10,000), divided by the difference of their numbers; " +
		"at rest means when the last transaction of the registrations is over and the agent has given their memory back.",
}
