package media

import (
	"math"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// resample brings a second of a tone from a rate to another and gives its level there, the beginning left out.
func resample(t *testing.T, hz float64, from, to int) (level float64, heard *Heard) {
	t.Helper()
	pcm := make([]int16, 2*from)
	Tone{Hz: hz, LevelDBm0: -10}.Open(from).Fill(Frame{Samples: pcm}, Frame{})
	r, err := newResampler(from, to)
	if err != nil {
		t.Fatal(err)
	}
	out := r.append(nil, pcm)
	if len(out) != r.samples(len(pcm)) || len(out) != 2*to || r.needed(len(out)) != len(pcm) {
		t.Fatalf("%d samples at %d Hz become %d at %d Hz", len(pcm), from, len(out), to)
	}
	out = out[to:]
	power := 0.0
	for _, v := range out {
		power += float64(v) * float64(v)
	}
	return levelDBm0(power / float64(len(out))), hear(to, out)
}

func TestResamplingKeepsWhatBothRatesHold(t *testing.T) {
	for _, rates := range [][2]int{{8000, 16000}, {16000, 8000}, {8000, 48000}, {48000, 8000}, {16000, 48000}} {
		for _, hz := range []float64{100, 440, 1000, 2500, 3200} {
			level, heard := resample(t, hz, rates[0], rates[1])
			within(t, "level", level, -10, 0.2)
			if heard == nil {
				t.Fatalf("%v: %g Hz is not heard", rates, hz)
			}
			within(t, "frequency", heard.FrequencyHz, hz, 1)
		}
	}
}

func TestResamplingDownLetsNoAliasesThrough(t *testing.T) {
	for _, hz := range []float64{4050, 5000, 6500, 7500} {
		if level, _ := resample(t, hz, 16000, 8000); level > -65 {
			t.Errorf("%g Hz at -10 dBm0 is left with %.1f dBm0 at 8 kHz", hz, level)
		}
	}
}

// Upwards, mirror images are what must not appear: the tone is all there is.
func TestResamplingUpAddsNothing(t *testing.T) {
	for _, hz := range []float64{440, 3200} {
		pcm := make([]int16, 8000)
		Tone{Hz: hz, LevelDBm0: -10}.Open(8000).Fill(Frame{Samples: pcm}, Frame{})
		r, err := newResampler(8000, 16000)
		if err != nil {
			t.Fatal(err)
		}
		out := r.append(nil, pcm)[8000:]
		var s, c, all float64
		for i, v := range out {
			sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / 16000)
			s, c, all = s+float64(v)*sin, c+float64(v)*cos, all+float64(v)*float64(v)
		}
		tone := 2 * (s*s + c*c) / float64(len(out))
		if snr := 10 * math.Log10(tone/(all-tone)); snr < 60 {
			t.Errorf("%g Hz: %.1f dB above all else", hz, snr)
		}
	}
}

func TestResamplingByAFractionIsRefused(t *testing.T) {
	for _, rates := range [][2]int{{8000, 11025}, {16000, 24000}, {0, 8000}} {
		if _, err := newResampler(rates[0], rates[1]); err == nil {
			t.Errorf("%v is taken", rates)
		}
	}
}

func TestResampledDecodersKeepTheirPromises(t *testing.T) {
	for _, row := range []struct{ number, rate int }{{9, 8000}, {0, 16000}, {3, 16000}} {
		spec, _ := codec.Lookup(row.number)
		inner, err := codec.NewDecoder(spec.Format)
		if err != nil {
			t.Fatal(err)
		}
		d, err := atRate(inner, row.rate)
		if err != nil || d.Rate() != row.rate {
			t.Fatalf("%s at %d Hz: %v", spec.Format, row.rate, err)
		}
		enc, _ := codec.NewEncoder(spec.Format)
		payload, err := enc.Encode(nil, make([]int16, spec.Rate/50))
		if err != nil {
			t.Fatal(err)
		}
		pcm, err := d.Decode([]int16{7}, payload)
		if want := row.rate / 50; err != nil || len(pcm) != want+1 || d.Samples(payload) != want || pcm[0] != 7 {
			t.Errorf("%s: 20 ms are %d samples, %d announced (%v)", spec.Format, len(pcm)-1, d.Samples(payload), err)
		}
		for _, n := range []int{1, 79, 160} {
			if got := d.Conceal(nil, n); len(got) != n {
				t.Errorf("%s: a gap of %d is filled with %d", spec.Format, n, len(got))
			}
		}
		if allocs := testing.AllocsPerRun(100, func() { pcm, _ = d.Decode(pcm[:0], payload); pcm = d.Conceal(pcm[:0], 160) }); allocs != 0 {
			t.Errorf("%s: %v allocations a packet", spec.Format, allocs)
		}
	}
}
