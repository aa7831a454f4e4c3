package media

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestTonesAreToldApart(t *testing.T) {
	const rate, hz, marker = 8000, 1004, 1750
	noise := rand.New(rand.NewPCG(1, 2))
	sum := func(sources ...Source) Frame {
		f, one := Frame{Samples: make([]int16, 2*rate)}, Frame{Samples: make([]int16, 2*rate)}
		for _, s := range sources {
			s.Open(rate).Fill(one, Frame{Samples: make([]int16, 2*rate)})
			for i, v := range one.Samples {
				f.Samples[i] += v
			}
		}
		for i := range f.Samples {
			f.Samples[i] += int16(noise.IntN(9) - 4) // what coding leaves
		}
		return f
	}
	ours, theirs, loud := Tone{hz, -10}, Tone{marker, -12}, Tone{440, -10}
	leaping := func(f Frame) Frame { // every 90 ms half a period is missing, as after a jitter buffer at work
		out := f.Samples[:0]
		for i, v := range f.Samples {
			if i%720 >= 4 {
				out = append(out, v)
			}
		}
		return Frame{Samples: append(out, f.Samples[len(out):]...)}
	}
	for says, c := range map[string]struct {
		sound        Frame
		ours, theirs time.Duration
	}{
		"both":                      {sum(ours, theirs), 2 * time.Second, 2 * time.Second},
		"ours alone":                {sum(ours), 2 * time.Second, 0},
		"theirs alone":              {sum(theirs), 0, 2 * time.Second},
		"another":                   {sum(loud), 0, 0},
		"50 Hz off":                 {sum(Tone{hz + 50, -10}), 0, 0},
		"ours, leaping":             {leaping(sum(ours)), 2 * time.Second, 0},
		"1 Hz off":                  {sum(Tone{hz + 1, -10}), 2 * time.Second, 0},
		"far too quiet":             {sum(Tone{hz, -50}), 0, 0},
		"next to nothing of it":     {sum(Tone{hz, -30}, loud), 0, 0},
		"a hum that nobody hears":   {sum(Tone{1, -20}), 0, 0},
		"silence with coding noise": {sum(), 0, 0},
	} {
		heard := []ToneHeard{{Hz: hz}, {Hz: marker}}
		var sound time.Duration
		newTones(rate, heard, &sound).filter(c.sound)
		if quiet := says == "silence with coding noise" || says == "a hum that nobody hears"; quiet == (sound > 0) {
			t.Errorf("%s: sound for %v", says, sound)
		}
		if heard[0].For != c.ours || heard[1].For != c.theirs {
			t.Errorf("%s: %v and %v, want %v and %v", says, heard[0].For, heard[1].For, c.ours, c.theirs)
		}
	}
}

func TestMarkedEchoIsEchoAndTone(t *testing.T) {
	const rate = 8000
	said, out := Frame{Samples: make([]int16, rate)}, Frame{Samples: make([]int16, rate)}
	Tone{1004, -10}.Open(rate).Fill(said, Frame{})
	MarkedEcho{Hz: 1750, LevelDBm0: -12}.Open(rate).Fill(out, said)
	heard := []ToneHeard{{Hz: 1004}, {Hz: 1750}}
	newTones(rate, heard, new(time.Duration)).filter(out)
	if heard[0].For != time.Second || heard[1].For != time.Second {
		t.Errorf("heard %v", heard)
	}
}

func TestALagCountsOnce(t *testing.T) {
	s := &Session{chain: &chain{ptime: 20 * time.Millisecond}}
	for _, lag := range []time.Duration{150, 130, 110, 90, 70, 50, 80} { // caught up packet by packet, then late again by 50
		s.stood(lag * time.Millisecond)
	}
	if s.stalled != 200*time.Millisecond {
		t.Errorf("stood still for %v, want 200 ms", s.stalled)
	}
	s.stood(900 * time.Millisecond) // given up at once
	s.stood(60 * time.Millisecond)
	if want := (200 + 840 + 60) * time.Millisecond; s.stalled != want {
		t.Errorf("stood still for %v, want %v", s.stalled, want)
	}
}
