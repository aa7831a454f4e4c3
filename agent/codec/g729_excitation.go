package codec

// The excitation of G.729's filters: what was heard a lag ago (the adaptive codebook), four pulses (the fixed one), and their gains.
// Excitation is in units of 1, pulses in 2⁻¹³, the adaptive gain in 2⁻¹⁴, the fixed one in 2⁻¹.

type g729Code [g729Sub]int32

// g729Lag is a pitch lag in samples and thirds, -1..1, of one.
type g729Lag struct{ whole, third int }

// firstLag is the lag that 8 bits name (§4.1.3).
func (e *g729Excitation) firstLag() g729Lag {
	i := int(e.lag)
	if i >= 197 {
		return g729Lag{i - 112, 0}
	}
	whole := (i+2)/3 + 19
	return g729Lag{whole, i - 3*whole + 58}
}

// secondLag is the lag that 5 bits name: near the first subframe's.
func (e *g729Excitation) secondLag(first int) g729Lag {
	i := int(e.lag)
	step := (i+2)/3 - 1
	return g729Lag{g729Window(first) + step, i - 2 - 3*step}
}

// g729Window is the shortest of the ten lags that the second subframe can have.
func g729Window(first int) int { return min(max(first-5, g729MinLag), g729MaxLag-9) }

// predict writes the past excitation, lag ago, into a subframe at exc[at:] (§3.7.1).
func (l g729Lag) predict(exc []int32, at int) {
	from, third := at-l.whole, -l.third
	if third < 0 {
		third, from = third+3, from-1
	}
	for n := range g729Sub {
		acc := int32(0)
		for i := range 10 {
			acc = mac(acc, exc[from+n-i], int32(g729Interpolator[third+3*i]))
			acc = mac(acc, exc[from+n+1+i], int32(g729Interpolator[3-third+3*i]))
		}
		exc[at+n] = upper(acc)
	}
}

// place puts the four pulses where they belong (§4.1.4), and repeats them at the lag with the gain of the subframe before (§3.8).
func (c *g729Code) place(pulses uint16, signs uint8, lag int, sharpness int32) {
	*c = g729Code{}
	at := [4]int{int(pulses&7) * 5, int(pulses>>3&7)*5 + 1, int(pulses>>6&7)*5 + 2, int(pulses>>10&7)*5 + 3 + int(pulses>>9&1)}
	for i, p := range at {
		c[p] = -8192
		if signs>>i&1 == 1 {
			c[p] = 8191
		}
	}
	for i := lag; i < g729Sub; i++ {
		c[i] = saturate(c[i] + scaled(c[i-lag], 2*sharpness))
	}
}

// g729Gains remembers how far the fixed codebook's gain was off what was foretold in the last four subframes, in dB and units of 2⁻¹⁰.
type g729Gains [4]int32

const g729Quiet = -14 << 10

func newG729Gains() g729Gains { return g729Gains{g729Quiet, g729Quiet, g729Quiet, g729Quiet} }

// foretell is the fixed codebook's gain that the last subframes and the code's own energy let expect (§3.9.1), in units of 2⁻ⁿ.
func (g *g729Gains) foretell(c *g729Code) (gain int32, n int) {
	energy := int32(0)
	for _, v := range c {
		energy = mac(energy, v, v)
	}
	whole, rest := log2(energy)
	const perOctave, mean = -24660, 32588 // -3.0103 dB; 36 dB, and what the units make of it
	acc := clamp32(2*int64(whole)*perOctave + 2*int64(scaled(rest, perOctave)))
	acc = shl(mac(acc, mean, 32), 10)
	for i, k := range [...]int32{5571, 4751, 2785, 1556} {
		acc = mac(acc, g[i], k)
	}
	const octaves = 5439 // 1/(20·log₁₀2)
	exponent := mac(0, acc>>16, octaves) >> 8
	return pow2(14, exponent>>1&0x7fff), 14 - int(exponent>>16)
}

// decode is the two gains that the indices name; the prediction goes on from there.
func (g *g729Gains) decode(e *g729Excitation, c *g729Code) (adaptive, fixed int32) {
	a, b := &g729GainA[e.gain], &g729GainB[e.b]
	foretold, n := g.foretell(c)
	correction := int32(a[1]) + int32(b[1])
	fixed = shl(mac(0, correction>>1, foretold), 4-n) >> 16
	whole, rest := log2(correction)
	off := shl((whole-13)<<16+2*rest, 13) >> 16
	g.push(scaled(off, 24660))
	return saturate(int32(a[0]) + int32(b[0])), fixed
}

// lose is for subframes that did not come: their correction is the mean of the last, less 4 dB.
func (g *g729Gains) lose() {
	g.push(max((g[0]+g[1]+g[2]+g[3])>>2-4<<10, g729Quiet))
}

func (g *g729Gains) push(off int32) { g[3], g[2], g[1], g[0] = g[2], g[1], g[0], off }

// excite adds both codebooks, whose adaptive part stands in exc.
func (c *g729Code) excite(exc []int32, adaptive, fixed int32) {
	for i, v := range c {
		exc[i] = upper(shl(mac(mac(0, exc[i], adaptive), v, fixed), 1))
	}
}
