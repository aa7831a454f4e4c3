package codec

import (
	"math"
	"testing"
)

func TestConcealmentContinuesATone(t *testing.T) {
	for _, rate := range []int{8000, 16000} {
		for _, hz := range []float64{120, 437, 1000} {
			c := NewConcealer(rate)
			whole := sine(hz, 0.3, rate, rate) // 1 s
			lost := rate / 100                 // 10 ms, before the fade begins
			gap := rate / 2
			c.Good(append([]int16(nil), whole[:gap]...))
			filled := c.Conceal(nil, lost)
			if len(filled) != lost {
				t.Fatalf("asked for %d concealed samples, got %d", lost, len(filled))
			}
			if snr := snrDB(whole[gap:gap+lost], filled); snr < 8 {
				t.Errorf("%g Hz at %d Hz: 10 ms concealed with %.1f dB SNR, want at least 8", hz, rate, snr)
			}
		}
	}
}

func TestConcealmentFadesToSilence(t *testing.T) {
	c := NewConcealer(8000)
	c.Good(sine(300, 0.5, 8000, 800))
	filled := c.Conceal(nil, 800) // 100 ms
	if early, late := rms(filled[80:160]), rms(filled[320:400]); late >= early/2 {
		t.Errorf("level after 45 ms is %.0f, after 15 ms %.0f: no fade", late, early)
	}
	for i, v := range filled[480:] {
		if v != 0 {
			t.Fatalf("sample %d ms into the gap is %d, want silence from 60 ms on", 60+i/8, v)
		}
	}
}

func TestConcealmentOfNothingIsSilence(t *testing.T) {
	for i, v := range NewConcealer(8000).Conceal(nil, 160) {
		if v != 0 {
			t.Fatalf("sample %d is %d before anything was heard", i, v)
		}
	}
}

func TestConcealmentEndsWithoutAClick(t *testing.T) {
	c := NewConcealer(8000)
	whole := sine(437, 0.3, 8000, 2000)
	c.Good(append([]int16(nil), whole[:800]...))
	out := c.Conceal(nil, 160)
	back := append([]int16(nil), whole[960:1120]...)
	c.Good(back)
	out = append(out, back...)
	steepest := 0.3 * 32767 * 2 * math.Pi * 437 / 8000 // of the sine itself
	for i := 1; i < len(out); i++ {
		if jump := math.Abs(float64(out[i]) - float64(out[i-1])); jump > 1.6*steepest {
			t.Errorf("a jump of %.0f at sample %d, the tone's steepest is %.0f", jump, i, steepest)
		}
	}
	for i := plcBlend; i < len(back); i++ {
		if back[i] != whole[960+i] {
			t.Fatalf("sample %d after the blend was changed", i)
		}
	}
}

func rms(pcm []int16) float64 {
	sum := 0.0
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(pcm)))
}
