package interop

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// TestOpusAgainstFFmpeg has ffmpeg decode what we send, by libopus and by a decoder of its own, and us what ffmpeg's libopus encodes. Opus
// says nothing about its samples to the bit: what is heard must be what was said.
func TestOpusAgainstFFmpeg(t *testing.T) {
	t.Parallel()
	spec, _ := codec.Lookup(103)
	tone, words := sineAt(spec.Rate), speech(t, spec.Rate)
	judge := func(encoder, decoder string, toneBack, wordsBack []int16) {
		t.Helper()
		snr, distance := sineFit(toneBack, spec.Rate), spectralDistance(words, wordsBack, spec.Rate)
		t.Logf("opus: %s to %s: tone %.1f dB, speech %.2f dB off", encoder, decoder, snr, distance)
		if len(wordsBack) < len(words)*99/100 || snr < 20 || distance > 6 {
			t.Errorf("%s to %s: %d samples of %d, tone %.1f dB, speech %.2f dB off; want at least 20 and at most 6", encoder, decoder, len(wordsBack), len(words), snr, distance)
		}
		outcome(t, "ffmpeg", "opus, %s to %s: tone %.1f dB, speech %.2f dB off", encoder, decoder, snr, distance)
	}
	ourTone, ourWords := opusPackets(t, spec, tone), opusPackets(t, spec, words)
	judge("ours", "ours", opusDecoded(t, spec, ourTone), opusDecoded(t, spec, ourWords))
	for _, decoder := range []string{"opus", "libopus"} {
		theirs := func(packets [][]byte) []int16 {
			command := []string{"ffmpeg", "-v", "error", "-c:a", decoder, "-f", "ogg", "-i", "-", "-f", "s16le", "-ar", "16000", "-ac", "1", "-"}
			return samplesOf(stranger{}.run(t, command, oggOf(packets)))
		}
		judge("ours", "ffmpeg "+decoder, theirs(ourTone), theirs(ourWords))
	}
	encode := []string{"ffmpeg", "-v", "error", "-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "-", "-c:a", "libopus", "-b:a", "32k", "-application", "voip", "-f", "ogg", "-"}
	toneThere, wordsThere := stranger{}.run(t, encode, bytesOf(tone)), stranger{}.run(t, encode, bytesOf(words))
	judge("ffmpeg libopus", "ours", opusDecoded(t, spec, packetsOf(toneThere)), opusDecoded(t, spec, packetsOf(wordsThere)))
}

// opusPackets are packets of 20 ms.
func opusPackets(t *testing.T, spec codec.Spec, pcm []int16) (packets [][]byte) {
	t.Helper()
	f := codec.Formats([]int{spec.Number}, codec.Options{})[0]
	f.Params = "" // the peer asks for nothing
	e, err := codec.NewEncoder(f)
	must(t, err)
	for n := spec.Rate / 50; len(pcm) >= n; pcm = pcm[n:] {
		packet, err := e.Encode(nil, pcm[:n])
		must(t, err)
		packets = append(packets, packet)
	}
	return packets
}

func opusDecoded(t *testing.T, spec codec.Spec, packets [][]byte) (pcm []int16) {
	t.Helper()
	d, err := codec.NewDecoder(spec.Format)
	must(t, err)
	for _, packet := range packets {
		pcm, err = d.Decode(pcm, packet)
		must(t, err)
	}
	return pcm
}

// oggOf puts packets of 20 ms into a file that ffmpeg reads (RFC 3533, RFC 7845): each on a page of its own.
func oggOf(packets [][]byte) (file []byte) {
	head := []byte("OpusHead\x01\x01\x00\x00\x80\x3e\x00\x00\x00\x00\x00") // one channel, nothing to skip, 16 kHz
	tags := []byte("OpusTags\x04\x00\x00\x00test\x00\x00\x00\x00")
	for i, packet := range append([][]byte{head, tags}, packets...) {
		kind := byte(0)
		if i == 0 {
			kind = 2 // the first page
		}
		page := append([]byte("OggS\x00"), kind)
		page = binary.LittleEndian.AppendUint64(page, uint64(max(i-1, 0)*960))
		page = binary.LittleEndian.AppendUint32(page, 1) // the stream
		page = binary.LittleEndian.AppendUint32(page, uint32(i))
		page = append(page, 0, 0, 0, 0, byte(len(packet)/255+1))
		page = append(page, bytes.Repeat([]byte{255}, len(packet)/255)...)
		page = append(append(page, byte(len(packet)%255)), packet...)
		binary.LittleEndian.PutUint32(page[22:], oggSum(page))
		file = append(file, page...)
	}
	return file
}

// oggSum is the checksum of a page: the polynomial of Ethernet's, not reflected.
func oggSum(page []byte) (sum uint32) {
	for _, b := range page {
		sum ^= uint32(b) << 24
		for range 8 {
			carry := sum >> 31
			sum = sum<<1 ^ carry*0x04c11db7
		}
	}
	return sum
}

// packetsOf takes the packets of sound out of a file, the two of its head left out.
func packetsOf(file []byte) (packets [][]byte) {
	var packet []byte
	for len(file) >= 27 && bytes.HasPrefix(file, []byte("OggS")) {
		lengths := file[27:][:file[26]]
		file = file[27+len(lengths):]
		for _, n := range lengths {
			packet, file = append(packet, file[:n]...), file[n:]
			if n < 255 {
				packets, packet = append(packets, packet), nil
			}
		}
	}
	return packets[min(2, len(packets)):]
}
