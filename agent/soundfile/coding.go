package soundfile

import (
	"encoding/binary"
	"fmt"
	"math"
)

// linear says how samples lie in a file.
type linear struct {
	order    binary.ByteOrder
	bytes    int // a sample
	float    bool
	unsigned bool // 8 bits around 128
}

const blockFrames = 1024 // read at a time where the coding has no blocks

// linear sets a reader up for linear samples.
func (r *Reader) linear(l linear) error {
	one := l.sample()
	if one == nil {
		kind := "PCM"
		if l.float {
			kind = "floats"
		}
		return r.in.fail("%s of %d bits are not read", kind, 8*l.bytes)
	}
	r.Coding = fmt.Sprintf("PCM %d bit", 8*l.bytes)
	if l.float {
		r.Coding = fmt.Sprintf("float %d bit", 8*l.bytes)
	}
	r.samples(l.bytes, one)
	return nil
}

// sample gives what reads one; nil when there is nothing that does.
func (l linear) sample() func([]byte) int16 {
	o := l.order
	switch {
	case l.float && l.bytes == 4:
		return func(b []byte) int16 { return full(float64(math.Float32frombits(o.Uint32(b)))) }
	case l.float && l.bytes == 8:
		return func(b []byte) int16 { return full(math.Float64frombits(o.Uint64(b))) }
	case l.float:
	case l.bytes == 1 && l.unsigned:
		return func(b []byte) int16 { return (int16(b[0]) - 128) << 8 }
	case l.bytes == 1:
		return func(b []byte) int16 { return int16(int8(b[0])) << 8 }
	case l.bytes == 2:
		return func(b []byte) int16 { return int16(o.Uint16(b)) }
	case l.bytes == 3 && o == binary.ByteOrder(binary.BigEndian):
		return func(b []byte) int16 { return int16(o.Uint16(b)) }
	case l.bytes == 3:
		return func(b []byte) int16 { return int16(o.Uint16(b[1:])) }
	case l.bytes == 4:
		return func(b []byte) int16 { return int16(o.Uint32(b) >> 16) }
	}
	return nil
}

// full is a float, full scale 1, as a sample; what is no number is silence.
func full(v float64) int16 {
	if math.IsNaN(v) {
		return 0
	}
	return int16(math.Round(max(-32768, min(32767, v*32768))))
}

// samples sets a reader up for a coding that reads sample by sample.
func (r *Reader) samples(size int, one func([]byte) int16) {
	frame := size * r.Channels
	r.block = make([]byte, frame*blockFrames)
	channels := r.Channels
	r.decode = func(dst []int16, block []byte) []int16 {
		for ; len(block) >= frame; block = block[frame:] {
			sum := 0
			for c := range channels {
				sum += int(one(block[c*size:]))
			}
			dst = append(dst, int16(sum/channels))
		}
		return dst
	}
}

// law sets a reader up for ITU-T G.711.
func (r *Reader) law(name string, table *[256]int16) {
	r.Coding = name
	r.samples(1, func(b []byte) int16 { return table[b[0]] })
}

var (
	muLaw = lawTable(func(b byte) int16 {
		b = ^b
		v := (int(b&15)<<3 + 132) << (b >> 4 & 7)
		if v -= 132; b&0x80 != 0 {
			v = -v
		}
		return int16(v)
	})
	aLaw = lawTable(func(b byte) int16 {
		b ^= 0x55
		v := int(b&15)<<4 + 8
		if segment := b >> 4 & 7; segment > 0 {
			v = (v + 256) << (segment - 1)
		}
		if b&0x80 == 0 {
			v = -v
		}
		return int16(v)
	})
)

func lawTable(f func(byte) int16) *[256]int16 {
	var t [256]int16
	for i := range t {
		t[i] = f(byte(i))
	}
	return &t
}
