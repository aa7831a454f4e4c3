// Package codec is the table of audio codecs a line can speak and their implementations.
//
// It exists so that the account's codec numbers, the SDP's rtpmap names and the code that turns PCM into payloads and back
// are one table: offer/answer, the media chain and the E-model all read the same rows. Codecs the account can name but the
// agent does not speak yet are rows too, so that an account naming them is understood and simply not offered them.
package codec

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrNotOffered says that the agent has no implementation of a codec.
var ErrNotOffered = errors.New("codec not offered by this agent")

// Format is one RTP payload format as SDP negotiates it (RFC 3551 §6, RFC 8866 §6.6). It is comparable.
type Format struct {
	Name     string // encoding name, as in a=rtpmap; compared without case
	PT       uint8  // RTP payload type, 0..127
	Clock    int    // RTP timestamp rate in Hz; not always the sampling rate (G.722 says 8000 and samples at 16000)
	Channels int    // 1 when SDP says nothing
	Params   string // a=fmtp parameters, verbatim; of a format to send with, the peer's
	Opus     Opus   // how to send, of Opus alone; never read from SDP
}

// Same reports whether f and g name the same encoding: name, clock and channels, whatever their payload types.
func (f Format) Same(g Format) bool {
	return strings.EqualFold(f.Name, g.Name) && f.Clock == g.Clock && max(f.Channels, 1) == max(g.Channels, 1)
}

// String is the a=rtpmap form, for example "PCMU/8000" or "opus/48000/2".
func (f Format) String() string {
	if f.Channels > 1 {
		return fmt.Sprintf("%s/%d/%d", f.Name, f.Clock, f.Channels)
	}
	return fmt.Sprintf("%s/%d", f.Name, f.Clock)
}

// Ticks is the length of d in RTP timestamp units.
func (f Format) Ticks(d time.Duration) uint32 {
	return uint32(int64(f.Clock) * int64(d) / int64(time.Second))
}

// Encoder turns PCM into payloads. It keeps state from frame to frame, so one serves one stream, from one goroutine.
type Encoder interface {
	// Rate is the PCM sampling rate in Hz.
	Rate() int
	// FrameSamples is the codec's own frame: Encode takes whole multiples of it (1 for a sample-by-sample codec).
	FrameSamples() int
	// Encode appends the payload for pcm to dst; nothing when nothing is to be sent for it (discontinuous transmission).
	Encode(dst []byte, pcm []int16) ([]byte, error)
}

// Decoder turns payloads into PCM. It keeps state from frame to frame, so one serves one stream, from one goroutine.
type Decoder interface {
	// Rate is the PCM sampling rate in Hz.
	Rate() int
	// Samples is how many PCM samples Decode would make of payload; 0 when payload is not of this codec.
	Samples(payload []byte) int
	// Decode appends the PCM of payload to dst.
	Decode(dst []int16, payload []byte) ([]int16, error)
	// Conceal appends n samples that stand in for lost ones, fading to silence as the gap grows.
	Conceal(dst []int16, n int) []int16
}

// Recoverer is a decoder that can make up for lost audio with what the packet after it repeats of it.
type Recoverer interface {
	// Recover appends the n samples that came before next, or what stands in for them.
	Recover(dst []int16, next []byte, n int) []int16
}
