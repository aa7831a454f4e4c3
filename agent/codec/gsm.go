package codec

import (
	"errors"
	"fmt"
)

// gsmImpairment is GSM 06.10 full rate: Ie 20 and Bpl 43 by G.113 Appendix I.
var gsmImpairment = Impairment{Ie: 20, Bpl: 43}

// ErrMalformed says that a payload is not of the codec it is labelled with.
var ErrMalformed = errors.New("malformed payload")

// GSM 06.10 full rate (ETSI EN 300 961): 20 ms of speech are 260 bits. RTP puts the signature 0xD before them (RFC 3551 §4.5.8.1).
const (
	gsmRate      = 8000
	gsmSamples   = 160 // a frame
	gsmBytes     = 33  // a frame
	gsmSubframes = 4
	gsmSubframe  = gsmSamples / gsmSubframes
	gsmPulses    = 13 // a subframe
	gsmSignature = 0xd
)

// gsmFrame is what is transmitted of a frame (EN 300 961 table 1.1).
type gsmFrame struct {
	lar [8]uint8 // log-area ratios, coded
	sub [gsmSubframes]gsmExcitation
}

// gsmExcitation is what is transmitted of a subframe of 5 ms.
type gsmExcitation struct {
	lag    uint8 // of the long-term predictor, 40..120
	gain   uint8 // of the long-term predictor, 0..3
	grid   uint8 // of the pulses, 0..3
	peak   uint8 // block amplitude, 0..63, logarithmic
	pulses [gsmPulses]uint8
}

// gsmLARBits is the width of each coded log-area ratio.
var gsmLARBits = [8]uint{6, 6, 5, 5, 4, 4, 3, 3}

// bitWriter appends fields, most significant bit first.
type bitWriter struct {
	out  []byte
	held uint32
	n    uint
}

func (w *bitWriter) put(v uint8, bits uint) {
	w.held, w.n = w.held<<bits|uint32(v), w.n+bits
	for w.n >= 8 {
		w.n -= 8
		w.out = append(w.out, byte(w.held>>w.n))
	}
}

// bitReader takes fields, most significant bit first. The caller knows that there are enough.
type bitReader struct {
	in   []byte
	held uint32
	n    uint
}

func (r *bitReader) take(bits uint) uint8 {
	if r.n < bits {
		r.held, r.n, r.in = r.held<<8|uint32(r.in[0]), r.n+8, r.in[1:]
	}
	r.n -= bits
	return uint8(r.held >> r.n & (1<<bits - 1))
}

// appendTo packs a frame as RTP carries it.
func (f *gsmFrame) appendTo(dst []byte) []byte {
	w := bitWriter{out: dst}
	w.put(gsmSignature, 4)
	for i, v := range f.lar {
		w.put(v, gsmLARBits[i])
	}
	for i := range f.sub {
		s := &f.sub[i]
		w.put(s.lag, 7)
		w.put(s.gain, 2)
		w.put(s.grid, 2)
		w.put(s.peak, 6)
		for _, p := range s.pulses {
			w.put(p, 3)
		}
	}
	return w.out
}

// parse unpacks a frame of gsmBytes, whose signature was looked at before.
func (f *gsmFrame) parse(b []byte) {
	r := bitReader{in: b}
	r.take(4)
	for i := range f.lar {
		f.lar[i] = r.take(gsmLARBits[i])
	}
	for i := range f.sub {
		s := &f.sub[i]
		s.lag, s.gain, s.grid, s.peak = r.take(7), r.take(2), r.take(2), r.take(6)
		for k := range s.pulses {
			s.pulses[k] = r.take(3)
		}
	}
}

// gsmEncoder is the codec's sending half.
type gsmEncoder struct {
	analysis gsmAnalysis
	frame    gsmFrame
}

func newGSMEncoder() Encoder { return &gsmEncoder{} }

func (*gsmEncoder) Rate() int         { return gsmRate }
func (*gsmEncoder) FrameSamples() int { return gsmSamples }

func (e *gsmEncoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if len(pcm)%gsmSamples != 0 {
		return dst, fmt.Errorf("GSM frames have %d samples, %d are no multiple", gsmSamples, len(pcm))
	}
	for ; len(pcm) > 0; pcm = pcm[gsmSamples:] {
		e.analysis.encode((*[gsmSamples]int16)(pcm), &e.frame)
		dst = e.frame.appendTo(dst)
	}
	return dst, nil
}

// gsmDecoder is the codec's receiving half.
type gsmDecoder struct {
	synthesis gsmSynthesis
	frame     gsmFrame // the last good one, and what substitution made of it
	lost      int      // frames substituted since then
	spare     [gsmSamples]int16
	held      int // samples at the end of spare that Conceal has not given out
	dice      uint32
}

func newGSMDecoder() Decoder {
	return &gsmDecoder{synthesis: newGSMSynthesis(), lost: gsmMuted, dice: 1}
}

func (*gsmDecoder) Rate() int { return gsmRate }

func (*gsmDecoder) Samples(payload []byte) int {
	if len(payload)%gsmBytes != 0 {
		return 0
	}
	return len(payload) / gsmBytes * gsmSamples
}

func (d *gsmDecoder) Decode(dst []int16, payload []byte) ([]int16, error) {
	if len(payload)%gsmBytes != 0 {
		return dst, fmt.Errorf("%w: %d bytes are no GSM frames of %d", ErrMalformed, len(payload), gsmBytes)
	}
	for at := 0; at < len(payload); at += gsmBytes {
		if payload[at]>>4 != gsmSignature {
			return dst, fmt.Errorf("%w: a GSM frame begins with %#02x", ErrMalformed, payload[at])
		}
	}
	for ; len(payload) > 0; payload = payload[gsmBytes:] {
		d.frame.parse(payload)
		d.synthesis.decode(&d.frame, &d.spare)
		dst = append(dst, d.spare[:]...)
		d.lost, d.held = 0, 0
	}
	return dst, nil
}

// gsmMuted is how many lost frames in a row it takes until nothing is left (GSM 06.11 §4: 320 ms).
const gsmMuted = 16

// Conceal repeats the last good frame once, then lets it fade: the substitution and muting of GSM 06.11.
func (d *gsmDecoder) Conceal(dst []int16, n int) []int16 {
	for n > 0 {
		if d.held == 0 {
			d.substitute()
		}
		taken := min(n, d.held)
		from := gsmSamples - d.held
		dst = append(dst, d.spare[from:from+taken]...)
		n, d.held = n-taken, d.held-taken
	}
	return dst
}

// substitute makes the next frame in place of a lost one. 06.11 lowers the block amplitudes; the long-term predictor alone would keep
// a vowel going, so what comes out is faded, too. The predictor itself is left at its level: what the peer sends next builds on it.
func (d *gsmDecoder) substitute() {
	d.held = gsmSamples
	if d.lost >= gsmMuted {
		clear(d.spare[:])
		return
	}
	if d.lost > 0 {
		for i := range d.frame.sub {
			s := &d.frame.sub[i]
			s.peak -= min(s.peak, 4)
			d.dice = d.dice*1664525 + 1013904223
			s.grid = uint8(d.dice >> 30)
		}
	}
	d.synthesis.decode(&d.frame, &d.spare)
	const fade = (gsmMuted - 1) * gsmSamples
	for i, v := range d.spare {
		if left := (gsmMuted-d.lost)*gsmSamples - i; left < fade {
			d.spare[i] = int16(int(v) * left / fade)
		}
	}
	d.lost++
}
