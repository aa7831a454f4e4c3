package soundfile

import "encoding/binary"

// Tables of IMA ADPCM (IMA Digital Audio Focus and Technical Working Groups, 1992).
var (
	imaSteps = [89]int{
		7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107, 118, 130, 143, 157, 173, 190,
		209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963, 1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272,
		2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500,
		20350, 22385, 24623, 27086, 29794, 32767,
	}
	imaMoves = [8]int{-1, -1, -1, -1, 2, 4, 6, 8}
)

// ima is the state of one channel's decoder.
type ima struct{ value, index int }

func (s *ima) next(nibble byte) int {
	step := imaSteps[s.index]
	change := step >> 3
	if nibble&1 != 0 {
		change += step >> 2
	}
	if nibble&2 != 0 {
		change += step >> 1
	}
	if nibble&4 != 0 {
		change += step
	}
	if nibble&8 != 0 {
		change = -change
	}
	s.value = max(-32768, min(32767, s.value+change))
	s.index = max(0, min(len(imaSteps)-1, s.index+imaMoves[nibble&7]))
	return s.value
}

// imaWAV sets a reader up for WAV's blocks: of each channel the first sample and the index in four bytes, then four bytes, eight
// samples, of each channel in turn. Later blocks may be shorter: the last one often is.
func (r *Reader) imaWAV(align int) error {
	head := 4 * r.Channels
	if align < head || align > maxBlock {
		return r.in.fail("IMA ADPCM blocks of %d bytes are not within %d to %d", align, head, maxBlock)
	}
	r.Coding, r.block = "IMA ADPCM", make([]byte, align)
	states, mixed := make([]ima, r.Channels), make([]int, 8)
	r.decode = func(dst []int16, block []byte) []int16 {
		if len(block) < head {
			return dst
		}
		first := 0
		for c := range states {
			states[c] = ima{int(int16(binary.LittleEndian.Uint16(block[4*c:]))), min(int(block[4*c+2]), len(imaSteps)-1)}
			first += states[c].value
		}
		dst = append(dst, int16(first/len(states)))
		for block = block[head:]; len(block) >= head; block = block[head:] {
			clear(mixed)
			for c := range states {
				for i, b := range block[4*c : 4*c+4] {
					mixed[2*i] += states[c].next(b & 15)
					mixed[2*i+1] += states[c].next(b >> 4)
				}
			}
			dst = appendMean(dst, mixed, len(states))
		}
		return dst
	}
	return nil
}

// A packet of CAF's IMA ADPCM, of one channel: two bytes that begin the decoder, and 64 samples.
const (
	imaPacket  = 34
	imaSamples = 64
)

// imaCAF sets a reader up for CAF's packets, one of each channel in turn.
func (r *Reader) imaCAF() {
	r.Coding, r.block = "IMA ADPCM", make([]byte, imaPacket*r.Channels)
	states, mixed := make([]ima, r.Channels), make([]int, imaSamples)
	r.decode = func(dst []int16, block []byte) []int16 {
		if len(block) < imaPacket*len(states) {
			return dst
		}
		clear(mixed)
		for c := range states {
			packet := block[imaPacket*c : imaPacket*(c+1)]
			states[c].begin(binary.BigEndian.Uint16(packet))
			for i, b := range packet[2:] {
				mixed[2*i] += states[c].next(b & 15)
				mixed[2*i+1] += states[c].next(b >> 4)
			}
		}
		return appendMean(dst, mixed, len(states))
	}
}

// begin takes a packet's preamble: nine bits of the last sample, and the index. Where they are what the decoder has anyway, it keeps
// the finer value of its own.
func (s *ima) begin(preamble uint16) {
	value, index := int(int16(preamble&0xFF80)), min(int(preamble&0x7F), len(imaSteps)-1)
	if s.index == index && s.value-value >= -0x7F && s.value-value <= 0x7F {
		return
	}
	s.value, s.index = value, index
}

func appendMean(dst []int16, sums []int, n int) []int16 {
	for _, v := range sums {
		dst = append(dst, int16(v/n))
	}
	return dst
}
