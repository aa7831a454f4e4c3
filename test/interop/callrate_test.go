package interop

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// callPage is what the drills measure of many calls.
var callPage = drill.Page{
	File: "calls.md", Title: "Calls",
	Intro: "sipp calls one answering program over the loopback interface; caller and called share the machine. Each call is answered at once, " +
		"lasts 200 ms and is ended by the caller. CPU is the called program's alone, user and system time, per call.",
}

// lastsFor is how long each call of the load lasts after its answer.
const lastsFor = 200 * time.Millisecond

// answerer is a program that answers calls.
type answerer struct {
	name string
	pid  int
	at   netip.AddrPort
	user string
}

// load is what a run of calls cost.
type load struct {
	sipp.Result
	calls    int
	cpu      time.Duration // of the answerer, per call
	resident int           // kB, right after
}

func (l load) String() string {
	return fmt.Sprintf("%d of %d calls answered, %d retransmissions, %.2f ms CPU a call, %.1f MB",
		l.Successful, l.calls, l.Retransmissions, float64(l.cpu.Microseconds())/1000, float64(l.resident)/1024)
}

// call makes calls at a rate, a second.
func (c answerer) call(t testing.TB, rate, calls int) load {
	t.Helper()
	before := cpuTime(t, c.pid)
	caller := sipp.ForTest(t, sipp.Config{
		Scenario: sipp.Caller{From: "load", Hold: lastsFor}.Scenario(), Remote: c.at, Service: c.user,
		Calls: calls, Rate: rate, Quiet: true, Timeout: time.Duration(calls/rate)*time.Second + patience,
	})
	r, err := caller.Wait(t.Context())
	must(t, err)
	return load{Result: r, calls: calls, cpu: (cpuTime(t, c.pid) - before) / time.Duration(calls), resident: residentKB(t, c.pid)}
}

// answeringAgent is our agent with one registered line that answers at once.
func answeringAgent(t testing.TB) (answerer, *softphone) {
	t.Helper()
	_, host := registrar(t, kamailio.Config{}, "bob")
	a := startAgent(t, options{files: map[string]string{"bob.xml": accountXML("bob", "secret-bob", host, autoAnswer)}, args: []string{"--log-level", "info"}})
	a.awaitLine("bob", "registered")
	return answerer{"agent", a.Pid, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.sip), "bob"}, a
}

// strangers that answer calls, the yardsticks.
func answeringSipp(t testing.TB) answerer {
	t.Helper()
	p := sipp.ForTest(t, sipp.Config{Scenario: sipp.Callee{}.Scenario(), Calls: 1 << 30, Quiet: true, Timeout: time.Hour})
	return answerer{"sipp", p.Pid, p.Address(), "bob"}
}

func answeringBaresip(t testing.TB) answerer {
	t.Helper()
	p := baresip.ForTest(t, baresip.Config{Account: baresip.Account{User: "bob", AutoAnswer: true}, Load: 150})
	return answerer{"baresip", p.Pid, p.Address(), "bob"}
}

// Calls a second that baresip takes without a retransmission: at 200 it sends
// some, at 400 most of its calls fail.
const baresipsRate = 100

// BenchmarkCallSetup takes calls beside the yardsticks, in turns, so that a busy
// machine is busy for all. sipp does nothing but the messages; baresip is a softphone.
func BenchmarkCallSetup(b *testing.B) {
	agent, _ := answeringAgent(b)
	all := []answerer{agent, answeringSipp(b), answeringBaresip(b)}
	const rounds, rate, seconds = 3, 4 * baresipsRate, 5
	cpu := map[string][]time.Duration{}
	var fast load // the agent's, at the high rate, summed up
	for range b.N {
		for range rounds {
			for _, c := range all {
				l := c.call(b, baresipsRate, baresipsRate*seconds)
				b.Logf("%s at %d/s: %s", c.name, baresipsRate, l)
				cpu[c.name] = append(cpu[c.name], l.cpu)
				if c.name == "baresip" {
					continue
				}
				l = c.call(b, rate, rate*seconds)
				b.Logf("%s at %d/s: %s", c.name, rate, l)
				cpu[c.name+"-fast"] = append(cpu[c.name+"-fast"], l.cpu)
				if c.name == "agent" {
					fast.calls, fast.Successful = fast.calls+l.calls, fast.Successful+l.Successful
					fast.Retransmissions, fast.resident = fast.Retransmissions+l.Retransmissions, l.resident
				}
			}
		}
	}
	median := func(name string) float64 {
		slices.Sort(cpu[name])
		return float64(cpu[name][len(cpu[name])/2].Microseconds()) / 1000
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(fast.calls-fast.Successful), "failed@400/s")
	b.ReportMetric(float64(fast.Retransmissions), "retransmissions@400/s")
	for name := range cpu {
		b.ReportMetric(median(name), name+"-ms/call")
	}
	b.ReportMetric(median("agent-fast")/median("sipp-fast"), "CPU-of-sipp")
	b.ReportMetric(median("agent")/median("baresip"), "CPU-of-baresip")
	b.ReportMetric(float64(fast.resident)/1024, "MB")
}

// TestSoakOfCalls takes calls at half the rate it takes without a retransmission.
// What it holds does not grow, and its counters and the caller's agree.
func TestSoakOfCalls(t *testing.T) {
	c, a := answeringAgent(t)
	const rate = 200
	lasts := drill.Lasts(time.Minute, 30*time.Minute)
	total := 0
	// The first calls fill the ring of ended calls and the heap; the rest must add nothing.
	warm := c.call(t, rate, rate*int(max(lasts/4, 15*time.Second)/time.Second))
	total += warm.Successful
	a.awaitQuietCalls()
	before := a.footprint()
	l := c.call(t, rate, rate*int(lasts*3/4/time.Second))
	total += l.Successful
	if l.Successful != l.calls || warm.Successful != warm.calls {
		t.Errorf("%s, then %s", warm, l)
	}
	a.awaitQuietCalls()
	after := a.awaitFootprint(before)
	if counted := a.answered(); counted != total {
		t.Errorf("the agent counts %d answered calls, the caller %d", counted, total)
	}
	callPage.Measured(t, fmt.Sprintf("%d calls at %d/s", total, rate), "%s; before: %s; after: %s", l, before, after)
	outcome(t, "sipp", "%d calls at %d/s: all counted, nothing left", total, rate)
}

// awaitQuietCalls waits until no call goes on.
func (s *softphone) awaitQuietCalls() {
	s.t.Helper()
	active := regexp.MustCompile(`(?m)^softphone_calls_active\{.*direction="in"\} ([1-9]\d*)$`)
	lookEvery(s.t, 500*time.Millisecond, "no call goes on", func() (bool, string) {
		_, page := s.request("GET", "/metrics", "")
		found := active.FindSubmatch(page)
		return found == nil, fmt.Sprintf("%s", found)
	})
}

// answered incoming calls, as the agent counts them.
func (s *softphone) answered() (n int) {
	s.t.Helper()
	_, page := s.request("GET", "/metrics", "")
	for _, m := range regexp.MustCompile(`(?m)^softphone_calls_total\{.*direction="in",outcome="answered"\} (\S+)$`).FindAllSubmatch(page, -1) {
		v, err := strconv.ParseFloat(string(m[1]), 64)
		must(s.t, err)
		n += int(v)
	}
	return n
}
