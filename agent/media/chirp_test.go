package media

import (
	"math/rand/v2"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// mixed is silence with sounds in it.
func mixed(n int, sounds map[int][]int16) []int16 {
	pcm := make([]int16, n)
	for at, sound := range sounds {
		for i, v := range sound {
			pcm[at+i] = clip(float64(pcm[at+i]) + float64(v))
		}
	}
	return pcm
}

func sine(n int, hz, levelDBm0 float64) []int16 {
	pcm := make([]int16, n)
	Tone{Hz: hz, LevelDBm0: levelDBm0}.Open(8000).Fill(Frame{Samples: pcm}, Frame{})
	return pcm
}

func noise(n int, levelDBm0 float64) []int16 {
	rng, pcm := rand.New(rand.NewPCG(9, 9)), make([]int16, n)
	for i := range pcm {
		pcm[i] = clip(rng.NormFloat64() * amplitude(levelDBm0) / 1.414)
	}
	return pcm
}

func TestAChirpIsFoundWhereItIs(t *testing.T) {
	const at = 5000
	sound := chirp(8000, -12)
	for says, heard := range map[string][]int16{
		"alone":               mixed(16000, map[int][]int16{at: sound}),
		"at the beginning":    append(append([]int16{}, sound...), make([]int16, 8000)...)[0:8800],
		"30 dB quieter":       mixed(16000, map[int][]int16{at: chirp(8000, -42)}),
		"under a tone":        mixed(16000, map[int][]int16{0: sine(16000, 1750, -12), at: sound}),
		"in noise":            mixed(16000, map[int][]int16{0: noise(16000, -15), at: sound}),
		"half of it lost":     mixed(16000, map[int][]int16{at: sound[:400]}),
		"the middle lost":     mixed(16000, map[int][]int16{at: append(append(append([]int16{}, sound[:320]...), make([]int16, 160)...), sound[480:]...)}),
		"followed by another": mixed(16000, map[int][]int16{at: sound, at + 2000: chirp(8000, -12)[:600]}),
	} {
		got, likeness, ok := find(sound, heard)
		want := at
		if says == "at the beginning" {
			want = 0
		}
		if !ok || got < want-1 || got > want+1 {
			t.Errorf("%s: found at %d (%v, likeness %.2f), it is at %d", says, got, ok, likeness, want)
		}
	}
}

func TestWhatIsNoChirpIsNotFound(t *testing.T) {
	sound, speech := chirp(8000, -12), voice(16000, -18)
	for says, heard := range map[string][]int16{
		"nothing": nil, "too little": sound[:700], "silence": make([]int16, 16000), "a whisper": noise(16000, -70),
		"tones": mixed(16000, map[int][]int16{0: sine(16000, 1004, -10), 8000: sine(8000, 1750, -10)}), "noise": noise(24000, -20), "speech": speech,
	} {
		if at, likeness, ok := find(sound, heard); ok {
			t.Errorf("%s: found at %d (likeness %.2f)", says, at, likeness)
		}
	}
}

// Whatever codec a chirp goes through, it is found to a millisecond of the delay that the codec makes.
func TestAChirpIsFoundAfterEveryCodec(t *testing.T) {
	for _, number := range audioCodecs {
		format := codec.Formats([]int{number}, codec.Options{PTime: 20})[0]
		enc, err := codec.NewEncoder(format)
		if err != nil {
			t.Fatal(err)
		}
		dec, err := codec.NewDecoder(format)
		if err != nil {
			t.Fatal(err)
		}
		rate := enc.Rate()
		sound := chirp(rate, -12)
		said := append(append(make([]int16, rate/2), sound...), make([]int16, rate/2)...)
		var heard []int16
		for step := rate / 50; len(said) >= step; said = said[step:] {
			payload, err := enc.Encode(nil, said[:step])
			if err != nil {
				t.Fatal(err)
			}
			if heard, err = dec.Decode(heard, payload); err != nil {
				t.Fatal(err)
			}
		}
		at, likeness, ok := find(sound, heard)
		delay := 1000 * (float64(at) - float64(rate/2)) / float64(rate)
		t.Logf("%s: delay %.2f ms, likeness %.2f", format, delay, likeness)
		if !ok || delay < -0.5 || delay > 6 {
			t.Errorf("%s: found with a delay of %.2f ms, likeness %.2f", format, delay, likeness)
		}
	}
}
