package codec

import "math"

// NoisePT is the payload type of comfort noise at an RTP clock of 8000 Hz, which needs no rtpmap (RFC 3389 §4).
const NoisePT = 13

const (
	mostNoiseOrder = 12 // coefficients taken of a description; more make no noise more comfortable
	overload       = 32767
	loudestNoise   = 30 // -dBov: what is louder is no background, whoever says it
)

// Noise makes comfort noise of what a silence description says of it: a level, and the shape of its spectrum (RFC 3389 §3). The zero
// value is silence. It allocates nothing.
type Noise struct {
	seed       uint32
	gain       float64 // of white noise between -1 and 1
	order      int
	reflection [mostNoiseOrder]float64
	backward   [mostNoiseOrder + 1]float64 // of the lattice
}

// Describe takes a payload. One that is empty says nothing, and changes nothing.
func (g *Noise) Describe(payload []byte) {
	if len(payload) == 0 {
		return
	}
	level := max(int(payload[0]&0x7f), loudestNoise) // "the most significant bit of the packet MUST be 0": it is not looked at
	order := min(len(payload)-1, mostNoiseOrder)
	if order != g.order {
		g.backward = [mostNoiseOrder + 1]float64{}
	}
	g.order = order
	power := 1. // of the filter's input for an output of 1
	for i := range order {
		// Between -1 and 1 in steps of 258/32768, 127 being 0 (§3.2); as the ends would ring for ever, they are left out.
		k := min(max((float64(payload[1+i])-127)*258/32768, -0.98), 0.98)
		g.reflection[i] = k
		power *= 1 - k*k
	}
	if level == 127 {
		power = 0
	}
	rms := overload * math.Pow(10, -float64(level)/20)
	g.gain = rms * math.Sqrt(3*power) // white noise between -1 and 1 has a power of 1/3
}

// Append makes n samples. The spectrum is that of 8000 Hz at whatever rate they are played.
func (g *Noise) Append(dst []int16, n int) []int16 {
	for range n {
		if g.gain == 0 {
			dst = append(dst, 0)
			continue
		}
		g.seed = g.seed*1664525 + 1013904223 // of Numerical Recipes: enough for the ear
		dst = append(dst, int16(math.RoundToEven(min(max(g.shape(g.gain*float64(int32(g.seed))/(1<<31)), -overload), overload))))
	}
	return dst
}

// shape is the synthesis lattice of the reflection coefficients: all poles.
func (g *Noise) shape(f float64) float64 {
	for i := g.order - 1; i >= 0; i-- {
		f -= g.reflection[i] * g.backward[i]
		g.backward[i+1] = g.backward[i] + g.reflection[i]*f
	}
	g.backward[0] = f
	return f
}
