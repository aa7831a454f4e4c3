package media

import (
	"math"
	"time"
)

// What makes a window of received audio hold a tone that is listened for.
const (
	tonePart     = 0.15 // of the window's power
	toneDBm0     = -45  // and not quieter than this
	toneWindowMs = 1000 / windowsPerSecond
	// looks of a window are taken one by one, and their powers added: where the
	// jitter buffer leaps, a tone changes its phase, and one look is spoilt instead
	// of all. A look of 40 ms tells tones 25 Hz apart.
	looks = 5
)

// ToneHeard is how long a tone that was listened for was heard.
type ToneHeard struct {
	Hz  float64
	For time.Duration // in windows of 200 ms
}

// tones listens for single frequencies by Goertzel's algorithm, a window after
// the other. It tells one tone from another where both sound at once, which the
// strongest frequency of analysis does not.
type tones struct {
	rate  int
	heard []ToneHeard
	sound *time.Duration // windows that were not silent, whatever was in them
	block [2]blocker
	loud  float64   // power of the window without what nobody hears
	twice []float64 // 2·cos of a sample's turn
	s1    []float64
	s2    []float64
	found []float64 // power of each tone in the looks of the window so far
	power float64
	n     int
}

// blocker takes out what lies under the voice band: an offset, or a hum of a few
// hertz, is silence to whoever listens. Two in a row fall by 12 dB an octave.
type blocker struct{ keep, in, out float64 }

func newBlockers(rate int) [2]blocker {
	one := blocker{keep: 1 - 2*math.Pi*lowestHz/float64(rate)}
	return [2]blocker{one, one}
}

func (b *blocker) next(v float64) float64 {
	b.out, b.in = v-b.in+b.keep*b.out, v
	return b.out
}

func newTones(rate int, heard []ToneHeard, sound *time.Duration) *tones {
	t := &tones{rate: rate, heard: heard, sound: sound, block: newBlockers(rate), twice: make([]float64, len(heard)), s1: make([]float64, len(heard)), s2: make([]float64, len(heard)), found: make([]float64, len(heard))}
	for i, h := range heard {
		t.twice[i] = 2 * math.Cos(2*math.Pi*h.Hz/float64(rate))
	}
	return t
}

// filter implements filter.
func (t *tones) filter(f Frame) {
	for _, sample := range f.Samples {
		v := float64(sample)
		t.power += v * v
		audible := t.block[1].next(t.block[0].next(v))
		t.loud += audible * audible
		for i, twice := range t.twice {
			s := v + twice*t.s1[i] - t.s2[i]
			t.s2[i], t.s1[i] = t.s1[i], s
		}
		t.n++
		if look := t.rate / windowsPerSecond / looks; t.n%look == 0 {
			t.look(float64(look))
		}
		if t.n == t.rate/windowsPerSecond {
			t.close()
		}
	}
}

// look ends a part of a window. The mean square of a sine is twice the square of
// its Fourier coefficient over the square of the number of samples.
func (t *tones) look(n float64) {
	for i, twice := range t.twice {
		coefficient := t.s1[i]*t.s1[i] + t.s2[i]*t.s2[i] - twice*t.s1[i]*t.s2[i]
		t.found[i] += 2 * coefficient / (n * n) / looks
		t.s1[i], t.s2[i] = 0, 0
	}
}

// close ends a window.
func (t *tones) close() {
	n := float64(t.n)
	all := t.power / n
	if levelDBm0(t.loud/n) >= silenceDBm0 {
		*t.sound += toneWindowMs * time.Millisecond
	}
	for i := range t.heard {
		if tone := t.found[i]; tone > tonePart*all && levelDBm0(tone) > toneDBm0 {
			t.heard[i].For += toneWindowMs * time.Millisecond
		}
		t.found[i] = 0
	}
	t.power, t.loud, t.n = 0, 0, 0
}
