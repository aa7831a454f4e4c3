package codec

import "fmt"

// g722Impairment is G.722 at 64 kbit/s on the narrowband scale of the E-model, on which it cannot be told from a codec without
// impairment: on the wideband scale (G.107.1, to 129) G.113 Appendix IV gives it Ie,wb 13, when narrowband alone costs 35.8. There is no
// Bpl for the narrowband scale; its gaps are filled by the same waveform substitution as G.711's, hence that codec's.
var g722Impairment = Impairment{Ie: 0, Bpl: g711Impairment.Bpl}

// ITU-T G.722 (09/2012) mode 1: 16 kHz audio in two sub-bands of 48 and 16 kbit/s. An octet holds two samples, one tick of an RTP
// clock that counts 8000 a second for reasons of history (RFC 3551 §4.5.2).
const g722Rate = 16000

// Starting points of the two quantisers' step sizes.
const (
	g722LowStep  = 32
	g722HighStep = 8
)

// g722Encoder is the codec's sending half.
type g722Encoder struct {
	low, high g722Band
	filter    g722Filter
}

func newG722Encoder() Encoder {
	return &g722Encoder{low: g722Band{step: g722LowStep}, high: g722Band{step: g722HighStep}}
}

func (*g722Encoder) Rate() int         { return g722Rate }
func (*g722Encoder) FrameSamples() int { return 2 }

func (e *g722Encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if len(pcm)%2 != 0 {
		return dst, fmt.Errorf("G.722 codes samples in pairs, %d are odd", len(pcm))
	}
	for ; len(pcm) > 0; pcm = pcm[2:] {
		low, high := e.filter.split(int32(pcm[0]), int32(pcm[1]))
		l := g722QuantiseLow(saturate(low-e.low.estimate), e.low.step)
		e.low.adapt(scaled(e.low.step, g722Low4[l>>2]))
		e.low.scaleLow(l >> 2)
		h := g722QuantiseHigh(saturate(high-e.high.estimate), e.high.step)
		e.high.adapt(scaled(e.high.step, g722High2[h]))
		e.high.scaleHigh(h)
		dst = append(dst, h<<6|l)
	}
	return dst, nil
}

// g722Decoder is the codec's receiving half. Gaps are filled behind it; its predictors stand still meanwhile.
type g722Decoder struct {
	low, high g722Band
	filter    g722Filter
	plc       *Concealer
}

func newG722Decoder() Decoder {
	return &g722Decoder{low: g722Band{step: g722LowStep}, high: g722Band{step: g722HighStep}, plc: NewConcealer(g722Rate)}
}

func (*g722Decoder) Rate() int                  { return g722Rate }
func (*g722Decoder) Samples(payload []byte) int { return 2 * len(payload) }

func (d *g722Decoder) Decode(dst []int16, payload []byte) ([]int16, error) {
	start := len(dst)
	for _, octet := range payload {
		l, h := octet&0x3f, octet>>6
		low := min(max(d.low.estimate+scaled(d.low.step, g722Low6[l]), -16384), 16383)
		d.low.adapt(scaled(d.low.step, g722Low4[l>>2]))
		d.low.scaleLow(l >> 2)
		difference := scaled(d.high.step, g722High2[h])
		high := min(max(d.high.estimate+difference, -16384), 16383)
		d.high.adapt(difference)
		d.high.scaleHigh(h)
		first, second := d.filter.join(low, high)
		dst = append(dst, first, second)
	}
	d.plc.Good(dst[start:])
	return dst, nil
}

func (d *g722Decoder) Conceal(dst []int16, n int) []int16 { return d.plc.Conceal(dst, n) }
