package media

import (
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// talk has calls run over real sockets on one clock, both ends of each here, and waits until all are under way. A suite "" leaves them
// unprotected.
func talk(t testing.TB, calls int, suite string) (sessions []*Session, end func()) {
	t.Helper()
	var clock Clock
	for range 2 * calls {
		s, err := Open(Config{Local: loopback, SymmetricRTP: true, Clock: &clock})
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s)
	}
	for i := 0; i < len(sessions); i += 2 {
		x, y := sessions[i], sessions[i+1]
		nx, ny := agreed(y.LocalRTP().String()), agreed(x.LocalRTP().String())
		if suite != "" {
			nx, ny = withSDES(suite, nx, ny)
		}
		start(t, x, nx, Tone{Hz: 1000, LevelDBm0: -10})
		start(t, y, ny, Echo{})
	}
	for _, s := range sessions {
		for began := time.Now(); s.Stats().Received < 10; time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				t.Fatal("nothing is heard")
			}
		}
	}
	return sessions, func() {
		for _, s := range sessions {
			closeSession(t, s)
		}
	}
}

// spends gives the CPU time a session takes in a time, as a part of it.
func spends(t testing.TB, sessions []*Session, in time.Duration) float64 {
	before, began := cpu(t), time.Now()
	time.Sleep(in)
	return (cpu(t) - before).Seconds() / time.Since(began).Seconds() / float64(len(sessions))
}

// One operation is a second of a hundred calls.
func BenchmarkHundredCalls(b *testing.B) {
	empty := memoryUse()
	sessions, end := talk(b, 100, "")
	defer end()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	<-second.C
	before := cpu(b)
	for b.Loop() {
		<-second.C
	}
	spent := cpu(b) - before
	lost := uint64(0)
	for _, s := range sessions {
		st := s.Stats()
		lost += st.Lost + st.Discarded
	}
	b.ReportMetric(100*spent.Seconds()/b.Elapsed().Seconds()/float64(len(sessions)), "%core/session")
	b.ReportMetric(float64(lost), "lost")
	b.ReportMetric(float64(memoryUse()-empty)/float64(len(sessions))/1024, "kB/session")
}

// protectionCosts gives what calls cost with each suite, as multiples of what they cost without, the median of rounds.
func protectionCosts(t testing.TB, calls, rounds int, lasts time.Duration, suites ...string) map[string]float64 {
	ratios := map[string][]float64{}
	for range rounds {
		plain := 0.
		for _, suite := range append([]string{""}, suites...) {
			sessions, end := talk(t, calls, suite)
			spent := spends(t, sessions, lasts)
			end()
			if suite == "" {
				plain = spent
			} else {
				ratios[suite] = append(ratios[suite], spent/plain)
			}
		}
	}
	costs := map[string]float64{}
	for suite, r := range ratios {
		costs[suite] = median(r)
	}
	return costs
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// The suite that is offered first, and that which all know.
func BenchmarkProtectedCalls(b *testing.B) {
	suites := []string{sdp.Suites()[0], "AES_CM_128_HMAC_SHA1_80"}
	for b.Loop() {
		for suite, ratio := range protectionCosts(b, 50, 5, time.Second, suites...) {
			b.ReportMetric(ratio, suite+"-of-plain")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// A fifth is the aim, and what BenchmarkProtectedCalls shows of a quiet machine is near it. A busy one adds what it likes to either
// side; what this would see is work done twice, or for each packet anew.
func TestProtectionCostsLittle(t *testing.T) {
	first := sdp.Suites()[0]
	if ratio := protectionCosts(t, 25, 3, 300*time.Millisecond, first)[first]; ratio > 1.5 {
		t.Errorf("calls with %s take %.2f times the CPU of calls without", first, ratio)
	}
}

// memoryUse is what heap and stacks hold.
func memoryUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
