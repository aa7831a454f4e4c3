package codec

import (
	"math/bits"
	"slices"
)

// g711Impairment is G.711 with packet-loss concealment by waveform substitution (G.711 Appendix I): Ie 0, Bpl 25.1 by
// G.113 Appendix I; the same codec without concealment has Bpl 4.3.
var g711Impairment = Impairment{Ie: 0, Bpl: 25.1}

// The segment arithmetic of ITU-T G.711 (11/1988) on the 16-bit scale, whose full scale is the overload point.
const (
	g711Rate  = 8000
	muLawBias = 33 << 2           // decision values are biased by 33 on G.711's 14-bit scale
	muLawClip = 32767 - muLawBias // larger magnitudes code as the largest
	aLawEven  = 0x55              // even bits are inverted for transmission (table 1a, note 2)
)

// muLaw and aLaw are the decoder output values of G.711 tables 2 and 1.
var muLaw, aLaw = muLawTable(), aLawTable()

// muLawCodes and aLawCodes are the octets of positive samples, four at a time: no decision value lies between those.
var muLawCodes, aLawCodes = codes(muLawCode), codes(aLawCode)

// EncodeMuLaw is the μ-law octet of a 16-bit sample (G.711 table 2).
func EncodeMuLaw(sample int16) byte {
	negative := int32(sample) >> 31 // all bits, or none: a branch could not be guessed
	v := min((int32(sample)^negative)-negative, muLawClip)
	return muLawCodes[v>>2] ^ byte(negative)&0x80
}

func muLawCode(magnitude int) byte {
	v := min(magnitude, muLawClip) + muLawBias
	segment := bits.Len(uint(v)) - 8
	return ^(byte(segment<<4) | byte(v>>(segment+3)&0x0f))
}

// DecodeMuLaw is the 16-bit sample of a μ-law octet.
func DecodeMuLaw(octet byte) int16 { return muLaw[octet] }

// EncodeALaw is the A-law octet of a 16-bit sample (G.711 table 1).
func EncodeALaw(sample int16) byte {
	negative := int32(sample) >> 31
	return aLawCodes[(int32(sample)^negative)>>2] ^ byte(negative)&0x80
}

func aLawCode(magnitude int) byte {
	segment := max(bits.Len(uint(magnitude))-8, 0)
	return (0x80 | byte(segment<<4) | byte(magnitude>>(max(segment, 1)+3)&0x0f)) ^ aLawEven
}

func codes(code func(magnitude int) byte) (table [1 << 13]byte) {
	for i := range table {
		table[i] = code(i << 2)
	}
	return table
}

// DecodeALaw is the 16-bit sample of an A-law octet.
func DecodeALaw(octet byte) int16 { return aLaw[octet] }

func muLawTable() (table [256]int16) {
	for i := range table {
		code := ^byte(i)
		v := (int16(code&0x0f)<<3+muLawBias)<<(code>>4&7) - muLawBias
		if code&0x80 != 0 {
			v = -v
		}
		table[i] = v
	}
	return table
}

func aLawTable() (table [256]int16) {
	for i := range table {
		code := byte(i) ^ aLawEven
		v, segment := int16(code&0x0f)<<4+8, code>>4&7
		if segment > 0 {
			v = (v + 0x100) << (segment - 1)
		}
		if code&0x80 == 0 {
			v = -v
		}
		table[i] = v
	}
	return table
}

// g711Encoder works sample by sample. Each law has a loop of its own: a call for each sample costs more than the law.
type g711Encoder struct{}

type (
	muLawEncoder struct{ g711Encoder }
	aLawEncoder  struct{ g711Encoder }
)

func newMuLawEncoder() Encoder { return muLawEncoder{} }
func newALawEncoder() Encoder  { return aLawEncoder{} }

func (g711Encoder) Rate() int         { return g711Rate }
func (g711Encoder) FrameSamples() int { return 1 }

func (muLawEncoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	dst, out := grown(dst, len(pcm))
	for i, sample := range pcm {
		out[i] = EncodeMuLaw(sample)
	}
	return dst, nil
}

func (aLawEncoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	dst, out := grown(dst, len(pcm))
	for i, sample := range pcm {
		out[i] = EncodeALaw(sample)
	}
	return dst, nil
}

// grown is a slice made n longer, and what was added.
func grown[T any](s []T, n int) (whole, added []T) {
	whole = slices.Grow(s, n)[:len(s)+n]
	return whole, whole[len(s):]
}

// g711Decoder expands octets and conceals gaps by waveform substitution.
type g711Decoder struct {
	law *[256]int16
	plc *Concealer
}

func newMuLawDecoder() Decoder { return &g711Decoder{&muLaw, NewConcealer(g711Rate)} }
func newALawDecoder() Decoder  { return &g711Decoder{&aLaw, NewConcealer(g711Rate)} }

func (*g711Decoder) Rate() int                  { return g711Rate }
func (*g711Decoder) Samples(payload []byte) int { return len(payload) }

func (d *g711Decoder) Decode(dst []int16, payload []byte) ([]int16, error) {
	dst, out := grown(dst, len(payload))
	for i, octet := range payload {
		out[i] = d.law[octet]
	}
	d.plc.Good(out)
	return dst, nil
}

func (d *g711Decoder) Conceal(dst []int16, n int) []int16 { return d.plc.Conceal(dst, n) }
