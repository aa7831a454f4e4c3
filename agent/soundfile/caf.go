package soundfile

import (
	"encoding/binary"
	"math"
)

// Flags of CAF's linear PCM.
const (
	cafFloat        = 1
	cafLittleEndian = 2
)

const descSize = 32

// readCAF walks the chunks up to the audio (Apple Core Audio Format Specification 1.0).
func readCAF(in *input) (*Reader, error) {
	head, err := in.take(4)
	if err != nil {
		return nil, err
	}
	if version := binary.BigEndian.Uint16(head); version != 1 {
		return nil, in.failAt(4, "version %d of CAF, not 1", version)
	}
	r := &Reader{in: in}
	for {
		at := in.at
		head, err := in.take(12)
		if err != nil {
			return nil, err
		}
		size := int64(binary.BigEndian.Uint64(head[4:]))
		kind := string(head[:4])
		switch {
		case size < 0 && (kind != "data" || size != -1):
			return nil, in.failAt(at, "chunk %q has no length", kind)
		case kind == "desc":
			if err := r.cafFormat(size); err != nil {
				return nil, err
			}
		case kind == "data":
			if r.decode == nil {
				return nil, in.failAt(at, "the audio comes before its format (chunk desc)")
			}
			if _, err := in.take(4); err != nil { // how often it was edited
				return nil, err
			}
			if r.left = -1; size >= 0 {
				r.left = max(size-4, 0)
			}
			return r, nil
		default:
			if err := in.skip(size); err != nil {
				return nil, err
			}
		}
	}
}

// cafFormat reads the chunk desc.
func (r *Reader) cafFormat(size int64) error {
	in := r.in
	if size < descSize {
		return in.fail("a format (chunk desc) of %d bytes: %d are needed", size, descSize)
	}
	b, err := in.take(descSize)
	if err != nil {
		return err
	}
	if err := in.skip(size - descSize); err != nil {
		return err
	}
	rate := math.Float64frombits(binary.BigEndian.Uint64(b))
	if !(rate >= minRate && rate <= maxRate) {
		return in.fail("a rate of %g samples a second is not within %d to %d", rate, minRate, maxRate)
	}
	flags, channels, bits := binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[24:]), binary.BigEndian.Uint32(b[28:])
	r.Rate, r.Channels = int(math.Round(rate)), int(min(channels, math.MaxInt16))
	if err := r.shape(); err != nil {
		return err
	}
	switch string(b[8:12]) {
	case "lpcm":
		order := binary.ByteOrder(binary.BigEndian)
		if flags&cafLittleEndian != 0 {
			order = binary.LittleEndian
		}
		return r.linear(linear{order: order, bytes: int(min(bits, 1024)+7) / 8, float: flags&cafFloat != 0})
	case "ulaw":
		r.law("μ-law", muLaw)
	case "alaw":
		r.law("A-law", aLaw)
	case "ima4":
		r.imaCAF()
	default:
		return in.fail("coding %q is not read: lpcm, ulaw, alaw and ima4 are", b[8:12])
	}
	return nil
}
