// Package soundfile reads and writes the audio files of calls: what is played into a call and what is recorded of one. Files come
// from whoever fills the prompts volume, with whatever made them, so that everything a header says is doubted, and what is wrong
// is told with its place in the file.
//
// Read are WAV (RIFF, RIFX, RF64) and CAF with linear PCM of 8, 16, 24 or 32 bits, floats of 32 or 64, μ-law, A-law and IMA ADPCM, at
// any rate, one to eight channels, which are folded into one. Written is WAV with 16-bit PCM.
package soundfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Bounds of what a header may say.
const (
	minRate     = 1000
	maxRate     = 192_000
	maxChannels = 8
	maxBlock    = 64 << 10 // bytes of an ADPCM block
)

// ErrTooLong says that a file holds more audio than there is room for.
var ErrTooLong = errors.New("too much audio")

// Error is what is wrong with a file, and where.
type Error struct {
	File   string
	Offset int64 // bytes from its beginning
	Err    error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: byte %d: %v", e.File, e.Offset, e.Err) }

// Unwrap implements errors.Unwrap.
func (e *Error) Unwrap() error { return e.Err }

// Reader gives the samples of a file, folded into one channel. It holds no more of the file than a block.
type Reader struct {
	// Rate in samples a second, Channels as they are in the file, Coding for people: "PCM 16 bit".
	Rate, Channels int
	Coding         string

	in     *input
	left   int64 // bytes of audio; -1: as many as there are
	block  []byte
	decode decoder
	pcm    []int16 // decoded, not given
	frames []int16 // room for it
}

// decoder makes the samples of a block, appended to dst and folded.
type decoder func(dst []int16, block []byte) []int16

// NewReader reads the header of a file; name is for its errors. Errors are of type *Error.
func NewReader(r io.Reader, name string) (*Reader, error) {
	in := &input{r: bufio.NewReader(r), name: name}
	magic, err := in.take(4)
	if err != nil {
		return nil, err
	}
	switch string(magic) {
	case "RIFF", "RIFX", "RF64":
		return readWAV(in, string(magic))
	case "caff":
		return readCAF(in)
	}
	return nil, in.failAt(0, "neither WAV nor CAF: the file begins with %q", magic)
}

// Read fills pcm with samples; io.EOF comes with none at the end of the audio. A last block that is cut short is left out: a file may
// still be written, or may have lost its end.
func (r *Reader) Read(pcm []int16) (int, error) {
	for len(r.pcm) == 0 {
		n := int64(len(r.block))
		if r.left >= 0 {
			n = min(n, r.left)
		}
		if n == 0 {
			return 0, io.EOF
		}
		got, err := io.ReadFull(r.in.r, r.block[:n])
		r.in.at += int64(got)
		if r.left >= 0 {
			r.left -= int64(got)
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, r.in.fail("%w", err)
		}
		if err != nil {
			r.left = 0
		}
		r.pcm = r.decode(r.frames[:0], r.block[:got])
		r.frames = r.pcm
	}
	n := copy(pcm, r.pcm)
	r.pcm = r.pcm[n:]
	return n, nil
}

// ReadAll gives all samples of a file, or an error that wraps ErrTooLong where there are more than most.
func (r *Reader) ReadAll(most int) ([]int16, error) {
	var all []int16
	buffer := make([]int16, 4096)
	for {
		n, err := r.Read(buffer)
		if len(all)+n > most {
			return nil, r.in.fail("%w: more than %d samples", ErrTooLong, most)
		}
		all = append(all, buffer[:n]...)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// shape checks what a header says of rate and channels.
func (r *Reader) shape() error {
	if r.Rate < minRate || r.Rate > maxRate {
		return r.in.fail("a rate of %d samples a second is not within %d to %d", r.Rate, minRate, maxRate)
	}
	if r.Channels < 1 || r.Channels > maxChannels {
		return r.in.fail("%d channels are not within 1 to %d", r.Channels, maxChannels)
	}
	return nil
}

// input is a file read from its beginning, which knows how far.
type input struct {
	r    *bufio.Reader
	name string
	at   int64
}

func (in *input) fail(format string, args ...any) error { return in.failAt(in.at, format, args...) }

func (in *input) failAt(at int64, format string, args ...any) error {
	return &Error{File: in.name, Offset: at, Err: fmt.Errorf(format, args...)}
}

// take reads n bytes of a header.
func (in *input) take(n int) ([]byte, error) {
	b := make([]byte, n)
	got, err := io.ReadFull(in.r, b)
	at := in.at
	in.at += int64(got)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, in.failAt(at, "the file ends here, where %d more bytes are needed", n)
	case err != nil:
		return nil, in.fail("%w", err)
	}
	return b, nil
}

// skip leaves bytes out; the end of the file may be among them.
func (in *input) skip(n int64) error {
	got, err := io.CopyN(io.Discard, in.r, n)
	in.at += got
	if err != nil && !errors.Is(err, io.EOF) {
		return in.fail("%w", err)
	}
	return nil
}
