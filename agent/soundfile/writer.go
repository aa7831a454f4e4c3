package soundfile

import (
	"encoding/binary"
	"fmt"
	"io"
)

// HeaderSize of a WAV written here, in bytes.
const HeaderSize = 44

// Writer writes a WAV of 16-bit PCM. Frames may be written in any order; what is never written before the end is silence. The header
// says after every Sync what is there, so that a file whose writer died is whole up to then.
type Writer struct {
	w        io.WriterAt
	channels int
	end      int64 // bytes of audio
	buffer   []byte
}

// NewWriter writes the header of a file without audio.
func NewWriter(w io.WriterAt, rate, channels int) (*Writer, error) {
	h := make([]byte, 0, HeaderSize)
	h = append(h, "RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00"...)
	h = binary.LittleEndian.AppendUint16(h, uint16(channels))
	h = binary.LittleEndian.AppendUint32(h, uint32(rate))
	h = binary.LittleEndian.AppendUint32(h, uint32(2*channels*rate))
	h = binary.LittleEndian.AppendUint16(h, uint16(2*channels))
	h = append(h, "\x10\x00data\x00\x00\x00\x00"...)
	if _, err := w.WriteAt(h, 0); err != nil {
		return nil, fmt.Errorf("writing WAV: %w", err)
	}
	return &Writer{w: w, channels: channels}, nil
}

// WriteAt writes frames, their channels in turn, from a frame of the file on.
func (w *Writer) WriteAt(pcm []int16, frame int64) error {
	w.buffer = w.buffer[:0]
	for _, v := range pcm {
		w.buffer = binary.LittleEndian.AppendUint16(w.buffer, uint16(v))
	}
	at := frame * 2 * int64(w.channels)
	if _, err := w.w.WriteAt(w.buffer, HeaderSize+at); err != nil {
		return fmt.Errorf("writing WAV: %w", err)
	}
	w.end = max(w.end, at+int64(len(w.buffer)))
	return nil
}

// Bytes of the file so far.
func (w *Writer) Bytes() int64 { return HeaderSize + w.end }

// Sync brings the lengths of the header up to what was written.
func (w *Writer) Sync() error {
	var size [4]byte
	binary.LittleEndian.PutUint32(size[:], uint32(w.end+HeaderSize-8))
	if _, err := w.w.WriteAt(size[:], 4); err != nil {
		return fmt.Errorf("writing WAV: %w", err)
	}
	binary.LittleEndian.PutUint32(size[:], uint32(w.end))
	if _, err := w.w.WriteAt(size[:], HeaderSize-4); err != nil {
		return fmt.Errorf("writing WAV: %w", err)
	}
	return nil
}
