package codec

import (
	"fmt"
	"math"
)

// g729Encoder is the codec's sending half. What the decoder will make of the bits is kept in the decoder's own arithmetic; what is looked
// for is in floating point.
type g729Encoder struct {
	high     biquad
	speech   [g729Span]float64  // the newest 40 samples are looked ahead
	cosines  [g729Order]float64 // of the last spectrum that was found
	spectrum g729Spectrum
	sent     g729Lines // cosines of the last spectrum, quantized
	gains    g729Gains
	sharp    int32
	danger   g729Danger
	exc      [g729Past + g729Samples]int32
	residual [g729Samples]float64
	weighted [g729MaxLag + g729Samples]float64 // speech as the open-loop search hears it
	echo     [g729Order]float64                // what the weighted error still rings with
	frame    g729Frame
	search   g729Search
}

const (
	g729Span   = 240 // samples of speech that a spectrum is made of
	g729Ahead  = 40
	g729Now    = g729Span - g729Ahead - g729Samples // where the frame begins
	g729Weight = 0.75                               // of the perceptual filter (Annex A, §A.3.3)
)

func newG729Encoder() Encoder {
	e := &g729Encoder{spectrum: newG729Spectrum(), sent: g729Rest, gains: newG729Gains(), sharp: g729Dull, danger: newG729Danger()}
	e.high = biquad{b: [3]float64{0.46363718, -0.92724705, 0.46363718}, a: [2]float64{-1.9059465, 0.9114024}} // 140 Hz, and half the level
	for i, c := range g729Rest {
		e.cosines[i] = float64(c) / 32768
	}
	return e
}

func (*g729Encoder) Rate() int         { return g729Rate }
func (*g729Encoder) FrameSamples() int { return g729Samples }

func (e *g729Encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if len(pcm)%g729Samples != 0 {
		return dst, fmt.Errorf("G.729 frames have %d samples, %d are no multiple", g729Samples, len(pcm))
	}
	for ; len(pcm) > 0; pcm = pcm[g729Samples:] {
		copy(e.speech[:], e.speech[g729Samples:])
		for i, v := range pcm[:g729Samples] {
			e.speech[g729Span-g729Samples+i] = e.high.next(float64(v))
		}
		e.encode()
		dst = e.frame.appendTo(dst)
	}
	return dst, nil
}

// encode finds the parameters of a frame.
func (e *g729Encoder) encode() {
	lines := e.analyse()
	f := &e.frame
	e.spectrum.quantize(&lines, f)
	quantized := e.spectrum.decode(f)
	cosines := quantized.cosines()
	filters := cosines.interpolated(&e.sent)
	e.sent = cosines
	var short, wide [2]lpc
	for i := range filters {
		short[i] = filters[i].float()
		wide[i] = short[i].widened(g729Weight)
		e.listen(i, &short[i], &wide[i])
	}
	open := openLag(&e.weighted)
	first := 0
	for i := range f.sub {
		low := min(max(open-3, g729MinLag), g729MaxLag-6)
		high := low + 6
		if i == 1 {
			low = g729Window(first)
			high = low + 9
		}
		first = e.subframe(i, &wide[i], low, high)
	}
	f.parity = f.even()
	copy(e.exc[:g729Past], e.exc[g729Samples:])
	copy(e.weighted[:g729MaxLag], e.weighted[g729Samples:])
}

// float is a filter for searching.
func (a *g729Filter) float() (out lpc) {
	for i, v := range a {
		out[i] = float64(v) / 4096
	}
	return out
}

// g729Shape is the window of §3.2.1, and g729Fade what its correlations are multiplied by: 60 Hz wider, and a floor of noise.
var g729Shape, g729Fade = g729Windows()

func g729Windows() (shape [g729Span]float64, fade [g729Order + 1]float64) {
	for n := range shape {
		shape[n] = 0.54 - 0.46*math.Cos(2*math.Pi*float64(n)/399)
		if n >= 200 {
			shape[n] = math.Cos(2 * math.Pi * float64(n-200) / 159)
		}
	}
	for k := range fade {
		fade[k] = math.Exp(-0.5 * math.Pow(2*math.Pi*60*float64(k)/g729Rate, 2))
	}
	fade[0] = 1.0001
	return shape, fade
}

// analyse is the frame's line spectral frequencies, in radians; of a frame at the brink of stability, the last frame's.
func (e *g729Encoder) analyse() (lines [g729Order]float64) {
	var x [g729Span]float64
	for i, v := range e.speech {
		x[i] = v * g729Shape[i]
	}
	var r [g729Order + 1]float64
	for k := range r {
		for i := k; i < len(x); i++ {
			r[k] += x[i] * x[i-k]
		}
		r[k] *= g729Fade[k]
	}
	r[0] = max(r[0], 1)
	var a lpc
	a.fromCorrelation(&r)
	var c [g729Order]float64
	if a.cosines(&c) {
		e.cosines = c
	}
	for i, v := range e.cosines {
		lines[i] = math.Acos(v)
	}
	return lines
}

// listen filters a subframe of speech: by A(z), and by what makes the open-loop search hear its pitch (§A.3.4).
func (e *g729Encoder) listen(i int, short, wide *lpc) {
	slow := *wide // 1/(A(z/γ)·(1-0.7z⁻¹)), the last coefficient left out, as the recommendation does
	for k := 1; k < len(slow); k++ {
		slow[k] -= 0.7 * wide[k-1]
	}
	for n := i * g729Sub; n < (i+1)*g729Sub; n++ {
		sum := 0.0
		for k, c := range short {
			sum += c * e.speech[g729Now+n-k]
		}
		e.residual[n] = sum
		at := g729MaxLag + n
		for k := 1; k <= g729Order; k++ {
			sum -= slow[k] * e.weighted[at-k]
		}
		e.weighted[at] = sum
	}
}

// openLag is the lag, of a frame's weighted speech, to look around (§A.3.4): the best of three ranges, the shorter ones preferred where
// the longer are multiples of them.
func openLag(w *[g729MaxLag + g729Samples]float64) int {
	cross := func(lag int) (sum float64) {
		for n := g729MaxLag; n < len(w); n += 2 {
			sum += w[n] * w[n-lag]
		}
		return sum
	}
	ranges := [3]struct{ from, to, step int }{{20, 39, 1}, {40, 79, 1}, {80, 143, 2}}
	var lags [3]int
	var likeness [3]float64
	for i, r := range ranges {
		best, at := math.Inf(-1), r.from
		for lag := r.from; lag <= r.to; lag += r.step {
			if c := cross(lag); c > best {
				best, at = c, lag
			}
		}
		if r.step == 2 {
			for _, lag := range [2]int{at + 1, at - 1} {
				if c := cross(lag); c > best {
					best, at = c, lag
				}
			}
		}
		energy := 0.01
		for n := g729MaxLag; n < len(w); n += 2 {
			energy += w[n-at] * w[n-at]
		}
		lags[i], likeness[i] = at, best/math.Sqrt(energy)
	}
	favour := func(short, long int, share float64) {
		for times := 2; times <= 3; times++ {
			within := 2*times + 1
			if d := lags[short]*times - lags[long]; d > -within && d < within {
				likeness[short] += share * likeness[long]
			}
		}
	}
	favour(1, 2, 0.25)
	favour(0, 1, 0.2)
	best := 0
	for i := range lags {
		if likeness[i] > likeness[best] {
			best = i
		}
	}
	return lags[best]
}
