package interop

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/codec"
	"github.com/softphone-operator/softphone-operator/test/peer/linphone"
)

// bcg729Program is a program around Debian's libbcg729, another G.729 with Annexes A and B. Its plain streams are frames of 10 bytes; in
// those "with silence" a byte before each frame says how long it is: 10, 2 (a silence descriptor), 0 (nothing is sent), 255 (lost).
const bcg729Program = `
#include <stdint.h>
#include <stdio.h>
#include <string.h>
void *initBcg729EncoderChannel(uint8_t vad);
void bcg729Encoder(void *, const int16_t pcm[], uint8_t bits[], uint8_t *length);
void *initBcg729DecoderChannel(void);
void bcg729Decoder(void *, const uint8_t bits[], uint8_t length, uint8_t erased, uint8_t silence, uint8_t rfc3389, int16_t pcm[]);

int main(int argc, char **argv) {
	int silence = argc > 2;
	int16_t pcm[80];
	uint8_t bits[255], length = 10;
	if (strcmp(argv[1], "encode") == 0) {
		void *e = initBcg729EncoderChannel(silence);
		while (fread(pcm, sizeof pcm, 1, stdin) == 1) {
			bcg729Encoder(e, pcm, bits, &length);
			if (silence) fputc(length, stdout);
			fwrite(bits, 1, length, stdout);
		}
		return 0;
	}
	void *d = initBcg729DecoderChannel();
	for (;;) {
		int mark = silence ? fgetc(stdin) : 10;
		if (mark == EOF) return 0;
		length = mark == 255 ? 0 : mark;
		if (fread(bits, 1, length, stdin) != length) return 0;
		bcg729Decoder(d, bits, length, length == 0, length == 2, 0, pcm);
		fwrite(pcm, sizeof pcm, 1, stdout);
	}
}
`

// bcg729 builds it. Only the library is packaged; its functions are declared above.
func bcg729(t *testing.T) stranger {
	t.Helper()
	program, source := filepath.Join(t.TempDir(), "bcg729"), filepath.Join(t.TempDir(), "bcg729.c")
	must(t, os.WriteFile(source, []byte(bcg729Program), 0o600))
	if out, err := exec.CommandContext(t.Context(), "gcc", "-O1", "-o", program, source, "-l:libbcg729.so.0").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v (Debian package libbcg729-0: see hack/install-packages.sh)\n%s", err, out)
	}
	return stranger{name: "bcg729", encode: []string{program, "encode"}, decode: []string{program, "decode"}}
}

// TestG729SilenceAgainstBcg729 has ours and bcg729 decode what bcg729's encoder makes of speech with pauses when it sends silence
// descriptors, and what is left of it when frames are lost: they must agree on speech, and on the level of comfort noise.
func TestG729SilenceAgainstBcg729(t *testing.T) {
	t.Parallel()
	s := bcg729(t)
	words := speech(t, 8000)
	for i := range words { // pauses are digital silence otherwise, and there would be no noise to describe
		words[i] = int16(max(min(int(words[i])+i*i%241-120, math.MaxInt16), math.MinInt16))
	}
	stream := s.run(t, append(s.encode, "silence"), bytesOf(words))
	for what, every := range map[string]int{"nothing lost": 0, "every 20th frame of speech lost": 20} {
		marked, ours, quiet := g729Stream(t, stream, every)
		theirs := samplesOf(s.run(t, append(s.decode, "silence"), marked))
		if len(ours) != len(theirs) || len(ours) < len(words)-80 {
			t.Fatalf("%s: %d samples by ours, %d by theirs, %d spoken", what, len(ours), len(theirs), len(words))
		}
		var speechOurs, speechTheirs []int16
		var noiseOurs, noiseTheirs, noise float64
		for i, q := range quiet {
			if !q {
				speechOurs, speechTheirs = append(speechOurs, ours[80*i:80*i+80]...), append(speechTheirs, theirs[80*i:80*i+80]...)
				continue
			}
			for k := 80 * i; k < 80*i+80; k++ {
				noiseOurs, noiseTheirs, noise = noiseOurs+square(ours[k]), noiseTheirs+square(theirs[k]), noise+square(words[k])
			}
		}
		agree, level, theirLevel := likeness(speechOurs, speechTheirs), 10*math.Log10(noiseOurs/noise), 10*math.Log10(noiseTheirs/noise)
		frames := len(quiet) - len(speechOurs)/80
		t.Logf("%s: %d of %d frames are comfort noise, ours %+.1f dB to what was there, theirs %+.1f dB; on speech both agree to %.1f dB", what, frames, len(quiet), level, theirLevel, agree)
		if frames < len(quiet)/20 || agree < 20 || math.Abs(level) > 3 || math.Abs(level-theirLevel) > 3 {
			t.Errorf("%s: want a twentieth of noise, 20 dB of agreement, and noise within 3 dB of theirs and of what was there", what)
		}
		outcome(t, "bcg729", "G729 annex B, %s: comfort noise %+.1f dB to what was there, theirs %+.1f dB; speech agrees to %.1f dB", what, level, theirLevel, agree)
	}
}

// g729Stream decodes a marked stream by ours, one in every of the frames of speech lost. It also gives the stream with these marked as
// lost, and which of its frames are comfort noise.
func g729Stream(t *testing.T, stream []byte, every int) (marked []byte, pcm []int16, quiet []bool) {
	t.Helper()
	spec, _ := codec.Lookup(18)
	d, err := codec.NewDecoder(spec.Format)
	must(t, err)
	for count := 1; len(stream) > 0; {
		n := int(stream[0])
		frame := stream[:1+n]
		stream = stream[1+n:]
		quiet = append(quiet, n != 10)
		if n == 10 {
			count++
		}
		if n == 0 || n == 10 && every > 0 && count%every == 0 {
			pcm = d.Conceal(pcm, 80)
			if n == 10 {
				frame = []byte{255}
			}
		} else {
			pcm, err = d.Decode(pcm, frame[1:])
			must(t, err)
		}
		marked = append(marked, frame...)
	}
	return marked, pcm, quiet
}

func square(v int16) float64 { return float64(v) * float64(v) }

// TestWhoseG729Wins is the account document's own example with linphone: codecs 0,18 are offered to an account whose codecOrder is 0,18
// and codecOrder3G 18,0. On Wi-Fi theirs is honoured, on a cellular network ours is kept.
func TestWhoseG729Wins(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		network string
		offers  []string
		want    string
	}{
		"0,18 on Wi-Fi":              {"wifi", []string{"PCMU/8000", "G729/8000"}, "PCMU/8000"},
		"18,0 on Wi-Fi":              {"wifi", []string{"G729/8000", "PCMU/8000"}, "G729/8000"},
		"0,18 on a cellular network": {"cellular", []string{"PCMU/8000", "G729/8000"}, "G729/8000"},
	} {
		t.Run(sentence, func(t *testing.T) {
			agentJSON := fmt.Sprintf(`{"version":1,"drainSeconds":1,"network":{"type":%q}}`, c.network)
			account := autoAnswer + "<codecOrder>0,18</codecOrder><codecOrder3G>18,0</codecOrder3G>"
			a, p, ctx := withLinphoneOf(t, linphone.Config{Codecs: c.offers}, agentJSON, []string{"alice"}, map[string]string{"alice": account})
			theirs, call := talks(ctx, t, a, p, "alice")
			must(t, p.Hangup(theirs))
			end := a.awaitCall(call.ID, "is over", ended)
			if end.Codec != c.want {
				t.Errorf("%s is spoken, want %s", end.Codec, c.want)
			}
			outcome(t, "linphone", "offers %s: %s, heard %s", sentence, end.Codec, heard(end))
		})
	}
}
