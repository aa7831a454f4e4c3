package codec

import (
	"fmt"
	"math"
)

// The internet Low Bit Rate Codec (RFC 3951) and its RTP payload (RFC 3952): 13.33 kbit/s in frames of 30 ms, 15.2 kbit/s in frames of
// 20 ms. Every frame can be decoded without the ones before it, but for its spectrum's first part. Floating point, as the RFC's own.
// The RFC's enhancer, a post-filter that costs 5 or 10 ms of delay, is left out.

// ilbcImpairment is what operators' planning tables give iLBC; G.113 Appendix I has no row for it.
var ilbcImpairment = Impairment{Ie: 11, Bpl: 32}

const (
	ilbcNumber = 102
	ilbcRate   = 8000
	ilbcOrder  = 10  // of linear prediction
	ilbcSub    = 40  // samples of a sub-frame
	ilbcState  = 80  // samples of the two sub-frames that hold the start state
	ilbcMemory = 147 // samples of residual the codebook is made from
	ilbcShort  = 85  // as many for the rest of the start state
	ilbcStages = 3
	ilbcMaxSub = 6
	ilbcMax    = ilbcMaxSub * ilbcSub // samples of a frame
)

// ilbcMode is what differs between frames of 20 and 30 ms.
type ilbcMode struct {
	ms, subframes, bytes int
	sets                 int       // of line spectral frequencies
	scalar               int       // samples of the start state that are coded one by one
	weights              []float64 // of the earlier set of frequencies in each sub-frame
	fields               []ilbcField
}

// ilbcField says how many bits of a parameter go into each of the three classes of sensitivity (RFC 3951 table 3.2).
type ilbcField [3]uint8

// Places of parameters among an ilbcFrame's; what depends on the mode follows them.
type ilbcPlaces struct{ lsf, start, first, scale, samples, extra, extraGain, index, gain int }

func (m *ilbcMode) places() ilbcPlaces {
	lsf := 3 * m.sets
	extra := lsf + 3 + m.scalar
	blocks := m.subframes - 2
	return ilbcPlaces{0, lsf, lsf + 1, lsf + 2, lsf + 3, extra, extra + 3, extra + 6, extra + 6 + 3*blocks}
}

// ilbcFrame are the parameters of a frame in the order they are sent.
type ilbcFrame [97]int

var ilbc20, ilbc30 = ilbcMode20(), ilbcMode30()

func ilbcMode20() *ilbcMode {
	m := &ilbcMode{ms: 20, subframes: 4, bytes: 38, sets: 1, scalar: 57, weights: []float64{3. / 4, 2. / 4, 1. / 4, 0}}
	m.layout([]ilbcField{{2}, {1}, {6}}, []ilbcField{
		{6, 0, 1}, {0, 0, 7}, {0, 0, 7}, {2, 0, 3}, {1, 1, 2}, {0, 0, 3},
		{7, 0, 1}, {0, 0, 7}, {0, 0, 7}, {0, 0, 8}, {0, 0, 8}, {0, 0, 8},
		{1, 2, 2}, {1, 1, 2}, {0, 0, 3}, {1, 1, 3}, {0, 2, 2}, {0, 0, 3},
	})
	return m
}

func ilbcMode30() *ilbcMode {
	m := &ilbcMode{ms: 30, subframes: 6, bytes: 50, sets: 2, scalar: 58, weights: []float64{1. / 2, 1, 2. / 3, 1. / 3, 0, 0}}
	m.layout([]ilbcField{{3}, {1}, {6}}, []ilbcField{
		{4, 2, 1}, {0, 0, 7}, {0, 0, 7}, {1, 1, 3}, {1, 1, 2}, {0, 0, 3},
		{6, 1, 1}, {0, 0, 7}, {0, 0, 7}, {0, 7, 1}, {0, 0, 8}, {0, 0, 8}, {0, 7, 1}, {0, 0, 8}, {0, 0, 8}, {0, 7, 1}, {0, 0, 8}, {0, 0, 8},
		{1, 2, 2}, {1, 2, 1}, {0, 0, 3}, {0, 2, 3}, {0, 2, 2}, {0, 0, 3}, {0, 1, 4}, {0, 1, 3}, {0, 0, 3}, {0, 1, 4}, {0, 1, 3}, {0, 0, 3},
	})
	return m
}

// layout lines the parameters' bits up: frequencies, where the start state is, its samples, and the codebooks'.
func (m *ilbcMode) layout(state, books []ilbcField) {
	for range m.sets {
		m.fields = append(m.fields, ilbcField{6}, ilbcField{7}, ilbcField{7})
	}
	m.fields = append(m.fields, state...)
	for range m.scalar {
		m.fields = append(m.fields, ilbcField{0, 1, 2})
	}
	m.fields = append(m.fields, books...)
}

// samples of a frame.
func (m *ilbcMode) samples() int { return m.subframes * ilbcSub }

// pack appends a frame: class by class, the most significant bits of each parameter first, and a last bit that says "not empty".
func (m *ilbcMode) pack(dst []byte, f *ilbcFrame) []byte {
	var acc uint32
	held := 0
	for class := range 3 {
		for i, field := range m.fields {
			width, below := int(field[class]), 0
			for _, w := range field[class+1:] {
				below += int(w)
			}
			acc = acc<<width | uint32(f[i]>>below)&(1<<width-1)
			for held += width; held >= 8; held -= 8 {
				dst = append(dst, byte(acc>>(held-8)))
			}
		}
	}
	return append(dst, byte(acc<<(8-held)))
}

// unpack reads a frame; false when it is marked as empty or cannot be.
func (m *ilbcMode) unpack(b []byte, f *ilbcFrame) bool {
	clear(f[:])
	at := 0
	for class := range 3 {
		for i, field := range m.fields {
			for range field[class] {
				f[i] = f[i]<<1 | int(b[at/8]>>(7-at%8)&1)
				at++
			}
		}
	}
	start := f[m.places().start]
	return b[at/8]>>(7-at%8)&1 == 0 && start >= 1 && start < m.subframes
}

// The first sub-frame's later stages have seven bits for what others have eight for: parts of the codebook are left out (RFC 3951 §3.6.3).
func ilbcShorten(index int) int {
	switch {
	case index >= 236:
		return index - 128
	case index >= 108:
		return index - 64
	}
	return index
}

func ilbcLengthen(index int) int {
	switch {
	case index >= 108:
		return index + 128
	case index >= 44:
		return index + 64
	}
	return index
}

// ilbcAgree is the frame length two sides use: 20 ms only when both say so (RFC 3952 §5).
func ilbcAgree(theirs, ours string) string {
	if number(theirs, "mode") == 20 && number(ours, "mode") == 20 {
		return "mode=20"
	}
	return "mode=30"
}

// ilbcOf is the mode that a format's parameters name.
func ilbcOf(params string) *ilbcMode {
	if number(params, "mode") == 20 {
		return ilbc20
	}
	return ilbc30
}

// ilbcModeOfPayload is the mode by the length of a payload of whole frames; nil when it is of neither.
func ilbcModeOfPayload(n int) *ilbcMode {
	switch {
	case n > 0 && n%ilbc30.bytes == 0:
		return ilbc30
	case n > 0 && n%ilbc20.bytes == 0:
		return ilbc20
	}
	return nil
}

// ilbcDecoder decodes frames of both lengths and conceals gaps by repeating pitch periods.
type ilbcDecoder struct {
	frequencies [ilbcOrder]float64 // the last ones
	past        [ilbcOrder]float64 // outputs of the synthesis filter, newest last
	high        biquad
	filters     [ilbcMaxSub]lpc
	residual    [ilbcMax]float64
	work        ilbcWork
	frame       ilbcFrame
	plc         *Concealer
}

func newILBCDecoder() Decoder {
	d := &ilbcDecoder{plc: NewConcealer(ilbcRate)}
	d.high = biquad{b: [3]float64{0.93980581, -1.8795834, 0.93980581}, a: [2]float64{-1.9330735, 0.93589199}}
	copy(d.frequencies[:], ilbcLSFMean[:])
	return d
}

func (*ilbcDecoder) Rate() int { return ilbcRate }

func (*ilbcDecoder) Samples(payload []byte) int {
	if m := ilbcModeOfPayload(len(payload)); m != nil {
		return len(payload) / m.bytes * m.samples()
	}
	return 0
}

func (d *ilbcDecoder) Decode(dst []int16, payload []byte) ([]int16, error) {
	m := ilbcModeOfPayload(len(payload))
	if m == nil {
		return dst, fmt.Errorf("%w: %d bytes are no iLBC frames of %d or %d", ErrMalformed, len(payload), ilbc20.bytes, ilbc30.bytes)
	}
	for ; len(payload) > 0; payload = payload[m.bytes:] {
		if !m.unpack(payload, &d.frame) {
			dst = d.plc.Conceal(dst, m.samples())
			continue
		}
		from := len(dst)
		dst = d.synthesize(dst, m)
		d.plc.Good(dst[from:])
	}
	return dst, nil
}

func (d *ilbcDecoder) Conceal(dst []int16, n int) []int16 { return d.plc.Conceal(dst, n) }

// synthesize makes the PCM of the frame that was unpacked.
func (d *ilbcDecoder) synthesize(dst []int16, m *ilbcMode) []int16 {
	p, f := m.places(), &d.frame
	var sets [2][ilbcOrder]float64
	for s := range m.sets {
		ilbcFrequencies(&sets[s], f[p.lsf+3*s:])
		separate(&sets[s])
	}
	m.interpolate(&d.frequencies, &sets, &d.filters)
	d.work.decode(m, f, &d.filters, &d.residual)
	for s := range m.subframes {
		a := &d.filters[s]
		for _, v := range d.residual[s*ilbcSub:][:ilbcSub] {
			for k, c := range a[1:] {
				v -= c * d.past[ilbcOrder-1-k]
			}
			copy(d.past[:], d.past[1:])
			d.past[ilbcOrder-1] = v
			dst = append(dst, int16(min(max(math.Round(d.high.next(v)), -32768), 32767)))
		}
	}
	return dst
}

// interpolate gives every sub-frame its filter and remembers the last frequencies.
func (m *ilbcMode) interpolate(old *[ilbcOrder]float64, sets *[2][ilbcOrder]float64, filters *[ilbcMaxSub]lpc) {
	last := &sets[m.sets-1]
	for s, w := range m.weights {
		before := old
		after := &sets[0]
		if s > 0 && m.sets == 2 {
			before, after = &sets[0], &sets[1]
		}
		var mixed [ilbcOrder]float64
		for i := range mixed {
			mixed[i] = w*before[i] + (1-w)*after[i]
		}
		filters[s].fromFrequencies(&mixed)
	}
	*old = *last
}

// ilbcFrequencies reads a set of line spectral frequencies from the three codebooks.
func ilbcFrequencies(set *[ilbcOrder]float64, index []int) {
	copy(set[0:3], ilbcLSFBook[3*index[0]:])
	copy(set[3:6], ilbcLSFBook[64*3+3*index[1]:])
	copy(set[6:10], ilbcLSFBook[64*3+128*3+4*index[2]:])
}

// separate keeps neighbouring frequencies 50 Hz apart, and all of them inside the band (RFC 3951 §3.2.5).
func separate(set *[ilbcOrder]float64) {
	const apart, half = 0.039, 0.0195
	for range 2 {
		for k := range set[:ilbcOrder-1] {
			switch gap := set[k+1] - set[k]; {
			case gap < 0:
				set[k+1] = set[k] + half
				set[k] = set[k+1] - half
			case gap < apart:
				set[k] -= half
				set[k+1] += half
			}
			set[k] = min(max(set[k], 0.01), 3.14)
		}
	}
}
