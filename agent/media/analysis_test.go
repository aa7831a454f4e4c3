package media

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// companded is what is left of PCM after μ-law.
func companded(pcm []int16) []int16 {
	out := make([]int16, len(pcm))
	for i, v := range pcm {
		out[i] = codec.DecodeMuLaw(codec.EncodeMuLaw(v))
	}
	return out
}

func hear(rate int, pcm []int16) *Heard {
	a := newAnalysis(rate)
	for ; len(pcm) >= 160; pcm = pcm[160:] {
		a.filter(Frame{Samples: pcm[:160], Rate: rate})
	}
	return a.now()
}

func TestTonesAreHeardExactly(t *testing.T) {
	for _, rate := range []int{8000, 16000, 48000} {
		for hz := 100.0; hz < 3600; hz += 173.3 {
			for _, level := range []float64{-3, -10, -40} {
				pcm := make([]int16, rate)
				Tone{hz, level}.Open(rate).Fill(Frame{Samples: pcm}, Frame{})
				h := hear(rate, companded(pcm))
				if h == nil {
					t.Fatalf("%g Hz at %g dBm0 is not heard", hz, level)
				}
				within(t, "frequency", h.FrequencyHz, hz, 1)
				within(t, "level", h.LevelDBm0, level, 0.3)
			}
		}
	}
}

func TestAToneIsHeardThroughNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	pcm := make([]int16, 8000)
	Tone{1000, -20}.Open(8000).Fill(Frame{Samples: pcm}, Frame{})
	for i := range pcm {
		pcm[i] += int16(rng.NormFloat64() * 500) // about -30 dBm0
	}
	h := hear(8000, pcm)
	if h == nil {
		t.Fatal("nothing heard")
	}
	within(t, "frequency", h.FrequencyHz, 1000, 3)
}

func TestSilenceIsNotHeard(t *testing.T) {
	if h := hear(8000, make([]int16, 16000)); h != nil {
		t.Errorf("silence is heard as %+v", *h)
	}
	hum := make([]int16, 16000)
	Tone{50, -65}.Open(8000).Fill(Frame{Samples: hum}, Frame{})
	if h := hear(8000, hum); h != nil {
		t.Errorf("a hum at -65 dBm0 is heard as %+v", *h)
	}
}

func TestWhatWasHeardIsRemembered(t *testing.T) {
	a := newAnalysis(8000)
	if a.now() != nil || a.last() != nil {
		t.Error("something was heard before anything came")
	}
	pcm := make([]int16, 8000)
	Tone{440, -10}.Open(8000).Fill(Frame{Samples: pcm}, Frame{})
	a.filter(Frame{Samples: pcm})
	silence := make([]int16, 8000)
	a.filter(Frame{Samples: silence[:6000]})
	if a.now() == nil {
		t.Error("a pause of 0.75 s counts as silence")
	}
	a.filter(Frame{Samples: silence})
	if h := a.now(); h != nil {
		t.Errorf("after 1.75 s of silence %+v is heard", *h)
	}
	if h := a.last(); h == nil || math.Abs(h.FrequencyHz-440) > 1 {
		t.Errorf("last heard is %+v", h)
	}
}

func TestTonesAreContinuousAndLevel(t *testing.T) {
	g := Tone{Hz: 437, LevelDBm0: 0}.Open(8000)
	var pcm []int16
	for range 100 {
		frame := make([]int16, 160)
		g.Fill(Frame{Samples: frame}, Frame{})
		pcm = append(pcm, frame...)
	}
	amplitude := 32767 * math.Pow(10, -fullScaleDBm0/20)
	for i, v := range pcm {
		within(t, "sample", float64(v), amplitude*math.Sin(2*math.Pi*437*float64(i)/8000), 1)
	}
}

func TestTonesClipInsteadOfWrapping(t *testing.T) {
	pcm := make([]int16, 8)
	Tone{Hz: 1000, LevelDBm0: 20}.Open(8000).Fill(Frame{Samples: pcm}, Frame{})
	if pcm[2] != math.MaxInt16 || pcm[6] != math.MinInt16 {
		t.Errorf("20 dBm0: %v", pcm)
	}
}
