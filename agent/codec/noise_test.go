package codec

import (
	"math"
	"testing"
)

func rmsOf(pcm []int16) float64 {
	sum := 0.
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(pcm)))
}

// Noise has the level it is described with, whatever its spectrum, and that spectrum.
func TestNoiseIsAsDescribed(t *testing.T) {
	for says, c := range map[string]struct {
		payload  []byte
		level    float64 // dBov; 0 = silence
		neighbor float64 // correlation of samples that follow each other: -k of a single coefficient
	}{
		"a level alone":                     {[]byte{50}, -50, 0},
		"a quiet one":                       {[]byte{70}, -70, 0},
		"the first bit set":                 {[]byte{0x80 | 50}, -50, 0},
		"more low than high":                {[]byte{45, 127 - 64}, -45, 0.504},
		"more high than low":                {[]byte{45, 127 + 64}, -45, -0.504},
		"a coefficient of nothing":          {[]byte{45, 127, 127, 127}, -45, 0},
		"nothing":                           {nil, 0, 0},
		"silence":                           {[]byte{127, 200}, 0, 0},
		"as loud as can be: it is taken in": {[]byte{0}, -30, 0},
		"more coefficients than are taken":  {append([]byte{40}, make([]byte, 300)...), -40, math.NaN()},
	} {
		var g Noise
		g.Describe(c.payload)
		pcm := g.Append(nil, 40000)
		level := rmsOf(pcm)
		if c.level == 0 {
			if level != 0 {
				t.Errorf("%s: %.1f", says, level)
			}
			continue
		}
		product := 0.
		for i := range pcm[1:] {
			product += float64(pcm[i]) * float64(pcm[i+1])
		}
		neighbor := product / float64(len(pcm)) / (level * level)
		// Poles next to the unit circle, in the last row, make the level of a finite stretch a matter of luck.
		if db := 20 * math.Log10(level/overload); math.IsNaN(c.neighbor) {
			if db > -20 {
				t.Errorf("%s: %.1f dBov", says, db)
			}
		} else if math.Abs(db-c.level) > 0.3 || math.Abs(neighbor-c.neighbor) > 0.03 {
			t.Errorf("%s: %.2f dBov, neighbours correlate by %.2f; want %g, %g", says, db, neighbor, c.level, c.neighbor)
		}
	}
}

func TestNoiseAllocatesNothing(t *testing.T) {
	var g Noise
	pcm := make([]int16, 0, 160)
	if n := testing.AllocsPerRun(100, func() {
		g.Describe([]byte{60, 100, 140})
		pcm = g.Append(pcm[:0], 160)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// FuzzNoise describes noise by anything.
func FuzzNoise(f *testing.F) {
	f.Add([]byte{60, 0, 255}, []byte{40})
	f.Add([]byte{}, []byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var g Noise
		for _, p := range [][]byte{first, second} {
			g.Describe(p)
			if n := len(g.Append(nil, 1000)); n != 1000 {
				t.Fatal(n)
			}
			if math.IsNaN(g.backward[0]) || math.IsInf(g.backward[0], 0) {
				t.Fatalf("%v", g)
			}
		}
	})
}
