package codec

import "math"

// lpc are the coefficients of a linear predictor of order 10, A(z) = 1 + Σ a[k]·z⁻ᵏ.
type lpc [lpcOrder + 1]float64

const lpcOrder = 10

// fromFrequencies makes the filter of line spectral frequencies in radians. What is out of the band, or out of order, is spread evenly.
func (a *lpc) fromFrequencies(w *[lpcOrder]float64) {
	if w[0] <= 0 || w[lpcOrder-1] >= math.Pi {
		low, high := w[0], w[lpcOrder-1]
		if low <= 0 {
			low = 2 * math.Pi * 0.022
		}
		if high >= math.Pi {
			high = 2 * math.Pi * 0.499
		}
		for i := range w {
			w[i] = low + (high-low)*float64(i)/(lpcOrder-1)
		}
	}
	var c [lpcOrder]float64
	for i, v := range w {
		c[i] = math.Cos(v)
	}
	a.fromCosines(&c)
}

// fromCosines makes the filter of the cosines of line spectral frequencies: the mean of the symmetric and the antisymmetric
// polynomial whose roots they are.
func (a *lpc) fromCosines(c *[lpcOrder]float64) {
	p, q := [lpcOrder + 2]float64{1, 1}, [lpcOrder + 2]float64{1, -1}
	for i := 0; i < lpcOrder; i += 2 {
		p = timesRoots(p, c[i])
		q = timesRoots(q, c[i+1])
	}
	for k := range a {
		a[k] = (p[k] + q[k]) / 2
	}
}

// timesRoots multiplies a polynomial by 1 - 2c·z⁻¹ + z⁻².
func timesRoots(p [lpcOrder + 2]float64, c float64) [lpcOrder + 2]float64 {
	for k := lpcOrder + 1; k >= 2; k-- {
		p[k] += p[k-2] - 2*c*p[k-1]
	}
	p[1] -= 2 * c * p[0]
	return p
}

// widened is A(z/g): with g below 1, resonances are wider.
func (a *lpc) widened(g float64) lpc {
	out, f := *a, g
	for k := 1; k < len(a); k++ {
		out[k] *= f
		f *= g
	}
	return out
}

// fromCorrelation solves for the predictor by Levinson's and Durbin's recursion.
func (a *lpc) fromCorrelation(r *[lpcOrder + 1]float64) {
	*a = lpc{1}
	if r[0] <= 0 {
		return
	}
	left := r[0]
	for m := 1; m <= lpcOrder; m++ {
		sum := r[m]
		for i := 1; i < m; i++ {
			sum += a[i] * r[m-i]
		}
		k := -sum / left
		next := *a
		for i := 1; i < m; i++ {
			next[i] = a[i] + k*a[m-i]
		}
		next[m] = k
		*a = next
		if left *= 1 - k*k; left <= 0 {
			return
		}
	}
}

// cosines are the cosines of the line spectral frequencies, in rising order of frequency; false when not all are found, which happens
// to filters at the brink of stability. They are found where the polynomials of fromCosines, as functions on the upper half of the unit circle,
// change their sign; their roots interlace.
func (a *lpc) cosines(c *[lpcOrder]float64) bool {
	const half = lpcOrder / 2
	var f [2][half + 1]float64 // without the roots at ±1
	for k := range half + 1 {
		f[0][k], f[1][k] = a[k]+aAt(a, lpcOrder+1-k), a[k]-aAt(a, lpcOrder+1-k)
		if k > 0 {
			f[0][k] -= f[0][k-1]
			f[1][k] += f[1][k-1]
		}
	}
	const steps = 100
	found, at := 0, 1.0
	value := chebyshev(&f[0], at)
	for s := 1; s <= steps && found < lpcOrder; s++ {
		to := math.Cos(math.Pi * float64(s) / steps)
		for found < lpcOrder {
			next := chebyshev(&f[found&1], to)
			if value*next > 0 {
				value = next
				break
			}
			low, high := at, to // the sign changes between
			for range 24 {
				middle := (low + high) / 2
				if v := chebyshev(&f[found&1], middle); v*value > 0 {
					low = middle
				} else {
					high = middle
				}
			}
			c[found] = (low + high) / 2
			at = c[found]
			if found++; found < lpcOrder {
				value = chebyshev(&f[found&1], at)
			}
		}
		at = to
	}
	return found == lpcOrder
}

func aAt(a *lpc, k int) float64 {
	if k > lpcOrder {
		return 0
	}
	return a[k]
}

// chebyshev is the value of a symmetric polynomial of degree 10 at the frequency with cosine x.
func chebyshev(f *[lpcOrder/2 + 1]float64, x float64) float64 {
	const half = lpcOrder / 2
	b1, b2 := 0.0, 0.0
	for k := range half {
		b1, b2 = 2*x*b1-b2+f[k], b1
	}
	return x*b1 - b2 + f[half]/2
}

// biquad is a filter of second order: zeros b, poles a (without the leading 1).
type biquad struct {
	b      [3]float64
	a      [2]float64
	x1, x2 float64
	y1, y2 float64
}

func (q *biquad) next(x float64) float64 {
	y := q.b[0]*x + q.b[1]*q.x1 + q.b[2]*q.x2 - q.a[0]*q.y1 - q.a[1]*q.y2
	q.x2, q.x1, q.y2, q.y1 = q.x1, x, q.y1, y
	return y
}
