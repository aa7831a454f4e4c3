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
	Rate       int    // PCM sampling rate in Hz; of Opus, the one its default bandwidth gives
	FrameMs    int    // packet times are multiples of it; 0 = any
	Impairment Impairment
	Offered    bool // false: known by number, not spoken yet

	encoder func(Format) Encoder
	decoder func(Format) Decoder
}

// specs are the codec numbers an account can name. Payload types of dynamic ones are the account's own numbers.
var specs = [...]Spec{
	{Number: 0, Format: Format{Name: "PCMU", PT: 0, Clock: 8000, Channels: 1}, Rate: 8000, Impairment: g711Impairment, Offered: true,
		encoder: encoding(newMuLawEncoder), decoder: decoding(newMuLawDecoder)},
	{Number: 8, Format: Format{Name: "PCMA", PT: 8, Clock: 8000, Channels: 1}, Rate: 8000, Impairment: g711Impairment, Offered: true,
		encoder: encoding(newALawEncoder), decoder: decoding(newALawDecoder)},
	{Number: 3, Format: Format{Name: "GSM", PT: 3, Clock: 8000, Channels: 1}, Rate: gsmRate, FrameMs: 20, Impairment: gsmImpairment, Offered: true,
		encoder: encoding(newGSMEncoder), decoder: decoding(newGSMDecoder)},
	{Number: 9, Format: Format{Name: "G722", PT: 9, Clock: 8000, Channels: 1}, Rate: g722Rate, Impairment: g722Impairment, Offered: true,
		encoder: encoding(newG722Encoder), decoder: decoding(newG722Decoder)},
	{Number: g729Number, Format: Format{Name: "G729", PT: 18, Clock: 8000, Channels: 1}, Rate: g729Rate, FrameMs: 10, Impairment: g729Impairment, Offered: true,
		encoder: encoding(newG729Encoder), decoder: decoding(newG729Decoder)},
	{Number: 102, Format: Format{Name: "iLBC", PT: 102, Clock: 8000, Channels: 1}, Rate: ilbcRate, Impairment: ilbcImpairment, Offered: true,
		encoder: newILBCEncoder, decoder: decoding(newILBCDecoder)},
	{Number: 103, Format: Format{Name: "opus", PT: 103, Clock: opusClock, Channels: 2}, Rate: 16000, Impairment: opusImpairment, Offered: opusOffered,
		encoder: newOpusEncoder, decoder: newOpusDecoder},
}

// encoding and decoding are for codecs that are the same whatever was negotiated.
func encoding(f func() Encoder) func(Format) Encoder { return func(Format) Encoder { return f() } }
func decoding(f func() Decoder) func(Format) Decoder { return func(Format) Decoder { return f() } }

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

// PacketTime is the longest packet time up to ms that whole frames of the codec fill; one frame when none does. f is the format as
// negotiated: some codecs have frames of several lengths.
func PacketTime(f Format, ms int) int {
	s, ok := Find(f)
	switch {
	case !ok:
		return ms
	case s.Number == opusNumber:
		return opusPacketTime(ms)
	case s.Number == ilbcNumber:
		s.FrameMs = ilbcOf(f.Params).ms
	}
	if s.FrameMs == 0 {
		return ms
	}
	return max(ms-ms%s.FrameMs, s.FrameMs)
}

// Options are what an account says about how its codecs are to be offered.
type Options struct {
	PTime int // packet time in ms that will be asked for; 0 = nothing is known
	Opus  Opus
}

// Formats are the formats to offer for an account's codec order: unknown numbers, repeats and codecs not offered yet left out.
func Formats(order []int, o Options) []Format {
	var formats []Format
	seen := make(map[int]bool)
	for _, n := range order {
		s, ok := Lookup(n)
		if !ok || !s.Offered || seen[n] {
			continue
		}
		seen[n] = true
		formats = append(formats, s.Format.with(o))
	}
	return formats
}

// with is a format of the table with what the account wants of it.
func (f Format) with(o Options) Format {
	switch s, _ := Find(f); {
	case s.Number == opusNumber:
		f.Opus, f.Params = o.Opus.orDefault(), o.Opus.Params()
	case s.Number == g729Number:
		f.Params = "annexb=no" // nothing said would mean yes (RFC 4856 §2.1.9)
	case s.Number == ilbcNumber && (o.PTime <= 0 || o.PTime%30 != 0):
		f.Params = "mode=20"
	case s.Number == ilbcNumber:
		f.Params = "mode=30"
	}
	return f
}

// Agree is the format to send with: theirs, under our spelling of its name and with our own wishes, where both name the same encoding.
// Params stay what the peer asks for, where there is nothing to be agreed on.
func Agree(theirs, ours Format) Format {
	theirs.Name, theirs.Opus = ours.Name, ours.Opus
	if s, _ := Find(ours); s.Number == ilbcNumber {
		theirs.Params = ilbcAgree(theirs.Params, ours.Params)
	}
	return theirs
}

// Answer is the format to answer with for one that was agreed on: our own parameters under their payload type.
func Answer(agreed, ours Format) Format {
	if s, _ := Find(ours); s.Number != ilbcNumber {
		agreed.Params = ours.Params
	}
	return agreed
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
	return s.encoder(f), nil
}

// NewDecoder makes a decoder for a negotiated format. The error wraps ErrNotOffered.
func NewDecoder(f Format) (Decoder, error) {
	s, ok := Find(f)
	if !ok || s.decoder == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotOffered, f)
	}
	return s.decoder(f), nil
}
