package codec

import "math"

// g729Vector is a subframe that is searched with.
type g729Vector [g729Sub]float64

// dot is the inner product.
func (v *g729Vector) dot(w *g729Vector) (sum float64) {
	for i := range v {
		sum += v[i] * w[i]
	}
	return sum
}

// filtered is v convolved with an impulse response.
func (v *g729Vector) filtered(h *g729Vector) (y g729Vector) {
	for i, x := range v {
		if x == 0 {
			continue
		}
		for n := i; n < g729Sub; n++ {
			y[n] += x * h[n-i]
		}
	}
	return y
}

// backward is how much each place of an impulse would bring towards v.
func (v *g729Vector) backward(h *g729Vector) (d g729Vector) {
	for n := range d {
		for i := n; i < g729Sub; i++ {
			d[n] += v[i] * h[i-n]
		}
	}
	return d
}

// subframe finds a subframe's lag, pulses and gains, and does with them what the decoder will. It returns the lag's whole part.
func (e *g729Encoder) subframe(i int, wide *lpc, low, high int) int {
	at := g729Past + i*g729Sub
	var h, target g729Vector
	e.respond(wide, e.residual[i*g729Sub:], &h, &target)
	for n, v := range e.residual[i*g729Sub:][:g729Sub] { // stands in for what is not known yet, of lags shorter than a subframe
		e.exc[at+n] = int32(min(max(math.Round(v), -32768), 32767))
	}
	out := &e.frame.sub[i]
	lag := e.closeLag(&target, &h, i, low, high)
	if i == 0 {
		out.lag = lag.first()
	} else {
		out.lag = uint8(3*(lag.whole-low) + 2 + lag.third)
	}
	lag.predict(e.exc[:], at)
	var past g729Vector
	for n := range past {
		past[n] = float64(e.exc[at+n])
	}
	y := past.filtered(&h)
	gain := min(max(target.dot(&y)/(y.dot(&y)+0.01), 0), 1.2)
	tame := e.danger.near(lag)
	if tame {
		gain = min(gain, 0.95)
	}
	rest := target
	for n := range rest {
		rest[n] -= gain * y[n]
	}
	sharpened := h
	for n := lag.whole; n < g729Sub; n++ {
		sharpened[n] += float64(e.sharp) / 16384 * sharpened[n-lag.whole]
	}
	e.search.pulses(&rest, &sharpened, out)
	var code g729Code
	code.place(out.pulses, out.signs, lag.whole, e.sharp)
	var z g729Vector
	for n, v := range code {
		z[n] = float64(v) / 8192
	}
	z = z.filtered(&h)
	e.gains.choose(out, &code, &target, &y, &z, tame)
	adaptive, fixed := e.gains.decode(out, &code)
	e.sharp = min(max(adaptive, g729Dull), g729Sharp)
	code.excite(e.exc[at:], adaptive, fixed)
	e.danger.note(float64(adaptive)/16384, lag.whole)
	for n := range e.echo {
		from := g729Sub - g729Order + n
		e.echo[n] = target[from] - float64(adaptive)/16384*y[from] - float64(fixed)/2*z[from]
	}
	return lag.whole
}

// respond is the weighting filter's response to an impulse, and to the residual: the target (§A.3.5, §A.3.6).
func (e *g729Encoder) respond(wide *lpc, residual []float64, h, target *g729Vector) {
	for n := range h {
		sum, heard := 0.0, residual[n]
		if n == 0 {
			sum = 1
		}
		for k := 1; k <= g729Order; k++ {
			if n >= k {
				sum -= wide[k] * h[n-k]
				heard -= wide[k] * target[n-k]
			} else {
				heard -= wide[k] * e.echo[g729Order+n-k]
			}
		}
		h[n], target[n] = sum, heard
	}
}

// closeLag is the lag in a range whose excitation is most like what is needed (§A.3.7): whole first, then by thirds.
func (e *g729Encoder) closeLag(target, h *g729Vector, i, low, high int) g729Lag {
	at := g729Past + i*g729Sub
	d := target.backward(h)
	best, lag := math.Inf(-1), g729Lag{low, 0}
	for whole := low; whole <= high; whole++ {
		sum := 0.0
		for n, v := range d {
			sum += v * float64(e.exc[at+n-whole])
		}
		if sum > best {
			best, lag.whole = sum, whole
		}
	}
	if i == 0 && lag.whole > 84 {
		return lag
	}
	kept := e.exc
	best = math.Inf(-1)
	found := lag
	for _, third := range [3]int{0, -1, 1} {
		l := g729Lag{lag.whole, third}
		l.predict(e.exc[:], at)
		sum := 0.0
		for n, v := range d {
			sum += v * float64(e.exc[at+n])
		}
		if sum > best {
			best, found = sum, l
		}
		copy(e.exc[at:at+g729Sub], kept[at:at+g729Sub])
	}
	return found
}

// first is the index of a first subframe's lag (§3.7.2).
func (l g729Lag) first() uint8 {
	if i := 3*l.whole - 58 + l.third; i < 197 {
		return uint8(i)
	}
	return uint8(l.whole + 112)
}

// choose is the pair of gains that comes nearest to the target (§3.9.2): all 128 are tried.
func (g *g729Gains) choose(out *g729Excitation, code *g729Code, target, y, z *g729Vector, tame bool) {
	foretold, n := g.foretell(code)
	scale := math.Ldexp(float64(foretold), -n)
	yy, zz, yz, xy, xz := y.dot(y), z.dot(z), y.dot(z), target.dot(y), target.dot(z)
	best := math.Inf(1)
	for a := range g729GainA {
		for b := range g729GainB {
			p := (float64(g729GainA[a][0]) + float64(g729GainB[b][0])) / 16384
			if tame && p >= 0.94 {
				continue
			}
			q := (float64(g729GainA[a][1]) + float64(g729GainB[b][1])) / 8192 * scale
			if off := p*p*yy + q*q*zz + 2*(p*q*yz-p*xy-q*xz); off < best {
				best, out.gain, out.b = off, uint8(a), uint8(b)
			}
		}
	}
}

// g729Danger estimates how far an error in the excitation, as a lost packet leaves it, could have grown by the adaptive codebook's
// gains (the recommendation's taming): newest 40 samples first.
type g729Danger [4]float64

func newG729Danger() g729Danger { return g729Danger{1, 1, 1, 1} }

// near says whether it could be too far where a lag reaches to.
func (d *g729Danger) near(l g729Lag) bool {
	from := l.whole - g729Sub - 10
	if l.third > 0 {
		from++
	}
	worst := 0.0
	for zone := max(from, 0) / g729Sub; zone <= (from+58)/g729Sub; zone++ {
		worst = max(worst, d[zone])
	}
	return worst > 60000
}

// note reckons with a gain at a lag.
func (d *g729Danger) note(gain float64, lag int) {
	worst := 0.0
	if lag < g729Sub {
		once := 1 + gain*d[0]
		worst = max(once, 1+gain*once)
	} else {
		for zone := (lag - g729Sub) / g729Sub; zone <= (lag-1)/g729Sub; zone++ {
			worst = max(worst, 1+gain*d[zone])
		}
	}
	d[3], d[2], d[1], d[0] = d[2], d[1], d[0], worst
}
