package codec

import (
	"strconv"
	"strings"
)

// Opus is how a line wants to send, and asks to be sent, Opus. It is comparable; the zero value stands for DefaultOpus.
type Opus struct {
	Bandwidth    int  // sampling rate of the audio in Hz: 8000, 16000 or 48000
	Complexity   int  // encoder effort, 0..10; -1: the library's choice
	Bitrate      int  // bit/s, 6000..510000; 0: the library's choice, -1: as much as goes
	FEC          bool // ask for in-band forward error correction
	DTX          bool // ask for silence not to be sent
	VBR          bool // variable bit rate; false asks for a constant one
	ExpectedLoss int  // percent of packets; what FEC is dimensioned for
}

// DefaultOpus is wideband with everything else as the account's presets have it.
var DefaultOpus = Opus{Bandwidth: 16000, Complexity: -1, FEC: true, DTX: true, VBR: true, ExpectedLoss: 5}

const (
	opusNumber     = 103
	opusMaxBitrate = 510000
	opusClock      = 48000
	opusMaxMs      = 120  // the longest packet (RFC 6716 §3.2.5)
	opusRoom       = 1200 // bytes a packet may have, so that it fits a datagram with everything around it
)

// opusImpairment: G.113 has no values for Opus. On the narrowband scale of G.107 it is taken for as good as G.711, and as robust.
var opusImpairment = Impairment{Ie: 0, Bpl: 25.1}

// orDefault is o, or DefaultOpus in place of the zero value.
func (o Opus) orDefault() Opus {
	if o == (Opus{}) {
		return DefaultOpus
	}
	return o
}

// Params are the a=fmtp parameters that ask a peer to send so (RFC 7587 §6.1). What a default says is left out.
func (o Opus) Params() string {
	o = o.orDefault()
	var list []string
	if o.Bandwidth < opusClock {
		rate := strconv.Itoa(o.Bandwidth)
		list = append(list, "maxplaybackrate="+rate, "sprop-maxcapturerate="+rate)
	}
	switch {
	case o.Bitrate > 0:
		list = append(list, "maxaveragebitrate="+strconv.Itoa(o.Bitrate))
	case o.Bitrate < 0:
		list = append(list, "maxaveragebitrate="+strconv.Itoa(opusMaxBitrate))
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"useinbandfec", o.FEC}, {"usedtx", o.DTX}, {"cbr", !o.VBR}} {
		if flag.set {
			list = append(list, flag.name+"=1")
		}
	}
	return strings.Join(list, ";")
}

// toward is how to encode for a peer that asks by params: no more bandwidth and bits than either side wants, a constant bit rate when
// either wants it, FEC and DTX exactly when the peer takes them.
func (o Opus) toward(params string) Opus {
	o = o.orDefault()
	if rate := number(params, "maxplaybackrate"); rate >= 8000 {
		o.Bandwidth = min(o.Bandwidth, rate)
	}
	if limit := number(params, "maxaveragebitrate"); limit >= 6000 {
		limit = min(limit, opusMaxBitrate)
		if o.Bitrate <= 0 || o.Bitrate > limit {
			o.Bitrate = limit
		}
	}
	o.FEC, o.DTX = number(params, "useinbandfec") == 1, number(params, "usedtx") == 1
	o.VBR = o.VBR && number(params, "cbr") != 1
	return o
}

// parameter finds name=value in a=fmtp parameters, names without case.
func parameter(params, name string) (string, bool) {
	for part := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(part, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// number is a parameter's value; 0 when it is absent or no number.
func number(params, name string) int {
	text, _ := parameter(params, name)
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// opusPacketTimes are the packet times one frame, or frames of one size in a row, fill without splitting: what libopus takes at once.
var opusPacketTimes = []int{10, 20, 40, 60, 80, 100, 120}

// opusPacketTime is the longest of them up to ms.
func opusPacketTime(ms int) int {
	best := opusPacketTimes[0]
	for _, t := range opusPacketTimes {
		if t <= ms {
			best = t
		}
	}
	return best
}

// opusSamples is how many samples at a rate a packet holds, by its first bytes (RFC 6716 §3.1, §3.2); 0 when it is none.
func opusSamples(packet []byte, rate int) int {
	if len(packet) == 0 {
		return 0
	}
	frame := opusFrame(packet[0]>>3) * (rate / 400) / 10
	count := 1
	switch packet[0] & 3 {
	case 1, 2:
		count = 2
	case 3:
		if len(packet) < 2 {
			return 0
		}
		count = int(packet[1] & 0x3f)
	}
	if samples := frame * count; samples*1000 <= opusMaxMs*rate {
		return samples
	}
	return 0
}

// opusFrame is the length of a frame in units of 0.25 ms by its configuration (RFC 6716 table 2).
func opusFrame(config byte) int {
	switch {
	case config < 12: // SILK
		return [...]int{40, 80, 160, 240}[config&3]
	case config < 16: // hybrid
		return [...]int{40, 80}[config&1]
	}
	return 10 << (config & 3) // CELT
}
