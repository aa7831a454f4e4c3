package interop

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
	"github.com/softphone-operator/softphone-operator/test/peer/tone"
)

// bareEcho is the least that a Go program can do with a call.
func bareEcho(t testing.TB) answerer {
	t.Helper()
	port, err := process.FreePorts(2)
	must(t, err)
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	self, err := os.Executable()
	must(t, err)
	p, err := process.Start(process.Config{
		Program: self, Package: "none: it is this program", Args: []string{"-echo-at", at.String()}, LogFile: filepath.Join(t.TempDir(), "log"),
	})
	must(t, err)
	process.EndWith(t, "echo", p.Kill, func() string { return p.Tail(2000) })
	return answerer{"echo", p.Pid, at, "bob"}
}

// stream is what calls with audio cost while they last: the middle of their time, so that neither their beginning nor their end counts.
func (c answerer) stream(t testing.TB, calls int, lasts time.Duration) (cpuPerCall float64, residentPerCall float64) {
	t.Helper()
	idle := residentKB(t, c.pid)
	file := filepath.Join(t.TempDir(), "tone.ul")
	must(t, os.WriteFile(file, tone.MuLaw(tone.Sine(1004, 10*time.Second)), 0o600))
	caller := sipp.ForTest(t, sipp.Config{
		Scenario: sipp.Caller{From: "load", Tone: file, Hold: lasts + 4*time.Second}.Scenario(), Remote: c.at, Service: c.user,
		Calls: calls, Rate: 100, Quiet: true, Streams: calls, Timeout: lasts + patience,
	})
	time.Sleep(time.Duration(calls)*time.Second/100 + 2*time.Second) // all calls are up: this is a measurement, not a wait
	before, began := cpuTime(t, c.pid), time.Now()
	theirs := cpuTime(t, caller.Pid)
	time.Sleep(lasts)
	cpu := (cpuTime(t, c.pid) - before).Seconds() / time.Since(began).Seconds()
	generator := (cpuTime(t, caller.Pid) - theirs).Seconds() / time.Since(began).Seconds()
	resident := residentKB(t, c.pid)
	r, err := caller.Wait(t.Context())
	must(t, err)
	if r.Successful != calls {
		t.Errorf("%s: %d of %d calls", c.name, r.Successful, calls)
	}
	b := fmt.Sprintf("%s: %d calls, %.3f %% of a core each (generator %.3f), %.0f kB each", c.name, calls, 100*cpu/float64(calls), 100*generator/float64(calls), float64(resident-idle)/float64(calls))
	t.Log(b)
	return 100 * cpu / float64(calls), float64(resident-idle) / float64(calls)
}

// BenchmarkMedia has a hundred calls of G.711 answered by an agent, which plays, decodes, analyses and reports them, beside a
// softphone and beside a program that only returns datagrams, in turns.
func BenchmarkMedia(b *testing.B) {
	agent, _ := answeringAgent(b)
	all := []answerer{agent, answeringBaresip(b), bareEcho(b)}
	const calls, rounds, lasts = 100, 3, 6 * time.Second
	cpu, kB := map[string][]float64{}, map[string]float64{}
	for range b.N {
		for range rounds {
			for _, c := range all {
				percent, resident := c.stream(b, calls, lasts)
				cpu[c.name], kB[c.name] = append(cpu[c.name], percent), max(kB[c.name], resident)
			}
		}
	}
	median := func(name string) float64 {
		slices.Sort(cpu[name])
		return cpu[name][len(cpu[name])/2]
	}
	b.ReportMetric(0, "ns/op")
	for name := range cpu {
		b.ReportMetric(median(name), name+"-%core/call")
	}
	b.ReportMetric(median("agent")/median("baresip"), "CPU-of-baresip")
	b.ReportMetric(median("agent")/median("echo"), "CPU-of-echo")
	b.ReportMetric(kB["agent"], "kB/call")
}
