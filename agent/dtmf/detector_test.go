package dtmf

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// pair is a digit as somebody may send it.
type pair struct {
	low, high   float64 // dBm0
	off         float64 // of the frequencies, a part
	noise       float64 // dB under the tones; 0 = none
	length, gap time.Duration
}

var usual = pair{low: -9, high: -7, length: 100 * time.Millisecond, gap: 100 * time.Millisecond}

// play is digits as PCM.
func (p pair) play(digits string, rate int, random *rand.Rand) []int16 {
	var pcm []int16
	spread := 0.
	if p.noise != 0 {
		spread = math.Sqrt((square(p.low) + square(p.high)) * math.Pow(10, -p.noise/10))
	}
	add := func(d time.Duration, a, b, fa, fb float64) {
		n := int(d.Seconds() * float64(rate))
		phase := random.Float64()
		for i := range n {
			at := 2 * math.Pi * (float64(i)/float64(rate) + phase)
			pcm = append(pcm, int16(math.Round(a*math.Sin(fa*at)+b*math.Sin(fb*at)+spread*random.NormFloat64())))
		}
	}
	for _, d := range digits {
		code, _ := Code(d)
		add(p.length, amplitude(p.low), amplitude(p.high), lowTones[code]*(1+p.off), highTones[code]*(1+p.off))
		add(p.gap, 0, 0, 0, 0)
	}
	return pcm
}

// detect gives the digits heard, fed as a call does: in frames of 20 ms.
func detect(pcm []int16, rate int) string {
	d, heard := NewDetector(rate), ""
	for len(pcm) > 0 {
		n := min(rate/50, len(pcm))
		d.Push(pcm[:n], func(digit rune) { heard += string(digit) })
		pcm = pcm[n:]
	}
	return heard
}

func TestTonesThatAreDigits(t *testing.T) {
	with := func(change func(*pair)) pair { p := usual; change(&p); return p }
	for sentence, c := range map[string]struct {
		pair
		heard bool
	}{
		"as we send them":                   {usual, true},
		"40 ms, 40 ms apart":                {with(func(p *pair) { p.length, p.gap = 40*time.Millisecond, 40*time.Millisecond }), true},
		"1.5 % too high":                    {with(func(p *pair) { p.off = 0.015 }), true},
		"1.5 % too low":                     {with(func(p *pair) { p.off = -0.015 }), true},
		"the high tone 4 dB over":           {with(func(p *pair) { p.low, p.high = -12, -8 }), true},
		"the high tone 8 dB under":          {with(func(p *pair) { p.low, p.high = -7, -15 }), true},
		"quiet":                             {with(func(p *pair) { p.low, p.high = -34, -32 }), true},
		"loud":                              {with(func(p *pair) { p.low, p.high = -3, -3 }), true},
		"with noise 15 dB under":            {with(func(p *pair) { p.noise = 15 }), true},
		"a second long":                     {with(func(p *pair) { p.length = time.Second }), true},
		"20 ms are none":                    {with(func(p *pair) { p.length = 20 * time.Millisecond }), false},
		"5 % off is none":                   {with(func(p *pair) { p.off = 0.05 }), false},
		"the high tone alone is none":       {with(func(p *pair) { p.low = -60 }), false},
		"tones drowned in noise are none":   {with(func(p *pair) { p.noise = -3 }), false},
		"the high tone 14 dB under is none": {with(func(p *pair) { p.low, p.high = -5, -19 }), false},
		"what nobody can hear is none":      {with(func(p *pair) { p.low, p.high = -50, -50 }), false},
	} {
		for i := range 15 { // in other phases each time: what the tones leak into each other depends on them
			rate, want := []int{8000, 16000, 48000}[i%3], ""
			if c.heard {
				want = digits
			}
			if got := detect(c.play(digits, rate, rand.New(rand.NewPCG(7, uint64(i)))), rate); got != want {
				t.Errorf("%s at %d Hz (%d): heard %q, want %q", sentence, rate, i, got, want)
			}
		}
	}
}

// A thousand digits of drawn length, level, twist, frequency and noise, none wrong.
func TestAThousandTones(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	wrong := 0
	for range 100 {
		want := ""
		var pcm []int16
		for range 10 {
			digit := string(digits[random.IntN(len(digits))])
			level := -5 - 20*random.Float64()
			p := pair{
				low: level - 3*random.Float64(), high: level - 3*random.Float64(), off: 0.03*random.Float64() - 0.015, noise: 18 + 20*random.Float64(),
				length: 45*time.Millisecond + time.Duration(random.IntN(100))*time.Millisecond, gap: 45 * time.Millisecond,
			}
			pcm, want = append(pcm, p.play(digit, 8000, random)...), want+digit
		}
		if got := detect(pcm, 8000); got != want {
			wrong++
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	t.Logf("1,000 digits as tones, %d sequences of ten with a fault", wrong)
}

// What we send as tones is what a detector hears.
func TestTheDetectorHearsOurTones(t *testing.T) {
	for _, rate := range []int{8000, 16000} {
		tones := NewTones(rate)
		if err := tones.Queue("0123456789*#ABCD,7"); err != nil {
			t.Fatal(err)
		}
		pcm := make([]int16, 8*rate)
		tones.Fill(pcm)
		if got := detect(pcm, rate); got != digits[:16]+"7" {
			t.Errorf("%d Hz: heard %q", rate, got)
		}
	}
}

func TestTheDetectorAllocatesNothing(t *testing.T) {
	d, pcm := NewDetector(8000), usual.play("5", 8000, rand.New(rand.NewPCG(1, 1)))[:160]
	if n := testing.AllocsPerRun(100, func() { d.Push(pcm, func(rune) {}) }); n != 0 {
		t.Errorf("%v allocations in 20 ms", n)
	}
}

func BenchmarkDetector(b *testing.B) {
	d, pcm := NewDetector(8000), usual.play("5", 8000, rand.New(rand.NewPCG(1, 1)))[:160]
	for b.Loop() {
		d.Push(pcm, func(rune) {})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*50/1e9*100, "%core/call")
}

func FuzzDetector(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		pcm := make([]int16, len(b)/2)
		for i := range pcm {
			pcm[i] = int16(uint16(b[2*i]) | uint16(b[2*i+1])<<8)
		}
		for _, r := range detect(pcm, 8000) {
			if _, ok := Code(r); !ok {
				t.Errorf("heard %q", r)
			}
		}
	})
}
