package media

import (
	"math"
	"math/cmplx"
)

// What analysis looks at.
const (
	windowsPerSecond = 5   // 200 ms windows
	silenceDBm0      = -55 // quieter windows are silence
	silentWindows    = 5   // in a row, until nothing is heard any more
	lowestHz         = 50
)

// Heard is the dominant tone in received audio.
type Heard struct {
	FrequencyHz float64
	LevelDBm0   float64 // level of all of the audio, 0 dBm0 as in G.711
}

// analysis listens to received audio in windows of 200 ms. Only the level is worked out as audio passes; the last window that was not
// silent is kept, and its frequency is found when somebody asks.
type analysis struct {
	rate    int
	window  []int16 // running
	power   int64
	frame   volume  // of the last frame
	loud    []int16 // last whole window that was not silent
	level   float64 // of loud, dBm0
	silent  int     // silent windows since then
	found   bool    // frequency is that of loud
	hz      float64
	anybody bool // loud holds a window
}

func newAnalysis(rate int) *analysis {
	n := rate / windowsPerSecond
	return &analysis{rate: rate, window: make([]int16, 0, n), loud: make([]int16, 0, n), silent: silentWindows}
}

// filter implements filter.
func (a *analysis) filter(f Frame) {
	a.frame = volume{}
	for samples := f.Samples; len(samples) > 0; {
		n := min(cap(a.window)-len(a.window), len(samples))
		power := a.frame.power
		a.frame.add(samples[:n])
		a.power += a.frame.power - power
		a.window = append(a.window, samples[:n]...)
		samples = samples[n:]
		if len(a.window) == cap(a.window) {
			a.close()
		}
	}
}

// volume is what is measured of every sample that is heard, once for all who want to know.
type volume struct {
	power   int64 // sum of squares
	samples int
	clipped int // samples at full scale
}

func (l *volume) add(pcm []int16) {
	power := int64(0)
	for _, v := range pcm {
		power += int64(v) * int64(v)
		if uint32(int32(v)+fullScalePCM) > 2*fullScalePCM {
			l.clipped++
		}
	}
	l.power, l.samples = l.power+power, l.samples+len(pcm)
}

// silent says whether it is what levelDBm0 calls quieter than silenceDBm0.
func (l *volume) silent() bool {
	return float64(l.power) < silentSquare*float64(l.samples)
}

// silentSquare is the mean square of silenceDBm0.
var silentSquare = fullScaleSquare * math.Pow(10, (silenceDBm0-fullScaleDBm0)/10)

// close ends a window.
func (a *analysis) close() {
	level := levelDBm0(float64(a.power) / float64(len(a.window)))
	if level < silenceDBm0 {
		a.silent++
	} else {
		a.window, a.loud = a.loud, a.window
		a.level, a.silent, a.found, a.anybody = level, 0, false, true
	}
	a.window, a.power = a.window[:0], 0
}

// now is what is heard at present; nil when the last second was silent.
func (a *analysis) now() *Heard {
	if a.silent >= silentWindows {
		return nil
	}
	return a.last()
}

// last is the last that was heard; nil when nothing ever was.
func (a *analysis) last() *Heard {
	if !a.anybody {
		return nil
	}
	if !a.found {
		a.hz, a.found = dominant(a.loud, a.rate), true
	}
	return &Heard{FrequencyHz: a.hz, LevelDBm0: a.level}
}

// fullScaleSquare is the mean square of a full-scale sine.
const fullScaleSquare = 32768.0 * 32768 / 2

// levelDBm0 is the level of a mean square.
func levelDBm0(meanSquare float64) float64 {
	return 10*math.Log10(max(meanSquare, 1e-3)/fullScaleSquare) + fullScaleDBm0
}

// dominant is the frequency of the strongest sine in pcm: the peak of its spectrum under a Hann window, interpolated by a parabola
// through the logarithms around it. Off by less than 1 Hz for 200 ms of a clean tone.
func dominant(pcm []int16, rate int) float64 {
	size := 1
	for size < 2*len(pcm) {
		size *= 2
	}
	bins := make([]complex128, size)
	for i, v := range pcm {
		hann := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(pcm)))
		bins[i] = complex(float64(v)*hann, 0)
	}
	transform(bins)
	power := func(k int) float64 { return real(bins[k])*real(bins[k]) + imag(bins[k])*imag(bins[k]) + 1e-9 }
	best := max(lowestHz*size/rate, 1)
	for k := best; k < size/2-1; k++ {
		if power(k) > power(best) {
			best = k
		}
	}
	before, at, after := math.Log(power(best-1)), math.Log(power(best)), math.Log(power(best+1))
	shift := 0.0
	if curve := before - 2*at + after; curve < 0 {
		shift = min(max(0.5*(before-after)/curve, -0.5), 0.5)
	}
	return (float64(best) + shift) * float64(rate) / float64(size)
}

// transform is the discrete Fourier transform, in place, of a power of two of values.
func transform(x []complex128) {
	n := len(x)
	for i, j := 1, 0; i < n; i++ {
		bit := n >> 1
		for ; j&bit != 0; bit >>= 1 {
			j ^= bit
		}
		if j ^= bit; i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	for size := 2; size <= n; size *= 2 {
		turn := cmplx.Rect(1, -2*math.Pi/float64(size))
		for start := 0; start < n; start += size {
			w := complex(1, 0)
			for k := start; k < start+size/2; k++ {
				even, odd := x[k], w*x[k+size/2]
				x[k], x[k+size/2] = even+odd, even-odd
				w *= turn
			}
		}
	}
}
