package codec

// g722Band is the adaptive predictor and quantiser of one sub-band, which coder and decoder keep alike (G.722 §6.2.1.3 to §6.2.1.4,
// §6.2.2.3 to §6.2.2.4; the names of the blocks are the Recommendation's).
type g722Band struct {
	estimate int32 // s: what the next sample is foretold to be
	step     int32 // DET: step size
	logStep  int32 // NB: its logarithm

	reconstructed [2]int32 // r: last signals
	partial       [2]int32 // p: last signals without the poles' part
	difference    [6]int32 // d: last quantised differences
	poles         [2]int32 // a
	zeros         [6]int32 // b
	zeroPart      int32    // sz: the zeros' part of estimate
}

// adapt takes a quantised difference signal into the predictor (block 4).
func (b *g722Band) adapt(difference int32) {
	reconstructed := saturate(b.estimate + difference) // RECONS
	partial := saturate(difference + b.zeroPart)       // PARREC

	// UPPOL2, UPPOL1: the poles follow the signs of the partial signals.
	slope := min(-towards(saturate(b.poles[0]<<2), partial, b.partial[0]), 32767)
	second := towards(128, partial, b.partial[1]) + slope>>7 + scaled(b.poles[1], 32512)
	second = min(max(second, -12288), 12288)
	limit := 15360 - second
	first := towards(192, partial, b.partial[0]) + scaled(b.poles[0], 32640)
	first = min(max(first, -limit), limit)

	// UPZERO, DELAYA and FILTEZ in one: each zero follows the sign of its difference, which is then a sample older.
	gain := int32(128)
	if difference == 0 {
		gain = 0
	}
	sum, newer := int32(0), difference
	for i, older := range b.difference {
		zero := towards(gain, difference, older) + scaled(b.zeros[i], 32640)
		sum = saturate(sum + scaled(saturate(newer<<1), zero))
		b.zeros[i], b.difference[i], newer = zero, newer, older
	}

	// FILTEP, PREDIC.
	poles := saturate(scaled(saturate(reconstructed<<1), first) + scaled(saturate(b.reconstructed[0]<<1), second))
	b.reconstructed[0], b.reconstructed[1] = reconstructed, b.reconstructed[0]
	b.partial[0], b.partial[1] = partial, b.partial[0]
	b.poles[0], b.poles[1] = first, second
	b.zeroPart = sum
	b.estimate = saturate(poles + sum)
}

// towards is v when two signals have the same sign, else -v. Signs are as good as random: a branch would be foretold wrongly.
func towards(v, a, b int32) int32 {
	opposite := (a ^ b) >> 31
	return v ^ opposite - opposite
}

// scaleLow adapts the lower band's step to the four bits of a code that all modes have (LOGSCL, SCALEL).
func (b *g722Band) scaleLow(code uint8) {
	b.logStep = min(max(scaled(b.logStep, 127<<8)+g722LowLog[code], 0), 18432)
	b.step = g722Linear(b.logStep, 8)
}

// scaleHigh adapts the higher band's step (LOGSCH, SCALEH).
func (b *g722Band) scaleHigh(code uint8) {
	b.logStep = min(max(scaled(b.logStep, 127<<8)+g722HighLog[code], 0), 22528)
	b.step = g722Linear(b.logStep, 10)
}

// g722Linear is the inverse of the logarithm that step sizes are adapted in.
func g722Linear(log int32, scale int32) int32 {
	v, shift := g722Exponential[log>>6&31], scale-log>>11
	if shift < 0 {
		return v << -shift << 2
	}
	return v >> shift << 2
}

// g722QuantiseLow codes a difference with six bits (QUANTL).
func g722QuantiseLow(difference, step int32) uint8 {
	magnitude := difference
	if difference < 0 {
		magnitude = ^difference
	}
	low, high := 0, len(g722Decision) // the first decision level above magnitude, or the last index
	for low < high {
		middle := (low + high) / 2
		if magnitude < g722Decision[middle]*step>>12 {
			high = middle
		} else {
			low = middle + 1
		}
	}
	if difference >= 0 {
		return uint8(61 - low)
	}
	if low < 2 {
		return uint8(63 - low)
	}
	return uint8(33 - low)
}

// g722QuantiseHigh codes a difference with two bits (QUANTH).
func g722QuantiseHigh(difference, step int32) uint8 {
	code, magnitude := uint8(3), difference
	if difference < 0 {
		code, magnitude = 1, ^difference
	}
	if magnitude >= 564*step>>12 {
		code--
	}
	return code
}

// g722Filter is a quadrature mirror filter: of the coder, or of the decoder (G.722 §3.1, §4.4). It remembers the twelve last inputs of
// each of its two phases, twice, so that they always lie in a row.
type g722Filter struct {
	even, odd [2 * g722Taps]int32
	at        int // the oldest of them
}

// push takes the next input of each phase and filters both.
func (f *g722Filter) push(even, odd int32) (a, b int32) {
	f.even[f.at], f.even[f.at+g722Taps] = even, even
	f.odd[f.at], f.odd[f.at+g722Taps] = odd, odd
	if f.at++; f.at == g722Taps {
		f.at = 0
	}
	x, y := (*[g722Taps]int32)(f.even[f.at:]), (*[g722Taps]int32)(f.odd[f.at:])
	for i, c := range g722Mirror {
		a += x[i] * c
		b += y[g722Taps-1-i] * c
	}
	return a, b
}

// split halves the band of two samples.
func (f *g722Filter) split(first, second int32) (low, high int32) {
	a, b := f.push(first, second)
	return min(max((a+b)>>14, -16384), 16383), min(max((b-a)>>14, -16384), 16383)
}

// join makes two samples of the two bands.
func (f *g722Filter) join(low, high int32) (first, second int16) {
	a, b := f.push(low+high, low-high)
	return int16(saturate(b >> 11)), int16(saturate(a >> 11))
}

// g722Taps is how many coefficients each phase of the filter has.
const g722Taps = 12

// Tables of G.722 §5.2 and §6.2.
var (
	// g722Mirror are the even coefficients of the filter, in units of 2⁻¹³; the odd ones are the same backwards.
	g722Mirror = [g722Taps]int32{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11}
	// g722Decision are Q6, the decision levels of the lower band.
	g722Decision = [29]int32{35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219,
		1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919}
	// g722Low4, g722Low6 and g722High2 are QQ4, QQ6 and QQ2, the output values of the quantisers.
	g722Low4 = [16]int32{0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0}
	g722Low6 = [64]int32{-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
		-7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728, 24808,
		21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576,
		3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136}
	g722High2 = [4]int32{-7408, -1616, 7408, 1616}
	// g722LowLog and g722HighLog are WL by RL4 and WH by RH2: how the logarithm of a step size moves with each code.
	g722LowLog  = [16]int32{-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60}
	g722HighLog = [4]int32{798, -214, 798, -214}
	// g722Exponential is ILB: 2^(11 + i/32).
	g722Exponential = [32]int32{2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
		2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008}
)
