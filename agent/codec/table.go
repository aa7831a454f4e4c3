package codec

import "fmt"

// Impairment is how a codec and its concealment weigh in the E-model (ITU-T G.107 §7.5, values of G.113 Appendix I).
type Impairment struct {
	Ie  float64 // equipment impairment factor without loss
	Bpl float64 // packet-loss robustness factor
}

// Spec is one row of the codec table.
type Spec struct {
	Number     int    // the account's codec number (codecOrder)
	Format     Format // as offered in SDP
	Rate       int    // PCM sampling rate in Hz
	FrameMs    int    // packet times are multiples of it; 0 = any
	Impairment Impairment
	Offered    bool // false: known by number, not spoken yet

	encoder func() Encoder
	decoder func() Decoder
}

// specs are the codec numbers an account can name. Payload types of dynamic ones are the account's own numbers.
var specs = [...]Spec{
	{Number: 0, Format: Format{Name: "PCMU", PT: 0, Clock: 8000, Channels: 1}, Rate: 8000, Impairment: g711Impairment, Offered: true,
		encoder: newMuLawEncoder, decoder: newMuLawDecoder},
	{Number: 8, Format: Format{Name: "PCMA", PT: 8, Clock: 8000, Channels: 1}, Rate: 8000, Impairment: g711Impairment, Offered: true,
		encoder: newALawEncoder, decoder: newALawDecoder},
	{Number: 3, Format: Format{Name: "GSM", PT: 3, Clock: 8000, Channels: 1}, Rate: gsmRate, FrameMs: 20, Impairment: gsmImpairment, Offered: true,
		encoder: newGSMEncoder, decoder: newGSMDecoder},
	{Number: 9, Format: Format{Name: "G722", PT: 9, Clock: 8000, Channels: 1}, Rate: g722Rate, Impairment: g722Impairment, Offered: true,
		encoder: newG722Encoder, decoder: newG722Decoder},
	{Number: 18, Format: Format{Name: "G729", PT: 18, Clock: 8000, Channels: 1}, Rate: 8000},
	{Number: 102, Format: Format{Name: "iLBC", PT: 102, Clock: 8000, Channels: 1}, Rate: 8000},
	{Number: 103, Format: Format{Name: "opus", PT: 103, Clock: 48000, Channels: 2}, Rate: 48000},
}

// Lookup finds a codec by the account's number.
func Lookup(number int) (Spec, bool) {
	for _, s := range specs {
		if s.Number == number {
			return s, true
		}
	}
	return Spec{}, false
}

// Find finds the codec of a negotiated format, by name, clock and channels.
func Find(f Format) (Spec, bool) {
	for _, s := range specs {
		if s.Format.Same(f) {
			return s, true
		}
	}
	return Spec{}, false
}

// PacketTime is the longest packet time up to ms that whole frames of the codec fill; one frame when none does.
func (s Spec) PacketTime(ms int) int {
	if s.FrameMs == 0 {
		return ms
	}
	return max(ms-ms%s.FrameMs, s.FrameMs)
}

// Formats are the formats to offer for an account's codec order: unknown numbers, repeats and codecs not offered yet left out.
func Formats(order []int) []Format {
	var formats []Format
	seen := make(map[int]bool)
	for _, n := range order {
		s, ok := Lookup(n)
		if ok && s.Offered && !seen[n] {
			seen[n] = true
			formats = append(formats, s.Format)
		}
	}
	return formats
}

// Static is the format a payload type has by RFC 3551 table 4 when SDP gives no rtpmap for it.
func Static(pt uint8) (Format, bool) {
	for _, s := range specs {
		if s.Format.PT == pt && pt < 96 {
			return s.Format, true
		}
	}
	return Format{}, false
}

// NewEncoder makes an encoder for a negotiated format. The error wraps ErrNotOffered.
func NewEncoder(f Format) (Encoder, error) {
	s, ok := Find(f)
	if !ok || s.encoder == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotOffered, f)
	}
	return s.encoder(), nil
}

// NewDecoder makes a decoder for a negotiated format. The error wraps ErrNotOffered.
func NewDecoder(f Format) (Decoder, error) {
	s, ok := Find(f)
	if !ok || s.decoder == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotOffered, f)
	}
	return s.decoder(), nil
}
