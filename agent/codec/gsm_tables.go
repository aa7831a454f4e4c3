package codec

// Tables 5.1 to 5.6 of EN 300 961.
var (
	gsmLARFactor    = [8]int32{20480, 20480, 20480, 20480, 13964, 15360, 8534, 9036}        // A
	gsmLAROffset    = [8]int32{0, 0, 2048, -2560, 94, -1792, -341, -1144}                   // B
	gsmLARLowest    = [8]int32{-32, -32, -16, -16, -8, -8, -4, -4}                          // MIC; MAC is its complement
	gsmLARInverse   = [8]int32{13107, 13107, 13107, 13107, 19223, 17476, 31454, 29708}      // 1/A
	gsmGainLevel    = [4]int32{6554, 16384, 26214, 32767}                                   // DLB, decision levels
	gsmGain         = [4]int32{3277, 11469, 21299, 32767}                                   // QLB
	gsmWeighting    = [11]int32{-134, -374, 0, 2054, 5741, 8192, 5741, 2054, 0, -374, -134} // H, in units of 2⁻¹³
	gsmPulseInverse = [8]int32{29128, 26215, 23832, 21846, 20165, 18725, 17476, 16384}      // NRFAC
	gsmPulseFactor  = [8]int32{18431, 20479, 22527, 24575, 26623, 28671, 30719, 32767}      // FAC
)

// gsmStretch are the parts of a frame, by their ends, in which the filter moves from the last frame's to this one's (§5.2.9.1).
var gsmStretch = [4]int{13, 27, 40, gsmSamples}

// gsmRatios decodes log-area ratios (§5.2.8).
func gsmRatios(coded *[8]uint8) (ratios [8]int32) {
	for i, c := range coded {
		v := saturate((int32(c)+gsmLARLowest[i])<<10 - gsmLAROffset[i]<<1)
		v = rounded(v, gsmLARInverse[i])
		ratios[i] = saturate(v + v)
	}
	return ratios
}

// gsmReflection are the reflection coefficients of a stretch of a frame, interpolated between the ratios of the frame before and
// of this one (§5.2.9).
func gsmReflection(stretch int, before, now *[8]int32) (r [8]int32) {
	for i, b := range before {
		n := now[i]
		var ratio int32
		switch stretch {
		case 0:
			ratio = saturate(saturate(b>>2+n>>2) + b>>1)
		case 1:
			ratio = saturate(b>>1 + n>>1)
		case 2:
			ratio = saturate(saturate(b>>2+n>>2) + n>>1)
		default:
			ratio = n
		}
		v := min(max(ratio, -ratio), 32767)
		switch {
		case v < 11059:
			v <<= 1
		case v < 20070:
			v += 11059
		default:
			v = saturate(v>>2 + 26112)
		}
		if ratio < 0 {
			v = -v
		}
		r[i] = v
	}
	return r
}

// gsmAmplitude splits a coded block amplitude into exponent and mantissa (§5.2.15).
func gsmAmplitude(coded uint8) (exponent, mantissa int32) {
	mantissa = int32(coded)
	if coded > 15 {
		exponent = int32(coded>>3) - 1
		mantissa -= exponent << 3
	}
	if mantissa == 0 {
		return -4, 7
	}
	for mantissa <= 7 {
		mantissa = mantissa<<1 | 1
		exponent--
	}
	return exponent, mantissa - 8
}

// gsmUnquantise puts the pulses of a subframe back on their grid (§5.2.16, §5.2.17).
func gsmUnquantise(e *gsmExcitation, out *[gsmSubframe]int32) {
	exponent, mantissa := gsmAmplitude(e.peak)
	factor, shift := gsmPulseFactor[mantissa], 6-exponent
	half := int32(1) << shift >> 1
	*out = [gsmSubframe]int32{}
	for i, p := range e.pulses {
		v := rounded((int32(p)<<1-7)<<12, factor)
		out[int(e.grid)+3*i] = saturate(v+half) >> shift
	}
}
