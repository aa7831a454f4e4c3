package media

import (
	"math"
	"math/cmplx"
)

// A chirp is a tone that rises evenly. However it is delayed, made quieter or mixed with others, it is found again to a fraction of
// a millisecond, since it resembles itself at no other place. This one stays within the band of telephones.
const (
	chirpFromHz = 300
	chirpToHz   = 3300
	chirpMs     = 100
	chirpEdgeMs = 5
	// chirpLikeness is how much of a stretch of audio must be the chirp, as a correlation: chance alone, or speech, reaches half of it.
	chirpLikeness = 0.35
)

// chirp makes one, with the level of a sine of levelDBm0.
func chirp(rate int, levelDBm0 float64) []int16 {
	pcm := make([]int16, rate*chirpMs/1000)
	length, edge := float64(chirpMs)/1000, float64(chirpEdgeMs)/1000
	for i := range pcm {
		t := float64(i) / float64(rate)
		phase := 2 * math.Pi * (chirpFromHz*t + (chirpToHz-chirpFromHz)/(2*length)*t*t)
		fade := min(t/edge, (length-t)/edge, 1)
		pcm[i] = clip(amplitude(levelDBm0) * fade * math.Sin(phase))
	}
	return pcm
}

// amplitude is that of a sine of a level.
func amplitude(levelDBm0 float64) float64 {
	return 32767 * math.Pow(10, (levelDBm0-fullScaleDBm0)/20)
}

// find gives where in heard a sound begins, in samples, and how alike the audio there is to it: 1 is the sound itself, at whatever
// level. ok is false when it is not to be found.
func find(sound, heard []int16) (at int, likeness float64, ok bool) {
	if len(heard) < len(sound) || len(sound) == 0 {
		return 0, 0, false
	}
	dots := correlate(sound, heard)
	norm, power := math.Sqrt(energy(sound)), energy(heard[:len(sound)])
	for i, dot := range dots {
		if i > 0 {
			in, out := float64(heard[i+len(sound)-1]), float64(heard[i-1])
			power = max(power+in*in-out*out, 0)
		}
		// What is next to silence is not compared: anything resembles it.
		if alike := dot / (norm * math.Sqrt(power+float64(len(sound)))); alike > likeness {
			at, likeness = i, alike
		}
	}
	return at, likeness, likeness >= chirpLikeness
}

// correlate gives the product of a sound with every stretch of heard, by way of their spectra.
func correlate(sound, heard []int16) []float64 {
	size := 1
	for size < len(sound)+len(heard) {
		size *= 2
	}
	a, b := spectrum(sound, size), spectrum(heard, size)
	for i := range a {
		a[i] = cmplx.Conj(b[i] * cmplx.Conj(a[i])) // the transform of the conjugate is the way back
	}
	transform(a)
	dots := make([]float64, len(heard)-len(sound)+1)
	for i := range dots {
		dots[i] = real(a[i]) / float64(size)
	}
	return dots
}

func spectrum(pcm []int16, size int) []complex128 {
	bins := make([]complex128, size)
	for i, v := range pcm {
		bins[i] = complex(float64(v), 0)
	}
	transform(bins)
	return bins
}

func energy(pcm []int16) float64 {
	sum := 0.0
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return sum
}
