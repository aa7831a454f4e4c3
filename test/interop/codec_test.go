package interop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// stranger is somebody else's implementation of a codec: two programs that read
// and write streams, PCM in 16 bits of this machine's order.
type stranger struct {
	name           string
	encode, decode []string // none where it has no such half
	header         string   // what its decoder wants before the first frame
	exactDecoder   bool     // the standard says every bit of its output
	exactEncoder   bool
}

// codecRow is a codec, who judges it and what it must reach.
type codecRow struct {
	number    int
	strangers []stranger
	toneDB    float64 // least signal to noise of a 1 kHz sine at -10 dBFS
	speechDB  float64 // most log-spectral distance of speech
}

func ffmpegStranger(format, encoder, decoder string, rate int) stranger {
	pcm := []string{"-f", "s16le", "-ar", strconv.Itoa(rate), "-ac", "1"}
	s := stranger{
		name:   "ffmpeg " + decoder,
		decode: slices.Concat([]string{"ffmpeg", "-v", "error", "-c:a", decoder, "-f", format}, []string{"-i", "-"}, pcm, []string{"-"}),
	}
	if encoder != "" {
		s.encode = slices.Concat([]string{"ffmpeg", "-v", "error"}, pcm, []string{"-i", "-", "-c:a", encoder, "-f", format, "-"})
	}
	return s
}

func codecRows(t *testing.T) []codecRow {
	t.Helper()
	law := func(name string) stranger {
		s := ffmpegStranger(name, "pcm_"+name, "pcm_"+name, 8000)
		s.decode = slices.Insert(s.decode, 1, "-ar", "8000") // of what it reads, too
		s.exactDecoder = true                                // of values half-way between two steps, either is near enough
		return s
	}
	ilbc := ffmpegStranger("ilbc", "", "ilbc", 8000)
	ilbc.header = "#!iLBC30\n"
	toast := stranger{name: "toast", encode: []string{"toast", "-l"}, decode: []string{"untoast", "-l"}, exactDecoder: true, exactEncoder: true}
	libgsm := ffmpegStranger("gsm", "libgsm", "libgsm", 8000)
	libgsm.exactDecoder, libgsm.exactEncoder = true, true
	g722 := ffmpegStranger("g722", "g722", "g722", 16000)
	g722.exactDecoder, g722.exactEncoder = true, true
	return []codecRow{
		{number: 3, toneDB: 40.5, speechDB: 8, strangers: []stranger{toast, libgsm, ffmpegStranger("gsm", "libgsm", "gsm", 8000)}},
		{number: 0, toneDB: 36, speechDB: 1.5, strangers: []stranger{law("mulaw")}},
		{number: 8, toneDB: 36, speechDB: 1.5, strangers: []stranger{law("alaw")}},
		{number: 102, toneDB: 21, speechDB: 7, strangers: []stranger{ilbc}},
		{number: 18, toneDB: 23, speechDB: 8, strangers: []stranger{bcg729(t), ffmpegStranger("g729", "", "g729", 8000)}},
		{number: 9, toneDB: 46.5, speechDB: 4, strangers: []stranger{g722}},
	}
}

// run gives a program its input and returns its output.
func (s stranger) run(t *testing.T, command []string, in []byte) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v (Debian packages: see hack/install-packages.sh)\n%s", strings.Join(command, " "), err, said.String())
	}
	return out.Bytes()
}

// decoded is what it makes of a stream of frames.
func (s stranger) decoded(t *testing.T, payload []byte) []int16 {
	t.Helper()
	return samplesOf(s.run(t, s.decode, append([]byte(s.header), payload...)))
}

func samplesOf(b []byte) []int16 {
	pcm := make([]int16, len(b)/2)
	for i := range pcm {
		pcm[i] = int16(binary.NativeEndian.Uint16(b[2*i:]))
	}
	return pcm
}

func bytesOf(pcm []int16) []byte {
	var b []byte
	for _, v := range pcm {
		b = binary.NativeEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// speech is a few sentences, said by espeak-ng, and a whole number of 20 ms.
func speech(t *testing.T, rate int) []int16 {
	t.Helper()
	text := "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. " +
		"These days a chicken leg is a rare dish. Rice is often served in round bowls. Four hours of steady work faced us."
	said := stranger{}.run(t, []string{"espeak-ng", "--stdout", "-s", "150", text}, nil)
	wav := stranger{}.run(t, []string{"ffmpeg", "-v", "error", "-i", "-", "-f", "s16le", "-ar", strconv.Itoa(rate), "-ac", "1", "-"}, said)
	pcm := samplesOf(wav)
	if len(pcm) < 8*rate {
		t.Fatalf("espeak-ng said only %d samples", len(pcm))
	}
	return pcm[:len(pcm)/(rate/50)*(rate/50)]
}

// sineAt is 4 s of 1 kHz at -10 dBFS.
func sineAt(rate int) []int16 {
	pcm := make([]int16, 4*rate)
	for i := range pcm {
		pcm[i] = int16(math.Round(0.316 * 32767 * math.Sin(2*math.Pi*1000*float64(i)/float64(rate))))
	}
	return pcm
}

// sineFit is the signal-to-noise ratio of what should be a 1 kHz sine of any
// level, phase and offset, its first half second left out.
func sineFit(pcm []int16, rate int) float64 {
	pcm = pcm[rate/2 : len(pcm)/rate*rate] // whole periods: sine, cosine and offset are orthogonal
	var s, c, dc, all float64
	for i, v := range pcm {
		sin, cos := math.Sincos(2 * math.Pi * 1000 * float64(i) / float64(rate))
		s, c, dc, all = s+float64(v)*sin, c+float64(v)*cos, dc+float64(v), all+float64(v)*float64(v)
	}
	n := float64(len(pcm))
	tone := 2 * (s*s + c*c) / n
	return 10 * math.Log10(tone/max(all-tone-dc*dc/n, 1e-9))
}

// spectralDistance is the mean over all frames that are not pauses of the
// difference, in dB, between two logarithmic spectra. Bands 50 dB below a frame's
// strongest count as that weak: nobody hears them.
func spectralDistance(want, got []int16, rate int) float64 {
	size := rate / 50 * 2 // 40 ms, half overlapping
	offset := delayOf(want, got)
	sum, frames := 0.0, 0
	for at := 0; at+size <= len(want) && at+size+offset <= len(got); at += size / 2 {
		a, b := spectrum(want[at:at+size]), spectrum(got[at+offset:at+offset+size])
		peak := slices.Max(a)
		if peak < 60 { // dB of the sum over a frame: a pause
			continue
		}
		square := 0.0
		for i := range a {
			square += math.Pow(max(a[i], peak-50)-max(b[i], peak-50), 2) / float64(len(a))
		}
		sum, frames = sum+math.Sqrt(square), frames+1
	}
	return sum / float64(max(frames, 1))
}

// spectrum is the power, in dB, in bands of 100 Hz from 100 Hz up to 3.4 kHz of
// 8 kHz audio and 7 kHz of 16 kHz audio, of a frame of 40 ms.
func spectrum(pcm []int16) []float64 {
	rate, top := 25*len(pcm), 3400
	if rate > 8000 {
		top = 7000
	}
	windowed := make([]float64, len(pcm))
	for i, v := range pcm {
		windowed[i] = float64(v) * (0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(pcm))))
	}
	var bands []float64
	for hz := 100; hz < top; hz += 100 {
		bands = append(bands, 10*math.Log10(1+goertzel(windowed, hz, rate)+goertzel(windowed, hz+50, rate)))
	}
	return bands
}

// goertzel is the power at a frequency.
func goertzel(x []float64, hz, rate int) float64 {
	k := 2 * math.Cos(2*math.Pi*float64(hz)/float64(rate))
	var s1, s2 float64
	for _, v := range x {
		s1, s2 = v+k*s1-s2, s1
	}
	return s1*s1 + s2*s2 - k*s1*s2
}

// delayOf is by how many samples got comes after want, judged by the first seconds.
func delayOf(want, got []int16) int {
	best, delay := math.Inf(-1), 0
	for d := range 64 {
		sum := 0.0
		for i := 0; i < min(len(want), len(got)-d, 32000); i++ {
			sum += float64(want[i]) * float64(got[i+d])
		}
		if sum > best {
			best, delay = sum, d
		}
	}
	return delay
}

// firstDifference is where two streams part; -1: nowhere, as far as both go.
func firstDifference[T comparable](a, b []T) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// TestCodecsAgainstStrangers sends a tone and speech through our encoder and a
// stranger's decoder and the other way about, and holds every bit against theirs
// where the standard says every bit.
func TestCodecsAgainstStrangers(t *testing.T) {
	t.Parallel()
	var report strings.Builder
	w := tabwriter.NewWriter(&report, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "CODEC\tENCODER\tDECODER\tTONE SNR dB\tSPEECH LSD dB\tSAME BITS, SAME SAMPLES")
	for _, row := range codecRows(t) {
		spec, ok := codec.Lookup(row.number)
		if !ok || !spec.Offered {
			t.Fatalf("codec %d is not offered", row.number)
		}
		t.Run(spec.Format.Name, func(t *testing.T) {
			tone, words := sineAt(spec.Rate), speech(t, spec.Rate)
			judge := func(encoder, decoder, exact string, toneBack, wordsBack []int16) {
				t.Helper()
				snr, distance := sineFit(toneBack, spec.Rate), spectralDistance(words, wordsBack, spec.Rate)
				fmt.Fprintf(w, "%s\t%s\t%s\t%.1f\t%.2f\t%s\n", spec.Format.Name, encoder, decoder, snr, distance, exact)
				if snr < row.toneDB || distance > row.speechDB {
					t.Errorf("%s to %s: tone %.1f dB, speech %.2f dB off; want at least %g and at most %g", encoder, decoder, snr, distance, row.toneDB, row.speechDB)
				}
			}
			ourTone, ourWords := encoded(t, spec, tone), encoded(t, spec, words)
			judge("ours", "ours", "", decoded(t, spec, ourTone), decoded(t, spec, ourWords))
			own, ownTone := decoded(t, spec, ourWords), decoded(t, spec, ourTone)
			for _, s := range row.strangers {
				inTone, inWords := s.decoded(t, ourTone), s.decoded(t, ourWords)
				same := firstDifference(own, inWords) < 0 && firstDifference(ownTone, inTone) < 0
				if s.exactDecoder && !same {
					t.Errorf("%s: our samples part from theirs at %d of %d of speech, %d of tone", s.name, firstDifference(own, inWords), len(own), firstDifference(ownTone, inTone))
				}
				if len(inWords) < len(own)*99/100 {
					t.Errorf("%s: %d samples of our %d came back", s.name, len(inWords), len(own))
				}
				exact := fmt.Sprintf("–, %v", same)
				bits := false
				if s.encode != nil {
					theirTone, theirWords := s.run(t, s.encode, bytesOf(tone)), s.run(t, s.encode, bytesOf(words))
					bits = firstDifference(ourWords, theirWords) < 0 && firstDifference(ourTone, theirTone) < 0
					if s.exactEncoder && !bits || len(theirWords) < len(ourWords)*99/100 {
						t.Errorf("%s: our bits part from theirs at byte %d of %d of speech, %d of tone; theirs are %d", s.name, firstDifference(ourWords, theirWords), len(ourWords), firstDifference(ourTone, theirTone), len(theirWords))
					}
					exact = fmt.Sprintf("%v, %v", bits, same)
					judge(s.name, "ours", exact, decoded(t, spec, theirTone), decoded(t, spec, theirWords))
				}
				judge("ours", s.name, exact, inTone, inWords)
				outcome(t, s.name, "%s: same bits %v, same samples %v, tone %.1f dB", spec.Format.Name, bits, same, sineFit(inTone, spec.Rate))
			}
		})
	}
	_ = w.Flush()
	t.Logf("1 kHz at -10 dBFS and speech of espeak-ng\n%s", report.String())
}

// TestCodecsAgainstStrangersOnNoise holds the corners of the arithmetic against
// theirs: noise that clips, and payloads that no encoder would make.
func TestCodecsAgainstStrangersOnNoise(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, row := range codecRows(t) {
		spec, _ := codec.Lookup(row.number)
		limit := float64(math.MaxInt16)
		if row.number == 9 {
			limit = 20000 // beyond it sub-bands may have to be limited to 15 bits (G.722 §5.2.1), which ffmpeg leaves out
		}
		pcm := make([]int16, 4*spec.Rate)
		for i := range pcm {
			level := 500 * math.Pow(2, float64(i*10/len(pcm))) // from -36 dBFS to far above full scale
			pcm[i] = int16(max(min(rng.NormFloat64()*level, limit), -limit))
		}
		payload := make([]byte, 33*1000)
		for i := range payload {
			if payload[i] = byte(rng.Uint32()); row.number == 3 && i%33 == 0 {
				payload[i] = 0xd0 | payload[i]&0x0f
			}
		}
		for _, s := range row.strangers {
			if s.exactEncoder {
				ours, theirs := encoded(t, spec, pcm), s.run(t, s.encode, bytesOf(pcm))
				if at := firstDifference(ours, theirs); at >= 0 || len(theirs) < len(ours)*99/100 {
					t.Errorf("%s, %s: our bits part from theirs at byte %d of %d, theirs are %d", spec.Format, s.name, at, len(ours), len(theirs))
				}
			}
			if s.exactDecoder {
				ours, theirs := decoded(t, spec, payload), samplesOf(s.run(t, s.decode, payload))
				if at := firstDifference(ours, theirs); at >= 0 || len(theirs) < len(ours)*99/100 {
					t.Errorf("%s, %s: our samples part from theirs at %d of %d, theirs are %d", spec.Format, s.name, at, len(ours), len(theirs))
				}
			}
		}
	}
}

func encoded(t *testing.T, spec codec.Spec, pcm []int16) []byte {
	t.Helper()
	e, err := codec.NewEncoder(spec.Format)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := e.Encode(nil, pcm[:len(pcm)/e.FrameSamples()*e.FrameSamples()])
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func decoded(t *testing.T, spec codec.Spec, payload []byte) []int16 {
	t.Helper()
	d, err := codec.NewDecoder(spec.Format)
	if err != nil {
		t.Fatal(err)
	}
	pcm, err := d.Decode(nil, payload)
	if err != nil {
		t.Fatal(err)
	}
	return pcm
}
