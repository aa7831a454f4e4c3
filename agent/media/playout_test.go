package media

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// simulation plays a tone, sent every 20 ms, through a playout. Times are in ms.
type simulation struct {
	packets   int
	transit   func(i int) float64 // of packet i; negative: lost
	timestamp func(i int) uint32  // nil: 160 a packet
	sent      func(i int) float64 // nil: 20 ms a packet
	kind      func(i int) bool    // nil: all are audio
	clockSkew float64             // how much faster the sender's clock runs
	perPull   func(ms float64, p *playout)
}

type arrived struct {
	at float64
	i  int
}

func (s simulation) run(t *testing.T) (p *playout, out []int16) {
	t.Helper()
	pcm := make([]int16, 160*s.packets)
	Tone{Hz: 1000, LevelDBm0: -10}.Open(8000).Fill(Frame{Samples: pcm}, Frame{})
	var arrivals []arrived
	for i := range s.packets {
		at := 20 * float64(i) / (1 + s.clockSkew)
		if s.sent != nil {
			at = s.sent(i)
		}
		if d := s.transit(i); d >= 0 {
			arrivals = append(arrivals, arrived{at + d, i})
		}
	}
	slices.SortStableFunc(arrivals, func(a, b arrived) int { return cmp.Compare(a.at, b.at) })
	p = newPlayout(8000, 8000, 160)
	var decoders [128]codec.Decoder
	decoders[0], _ = codec.NewDecoder(codec.Formats([]int{0}, codec.Options{})[0])
	enc, _ := codec.NewEncoder(codec.Formats([]int{0}, codec.Options{})[0])
	frame := make([]int16, 160)
	end := arrivals[len(arrivals)-1].at + 100
	for now := 3.0; now < end; now += 20 {
		for len(arrivals) > 0 && arrivals[0].at <= now {
			a := arrivals[0]
			arrivals = arrivals[1:]
			ts := uint32(0xfffff000) + uint32(160*a.i)
			if s.timestamp != nil {
				ts = s.timestamp(a.i)
			}
			payload, err := enc.Encode(nil, pcm[160*a.i:160*a.i+160])
			if err != nil {
				t.Fatal(err)
			}
			p.put(seqMod+int64(a.i), ts, int64(a.at*8), 0, s.kind == nil || s.kind(a.i), payload)
		}
		p.pull(int64(now*8), frame, &decoders)
		out = append(out, frame...)
		if s.perPull != nil {
			s.perPull(now, p)
		}
	}
	return p, out
}

// toneShare is how much of pcm is the undisturbed tone: the share of 10 ms stretches whose spectrum is nothing but it.
func toneShare(pcm []int16) float64 {
	const n = 80
	clean := 0
	for at := 0; at+n <= len(pcm); at += n {
		var sin, cos, all float64
		for i, v := range pcm[at : at+n] {
			s, c := math.Sincos(2 * math.Pi * 1000 * float64(i) / 8000)
			sin, cos, all = sin+float64(v)*s, cos+float64(v)*c, all+float64(v)*float64(v)
		}
		if all > n*1e6 && 2*(sin*sin+cos*cos)/n > 0.98*all {
			clean++
		}
	}
	return float64(clean) / float64(len(pcm)/n)
}

func steady(int) float64 { return 30 }

func TestASteadyStreamPlaysUntouchedAndSoon(t *testing.T) {
	most := 0.0
	p, out := simulation{packets: 3000, transit: steady, perPull: func(_ float64, p *playout) { most = max(most, p.delayed/8) }}.run(t)
	if p.discarded != 0 {
		t.Errorf("%d packets discarded", p.discarded)
	}
	if share := toneShare(out[10*160 : 2990*160]); share < 0.998 {
		t.Errorf("%.1f %% of the tone came through", 100*share)
	}
	if ms := p.delayed / 8; ms < 20 || ms > 45 || most > 60 {
		t.Errorf("a steady stream is delayed by up to %.0f ms, %.0f ms in the end", most, ms)
	}
}

func TestJitterIsCoveredAndLetGoAgain(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var rough, calm float64
	p, out := simulation{
		packets: 6000,
		transit: func(i int) float64 {
			if i < 3000 {
				return 30 + rng.Float64()*60
			}
			return 30
		},
		perPull: func(ms float64, p *playout) {
			if ms < 58000 {
				rough = p.delayed / 8
			} else {
				calm = p.delayed / 8
			}
		},
	}.run(t)
	if p.discarded > 15 {
		t.Errorf("%d of 3000 packets under 60 ms of jitter discarded", p.discarded)
	}
	if share := toneShare(out[100*160 : 2900*160]); share < 0.97 {
		t.Errorf("under jitter %.1f %% of the tone came through", 100*share)
	}
	if share := toneShare(out[4500*160 : 5900*160]); share < 0.99 {
		t.Errorf("after the jitter %.1f %% of the tone came through", 100*share)
	}
	if rough < 60 || rough > 130 || calm > rough-30 || calm > 60 {
		t.Errorf("delay under jitter %.0f ms, a minute later %.0f ms", rough, calm)
	}
}

func TestLossIsConcealedInPlace(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	lost := 0
	p, out := simulation{packets: 3000, transit: func(i int) float64 {
		if i > 0 && rng.Float64() < 0.05 {
			lost++
			return -1
		}
		return 30
	}}.run(t)
	if p.discarded > 2 {
		t.Errorf("%d packets discarded", p.discarded)
	}
	// Pitch repetition keeps the tone through single losses, so that more is left of it than packets came.
	if share := toneShare(out[10*160 : 2990*160]); share < 0.97 {
		t.Errorf("with %d of 3000 packets lost, %.1f %% of the tone was heard", lost, 100*share)
	}
	if n := len(out) / 160; n < 2995 || n > 3010 {
		t.Errorf("3000 packets play in %d frames", n)
	}
}

func TestReorderedAndSpikedPacketsArePlayed(t *testing.T) {
	rows := map[string]struct {
		transit   func(i int) float64
		discarded uint64
		share     float64
	}{
		"neighbours swapped": {func(i int) float64 {
			if i%10 == 5 {
				return 52
			}
			return 30
		}, 3, 0.98},
		"a spike of 100 ms every 10 s": {func(i int) float64 {
			if since := i % 500; since < 5 {
				return 30 + 100 - 20*float64(since)
			}
			return 30
		}, 0, 0.97},
		"the route becomes 50 ms longer, then shorter again": {func(i int) float64 {
			if i > 500 && i < 1000 {
				return 80
			}
			return 30
		}, 5, 0.97},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			p, out := simulation{packets: 2000, transit: row.transit}.run(t)
			if p.discarded > row.discarded {
				t.Errorf("%d packets discarded, at most %d are expected", p.discarded, row.discarded)
			}
			if share := toneShare(out[10*160 : 1990*160]); share < row.share {
				t.Errorf("%.1f %% of the tone came through", 100*share)
			}
		})
	}
}

// Half an hour with a sender whose clock is off: neither dry nor growing.
func TestClockDriftIsFollowed(t *testing.T) {
	for _, skew := range []float64{-200e-6, 200e-6} {
		worst := 0.0
		p, out := simulation{packets: 90000, transit: steady, clockSkew: skew, perPull: func(ms float64, p *playout) {
			if ms > 5000 && ms < 1790000 {
				worst = max(worst, p.delayed/8)
			}
		}}.run(t)
		if p.discarded > 2 || worst > 90 {
			t.Errorf("skew %g: %d packets discarded, delay up to %.0f ms", skew, p.discarded, worst)
		}
		if share := toneShare(out[10*160 : 89900*160]); share < 0.99 {
			t.Errorf("skew %g: %.1f %% of the tone came through", skew, 100*share)
		}
	}
}

func TestAStreamThatPausesComesBack(t *testing.T) {
	paused := func(i int) float64 { // 2 s of nothing after 5 s
		if i < 250 {
			return 20 * float64(i)
		}
		return 20*float64(i) + 2000
	}
	rows := map[string]func(i int) uint32{
		"timestamps go on with time": func(i int) uint32 { return uint32(8 * paused(i)) },
		"timestamps stood still":     func(i int) uint32 { return uint32(160 * i) },
		"timestamps start anew": func(i int) uint32 {
			if i < 250 {
				return uint32(160 * i)
			}
			return 0x7fff0000 + uint32(160*i)
		},
	}
	for name, timestamp := range rows {
		t.Run(name, func(t *testing.T) {
			p, out := simulation{packets: 1000, transit: steady, sent: paused, timestamp: timestamp}.run(t)
			if share := toneShare(out[370*160 : 1090*160]); share < 0.97 {
				t.Errorf("after the pause %.1f %% of the tone came through", 100*share)
			}
			if p.discarded > 15 {
				t.Errorf("%d packets discarded", p.discarded)
			}
			if ms := p.delayed / 8; ms > 280 {
				t.Errorf("the pause left a delay of %.0f ms", ms)
			}
		})
	}
}

func TestAnOutageOfFiveSecondsIsSurvived(t *testing.T) {
	p, out := simulation{packets: 1000, transit: func(i int) float64 {
		if i >= 250 && i < 500 {
			return -1
		}
		return 30
	}}.run(t)
	if share := toneShare(out[505*160 : 990*160]); share < 0.98 {
		t.Errorf("after the outage %.1f %% of the tone came through", 100*share)
	}
	if ms := p.delayed / 8; ms > 60 || p.discarded > 2 {
		t.Errorf("after the outage a delay of %.0f ms, %d discarded", ms, p.discarded)
	}
	for i, v := range out[300*160 : 490*160] {
		if v != 0 {
			t.Fatalf("noise of %d, %d ms into the outage", v, 1000+i/8)
		}
	}
}

func TestPacketsWithoutAudioAreAPauseNotALoss(t *testing.T) {
	_, out := simulation{packets: 200, transit: steady, kind: func(i int) bool { return i < 100 || i >= 110 }}.run(t)
	heard := 0
	for _, v := range out[105*160 : 109*160] {
		if v != 0 {
			heard++
		}
	}
	if heard != 0 {
		t.Errorf("%d samples are made up while telephone-events are sent", heard)
	}
	if share := toneShare(out[115*160 : 195*160]); share < 0.99 {
		t.Errorf("after the events %.1f %% of the tone came through", 100*share)
	}
}

func TestPacketsThatMissTheirTimeAreDiscardedAndCounted(t *testing.T) {
	p, _ := simulation{packets: 500, transit: func(i int) float64 {
		if i%100 == 50 {
			return 700
		}
		return 30
	}}.run(t)
	if p.discarded != 5 {
		t.Errorf("%d packets discarded, 5 came 670 ms late", p.discarded)
	}
}

func TestAFloodIsThrownAwayAtOnce(t *testing.T) {
	p, _ := simulation{packets: 600, transit: steady, sent: func(i int) float64 {
		if i >= 200 && i < 300 { // 2 s of audio, all at once, when it is due to begin
			return 4000
		}
		return 20 * float64(i)
	}, timestamp: func(i int) uint32 { return uint32(160 * i) }}.run(t)
	if ms := p.delayed / 8; ms > 300 {
		t.Errorf("a flood left a delay of %.0f ms", ms)
	}
}

// FuzzPlayout feeds packets of any number, time and size; frames must come out, whole and in bounded memory.
func FuzzPlayout(f *testing.F) {
	f.Add([]byte{0, 1, 0, 160, 20, 0, 2, 1, 64, 20})
	f.Add([]byte{255, 255, 127, 255, 0, 1, 0, 128, 0, 200, 9, 9, 9, 9, 9})
	f.Fuzz(func(t *testing.T, script []byte) {
		rate := 8000 << (len(script) % 2)
		p := newPlayout(8000, rate, 160)
		var decoders [128]codec.Decoder // none for payload type 3
		for pt, number := range []int{0, 9, 3} {
			d, _ := codec.NewDecoder(codec.Formats([]int{number}, codec.Options{})[0])
			decoders[pt], _ = atRate(d, rate)
		}
		out, payload, now := make([]int16, rate/50), make([]byte, 2048), int64(0)
		for i := range payload {
			payload[i] = byte(i)
			if i%33 == 0 {
				payload[i] = 0xd5 // a frame of GSM
			}
		}
		for ; len(script) >= 5; script = script[5:] {
			seq := int64(seqMod) + int64(script[0])<<8 + int64(script[1])
			ts := uint32(script[2])<<24 | uint32(script[3])<<8
			now += int64(script[4]) * 8
			size := int(script[3]) * 8
			if script[4]%4 == 2 {
				size = int(script[3]) % 62 * 33
			}
			p.put(seq, ts, now, script[4]%4, script[1]%5 != 0, payload[:size])
			p.pull(now, out, &decoders)
			if len(p.pcm) > 62*160*2 {
				t.Fatalf("%d samples wait", len(p.pcm))
			}
		}
	})
}
