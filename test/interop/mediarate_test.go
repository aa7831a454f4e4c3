package interop

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/drill"
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

// audioPage is what the drills measure of many calls with audio.
var audioPage = drill.Page{
	File: "audio.md", Title: "Calls with audio",
	Intro: "sipp calls one agent over the loopback interface and sends each call a tone of G.711; caller and agent share the machine. The agent decodes, " +
		"analyses and reports each call, and sends as much. CPU is user and system time of each program while all calls are up.",
}

// audioCall is the load of sipp that sends each of many calls a tone of 1004 Hz.
func (c answerer) audioCall(t testing.TB, calls int, lasts time.Duration) *sipp.Program {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tone.ul")
	must(t, os.WriteFile(file, tone.MuLaw(tone.Sine(1004, 10*time.Second)), 0o600))
	return sipp.ForTest(t, sipp.Config{
		Scenario: sipp.Caller{From: "load", Tone: file, Hold: lasts + 4*time.Second}.Scenario(), Remote: c.at, Service: c.user,
		Calls: calls, Rate: 100, Quiet: true, Streams: calls, Timeout: lasts + patience,
	})
}

// stream is what calls with audio cost while they last: the middle of their time, so that neither their beginning nor their end counts.
func (c answerer) stream(t testing.TB, calls int, lasts time.Duration) (cpuPerCall float64, residentPerCall float64) {
	t.Helper()
	idle := residentKB(t, c.pid)
	caller := c.audioCall(t, calls, lasts)
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

// mediaCosts are medians over rounds of calls with audio that a program answers.
type mediaCosts struct {
	cpu map[string]float64 // % of a core a call, by who answers
	kB  map[string]float64 // a call, at most
}

// ofBaresip and ofEcho are the agent's CPU time as a multiple of the others'.
func (m mediaCosts) ofBaresip() float64 { return m.cpu["agent"] / m.cpu["baresip"] }
func (m mediaCosts) ofEcho() float64    { return m.cpu["agent"] / m.cpu["echo"] }

// besideOthers has a hundred calls of G.711 answered by an agent, which plays, decodes, analyses and reports them, beside a softphone and
// beside a program that only returns datagrams, in turns.
func besideOthers(t testing.TB, rounds int, lasts time.Duration) mediaCosts {
	t.Helper()
	agent, _ := answeringAgent(t)
	cpu, costs := map[string][]float64{}, mediaCosts{map[string]float64{}, map[string]float64{}}
	all := []answerer{agent, answeringBaresip(t), bareEcho(t)}
	for range rounds {
		for _, c := range all {
			percent, resident := c.stream(t, 100, lasts)
			cpu[c.name], costs.kB[c.name] = append(cpu[c.name], percent), max(costs.kB[c.name], resident)
		}
	}
	for name, percents := range cpu {
		slices.Sort(percents)
		costs.cpu[name] = percents[len(percents)/2]
	}
	return costs
}

// BenchmarkMedia tells what a call with audio costs an agent and others.
func BenchmarkMedia(b *testing.B) {
	m := besideOthers(b, 3*b.N, 6*time.Second)
	b.ReportMetric(0, "ns/op")
	for name, percent := range m.cpu {
		b.ReportMetric(percent, name+"-%core/call")
	}
	b.ReportMetric(m.ofBaresip(), "CPU-of-baresip")
	b.ReportMetric(m.ofEcho(), "CPU-of-echo")
	b.ReportMetric(m.kB["agent"], "kB/call")
}

// TestACallCostsLittleMoreThanItsPackets holds the agent to a part of what a softphone takes for the same calls, and to little more than
// what receiving and sending the packets takes anybody. A third and one and a half are the aims; a short look on a busy machine is coarse.
func TestACallCostsLittleMoreThanItsPackets(t *testing.T) {
	m := besideOthers(t, drill.Pick(1, 5), drill.Lasts(3*time.Second, 15*time.Second))
	said := fmt.Sprintf("%.3f %% of a core a call, %.2f times baresip's (%.3f %%), %.2f times the bare echo's (%.3f %%); %.0f kB a call",
		m.cpu["agent"], m.ofBaresip(), m.cpu["baresip"], m.ofEcho(), m.cpu["echo"], m.kB["agent"])
	if part := drill.Pick(0.5, 1./3); m.ofBaresip() > part {
		t.Errorf("%s: want %.2f times baresip's at most", said, part)
	}
	if times := drill.Pick(3., 1.5); m.ofEcho() > times {
		t.Errorf("%s: want %.1f times the echo's at most", said, times)
	}
	if m.kB["agent"] > 150 {
		t.Errorf("%s: want 150 kB at most", said)
	}
	audioPage.Measured(t, "100 calls, beside others", "%s", said)
	outcome(t, "sipp, baresip", "%s", said)
}

// TestManyCallsAtOnceLoseNothing has an agent take part in many calls, and asks every party what became of the packets: the kernel what it
// had no room for at the agent's ports, the calls what they miss, and the clock how often it came too late to send.
func TestManyCallsAtOnceLoseNothing(t *testing.T) {
	c, a := answeringAgent(t)
	calls, lasts := drill.Pick(100, 500), drill.Lasts(5*time.Second, time.Minute)
	caller := c.audioCall(t, calls, lasts+time.Duration(calls)*time.Second/100+10*time.Second)
	audio := func() (up []record) {
		for _, call := range a.status().Calls {
			if call.State == "established" && call.Heard != nil && call.MOS != nil {
				up = append(up, call)
			}
		}
		return up
	}
	lookEvery(t, 500*time.Millisecond, "all calls hear the tone", func() (bool, string) {
		up := len(audio())
		return up == calls, fmt.Sprintf("%d of %d calls", up, calls)
	})
	before := map[string]record{}
	for _, call := range audio() {
		before[call.ID] = call
	}
	began := time.Now()
	ours, theirs := cpuTime(t, c.pid), cpuTime(t, caller.Pid)
	time.Sleep(lasts) // what is measured
	ours, theirs = cpuTime(t, c.pid)-ours, cpuTime(t, caller.Pid)-theirs
	took := time.Since(began) // at least, between the two times that a call told
	after, drops := audio(), a.udpDrops()
	var sent, received, lost, discarded, stalled, quiet float64
	for _, now := range after {
		then, there := before[now.ID]
		if !there {
			t.Fatalf("call %s was not there before", now.ID)
		}
		sent, received, lost = sent+float64(now.RTP.Sent-then.RTP.Sent), received+float64(now.RTP.Received-then.RTP.Received), lost+float64(now.RTP.Lost-then.RTP.Lost)
		if now.Quality != nil && then.Quality != nil {
			discarded += float64(now.Quality.Received.Discarded - then.Quality.Received.Discarded)
		}
		stalled += float64(now.StalledMs - then.StalledMs)
		if now.Heard.FrequencyHz < 1002 || now.Heard.FrequencyHz > 1006 {
			quiet++
		}
	}
	dropped := 0
	for _, n := range drops {
		dropped += n
	}
	due := 50 * took.Seconds() * float64(calls)
	said := fmt.Sprintf("%.0f packets received, %.1f %% of what is due from sipp, %.0f lost, %.0f discarded, %d dropped by the kernel; %.1f %% of those due were sent; "+
		"%.2f cores, sipp %.2f", received, 100*received/due, lost, discarded, dropped, 100*sent/due, ours.Seconds()/took.Seconds(), theirs.Seconds()/took.Seconds())
	t.Log(said)
	if len(after) != calls || quiet > 0 {
		t.Errorf("%d calls of %d are up, %.0f of them without the tone", len(after), calls, quiet)
	}
	if lost > 0 || dropped > 0 {
		t.Errorf("%.0f packets are missing, %d were dropped at our ports", lost, dropped)
	}
	// What the machine kept us from sending is on record, but for what is still to be caught up: 50 ms at most, 3 packets of a call.
	if missing := due - float64(3*calls) - sent - stalled/20; missing > 0 {
		t.Errorf("%.0f packets were sent of %.0f due, and %.0f ms stalled", sent, due, stalled)
	}
	audioPage.Measured(t, fmt.Sprintf("%d calls", calls), "%s", said)
	outcome(t, "sipp", "%d calls with audio at once: nothing lost", calls)
	must(t, caller.Kill())
}
