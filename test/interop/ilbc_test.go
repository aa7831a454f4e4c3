package interop

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// TestILBCAgainstFFmpeg has ffmpeg decode what we encode, in both frame lengths:
// it must hear what our decoder makes of the same bits. Nothing in Debian encodes
// iLBC, so our decoder is held against the bits of our own encoder alone.
func TestILBCAgainstFFmpeg(t *testing.T) {
	spec, _ := codec.Lookup(102)
	tone, words := sineAt(spec.Rate), speech(t, spec.Rate)
	for mode, limits := range map[int]struct{ toneDB, speechDB float64 }{20: {22, 7}, 30: {21, 7}} {
		f := spec.Format
		f.Params = fmt.Sprintf("mode=%d", mode)
		ffmpeg := func(payload []byte) []int16 {
			file := append(fmt.Appendf(nil, "#!iLBC%d\n", mode), payload...)
			return samplesOf(stranger{}.run(t, []string{"ffmpeg", "-v", "error", "-f", "ilbc", "-i", "-", "-f", "s16le", "-"}, file))
		}
		through := func(pcm []int16) (ours, theirs []int16) {
			e, err := codec.NewEncoder(f)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := e.Encode(nil, pcm[:len(pcm)/e.FrameSamples()*e.FrameSamples()])
			if err != nil {
				t.Fatal(err)
			}
			d, err := codec.NewDecoder(f)
			if err != nil {
				t.Fatal(err)
			}
			for frame := range slices.Chunk(payload, map[int]int{20: 38, 30: 50}[mode]) { // a payload's length tells the mode
				if ours, err = d.Decode(ours, frame); err != nil {
					t.Fatal(err)
				}
			}
			return ours, ffmpeg(payload)
		}
		toneOurs, toneTheirs := through(tone)
		wordsOurs, wordsTheirs := through(words)
		// ffmpeg's arithmetic is fixed-point; of 20 ms, its first two frames and ours differ in the start-up of their filters.
		agree := likeness(wordsOurs[spec.Rate/10:], wordsTheirs[spec.Rate/10:])
		snr := min(sineFit(toneOurs, spec.Rate), sineFit(toneTheirs, spec.Rate))
		distance := spectralDistance(words, wordsTheirs, spec.Rate)
		t.Logf("iLBC %d ms: tone by ours %.1f dB SNR, by theirs %.1f dB, speech %.2f dB off, our decoder and ffmpeg's agree to %.1f dB", mode, sineFit(toneOurs, spec.Rate), sineFit(toneTheirs, spec.Rate), distance, agree)
		if agree < 25 || snr < limits.toneDB || distance > limits.speechDB || len(wordsTheirs) != len(wordsOurs) {
			t.Errorf("iLBC %d ms: want 25 dB of agreement, a tone of %g dB, speech within %g dB", mode, limits.toneDB, limits.speechDB)
		}
		outcome(t, "ffmpeg", "iLBC %d ms: tone %.1f dB, speech %.2f dB off, decoders agree to %.1f dB", mode, sineFit(toneOurs, spec.Rate), distance, agree)
	}
}

// likeness is the ratio, in dB, of a signal to its difference from another.
func likeness(a, b []int16) float64 {
	var signal, difference float64
	for i := range slices.Min([]int{len(a), len(b)}) {
		d := float64(a[i]) - float64(b[i])
		signal, difference = signal+float64(a[i])*float64(a[i]), difference+d*d
	}
	return 10 * math.Log10(signal/max(difference, 1e-9))
}
