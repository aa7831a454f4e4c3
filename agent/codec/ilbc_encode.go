package codec

import (
	"fmt"
	"math"
	"sort"
)

const (
	ilbcLookback = 60  // samples before a frame that its analysis sees
	ilbcMaxGain  = 1.3 // of a codebook vector
)

// ilbcEncoder codes frames of one length.
type ilbcEncoder struct {
	mode        *ilbcMode
	high        biquad
	speech      [ilbcLookback + ilbcMax]float64 // high-passed, newest last
	past        [ilbcOrder]float64              // inputs of the analysis filter, newest last
	frequencies [ilbcOrder]float64              // of the last frame
	quantized   [ilbcOrder]float64

	frame      ilbcFrame
	filters    [ilbcMaxSub]lpc // of the decoder
	weights    [ilbcMaxSub]lpc // denominators of the perceptual weighting
	residual   [ilbcMax]float64
	decoded    [ilbcMax]float64
	work       ilbcWork
	candidates [256][ilbcSub]float64
	energies   [256]float64
}

func newILBCEncoder(f Format) Encoder {
	e := &ilbcEncoder{mode: ilbcOf(f.Params)}
	e.high = biquad{b: [3]float64{0.92727436, -1.8544941, 0.92727436}, a: [2]float64{-1.9059465, 0.9114024}}
	copy(e.frequencies[:], ilbcLSFMean[:])
	copy(e.quantized[:], ilbcLSFMean[:])
	return e
}

func (*ilbcEncoder) Rate() int           { return ilbcRate }
func (e *ilbcEncoder) FrameSamples() int { return e.mode.samples() }

func (e *ilbcEncoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	n := e.mode.samples()
	if len(pcm)%n != 0 {
		return dst, fmt.Errorf("%d samples are no iLBC frames of %d", len(pcm), n)
	}
	for ; len(pcm) > 0; pcm = pcm[n:] {
		e.analyse(pcm[:n])
		e.code()
		dst = e.mode.pack(dst, &e.frame)
	}
	return dst, nil
}

// analyse finds the frame's filters and the residual they leave (RFC 3951 §3.2, §3.3).
func (e *ilbcEncoder) analyse(pcm []int16) {
	m, n := e.mode, len(pcm)
	copy(e.speech[:], e.speech[n:])
	fresh := e.speech[len(e.speech)-n:]
	for i, v := range pcm {
		fresh[i] = e.high.next(float64(v))
	}
	var sets, coded [2][ilbcOrder]float64
	for s := range m.sets {
		window, from := &ilbcLateWindow, ilbcLookback
		if s < m.sets-1 {
			window, from = &ilbcWindow, 0
		}
		e.spectrum(&sets[s], window, e.speech[from:from+ilbcMax])
		e.quantize(&coded[s], &sets[s], s)
		separate(&coded[s])
	}
	m.interpolate(&e.frequencies, &sets, &e.weights)
	m.interpolate(&e.quantized, &coded, &e.filters)
	for s := range m.subframes {
		e.weights[s] = e.weights[s].widened(0.4222)
	}
	for i, v := range fresh {
		a, sum := &e.filters[i/ilbcSub], v
		for k := range ilbcOrder {
			sum += a[k+1] * e.past[ilbcOrder-1-k]
		}
		copy(e.past[:], e.past[1:])
		e.past[ilbcOrder-1], e.residual[i] = v, sum
	}
}

// spectrum finds line spectral frequencies; those of the last frame where there are none.
func (e *ilbcEncoder) spectrum(set *[ilbcOrder]float64, window *[ilbcMax]float64, x []float64) {
	var windowed [ilbcMax]float64
	for i, v := range x {
		windowed[i] = v * window[i]
	}
	var r [ilbcOrder + 1]float64
	for lag := range r {
		for i, v := range windowed[lag:] {
			r[lag] += v * windowed[i]
		}
		r[lag] *= ilbcLagWindow[lag]
	}
	var a lpc
	a.fromCorrelation(&r)
	a = a.widened(0.9025)
	var c [ilbcOrder]float64
	if !a.cosines(&c) {
		*set = e.frequencies
		return
	}
	for i, v := range c {
		set[i] = math.Acos(v)
	}
}

// quantize takes the nearest vectors of the three codebooks.
func (e *ilbcEncoder) quantize(coded, set *[ilbcOrder]float64, s int) {
	at, book := 0, ilbcLSFBook[:]
	for split, dim := range [...]int{3, 3, 4} {
		size := 128
		if split == 0 {
			size = 64
		}
		best, bestAt := math.Inf(1), 0
		for i := range size {
			sum := 0.0
			for k := range dim {
				d := set[at+k] - book[dim*i+k]
				sum += d * d
			}
			if sum < best {
				best, bestAt = sum, i
			}
		}
		e.frame[3*s+split] = bestAt
		copy(coded[at:at+dim], book[dim*bestAt:])
		at, book = at+dim, book[dim*size:]
	}
}

// code finds the frame's parameters for the residual, and decodes them on the way (RFC 3951 §3.4 to §3.6).
func (e *ilbcEncoder) code() {
	m, f := e.mode, &e.frame
	p := m.places()
	start := e.loudest()
	first := power(e.residual[(start-1)*ilbcSub:][:m.scalar]) > power(e.residual[(start-1)*ilbcSub+ilbcState-m.scalar:][:m.scalar])
	f[p.start], f[p.first] = start, 0
	if first {
		f[p.first] = 1
	}
	at := m.startOf(start, first)
	e.startState(at, start, first, p)
	ilbcStartState(e.decoded[at:at+m.scalar], f[p.scale], f[p.samples:], &e.filters[start-1])

	n := ilbcState - m.scalar
	var target [ilbcSub]float64
	weight := &e.weights[start]
	if first {
		copy(target[:n], e.residual[at+m.scalar:])
	} else {
		weight = &e.weights[start-1]
		for k := range n {
			target[k] = e.residual[at-1-k]
		}
	}
	e.work.extra(m, &e.decoded, at, first)
	e.search(target[:n], ilbcShort, weight, f[p.extra:p.extra+ilbcStages], f[p.extraGain:], false)
	e.work.construct(e.work.vector[:n], ilbcShort, f[p.extra:], f[p.extraGain:])
	ilbcPlace(&e.decoded, at, m.scalar, e.work.vector[:n], first)
	for b := range m.subframes - 2 {
		e.block(start, b, p)
	}
}

// block codes a sub-frame beside the start state.
func (e *ilbcEncoder) block(start, b int, p ilbcPlaces) {
	m, f := e.mode, &e.frame
	var target [ilbcSub]float64
	var weight *lpc
	if after := m.subframes - start - 1; b < after {
		copy(target[:], e.residual[(start+1+b)*ilbcSub:])
		weight = &e.weights[start+1+b]
	} else {
		sub := start - 2 - (b - after)
		for k := range target {
			target[k] = e.residual[(sub+1)*ilbcSub-1-k]
		}
		weight = &e.weights[sub]
	}
	e.work.block(m, &e.decoded, start, b)
	index, gain := f[p.index+ilbcStages*b:][:ilbcStages], f[p.gain+ilbcStages*b:]
	e.search(target[:], ilbcMemory, weight, index, gain, b == 0)
	e.work.construct(e.work.vector[:], ilbcMemory, index, gain)
	m.placeBlock(&e.decoded, start, b, e.work.vector[:])
	if b == 0 {
		index[1], index[2] = ilbcShorten(index[1]), ilbcShorten(index[2])
	}
}

func power(x []float64) (sum float64) {
	for _, v := range x {
		sum += v * v
	}
	return sum
}

// loudest is the first of the two sub-frames with the most residual, counted from 1; the middle of the frame is preferred, and so
// are samples that are not at the edge (RFC 3951 §3.5.1).
func (e *ilbcEncoder) loudest() int {
	prefer := [...]float64{0.8, 0.9, 1, 0.9, 0.8}
	skip := 0
	if e.mode == ilbc20 {
		skip = 1
	}
	best, bestAt := -1.0, 1
	for n := 1; n < e.mode.subframes; n++ {
		sum := 0.0
		pair := e.residual[(n-1)*ilbcSub:][:ilbcState]
		for i, v := range pair {
			edge := min(i, ilbcState-1-i)
			sum += v * v * min(float64(edge+1)/6, 1)
		}
		if sum *= prefer[n-1+skip]; sum > best {
			best, bestAt = sum, n
		}
	}
	return bestAt
}

// startState codes the scalar part of the start state: an all-pass filter evens it out, then every sample is quantized with the error of those before
// it shaped by the weighting filter (RFC 3951 §3.5.2, §3.5.3).
func (e *ilbcEncoder) startState(at, start int, first bool, p ilbcPlaces) {
	n := e.mode.scalar
	var x [2 * ilbcState]float64
	copy(x[:n], e.residual[at:at+n])
	ilbcAllPass(x[:2*n], &e.filters[start-1])
	largest := 0.0
	for k := range n {
		x[k] += x[k+n]
		largest = max(largest, math.Abs(x[k]))
	}
	scale := nearest(ilbcStateMax[:], math.Log10(max(largest, 10)))
	e.frame[p.scale] = scale
	gain := 4.5 / math.Pow(10, ilbcStateMax[scale])
	change := ilbcSub // where the second sub-frame begins
	if !first {
		change = n - ilbcSub
	}
	var wanted, made [ilbcOrder]float64 // outputs of the weighting filter, newest first
	for k := range n {
		w := &e.weights[start-1]
		if k >= change {
			w = &e.weights[start]
		}
		target, predicted := gain*x[k], 0.0
		for i := range ilbcOrder {
			target -= w[i+1] * wanted[i]
			predicted -= w[i+1] * made[i]
		}
		level := nearest(ilbcStateLevels[:], target-predicted)
		e.frame[p.samples+k] = level
		copy(wanted[1:], wanted[:])
		copy(made[1:], made[:])
		wanted[0], made[0] = target, predicted+ilbcStateLevels[level]
	}
}

// nearest is the index of the value of a rising table that is nearest to x.
func nearest(table []float64, x float64) int {
	i := sort.SearchFloat64s(table, x)
	if i > 0 && (i == len(table) || x-table[i-1] <= table[i]-x) {
		i--
	}
	return i
}

// search finds three vectors of the codebook, and their gains, whose sum comes nearest to a target, both heard through the
// weighting filter. short says that the later stages can name a part of the codebook only (RFC 3951 §3.6).
func (e *ilbcEncoder) search(target []float64, size int, weight *lpc, index, gains []int, short bool) {
	n := len(target)
	var heard [ilbcMemory + ilbcSub]float64
	copy(heard[:], e.work.memory[ilbcMemory-size:])
	copy(heard[size:], target)
	for i := range heard[:size+n] {
		for k := 1; k <= min(i, ilbcOrder); k++ {
			heard[i] -= weight[k] * heard[i-k]
		}
	}
	half, _ := ilbcBook(size, n)
	ilbcFilterBook(e.work.filtered[:size], heard[:size])
	for i := range 2 * half {
		ilbcVector(e.candidates[i][:n], heard[:size], e.work.filtered[:size], i)
		e.energies[i] = power(e.candidates[i][:n])
	}
	left := heard[size : size+n]
	loud := power(left)
	gain := 1.0
	var sum [ilbcSub]float64
	firstGain := 0.0
	for stage := range ilbcStages {
		best, wanted := e.nearestVector(left, 2*half, stage, short && stage > 0)
		index[stage] = best
		before := gain
		gains[stage], gain = ilbcNearestGain(stage, wanted, before)
		if stage == 0 {
			firstGain = gain
		}
		for k, v := range e.candidates[best][:n] {
			left[k] -= gain * v
			sum[k] += gain * v
		}
	}
	// As loud as the target, if the first gain may grow for it (RFC 3951 §3.7).
	made, chosen := power(sum[:n]), gains[0]
	for i := gains[0]; i < len(ilbcGain5); i++ {
		if made*ilbcGain5[i]*ilbcGain5[i] < loud*firstGain*firstGain && ilbcGain5[chosen] < 2*firstGain {
			chosen = i
		}
	}
	gains[0] = chosen
}

// nearestVector is the candidate that explains most of what is left, and the gain it wants.
func (e *ilbcEncoder) nearestVector(left []float64, count, stage int, short bool) (best int, gain float64) {
	most := math.Inf(-1)
	for i := range count {
		if short && ilbcLengthen(ilbcShorten(i)) != i || e.energies[i] <= 0 {
			continue
		}
		cross := 0.0
		for k, v := range e.candidates[i][:len(left)] {
			cross += v * left[k]
		}
		g := cross / e.energies[i]
		if stage == 0 && cross <= 0 || math.Abs(g) >= ilbcMaxGain {
			continue
		}
		if cross*g > most {
			most, best, gain = cross*g, i, g
		}
	}
	return best, gain
}

// ilbcNearestGain is the index of the nearest gain a stage can have, and that gain.
func ilbcNearestGain(stage int, wanted, before float64) (index int, gain float64) {
	best := math.Inf(1)
	for i := range ilbcGains(stage) {
		g := ilbcGain(stage, i, before)
		if d := math.Abs(wanted - g); d < best {
			best, index, gain = d, i, g
		}
	}
	return index, gain
}
