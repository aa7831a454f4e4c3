package soundfile

import (
	"encoding/binary"
	"math"
)

// Codings of WAV, by their number (RFC 2361).
const (
	wavPCM        = 1
	wavFloat      = 3
	wavALaw       = 6
	wavMuLaw      = 7
	wavIMA        = 0x11
	wavExtensible = 0xFFFE // the number is the beginning of a GUID further on
)

const (
	fmtLeast = 16
	fmtMost  = 4096 // of what is read of it
)

// readWAV walks the chunks up to the audio.
func readWAV(in *input, magic string) (*Reader, error) {
	order := binary.ByteOrder(binary.LittleEndian)
	if magic == "RIFX" {
		order = binary.BigEndian
	}
	if _, err := in.take(4); err != nil { // a length, which nobody keeps
		return nil, err
	}
	form, err := in.take(4)
	if err != nil {
		return nil, err
	}
	if string(form) != "WAVE" {
		return nil, in.failAt(8, "a RIFF file of %q, not WAVE", form)
	}
	r := &Reader{in: in}
	for {
		at := in.at
		head, err := in.take(8)
		if err != nil {
			return nil, err
		}
		size := int64(order.Uint32(head[4:]))
		switch string(head[:4]) {
		case "fmt ":
			if err := r.wavFormat(order, size); err != nil {
				return nil, err
			}
		case "data":
			if r.decode == nil {
				return nil, in.failAt(at, "the audio comes before its format (chunk fmt)")
			}
			// A length of 0 or of all ones was never written: whatever made the file wrote to a pipe, or died.
			if r.left = size; size == 0 || size == math.MaxUint32 {
				r.left = -1
			}
			return r, nil
		default:
			if err := in.skip(size + size&1); err != nil {
				return nil, err
			}
		}
	}
}

// wavFormat reads the chunk fmt.
func (r *Reader) wavFormat(order binary.ByteOrder, size int64) error {
	in := r.in
	if size < fmtLeast || size > fmtMost {
		return in.fail("a format (chunk fmt) of %d bytes is not within %d to %d", size, fmtLeast, fmtMost)
	}
	b, err := in.take(int(size + size&1))
	if err != nil {
		return err
	}
	coding, bits := order.Uint16(b), int(order.Uint16(b[14:]))
	align := int(order.Uint16(b[12:]))
	r.Channels, r.Rate = int(order.Uint16(b[2:])), int(int32(order.Uint32(b[4:])))
	if err := r.shape(); err != nil {
		return err
	}
	if coding == wavExtensible {
		if size < 26 {
			return in.fail("an extensible format (chunk fmt) of %d bytes: at least 26 are needed", size)
		}
		coding = order.Uint16(b[24:])
	}
	switch coding {
	case wavPCM, wavFloat:
		// Samples of 12 or 20 bits lie in whole bytes, at their upper end.
		return r.linear(linear{order: order, bytes: (bits + 7) / 8, float: coding == wavFloat, unsigned: coding == wavPCM && bits <= 8})
	case wavALaw:
		r.law("A-law", aLaw)
	case wavMuLaw:
		r.law("μ-law", muLaw)
	case wavIMA:
		return r.imaWAV(align)
	default:
		return in.fail("coding %d (0x%x) is not read: PCM, float, μ-law, A-law and IMA ADPCM are", coding, coding)
	}
	return nil
}
