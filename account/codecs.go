package account

import "slices"

type codecName struct {
	number int
	name   string
}

// codecNames are the codecs that the document's numbers stand for. The numbers are
// the vendor's own and look like RTP payload types; only 0 to 34 are (RFC 3551 §6).
var codecNames = []codecName{
	{0, "PCMU"}, {3, "GSM"}, {8, "PCMA"}, {9, "G722"}, {18, "G729"}, {102, "iLBC"}, {103, "Opus"},
	{99, "H264"}, {108, "VP8"},
}

// CodecName is the name of the codec with a number of codecOrder or
// videoCodecOrder; "" when the number stands for none.
func CodecName(number int) string {
	for _, c := range codecNames {
		if c.number == number {
			return c.name
		}
	}
	return ""
}

// CodecNumber is the number of the codec with a name, as CodecName spells it.
func CodecNumber(name string) (number int, ok bool) {
	i := slices.IndexFunc(codecNames, func(c codecName) bool { return c.name == name })
	if i < 0 {
		return 0, false
	}
	return codecNames[i].number, true
}
