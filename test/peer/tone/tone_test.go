package tone

import (
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestDominantFindsThePureToneAndDoubtsTheRest(t *testing.T) {
	for _, hz := range []float64{100, 440, 1004, 1633.5, 3400} {
		got, share, err := Dominant(Sine(hz, 2*time.Second), Rate)
		if err != nil || math.Abs(got-hz) > 1 || share < 0.99 || share > 1.01 {
			t.Errorf("%g Hz: found %g with a share of %.3f (%v)", hz, got, share, err)
		}
	}
	two := Sine(600, time.Second)
	for i, s := range Sine(1900, time.Second) {
		two[i] = two[i]/2 + s/2
	}
	if _, share, err := Dominant(two, Rate); err != nil || share > 0.6 {
		t.Errorf("two tones: one has a share of %.3f (%v)", share, err)
	}
	if _, _, err := Dominant(make([]int16, Rate), Rate); err == nil {
		t.Error("silence has a tone")
	}
}

func TestWAVIsReadAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.wav")
	pcm := Sine(700, 300*time.Millisecond)
	if err := WriteWAV(path, pcm); err != nil {
		t.Fatal(err)
	}
	got, rate, err := ReadWAV(path)
	if err != nil || rate != Rate || !slices.Equal(got, pcm) {
		t.Errorf("rate %d, %d samples, %v", rate, len(got), err)
	}
}

// TestMuLawKnowsTheStandardsPoints holds the encoder against values of G.711 table 2.
func TestMuLawKnowsTheStandardsPoints(t *testing.T) {
	for sample, want := range map[int16]byte{0: 0xff, 32767: 0x80, -32768: 0x00, 132: 0xef, -132: 0x6f, 8031 << 2: 0x80, 4191: 0xaf} {
		if got := MuLaw([]int16{sample})[0]; got != want {
			t.Errorf("%d is %#x, want %#x", sample, got, want)
		}
	}
}
