//go:build cgo && !nolibopus

// Package libopus is a thin binding of the reference implementation of Opus (RFC 6716), linked statically.
//
// It exists because no encoder of Opus is written in Go, and because FEC and concealment are best had from who defined them. It is the
// only C code that reads bytes from the network. The states live in memory of Go (a state is one block without pointers into itself
// or to Go: opus_encoder_init, "memory … allocated by the application"), so nothing has to be freed. Nothing here allocates after New.
package libopus

/*
#cgo LDFLAGS: -l:libopus.a -lm
#include <opus/opus.h>

// Variadic functions cannot be called from Go.
static int encoder_set(OpusEncoder *e, int request, opus_int32 value) { return opus_encoder_ctl(e, request, value); }

// Only errors and lengths below zero differ from a plain call: buffers are given as the address of their first element, and NULL data is
// what opus_decode takes for "lost".
static int decode_lost(OpusDecoder *d, opus_int16 *pcm, int samples) { return opus_decode(d, NULL, 0, pcm, samples, 0); }
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Request is an OPUS_SET_… of opus_defines.h.
type Request int

// The requests that are made.
const (
	Bitrate      Request = C.OPUS_SET_BITRATE_REQUEST
	MaxBandwidth Request = C.OPUS_SET_MAX_BANDWIDTH_REQUEST
	VBR          Request = C.OPUS_SET_VBR_REQUEST
	Complexity   Request = C.OPUS_SET_COMPLEXITY_REQUEST
	FEC          Request = C.OPUS_SET_INBAND_FEC_REQUEST
	PacketLoss   Request = C.OPUS_SET_PACKET_LOSS_PERC_REQUEST
	DTX          Request = C.OPUS_SET_DTX_REQUEST
)

// Values of some requests.
const (
	Auto          = C.OPUS_AUTO
	BitrateMax    = C.OPUS_BITRATE_MAX
	Narrowband    = C.OPUS_BANDWIDTH_NARROWBAND
	Mediumband    = C.OPUS_BANDWIDTH_MEDIUMBAND
	Wideband      = C.OPUS_BANDWIDTH_WIDEBAND
	Superwideband = C.OPUS_BANDWIDTH_SUPERWIDEBAND
	Fullband      = C.OPUS_BANDWIDTH_FULLBAND
)

// Error is an error code of libopus.
type Error int

func (e Error) Error() string { return "libopus: " + C.GoString(C.opus_strerror(C.int(e))) }

// Encoder makes packets of mono audio.
type Encoder struct{ state []uint64 }

// NewEncoder makes an encoder for speech sampled at rate Hz: 8000, 12000, 16000, 24000 or 48000.
func NewEncoder(rate int) (*Encoder, error) {
	e := &Encoder{state: block(C.opus_encoder_get_size(1))}
	if code := C.opus_encoder_init(e.c(), C.opus_int32(rate), 1, C.OPUS_APPLICATION_VOIP); code != C.OPUS_OK {
		return nil, fmt.Errorf("making an encoder: %w", Error(code))
	}
	return e, nil
}

func (e *Encoder) c() *C.OpusEncoder { return (*C.OpusEncoder)(unsafe.Pointer(&e.state[0])) }

// Set makes a request.
func (e *Encoder) Set(r Request, value int) error {
	if code := C.encoder_set(e.c(), C.int(r), C.opus_int32(value)); code != C.OPUS_OK {
		return fmt.Errorf("setting %d to %d: %w", r, value, Error(code))
	}
	return nil
}

// Encode fills packet with one packet for pcm, which must be 2.5, 5, 10, 20, 40, 60, 80, 100 or 120 ms, and gives its length. Up to
// two bytes need not be sent: DTX.
func (e *Encoder) Encode(packet []byte, pcm []int16) (int, error) {
	if len(pcm) == 0 || len(packet) == 0 {
		return 0, Error(C.OPUS_BAD_ARG)
	}
	n := C.opus_encode(e.c(), samplesAt(pcm), C.int(len(pcm)), bytesAt(packet), C.opus_int32(len(packet)))
	if n < 0 {
		return 0, Error(n)
	}
	return int(n), nil
}

// Decoder makes mono audio of packets.
type Decoder struct{ state []uint64 }

// NewDecoder makes a decoder that gives PCM at rate Hz: 8000, 12000, 16000, 24000 or 48000.
func NewDecoder(rate int) (*Decoder, error) {
	d := &Decoder{state: block(C.opus_decoder_get_size(1))}
	if code := C.opus_decoder_init(d.c(), C.opus_int32(rate), 1); code != C.OPUS_OK {
		return nil, fmt.Errorf("making a decoder: %w", Error(code))
	}
	return d, nil
}

func (d *Decoder) c() *C.OpusDecoder { return (*C.OpusDecoder)(unsafe.Pointer(&d.state[0])) }

// Decode fills pcm with what a packet holds and gives the number of samples. pcm must have room for all of it.
func (d *Decoder) Decode(pcm []int16, packet []byte) (int, error) {
	if len(pcm) == 0 || len(packet) == 0 {
		return 0, Error(C.OPUS_BAD_ARG)
	}
	return result(C.opus_decode(d.c(), bytesAt(packet), C.opus_int32(len(packet)), samplesAt(pcm), C.int(len(pcm)), 0))
}

// Recover fills pcm with the audio before a packet from what the packet repeats of it (in-band FEC), else conceals. The length of pcm
// must be a multiple of 2.5 ms.
func (d *Decoder) Recover(pcm []int16, packet []byte) (int, error) {
	if len(pcm) == 0 || len(packet) == 0 {
		return 0, Error(C.OPUS_BAD_ARG)
	}
	return result(C.opus_decode(d.c(), bytesAt(packet), C.opus_int32(len(packet)), samplesAt(pcm), C.int(len(pcm)), 1))
}

// Conceal fills pcm, a multiple of 2.5 ms, in place of lost audio.
func (d *Decoder) Conceal(pcm []int16) (int, error) {
	if len(pcm) == 0 {
		return 0, nil
	}
	return result(C.decode_lost(d.c(), samplesAt(pcm), C.int(len(pcm))))
}

func result(n C.int) (int, error) {
	if n < 0 {
		return 0, Error(n)
	}
	return int(n), nil
}

// block is memory for a state, aligned for anything in it.
func block(size C.int) []uint64 { return make([]uint64, (int(size)+7)/8) }

func samplesAt(pcm []int16) *C.opus_int16 { return (*C.opus_int16)(unsafe.Pointer(&pcm[0])) }
func bytesAt(b []byte) *C.uchar           { return (*C.uchar)(unsafe.Pointer(&b[0])) }
