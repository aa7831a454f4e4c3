package codec

import "math"

// quantize finds the indices of line spectral frequencies in radians (§3.2.4): with each predictor, the nearest first stage, then both halves
// of the second, weighted by how much neighbours that are close to each other tell.
func (s *g729Spectrum) quantize(lines *[g729Order]float64, f *g729Frame) {
	weights := g729Weights(lines)
	nearest := math.Inf(1)
	for mode := range g729Predictors {
		target := s.target(lines, mode)
		first := g729Nearest(&target)
		own := g729Trial{target: target, first: first, weights: weights}
		lower := own.half(0, 0)
		upper := own.half(lower, g729Order/2)
		if d := own.distance(lower, upper, mode); d < nearest {
			nearest = d
			f.mode, f.first, f.lower, f.upper = uint8(mode), uint8(first), uint8(lower), uint8(upper)
		}
	}
}

// g729Weights are the weights of frequencies: the closer their neighbours, the more they matter.
func g729Weights(lines *[g729Order]float64) (w [g729Order]float64) {
	for i := range w {
		below, above := 0.04*math.Pi, 0.92*math.Pi
		if i > 0 {
			below = lines[i-1]
		}
		if i < g729Order-1 {
			above = lines[i+1]
		}
		w[i] = 1
		if gap := above - below - 1; gap < 0 {
			w[i] += 10 * gap * gap
		}
	}
	w[4] *= 1.2
	w[5] *= 1.2
	return w
}

// target is what a frame's own part should be, in units of 2⁻¹³.
func (s *g729Spectrum) target(lines *[g729Order]float64, mode int) (own [g729Order]float64) {
	p := &g729Predictors[mode]
	for i, v := range lines {
		v *= 8192
		for k := range s.past {
			v -= float64(s.past[k][i]) * float64(p.past[k][i]) / 32768
		}
		own[i] = v * 32768 / float64(p.now[i])
	}
	return own
}

// g729Nearest is the first stage's vector nearest to the target.
func g729Nearest(target *[g729Order]float64) int {
	nearest, at := math.Inf(1), 0
	for i := range g729First {
		d := 0.0
		for k, v := range target {
			off := v - float64(g729First[i][k])
			d += off * off
		}
		if d < nearest {
			nearest, at = d, i
		}
	}
	return at
}

// g729Trial is the search of the second stage under one first.
type g729Trial struct {
	target, weights [g729Order]float64
	first           int
}

// half finds the second stage's vector for the five frequencies from one on.
func (t *g729Trial) half(lower, from int) int {
	nearest, at := math.Inf(1), 0
	for i := range g729Second {
		l := i
		if from > 0 {
			l = lower
		}
		own := g729Sum(t.first, l, i)
		d := 0.0
		for k := from; k < from+g729Order/2; k++ {
			off := t.target[k] - float64(own[k])
			d += t.weights[k] * off * off
		}
		if d < nearest {
			nearest, at = d, i
		}
	}
	return at
}

// distance is how far off the whole is that the decoder will hear.
func (t *g729Trial) distance(lower, upper, mode int) (d float64) {
	own := g729Sum(t.first, lower, upper)
	own.spread(10)
	own.spread(5)
	for k, v := range own {
		off := (t.target[k] - float64(v)) * float64(g729Predictors[mode].now[k]) / 32768
		d += t.weights[k] * off * off
	}
	return d
}
