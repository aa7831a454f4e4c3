//go:build !cgo || nolibopus

package codec

// opusOffered says that this build does not speak Opus: it has no libopus.
const opusOffered = false

var (
	newOpusEncoder func(Format) Encoder
	newOpusDecoder func(Format) Decoder
)
