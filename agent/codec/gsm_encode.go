package codec

import "math/bits"

// gsmAnalysis turns speech into parameters to transmit (EN 300 961 §5.2).
type gsmAnalysis struct {
	before    int32                           // last input of the offset compensation
	offset    int32                           // its state, in units of 2⁻¹⁵
	emphasis  int32                           // last input of the pre-emphasis
	ratios    [8]int32                        // log-area ratios of the frame before, as the receiver has them
	lattice   [8]int32                        // of the short-term analysis filter
	past      [gsmLongest + gsmSubframe]int32 // short-term residual as the receiver has it: the past, then the subframe
	signal    [gsmSamples]int32
	weighting [gsmSubframe + 10]int32 // long-term residual between five zeros on either side
}

func (g *gsmAnalysis) encode(pcm *[gsmSamples]int16, f *gsmFrame) {
	g.prepare(pcm)
	f.lar = gsmCode(gsmSchur(g.correlate()))
	ratios, from := gsmRatios(&f.lar), 0
	for i, until := range gsmStretch {
		g.whiten(gsmReflection(i, &g.ratios, &ratios), g.signal[from:until])
		from = until
	}
	g.ratios = ratios
	for i := range f.sub {
		g.excite((*[gsmSubframe]int32)(g.signal[i*gsmSubframe:]), &f.sub[i])
	}
}

// prepare scales the input to 13 bits, takes its offset away and emphasises high frequencies (§5.2.1 to §5.2.3).
func (g *gsmAnalysis) prepare(pcm *[gsmSamples]int16) {
	for k, v := range pcm {
		in := int32(v) >> 3 << 2
		high, low := g.offset>>15, g.offset&0x7fff
		sum := int64(in-g.before)<<15 + int64(rounded(low, 32735)) + int64(high*32735)
		g.before, g.offset = in, saturateLong(sum)
		level := saturateLong(int64(g.offset)+1<<14) >> 15
		g.signal[k] = saturate(level + rounded(g.emphasis, -28180))
		g.emphasis = level
	}
}

// saturateLong is the nearest 32-bit value.
func saturateLong(v int64) int32 { return int32(min(max(v, -1<<31), 1<<31-1)) }

// correlate is the autocorrelation of the signal, which it leaves with the bits that scaling cost (§5.2.4).
func (g *gsmAnalysis) correlate() (acf [9]int32) {
	scale := 4 - gsmHeadroom(&g.signal)
	if scale > 0 {
		for k, v := range g.signal {
			g.signal[k] = rounded(v, 16384>>(scale-1))
		}
	}
	s := &g.signal
	for lag := range acf {
		sum := int32(0)
		for k := lag; k < gsmSamples; k++ {
			sum += s[k] * s[k-lag]
		}
		acf[lag] = sum << 1
	}
	if scale > 0 {
		for k, v := range g.signal {
			g.signal[k] = int32(int16(v << scale))
		}
	}
	return acf
}

// gsmHeadroom is by how many bits a frame could be shifted left; 4 for silence.
func gsmHeadroom(s *[gsmSamples]int32) int {
	peak := gsmPeak(s[:])
	if peak == 0 {
		return 4
	}
	return bits.LeadingZeros16(uint16(peak)) - 1
}

// gsmPeak is the largest magnitude.
func gsmPeak(s []int32) int32 {
	peak := int32(0)
	for _, v := range s {
		peak = max(peak, v, -v)
	}
	return min(peak, 32767)
}

// gsmSchur finds the reflection coefficients by Schur's recursion (§5.2.5).
func gsmSchur(acf [9]int32) (r [8]int32) {
	if acf[0] == 0 {
		return r
	}
	shift := bits.LeadingZeros32(uint32(acf[0])) - 1
	var p, k [9]int32
	for i, v := range acf {
		p[i] = v << shift >> 16
	}
	k = p
	for n := range r {
		magnitude := min(max(p[1], -p[1]), 32767)
		if p[0] < magnitude {
			return r
		}
		if magnitude > 0 {
			r[n] = min(magnitude<<15/p[0], 32767)
		}
		if p[1] > 0 {
			r[n] = -r[n]
		}
		p[0] = saturate(p[0] + rounded(p[1], r[n]))
		for m := 1; m < 8-n; m++ {
			next := p[m+1]
			p[m] = saturate(next + rounded(k[m], r[n]))
			k[m] = saturate(k[m] + rounded(next, r[n]))
		}
	}
	return r
}

// gsmCode turns reflection coefficients into coded log-area ratios (§5.2.6, §5.2.7).
func gsmCode(r [8]int32) (coded [8]uint8) {
	for i, v := range r {
		ratio := min(max(v, -v), 32767)
		switch {
		case ratio < 22118:
			ratio >>= 1
		case ratio < 31130:
			ratio -= 11059
		default:
			ratio = (ratio - 26112) << 2
		}
		if v < 0 {
			ratio = -ratio
		}
		c := saturate(saturate(scaled(ratio, gsmLARFactor[i])+gsmLAROffset[i])+256) >> 9
		lowest := gsmLARLowest[i]
		coded[i] = uint8(min(max(c, lowest), -lowest-1) - lowest)
	}
	return coded
}

// whiten is the short-term analysis filter, in place (§5.2.10).
func (g *gsmAnalysis) whiten(r [8]int32, signal []int32) {
	u := &g.lattice
	for k, d := range signal {
		carried := d
		for i, c := range r {
			held := u[i]
			u[i] = carried
			carried = saturate(held + rounded(d, c))
			d = saturate(d + rounded(held, c))
		}
		signal[k] = d
	}
}

// excite codes the short-term residual of a subframe: what can be foretold from the past, then pulses (§5.2.11 to §5.2.18).
func (g *gsmAnalysis) excite(d *[gsmSubframe]int32, e *gsmExcitation) {
	g.predict(d, e)
	foretold := (*[gsmSubframe]int32)(g.past[gsmLongest-int(e.lag):])
	gain := gsmGain[e.gain]
	for k, v := range d {
		g.weighting[5+k] = saturate(v - rounded(foretold[k], gain))
	}
	gsmPulse(&g.weighting, e)

	var pulses [gsmSubframe]int32
	gsmUnquantise(e, &pulses)
	for k, p := range pulses {
		g.past[gsmLongest+k] = saturate(p + rounded(foretold[k], gain))
	}
	copy(g.past[:], g.past[gsmSubframe:])
}

// predict finds lag and gain of the long-term predictor (§5.2.11).
func (g *gsmAnalysis) predict(d *[gsmSubframe]int32, e *gsmExcitation) {
	scale := 0
	if peak := gsmPeak(d[:]); peak > 0 {
		scale = max(6-(bits.LeadingZeros16(uint16(peak))-1), 0)
	}
	var w [gsmSubframe]int32
	for k, v := range d {
		w[k] = v >> scale
	}
	best := int32(0)
	e.lag, e.gain = gsmSubframe, 0
	for lag := gsmSubframe; lag <= gsmLongest; lag++ {
		earlier, sum := (*[gsmSubframe]int32)(g.past[gsmLongest-lag:]), int32(0)
		for k, v := range w {
			sum += v * earlier[k]
		}
		if sum > best {
			best, e.lag = sum, uint8(lag)
		}
	}
	best = best << 1 >> (6 - scale)
	power := int32(0)
	for _, v := range (*[gsmSubframe]int32)(g.past[gsmLongest-int(e.lag):]) {
		power += (v >> 3) * (v >> 3)
	}
	power <<= 1
	switch {
	case best <= 0:
		return
	case best >= power:
		e.gain = 3
		return
	}
	shift := bits.LeadingZeros32(uint32(power)) - 1
	best, power = best<<shift>>16, power<<shift>>16
	for e.gain < 3 && best > scaled(power, gsmGainLevel[e.gain]) {
		e.gain++
	}
}

// gsmPulse codes a long-term residual, which lies between zeros, as thirteen pulses on the best of four grids (§5.2.13 to §5.2.15).
func gsmPulse(residual *[gsmSubframe + 10]int32, e *gsmExcitation) {
	var x [gsmSubframe]int32
	for k := range x {
		sum := int32(1 << 12)
		for i, h := range gsmWeighting {
			sum += residual[k+i] * h
		}
		x[k] = saturate(sum >> 13)
	}
	most := int32(0)
	e.grid = 0
	for grid := range 4 {
		energy := int32(0)
		for i := range gsmPulses {
			v := x[grid+3*i] >> 2
			energy += v * v
		}
		if energy > most {
			most, e.grid = energy, uint8(grid)
		}
	}
	peak := int32(0)
	for i := range gsmPulses {
		v := x[int(e.grid)+3*i]
		peak = max(peak, v, -v)
	}
	e.peak = gsmLogarithm(min(peak, 32767))
	exponent, mantissa := gsmAmplitude(e.peak)
	shift, inverse := 6-exponent, gsmPulseInverse[mantissa]
	for i := range e.pulses {
		v := int32(int16(x[int(e.grid)+3*i] << shift))
		e.pulses[i] = uint8(scaled(v, inverse)>>12 + 4)
	}
}

// gsmLogarithm codes a block amplitude with six bits.
func gsmLogarithm(peak int32) uint8 {
	exponent := min(bits.Len32(uint32(peak>>9)), 6)
	return uint8(peak>>(exponent+5) + int32(exponent)<<3)
}
