package media

import (
	"fmt"
	"math"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// Shape of the resampling filter: a sinc under a Kaiser window. With these, what lies above 4 kHz of 16 kHz audio comes through 8 kHz
// at least 60 dB down, and 3.3 kHz unharmed.
const (
	resampleTaps   = 48   // a phase
	resampleCutoff = 0.91 // of half the lower rate
	resampleKaiser = 6.5
)

// resampler changes a sampling rate by a whole factor, up or down. It delays by half its taps, 3 ms at 8 kHz.
type resampler struct {
	factor int
	up     bool
	taps   []float32
	past   []float32 // the last inputs, twice, so that they always lie in a row
	at     int       // the oldest of them
	phase  int       // inputs since the last output, downwards
}

// newResampler is one from a rate to another, in Hz. The higher must be a multiple of the lower.
func newResampler(from, to int) (*resampler, error) {
	high, low := max(from, to), min(from, to)
	if low <= 0 || high%low != 0 {
		return nil, fmt.Errorf("audio of %d Hz cannot be played at %d Hz", from, to)
	}
	r := &resampler{factor: high / low, up: to > from}
	n := resampleTaps * r.factor
	r.taps = make([]float32, n)
	sum := 0.0
	shape := make([]float64, n)
	for k := range shape {
		x := float64(k) - float64(n-1)/2
		t := math.Pi * x / float64(r.factor) * resampleCutoff
		shape[k] = math.Sin(t) / t * bessel(resampleKaiser*math.Sqrt(1-math.Pow(2*x/float64(n), 2)))
		sum += shape[k]
	}
	history := n
	if r.up {
		sum /= float64(r.factor)
		history = resampleTaps
	}
	for k, v := range shape {
		r.taps[k] = float32(v / sum)
	}
	r.past = make([]float32, 2*history)
	return r, nil
}

// bessel is the modified Bessel function of the first kind and order zero.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1; k < 40; k++ {
		term *= x / 2 / float64(k)
		sum += term * term
	}
	return sum
}

// samples is how many outputs n inputs make.
func (r *resampler) samples(n int) int {
	if r.up {
		return n * r.factor
	}
	return n / r.factor
}

// needed is how many inputs n outputs take.
func (r *resampler) needed(n int) int {
	if r.up {
		return (n + r.factor - 1) / r.factor
	}
	return n * r.factor
}

// append resamples pcm to the end of dst.
func (r *resampler) append(dst, pcm []int16) []int16 {
	n := len(r.past) / 2
	for _, v := range pcm {
		r.past[r.at], r.past[r.at+n] = float32(v), float32(v)
		if r.at++; r.at == n {
			r.at = 0
		}
		if r.up {
			for phase := range r.factor {
				dst = append(dst, r.at16(r.factor, phase))
			}
			continue
		}
		if r.phase++; r.phase == r.factor {
			r.phase = 0
			dst = append(dst, r.at16(1, 0))
		}
	}
	return dst
}

// at16 is the output that every step-th tap, from a phase on, makes of the past.
func (r *resampler) at16(step, phase int) int16 {
	n := len(r.past) / 2
	window, sum := r.past[r.at:r.at+n], float32(0)
	for k, tap := n-1, phase; k >= 0; k, tap = k-1, tap+step {
		sum += window[k] * r.taps[tap]
	}
	return clip(float64(sum))
}

// resampled is a decoder whose PCM is brought to another rate.
type resampled struct {
	codec.Decoder
	rate      int
	resampler *resampler
	pcm       []int16
}

// atRate is a decoder, or one that resamples it, for PCM of a rate in Hz.
func atRate(d codec.Decoder, rate int) (codec.Decoder, error) {
	if d.Rate() == rate {
		return d, nil
	}
	r, err := newResampler(d.Rate(), rate)
	if err != nil {
		return nil, err
	}
	return &resampled{Decoder: d, rate: rate, resampler: r}, nil
}

func (r *resampled) Rate() int { return r.rate }
func (r *resampled) Samples(payload []byte) int {
	return r.resampler.samples(r.Decoder.Samples(payload))
}

func (r *resampled) Decode(dst []int16, payload []byte) ([]int16, error) {
	pcm, err := r.Decoder.Decode(r.pcm[:0], payload)
	if err != nil {
		return dst, err
	}
	r.pcm = pcm
	return r.resampler.append(dst, pcm), nil
}

func (r *resampled) Conceal(dst []int16, n int) []int16 {
	r.pcm = r.Decoder.Conceal(r.pcm[:0], r.resampler.needed(n))
	from := len(dst)
	return r.resampler.append(dst, r.pcm)[:from+n]
}
