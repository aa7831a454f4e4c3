package media

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

var checkProbe = Probe{Hz: 1004, LevelDBm0: -10, BesideHz: 1750}

// looped runs a probe at a rate whose sound comes back after a delay, frame by frame.
func looped(rate int, delay, frame time.Duration, change func([]int16)) *probing {
	g := checkProbe.Open(rate).(*probing)
	n := int(frame * time.Duration(rate) / time.Second)
	line := make([]int16, int(delay*time.Duration(rate)/time.Second))
	for range 6 * time.Second / frame {
		out := make([]int16, n)
		heard := append([]int16{}, line[:n]...)
		if change != nil {
			change(heard)
		}
		g.Fill(Frame{Samples: out, Rate: rate}, Frame{Samples: heard, Rate: rate})
		line = append(line[n:], out...)
	}
	return g
}

func TestAProbeMeasuresTheWay(t *testing.T) {
	for _, rate := range []int{8000, 16000, 48000} {
		for _, frame := range []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond} {
			for _, delay := range []time.Duration{60 * time.Millisecond, 123 * time.Millisecond, 950 * time.Millisecond} {
				p := looped(rate, delay, frame, nil).judge(2 * frame)
				if p == nil {
					t.Fatalf("%d Hz, frames of %v, %v there and back: nothing came back", rate, frame, delay)
				}
				says := fmt.Sprintf("%d Hz, frames of %v, %v there and back: ", rate, frame, delay)
				within(t, says+"mouth to ear", p.MouthToEarMs, float64((delay/2+frame).Microseconds())/1000, 0.2)
				if p.SegmentalSNR < 30 || p.SpectralDistance > 0.5 {
					t.Errorf("%sit came back as it went: %+v", says, *p)
				}
			}
		}
	}
}

func TestAProbeThatIsNotAnsweredSaysNothing(t *testing.T) {
	mute := func(pcm []int16) { clear(pcm) }
	if g := looped(8000, 100*time.Millisecond, 20*time.Millisecond, mute); g.heard != nil || g.judge(0) != nil {
		t.Error("a probe was sent though nothing came back")
	}
	if g := looped(8000, 1500*time.Millisecond, 20*time.Millisecond, nil); !g.whole || g.judge(0) != nil {
		t.Error("what came back too late was judged")
	}
	dies := func(after int) func([]int16) {
		return func(pcm []int16) {
			if after -= len(pcm); after < 0 {
				clear(pcm)
			}
		}
	}
	if g := looped(8000, 100*time.Millisecond, 20*time.Millisecond, dies(5000)); !g.whole || g.judge(0) != nil {
		t.Error("an echo that died before was judged")
	}
	if p := looped(8000, 100*time.Millisecond, 20*time.Millisecond, dies(12000)).judge(0); p == nil || p.SegmentalSNR > 20 || p.SpectralDistance < 5 {
		t.Errorf("an echo that died meanwhile: %+v", p)
	}
}

// What changes as a whole, or is added on purpose, is no fault; what is added beside is one, and the more the worse.
func TestWhatIsAFaultOfTheSound(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	marker := Tone{Hz: 1750, LevelDBm0: -12}.Open(8000)
	add := func(other Generator) func([]int16) {
		return func(pcm []int16) {
			tone := make([]int16, len(pcm))
			other.Fill(Frame{Samples: tone}, Frame{})
			for i := range pcm {
				pcm[i] = clip(float64(pcm[i]) + float64(tone[i]))
			}
		}
	}
	noisy := func(level float64) func([]int16) {
		return func(pcm []int16) {
			for i := range pcm {
				pcm[i] = clip(float64(pcm[i]) + rng.NormFloat64()*amplitude(level)/math.Sqrt2)
			}
		}
	}
	quieter := func(pcm []int16) {
		for i := range pcm {
			pcm[i] /= 4
		}
	}
	for _, row := range []struct {
		says                      string
		change                    func([]int16)
		leastSNR, mostSNR, lo, hi float64
	}{
		{"12 dB quieter", quieter, 30, 35, 0, 0.7},
		{"the marker of the echo", add(marker), 26, 35, 0, 1.5},
		{"noise at -60 dBm0", noisy(-60), 20, 35, 0, 4},
		{"noise at -40 dBm0", noisy(-40), 10, 24, 1, 8},
		{"noise at -20 dBm0", noisy(-20), 0, 8, 4, 20},
		{"another tone", add(Tone{Hz: 700, LevelDBm0: -10}.Open(8000)), 0, 5, 4, 25},
	} {
		p := looped(8000, 100*time.Millisecond, 20*time.Millisecond, row.change).judge(0)
		if p == nil {
			t.Errorf("%s: nothing came back", row.says)
			continue
		}
		t.Logf("%s: %.1f dB, distance %.2f dB", row.says, p.SegmentalSNR, p.SpectralDistance)
		if p.SegmentalSNR < row.leastSNR || p.SegmentalSNR > row.mostSNR || p.SpectralDistance < row.lo || p.SpectralDistance > row.hi {
			t.Errorf("%s: %+v", row.says, *p)
		}
	}
}

// probed is a check of five seconds between two sessions over an impaired network.
func probed(t *testing.T, number int, impair func(from, to netip.AddrPort) []time.Duration) (a Stats) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.impair = func(from, to netip.AddrPort, _ []byte) []time.Duration { return impair(from, to) }
		caller, called := n.open(t, alice), n.open(t, bob)
		start(t, caller, spoken(bob, number), checkProbe)
		start(t, called, spoken(alice, number), MarkedEcho{Hz: 1750, LevelDBm0: -12})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		a = caller.Stats()
		b := called.Stats()
		if b.Probe != nil {
			t.Error("who was called knows of a probe")
		}
		if a.Probe != nil && a.In.DelayMs != nil && b.In.DelayMs != nil {
			// What is reckoned from packets, and what was measured, are the same way.
			within(t, "mouth to ear, against the mean of both reckoned delays", a.Probe.MouthToEarMs, (*a.In.DelayMs+*b.In.DelayMs)/2, 12)
		}
	})
	return a
}

func TestMouthToEarIsMeasuredOverTheNetwork(t *testing.T) {
	for says, ways := range map[string][2]time.Duration{
		"next door": {0, 0}, "across a continent": {40 * time.Millisecond, 40 * time.Millisecond}, "one way longer than the other": {20 * time.Millisecond, 130 * time.Millisecond},
		"by satellite": {280 * time.Millisecond, 280 * time.Millisecond},
	} {
		st := probed(t, 0, func(from, _ netip.AddrPort) []time.Duration {
			if from.Addr() == netip.MustParseAddrPort(alice).Addr() {
				return ways[:1]
			}
			return ways[1:]
		})
		if st.Probe == nil {
			t.Errorf("%s: nothing came back", says)
			continue
		}
		network := float64((ways[0] + ways[1]).Milliseconds()) / 2
		// Beside the network there is a packet, and the jitter buffer.
		if own := st.Probe.MouthToEarMs - network; own < 20+20 || own > 20+60 {
			t.Errorf("%s: %.1f ms, of which the network has %.0f", says, st.Probe.MouthToEarMs, network)
		}
	}
}

// lossy is what a number of checks score on average, with so much lost on either way, and how many of their probes came back.
func lossy(t *testing.T, number int, loss float64, calls int) (snr, distance float64, back int) {
	for seed := range calls {
		there, here := rand.New(rand.NewPCG(uint64(seed), 1)), rand.New(rand.NewPCG(uint64(seed), 2))
		st := probed(t, number, func(from, to netip.AddrPort) []time.Duration {
			rng := there
			if from.Addr() != netip.MustParseAddrPort(alice).Addr() {
				rng = here
			}
			if to.Port()%2 == 0 && rng.Float64() < loss {
				return nil
			}
			return []time.Duration{30 * time.Millisecond}
		})
		if st.Probe != nil {
			back, snr, distance = back+1, snr+st.Probe.SegmentalSNR, distance+st.Probe.SpectralDistance
		}
	}
	return snr / float64(back), distance / float64(back), back
}

// What the numbers mean: the scores of codecs without loss, and those of G.711 the more is lost. docs/quality.md has the table.
func TestScoresAreCalibrated(t *testing.T) {
	for number, want := range map[int]struct{ snr, distance float64 }{0: {24, 2}, 8: {24, 2}, 9: {22, 2}, 3: {2, 11}, 102: {1, 9}, 18: {0, 11}} {
		snr, distance, _ := lossy(t, number, 0, 1)
		spec, _ := codec.Lookup(number)
		t.Logf("%-5s nothing lost: segmental SNR %4.1f dB, spectral distance %4.2f dB", spec.Format.Name, snr, distance)
		if !(snr >= want.snr && distance <= want.distance) {
			t.Errorf("%s: segmental SNR %.1f dB, want %g at least; spectral distance %.2f dB, want %g at most", spec.Format.Name, snr, want.snr, distance, want.distance)
		}
	}
	const calls = 16
	last := Probed{SegmentalSNR: math.Inf(1), SpectralDistance: math.Inf(-1)}
	for _, loss := range []float64{0, 0.01, 0.02, 0.05, 0.1, 0.2} {
		snr, distance, back := lossy(t, 0, loss, calls)
		t.Logf("PCMU, %4.1f %% lost each way: segmental SNR %4.1f dB, spectral distance %4.2f dB, %d of %d came back", 100*loss, snr, distance, back, calls)
		if !(snr < last.SegmentalSNR && distance > last.SpectralDistance) || back < calls/2 || loss <= 0.1 && back < calls {
			t.Errorf("%g %% loss: segmental SNR %.2f dB after %.2f, spectral distance %.2f dB after %.2f, %d came back", 100*loss, snr, last.SegmentalSNR, distance, last.SpectralDistance, back)
		}
		last = Probed{SegmentalSNR: snr, SpectralDistance: distance}
	}
}

func TestAProbeAllocatesNothingAsItGoes(t *testing.T) {
	for _, rate := range []int{8000, 48000} {
		g := checkProbe.Open(rate).(*probing)
		out, heard := Frame{Samples: make([]int16, rate/50), Rate: rate}, Frame{Samples: make([]int16, rate/50), Rate: rate}
		echo := Tone{Hz: 1004, LevelDBm0: -10}.Open(rate)
		step := func() {
			echo.Fill(heard, Frame{})
			g.Fill(out, heard)
		}
		phase := func(what string, runs int) {
			if allocs := testing.AllocsPerRun(runs, step); allocs != 0 {
				t.Errorf("%d Hz, %s: %v allocations in 20 ms", rate, what, allocs)
			}
		}
		phase("before", 10)
		for g.heard == nil {
			step()
		}
		step()
		phase("meanwhile", 80)
		for !g.whole {
			step()
		}
		phase("after", 100)
	}
}
