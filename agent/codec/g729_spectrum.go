package codec

// The spectral envelope of a frame of G.729: line spectral frequencies (§3.2.4), in units of 2⁻¹³ radians, and the filters made of
// their cosines (§3.2.5, §3.2.6), in units of 2⁻¹².

type (
	g729Lines  [g729Order]int32
	g729Filter [g729Order + 1]int32
)

// g729Predictor foretells the frequencies of a frame from the four before it.
type g729Predictor struct {
	past    [4][g729Order]int16
	now     [g729Order]int16 // what is left for the frame's own
	inverse [g729Order]int16 // 1/now, in units of 2⁻¹²
}

// g729Spectrum remembers what the predictors need; encoder and decoder keep the same.
type g729Spectrum struct {
	past [4]g729Lines // the last frames' own parts, newest first
	last g729Lines    // the frequencies of the last frame that came
	mode int          // its predictor
}

func newG729Spectrum() g729Spectrum {
	start := g729Lines{2339, 4679, 7018, 9358, 11698, 14037, 16377, 18717, 21056, 23396}
	return g729Spectrum{past: [4]g729Lines{start, start, start, start}, last: start}
}

// decode is the frequencies that the three indices name.
func (s *g729Spectrum) decode(f *g729Frame) g729Lines {
	own := g729Sum(int(f.first), int(f.lower), int(f.upper))
	own.spread(10)
	own.spread(5)
	p := &g729Predictors[f.mode]
	lines := s.compose(&own, &p.past, &p.now)
	s.last, s.mode = lines, int(f.mode)
	return lines
}

// repeat is the last frequencies again, for a lost frame; the predictor goes on as if they had been sent.
func (s *g729Spectrum) repeat() g729Lines {
	own := s.own(&s.last, s.mode)
	s.push(&own)
	return s.last
}

// own is what a frame must add to what is foretold for it to have these frequencies.
func (s *g729Spectrum) own(lines *g729Lines, mode int) (own g729Lines) {
	p := &g729Predictors[mode]
	for i, v := range lines {
		acc := v << 16
		for k := range s.past {
			acc = msu(acc, s.past[k][i], int32(p.past[k][i]))
		}
		own[i] = shl(mac(0, acc>>16, int32(p.inverse[i])), 3) >> 16
	}
	return own
}

// g729Sum is the two-stage codebook's vector.
func g729Sum(first, lower, upper int) (own g729Lines) {
	for i := range own {
		second := lower
		if i >= g729Order/2 {
			second = upper
		}
		own[i] = int32(g729First[first][i]) + int32(g729Second[second][i])
	}
	return own
}

// spread moves neighbours apart that are closer than a gap.
func (l *g729Lines) spread(gap int32) {
	for i := 1; i < g729Order; i++ {
		if push := (l[i-1] - l[i] + gap) >> 1; push > 0 {
			l[i-1] -= push
			l[i] += push
		}
	}
}

// compose adds what is foretold to the frame's own part, remembers that, and keeps the filter stable.
func (s *g729Spectrum) compose(own *g729Lines, past *[4][g729Order]int16, now *[g729Order]int16) g729Lines {
	var lines g729Lines
	for i := range lines {
		acc := mac(0, own[i], int32(now[i]))
		for k := range s.past {
			acc = mac(acc, s.past[k][i], int32(past[k][i]))
		}
		lines[i] = acc >> 16
	}
	s.push(own)
	lines.stabilize()
	return lines
}

func (s *g729Spectrum) push(own *g729Lines) {
	s.past[3], s.past[2], s.past[1], s.past[0] = s.past[2], s.past[1], s.past[0], *own
}

// stabilize orders the frequencies, keeps them 0.0391 apart and inside of 0.005 and 3.135.
func (l *g729Lines) stabilize() {
	const lowest, apart, highest = 40, 321, 25681
	for i := range l[:g729Order-1] {
		if l[i+1] < l[i] {
			l[i], l[i+1] = l[i+1], l[i]
		}
	}
	l[0] = max(l[0], lowest)
	for i := range l[:g729Order-1] {
		l[i+1] = max(l[i+1], l[i]+apart)
	}
	l[g729Order-1] = min(l[g729Order-1], highest)
}

// cosines of the frequencies, in units of 2⁻¹⁵.
func (l *g729Lines) cosines() (c g729Lines) {
	for i, v := range l {
		x := scaled(v, 20861) // 2/π: 256 for each row of the table
		row := min(x>>8, 63)
		c[i] = saturate(int32(g729Cosine[row]) + 2*int32(g729Slope[row])*(x&0xff)>>13)
	}
	return c
}

// interpolated are the filters of a frame's two subframes: the first one half-way from the frame before, by their cosines.
func (c *g729Lines) interpolated(before *g729Lines) (filters [2]g729Filter) {
	var middle g729Lines
	for i := range middle {
		middle[i] = c[i]>>1 + before[i]>>1
	}
	return [2]g729Filter{middle.filter(), c.filter()}
}

// filter is A(z) of the cosines: the mean of two polynomials, whose roots they are in turn.
func (c *g729Lines) filter() (a g729Filter) {
	p, q := c.polynomial(0), c.polynomial(1)
	for i := g729Order / 2; i > 0; i-- {
		p[i] = clamp32(int64(p[i]) + int64(p[i-1]))
		q[i] = clamp32(int64(q[i]) - int64(q[i-1]))
	}
	a[0] = 4096
	for i := 1; i <= g729Order/2; i++ {
		sum, difference := clamp32(int64(p[i])+int64(q[i])), clamp32(int64(p[i])-int64(q[i]))
		a[i] = int32(int16((sum>>12 + 1) >> 1))
		a[g729Order+1-i] = int32(int16((difference>>12 + 1) >> 1))
	}
	return a
}

// polynomial multiplies 1 - 2c·z⁻¹ + z⁻² over every second cosine; of the symmetric result, the first half, in units of 2⁻²⁴.
func (c *g729Lines) polynomial(from int) (f [g729Order/2 + 1]int32) {
	f[0] = 1 << 24
	f[1] = msu(0, c[from], 512)
	for i := 2; i <= g729Order/2; i++ {
		x := c[from+2*(i-1)]
		f[i] = f[i-2] // it is symmetric, as it was
		for j := i; j > 1; j-- {
			f[j] = clamp32(int64(f[j]) + int64(f[j-2]))
			f[j] = clamp32(int64(f[j]) - int64(shl(longTimes(f[j-1], x), 1)))
		}
		f[1] = msu(f[1], x, 512)
	}
	return f
}

// weighted is A(z/g), with g in units of 2⁻¹⁵.
func (a *g729Filter) weighted(g int32) (w g729Filter) {
	w[0] = a[0]
	factor := g
	for i := 1; i < g729Order; i++ {
		w[i] = upper(mac(0, a[i], factor))
		factor = upper(mac(0, factor, g))
	}
	w[g729Order] = upper(mac(0, a[g729Order], factor))
	return w
}

// residual filters x, which has ten samples of the past before it, by A(z).
func (a *g729Filter) residual(y, x []int32) {
	for n := range y {
		acc := mac(0, x[n+g729Order], a[0])
		for k := 1; k <= g729Order; k++ {
			acc = mac(acc, a[k], x[n+g729Order-k])
		}
		y[n] = upper(shl(acc, 3))
	}
}

// synthesize filters x by 1/A(z) into y, with the last ten outputs before it in memory; false when a sample does not fit.
func (a *g729Filter) synthesize(y, x []int32, memory *g729Lines) bool {
	var work [g729Order + g729Sub]int32
	copy(work[:], memory[:])
	fits := true
	for n := range y {
		past := work[n : n+g729Order+1]
		acc := 2 * int64(x[n]) * int64(a[0])
		for k := 1; k <= g729Order; k++ {
			acc -= 2 * int64(a[k]) * int64(past[g729Order-k])
			if int64(int32(acc)) != acc {
				acc, fits = int64(clamp32(acc)), false
			}
		}
		acc <<= 3
		if acc+1<<15 > 1<<31-1 || acc < -1<<31 {
			fits = false
		}
		past[g729Order] = upper(clamp32(acc))
	}
	copy(y, work[g729Order:])
	return fits
}
