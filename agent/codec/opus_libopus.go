//go:build cgo && !nolibopus

package codec

import (
	"fmt"

	"github.com/softphone-operator/softphone-operator/agent/codec/libopus"
)

// opusOffered says that this build speaks Opus.
const opusOffered = true

// opusEncoder makes one packet of whatever packet time it is given.
type opusEncoder struct {
	rate int
	lib  *libopus.Encoder
}

func newOpusEncoder(f Format) Encoder {
	rate := opusRate(f.Opus.orDefault().Bandwidth)
	lib, err := libopus.NewEncoder(rate)
	if err != nil {
		return nil
	}
	e := &opusEncoder{rate: rate, lib: lib}
	if e.apply(f.Opus.toward(f.Params)) != nil {
		return nil
	}
	return e
}

// apply sets the encoder to what both sides want.
func (e *opusEncoder) apply(o Opus) error {
	type setting struct {
		request libopus.Request
		value   int
	}
	settings := []setting{
		{libopus.MaxBandwidth, opusBandwidth(o.Bandwidth)}, {libopus.Bitrate, opusBitrate(o.Bitrate)}, {libopus.VBR, flag(o.VBR)},
		{libopus.FEC, flag(o.FEC)}, {libopus.DTX, flag(o.DTX)}, {libopus.PacketLoss, min(max(o.ExpectedLoss, 0), 100)},
	}
	if o.Complexity >= 0 {
		settings = append(settings, setting{libopus.Complexity, min(o.Complexity, 10)})
	}
	for _, s := range settings {
		if err := e.lib.Set(s.request, s.value); err != nil {
			return fmt.Errorf("opus encoder: %w", err)
		}
	}
	return nil
}

func flag(set bool) int {
	if set {
		return 1
	}
	return 0
}

func opusBitrate(bits int) int {
	switch {
	case bits == 0:
		return libopus.Auto
	case bits < 0:
		return libopus.BitrateMax
	}
	return bits
}

// opusBandwidth is the widest that playback at a sampling rate can use (RFC 7587 §3.1.1).
func opusBandwidth(rate int) int {
	switch {
	case rate < 12000:
		return libopus.Narrowband
	case rate < 16000:
		return libopus.Mediumband
	case rate < 24000:
		return libopus.Wideband
	case rate < 48000:
		return libopus.Superwideband
	}
	return libopus.Fullband
}

func (e *opusEncoder) Rate() int         { return e.rate }
func (e *opusEncoder) FrameSamples() int { return e.rate / 100 }

// Encode appends nothing when DTX finds that the packet need not be sent.
func (e *opusEncoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	from := len(dst)
	if cap(dst)-from < opusRoom {
		dst = append(make([]byte, 0, from+opusRoom), dst...)
	}
	n, err := e.lib.Encode(dst[from:from+opusRoom], pcm)
	if err != nil {
		return dst, fmt.Errorf("opus: %w", err)
	}
	if n <= 2 {
		n = 0
	}
	return dst[:from+n], nil
}

// opusDecoder decodes, repairs and conceals by libopus.
type opusDecoder struct {
	rate  int
	lib   *libopus.Decoder
	pcm   []int16 // room for the longest packet
	spare []int16 // concealed and not asked for yet
}

func newOpusDecoder(f Format) Decoder {
	rate := opusRate(f.Opus.orDefault().Bandwidth)
	lib, err := libopus.NewDecoder(rate)
	if err != nil {
		return nil
	}
	return &opusDecoder{rate: rate, lib: lib, pcm: make([]int16, opusMaxMs*rate/1000)}
}

func (d *opusDecoder) Rate() int                  { return d.rate }
func (d *opusDecoder) Samples(payload []byte) int { return opusSamples(payload, d.rate) }

func (d *opusDecoder) Decode(dst []int16, payload []byte) ([]int16, error) {
	d.spare = nil
	want := d.Samples(payload)
	if want == 0 {
		return dst, fmt.Errorf("%w: opus packet of %d bytes", ErrMalformed, len(payload))
	}
	n, err := d.lib.Decode(d.pcm, payload)
	if err != nil || n != want {
		return dst, fmt.Errorf("%w: opus packet of %d bytes: %w", ErrMalformed, len(payload), err)
	}
	return append(dst, d.pcm[:n]...), nil
}

// Recover appends the n samples before a packet, from what the packet repeats of them where it does.
func (d *opusDecoder) Recover(dst []int16, next []byte, n int) []int16 {
	if n%(d.rate/400) != 0 || n == 0 || n > len(d.pcm) {
		return d.Conceal(dst, n)
	}
	d.spare = nil
	if got, err := d.lib.Recover(d.pcm[:n], next); err != nil || got != n {
		return d.Conceal(dst, n)
	}
	return append(dst, d.pcm[:n]...)
}

// Conceal makes up audio 10 ms at a time.
func (d *opusDecoder) Conceal(dst []int16, n int) []int16 {
	for n > 0 {
		if len(d.spare) == 0 {
			piece := d.pcm[:d.rate/100]
			if got, err := d.lib.Conceal(piece); err != nil || got != len(piece) {
				clear(piece)
			}
			d.spare = piece
		}
		take := min(n, len(d.spare))
		dst = append(dst, d.spare[:take]...)
		d.spare, n = d.spare[take:], n-take
	}
	return dst
}

// opusRate is the sampling rate of the PCM on our side for a bandwidth.
func opusRate(bandwidth int) int {
	switch {
	case bandwidth <= 8000:
		return 8000
	case bandwidth <= 16000:
		return 16000
	}
	return 48000
}
