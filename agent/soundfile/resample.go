package soundfile

import "math"

// Shape of the filter between rates: a sinc under a Kaiser window, tabulated finely enough that a line between two entries is as good
// as the sinc. What the lower rate cannot hold is at least 80 dB down; what it can hold is whole up to nine tenths of its band.
const (
	crossings = 24 // zeros of the sinc on either side
	perZero   = 512
	passed    = 0.945 // of half the lower rate
	kaiser    = 8.0
)

// sincTable is the right half of the filter.
var sincTable = func() *[crossings*perZero + 2]float32 {
	var t [crossings*perZero + 2]float32
	for i := range t {
		x := float64(i) / perZero
		if x > crossings {
			break
		}
		v := 1.0
		if x > 0 {
			v = math.Sin(math.Pi*x) / (math.Pi * x)
		}
		t[i] = float32(v * bessel(kaiser*math.Sqrt(1-x*x/crossings/crossings)) / bessel(kaiser))
	}
	return &t
}()

// bessel is the modified Bessel function of the first kind and order zero.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1; k < 60; k++ {
		term *= x / 2 / float64(k)
		sum += term * term
	}
	return sum
}

// Resample gives the samples at another rate, any to any, without delay.
func Resample(pcm []int16, from, to int) []int16 {
	if from == to || len(pcm) == 0 {
		return pcm
	}
	scale := passed * math.Min(1, float64(to)/float64(from)) // zeros of the sinc a sample
	reach := crossings / scale
	out := make([]int16, (int64(len(pcm))*int64(to)+int64(from)-1)/int64(from))
	for i := range out {
		whole, part := int64(i)*int64(from)/int64(to), int64(i)*int64(from)%int64(to)
		at := float64(whole) + float64(part)/float64(to)
		first, last := max(int(math.Ceil(at-reach)), 0), min(int(math.Floor(at+reach)), len(pcm)-1)
		sum := float32(0)
		for k := first; k <= last; k++ {
			x := math.Abs(at-float64(k)) * scale * perZero
			n := int(x)
			low := sincTable[n]
			sum += float32(pcm[k]) * (low + (sincTable[n+1]-low)*float32(x-float64(n)))
		}
		out[i] = int16(math.Round(max(-32768, min(32767, float64(sum)*scale))))
	}
	return out
}
