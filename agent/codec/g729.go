package codec

import "fmt"

// ITU-T G.729 Annex A (CS-ACELP at 8 kbit/s, of reduced complexity): 10 ms of speech are 80 bits. Everything that decides what a decoder
// makes of them is done in the recommendation's own fixed-point arithmetic, so that it comes out bit for bit; how the encoder searches
// is its own affair, and done in floating point. Of Annex B, silence descriptors are understood, and comfort noise is made of them;
// none are sent.

// g729Impairment is G.729A: Ie 11 and Bpl 19 by G.113 Appendix I.
var g729Impairment = Impairment{Ie: 11, Bpl: 19}

const (
	g729Number  = 18
	g729Rate    = 8000
	g729Samples = 80 // a frame
	g729Sub     = 40 // a subframe
	g729Bytes   = 10 // a frame
	g729Silence = 2  // bytes of a silence descriptor, the last thing in its packet (RFC 3551 §4.5.6)
	g729Order   = 10 // of linear prediction
	g729MinLag  = 20
	g729MaxLag  = 143
	g729Past    = g729MaxLag + 11 // samples of excitation that the adaptive codebook reaches back
)

// g729Frame is what is transmitted of a frame (table 8).
type g729Frame struct {
	mode, first, lower, upper uint8 // L0..L3: line spectral frequencies
	parity                    uint8 // P0, of the first lag's six upper bits
	sub                       [2]g729Excitation
}

// g729Excitation is what is transmitted of a subframe of 5 ms.
type g729Excitation struct {
	lag     uint8  // P1: 8 bits; P2: 5, near the first
	pulses  uint16 // C: places of four pulses
	signs   uint8  // S: 1 for a positive one
	gain, b uint8  // GA and GB
}

// even is the parity bit of a frame's first lag.
func (f *g729Frame) even() uint8 {
	p := f.sub[0].lag >> 2
	p ^= p >> 4
	p ^= p >> 2
	p ^= p >> 1
	return ^p & 1
}

// appendTo packs a frame.
func (f *g729Frame) appendTo(dst []byte) []byte {
	w := bitWriter{out: dst}
	w.put(f.mode, 1)
	w.put(f.first, 7)
	w.put(f.lower, 5)
	w.put(f.upper, 5)
	for i := range f.sub {
		s := &f.sub[i]
		if i == 0 {
			w.put(s.lag, 8)
			w.put(f.parity, 1)
		} else {
			w.put(s.lag, 5)
		}
		w.put(uint8(s.pulses>>8), 5)
		w.put(uint8(s.pulses), 8)
		w.put(s.signs, 4)
		w.put(s.gain, 3)
		w.put(s.b, 4)
	}
	return w.out
}

// parse unpacks a frame of g729Bytes.
func (f *g729Frame) parse(b []byte) {
	r := bitReader{in: b}
	f.mode, f.first, f.lower, f.upper = r.take(1), r.take(7), r.take(5), r.take(5)
	for i := range f.sub {
		s := &f.sub[i]
		if i == 0 {
			s.lag, f.parity = r.take(8), r.take(1)
		} else {
			s.lag = r.take(5)
		}
		s.pulses = uint16(r.take(5))<<8 | uint16(r.take(8))
		s.signs, s.gain, s.b = r.take(4), r.take(3), r.take(4)
	}
}

// g729Descriptor is what is transmitted of silence (Annex B, table B.2).
type g729Descriptor struct{ mode, first, second, gain uint8 }

func (s *g729Descriptor) parse(b []byte) {
	r := bitReader{in: b}
	s.mode, s.first, s.second, s.gain = r.take(1), r.take(5), r.take(4), r.take(5)
}

// g729Decoder is the codec's receiving half.
type g729Decoder struct {
	synthesis g729Synthesis
	frame     g729Frame
	spare     [g729Samples]int16
	held      int // samples at the end of spare that Conceal has not given out
}

func newG729Decoder() Decoder { return &g729Decoder{synthesis: newG729Synthesis()} }

func (*g729Decoder) Rate() int { return g729Rate }

func (*g729Decoder) Samples(payload []byte) int {
	switch len(payload) % g729Bytes {
	case 0:
		return len(payload) / g729Bytes * g729Samples
	case g729Silence:
		return (len(payload)/g729Bytes + 1) * g729Samples
	}
	return 0
}

func (d *g729Decoder) Decode(dst []int16, payload []byte) ([]int16, error) {
	if rest := len(payload) % g729Bytes; rest != 0 && rest != g729Silence {
		return dst, fmt.Errorf("%w: %d bytes are no G.729 frames of %d", ErrMalformed, len(payload), g729Bytes)
	}
	for ; len(payload) >= g729Bytes; payload = payload[g729Bytes:] {
		d.frame.parse(payload)
		d.synthesis.decode(&d.frame, &d.spare)
		dst, d.held = append(dst, d.spare[:]...), 0
	}
	if len(payload) == g729Silence {
		var s g729Descriptor
		s.parse(payload)
		d.synthesis.hush(&s, &d.spare)
		dst, d.held = append(dst, d.spare[:]...), 0
	}
	return dst, nil
}

// Conceal makes frames in place of lost ones as the recommendation has it (§4.4): the last one's filters and lag, with gains that fade. After
// a silence descriptor nothing is lost: the peer sends nothing, and comfort noise goes on.
func (d *g729Decoder) Conceal(dst []int16, n int) []int16 {
	for n > 0 {
		if d.held == 0 {
			d.synthesis.conceal(&d.spare)
			d.held = g729Samples
		}
		taken := min(n, d.held)
		from := g729Samples - d.held
		dst = append(dst, d.spare[from:from+taken]...)
		n, d.held = n-taken, d.held-taken
	}
	return dst
}
