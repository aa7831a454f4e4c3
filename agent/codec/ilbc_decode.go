package codec

import "math"

// ilbcWork is room to decode a frame's residual in: an encoder does it too, to know what its decoder will know.
type ilbcWork struct {
	memory   [ilbcMemory]float64 // residual the codebook is made from, newest last
	filtered [ilbcMemory]float64
	vector   [ilbcSub]float64
}

// decode makes a frame's residual: the scalar part of the start state, then the rest of its 80 samples, then the sub-frames after it, and, in
// reversed time, those before it (RFC 3951 §4.1 to §4.3).
func (w *ilbcWork) decode(m *ilbcMode, f *ilbcFrame, filters *[ilbcMaxSub]lpc, residual *[ilbcMax]float64) {
	p := m.places()
	start, first := f[p.start], f[p.first] == 1
	at := m.startOf(start, first)
	ilbcStartState(residual[at:at+m.scalar], f[p.scale], f[p.samples:], &filters[start-1])
	w.extra(m, residual, at, first)
	n := ilbcState - m.scalar
	rest := w.vector[:n]
	w.construct(rest, ilbcShort, f[p.extra:], f[p.extraGain:])
	ilbcPlace(residual, at, m.scalar, rest, first)
	for b := range m.subframes - 2 {
		w.block(m, residual, start, b)
		var index [ilbcStages]int
		copy(index[:], f[p.index+ilbcStages*b:])
		if b == 0 {
			index[1], index[2] = ilbcLengthen(index[1]), ilbcLengthen(index[2])
		}
		w.construct(w.vector[:], ilbcMemory, index[:], f[p.gain+ilbcStages*b:])
		m.placeBlock(residual, start, b, w.vector[:])
	}
}

// startOf is where the scalar part of the start state begins.
func (m *ilbcMode) startOf(start int, first bool) int {
	at := (start - 1) * ilbcSub
	if !first {
		at += ilbcState - m.scalar
	}
	return at
}

// ilbcPlace puts the rest of the start state behind the scalar part or, in reversed time, before it.
func ilbcPlace(residual *[ilbcMax]float64, at, scalar int, rest []float64, first bool) {
	if first {
		copy(residual[at+scalar:], rest)
		return
	}
	for k, v := range rest {
		residual[at-1-k] = v
	}
}

// extra fills the memory for the rest of the start state from its scalar part at a place.
func (w *ilbcWork) extra(m *ilbcMode, residual *[ilbcMax]float64, at int, first bool) {
	clear(w.memory[:])
	if first {
		copy(w.memory[ilbcMemory-m.scalar:], residual[at:at+m.scalar])
		return
	}
	for k, v := range residual[at : at+m.scalar] {
		w.memory[ilbcMemory-1-k] = v
	}
}

// block fills the memory for the b-th of the sub-frames beside the start state: those after it come first.
func (w *ilbcWork) block(m *ilbcMode, residual *[ilbcMax]float64, start, b int) {
	clear(w.memory[:])
	after := m.subframes - start - 1
	if b < after {
		end := (start + 1 + b) * ilbcSub
		known := residual[(start-1)*ilbcSub : end]
		known = known[max(0, len(known)-ilbcMemory):]
		copy(w.memory[ilbcMemory-len(known):], known)
		return
	}
	end := m.subframes * ilbcSub
	from := (start - 1 - (b - after)) * ilbcSub
	for k, v := range residual[from:min(end, from+ilbcMemory)] {
		w.memory[ilbcMemory-1-k] = v
	}
}

// placeBlock puts the b-th sub-frame where it belongs.
func (m *ilbcMode) placeBlock(residual *[ilbcMax]float64, start, b int, v []float64) {
	after := m.subframes - start - 1
	if b < after {
		copy(residual[(start+1+b)*ilbcSub:], v)
		return
	}
	end := (start - 1 - (b - after)) * ilbcSub
	for k, x := range v {
		residual[end-1-k] = x
	}
}

// ilbcStartState decodes the scalar part of the start state: levels, scaled, in reversed time through the all-pass filter of the first of its
// sub-frames, around in a circle (RFC 3951 §4.2).
func ilbcStartState(out []float64, scale int, levels []int, a *lpc) {
	var in [2 * ilbcState]float64
	n := len(out)
	amplitude := math.Pow(10, ilbcStateMax[scale]) / 4.5
	for k := range n {
		in[k] = amplitude * ilbcStateLevels[levels[n-1-k]]
	}
	ilbcAllPass(in[:2*n], a)
	for k := range n {
		out[k] = in[n-1-k] + in[2*n-1-k]
	}
}

// ilbcAllPass filters in place by A's reversed coefficients over A.
func ilbcAllPass(x []float64, a *lpc) {
	var past, made [ilbcOrder]float64 // newest first
	for n, v := range x {
		y := a[ilbcOrder] * v
		for k := range ilbcOrder {
			y += a[ilbcOrder-1-k]*past[k] - a[k+1]*made[k]
		}
		copy(past[1:], past[:])
		copy(made[1:], made[:])
		past[0], made[0], x[n] = v, y, y
	}
}

// construct makes a vector from three stages of the codebook over the newest size samples of the memory (RFC 3951 §4.4, §4.5).
func (w *ilbcWork) construct(out []float64, size int, index, gains []int) {
	memory := w.memory[ilbcMemory-size:]
	filtered := w.filtered[:size]
	ilbcFilterBook(filtered, memory)
	clear(out)
	var part [ilbcSub]float64
	gain := 1.0
	for stage := range ilbcStages {
		gain = ilbcGain(stage, gains[stage], gain)
		ilbcVector(part[:len(out)], memory, filtered, index[stage])
		for k, v := range part[:len(out)] {
			out[k] += gain * v
		}
	}
}

// ilbcGain is a stage's gain by its index and the gain of the stage before.
func ilbcGain(stage, index int, before float64) float64 {
	return ilbcGains(stage)[index] * max(math.Abs(before), 0.1)
}

func ilbcGains(stage int) []float64 {
	switch stage {
	case 0:
		return ilbcGain5[:]
	case 1:
		return ilbcGain4[:]
	}
	return ilbcGain3[:]
}

// ilbcFilterBook makes the second half of the codebook from the memory.
func ilbcFilterBook(out, memory []float64) {
	const taps = len(ilbcBookFilter)
	for k := range out {
		sum := 0.0
		for j := range taps {
			if at := k + j - (taps/2 - 1); at >= 0 && at < len(memory) {
				sum += ilbcBookFilter[taps-1-j] * memory[at]
			}
		}
		out[k] = sum
	}
}

// ilbcBook is how many vectors of n samples each half of the codebook over size samples has, and how many of them are plain.
func ilbcBook(size, n int) (all, plain int) {
	plain = size - n + 1
	if all = plain; n == ilbcSub {
		all += ilbcSub / 2
	}
	return all, plain
}

// ilbcVector is a vector of the codebook: a stretch of the memory, or one of its end that repeats with a short lag, from the memory or, in the second
// half, from the filtered memory.
func ilbcVector(out, memory, filtered []float64, index int) {
	n := len(out)
	all, plain := ilbcBook(len(memory), n)
	source := memory
	if index >= all {
		source, index = filtered, min(index-all, all-1)
	}
	if index < plain {
		copy(out, source[len(source)-index-n:])
		return
	}
	lag := n/2 + index - plain // 20 to 39
	end, twice := len(source)-lag, len(source)-2*lag
	copy(out[:lag-5], source[end:])
	for j := lag - 5; j < lag; j++ {
		alpha := 0.2 * float64(j-(lag-5))
		out[j] = (1-alpha)*source[end+j] + alpha*source[twice+j]
	}
	copy(out[lag:], source[twice+lag:])
}
