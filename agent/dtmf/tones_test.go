package dtmf

import (
	"math"
	"testing"
)

// power is how much of a frequency is in some samples, in dBm0 (Goertzel).
func power(pcm []int16, rate int, hz float64) float64 {
	w := 2 * math.Cos(2*math.Pi*hz/float64(rate))
	var a, b float64
	for _, v := range pcm {
		a, b = float64(v)+w*a-b, a
	}
	peak := 2 * math.Sqrt(max(a*a+b*b-w*a*b, 1e-9)) / float64(len(pcm))
	return 20*math.Log10(peak/32767) + 3.14
}

// Every digit is its two tones of Q.23, 100 ms of them and 100 ms of silence, and no other's.
func TestTonesAreThoseOfTheKeypad(t *testing.T) {
	rows, columns := []float64{697, 770, 852, 941}, []float64{1209, 1336, 1477, 1633}
	keys := []string{"123A", "456B", "789C", "*0#D"}
	for _, rate := range []int{8000, 16000, 48000} {
		tone := rate / 10
		for i, row := range keys {
			for j, key := range row {
				p := NewTones(rate)
				if err := p.Queue(string(key)); err != nil {
					t.Fatal(err)
				}
				pcm := make([]int16, 2*tone+rate/50)
				for k := range pcm {
					pcm[k] = 99 // the audio underneath
				}
				for from := 0; from < len(pcm); from += rate / 50 {
					p.Fill(pcm[from : from+rate/50])
				}
				for k, hz := range append(rows, columns...) {
					got, want := power(pcm[1:tone], rate, hz), k == i || k == 4+j
					level := map[bool]float64{true: lowDBm0, false: highDBm0}[k < 4]
					if want && math.Abs(got-level) > 0.5 || !want && got > -30 {
						t.Errorf("%c at %d Hz: %v Hz has %.1f dBm0", key, rate, hz, got)
					}
				}
				for k, v := range pcm[1+tone : 1+2*tone] {
					if v != 0 {
						t.Fatalf("%c at %d Hz: sample %d after the tone is %d", key, rate, k, v)
					}
				}
				if last := pcm[len(pcm)-1]; last != 99 {
					t.Errorf("%c at %d Hz: the audio does not go on: %d", key, rate, last)
				}
			}
		}
	}
}

func TestACommaLeavesTheAudioAlone(t *testing.T) {
	p := NewTones(8000)
	if err := p.Queue("x"); err == nil {
		t.Error("x is a digit")
	}
	if err := p.Queue(",1"); err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, 8000)
	p.Fill(pcm)
	p.Fill(pcm)
	for i, v := range pcm {
		if v != 0 {
			t.Fatalf("sample %d of the pause is %d", i, v)
		}
	}
	if p.Fill(pcm); power(pcm[100:700], 8000, 697) < -12 {
		t.Error("no digit after the pause")
	}
}
