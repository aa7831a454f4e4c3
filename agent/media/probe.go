package media

import (
	"math"
	"sync"
	"time"
)

// What a probe is made of: a chirp, a pause, and speech of our making. All of it is made for 8000 Hz and brought to the codec's rate.
const (
	probeRate   = 8000
	probeLevel  = -12 // dBm0 of the chirp
	voiceLevel  = -18 // dBm0 of the speech, on average
	probePause  = 60 * time.Millisecond
	voiceLength = 1840 * time.Millisecond
	// ProbeLength is how long a probe takes the place of the tone.
	ProbeLength = chirpMs*time.Millisecond + probePause + voiceLength

	probeAfter = 400 * time.Millisecond // of the tone coming back
	longestWay = time.Second            // there and back
	// resampleLag is how many samples at 8000 Hz the way up to another rate and down again takes.
	resampleLag = resampleTaps - 1
)

// Probe sends a tone. Once the tone has come back for a while, because somebody sends back what he hears, a known sound takes its
// place once: from how it comes back is told how long the way there and back took, and what became of it (Stats.Probe).
type Probe struct {
	Hz        float64
	LevelDBm0 float64
	BesideHz  float64 // a tone that who sends the echo adds to it (MarkedEcho); 0 = none
}

// Probed is what a probe showed. It went there and back: what is lost on either way is in it.
type Probed struct {
	MouthToEarMs float64 // one way, the mean of both: what two people on the line would wait
	// SegmentalSNR is how far what differs is below what was sent, in dB, the mean over segments of 32 ms, each within 0 and 35.
	SegmentalSNR float64
	// SpectralDistance is the log-spectral distance between what was sent and what was heard, in dB, the mean over the same segments.
	SpectralDistance float64
}

// Open implements Source.
func (p Probe) Open(rate int) Generator {
	g := &probing{probe: p, rate: rate, tone: Tone{p.Hz, p.LevelDBm0}.Open(rate), back: []ToneHeard{{Hz: p.Hz}}}
	g.listen = newTones(rate, g.back, &g.sound)
	if rate != probeRate {
		up, err := newResampler(probeRate, rate)
		if err != nil {
			return g.tone // no codec has such a rate; a tone is better than nothing
		}
		down, _ := newResampler(rate, probeRate)
		g.up, g.down = up, down
	}
	return g
}

// probing is a running probe.
type probing struct {
	probe    Probe
	rate     int
	tone     Generator
	up, down *resampler // nil at 8000 Hz

	listen *tones // for the tone to come back
	back   []ToneHeard
	sound  time.Duration
	said   int     // samples of the probe that were sent
	heard  []int16 // at 8000 Hz, from its first sample on
	whole  bool    // heard holds all that is wanted
	wide   []int16

	judged sync.Once
	loop   int // samples
	score  score
	found  bool
}

// Fill implements Generator.
func (p *probing) Fill(out, heard Frame) {
	if p.heard == nil {
		p.tone.Fill(out, heard)
		if p.listen.filter(heard); p.back[0].For >= probeAfter {
			p.heard = make([]int16, 0, samplesOf(ProbeLength+longestWay))
		}
		return
	}
	p.capture(heard.Samples)
	if p.said == len(probeSound()) {
		p.tone.Fill(out, heard)
		return
	}
	p.say(out.Samples)
}

// say sends the next samples of the probe.
func (p *probing) say(out []int16) {
	n := len(out) * probeRate / p.rate
	sound := probeSound()[p.said:]
	sound = sound[:min(n, len(sound))]
	p.said += len(sound)
	if p.up != nil {
		p.wide = p.up.append(p.wide[:0], sound)
		sound = p.wide
	}
	clear(out[copy(out, sound):])
}

// capture keeps what is heard until the probe must have come back.
func (p *probing) capture(pcm []int16) {
	room := cap(p.heard) - len(p.heard)
	switch {
	case p.whole:
	case room == 0:
		p.whole = true
	case p.down != nil:
		p.heard = p.down.append(p.heard, pcm[:min(len(pcm), room*p.rate/probeRate)])
	default:
		p.heard = append(p.heard, pcm[:min(len(pcm), room)]...)
	}
}

// judge gives what a probe showed that has come back whole; nil otherwise. packets are the packet times of both sides: a mouth's
// sample waits for its packet to be full, on either side, which the way from packet to packet does not show.
func (p *probing) judge(packets time.Duration) *Probed {
	p.judged.Do(func() {
		at, _, ok := find(probeSound()[:samplesOf(chirpMs*time.Millisecond)], p.unmarked())
		if p.loop = at; p.down != nil {
			p.loop -= resampleLag
		}
		if !ok || p.loop > samplesOf(longestWay) {
			return
		}
		p.score, p.found = compare(probeSound(), p.heard, at, samplesOf(chirpMs*time.Millisecond+probePause), p.probe.BesideHz)
	})
	if !p.found {
		return nil
	}
	loop := float64(p.loop)*1000/probeRate + float64(packets)/float64(time.Millisecond)
	return &Probed{MouthToEarMs: loop / 2, SegmentalSNR: p.score.snr, SpectralDistance: p.score.distance}
}

// unmarked is what was heard without the tone that was added to the echo.
func (p *probing) unmarked() []int16 {
	pcm := make([]int16, 0, len(p.heard))
	var part [segmentSize]float64
	for rest := p.heard; len(rest) > 0; rest = rest[min(segmentSize, len(rest)):] {
		n := 0
		for ; n < min(segmentSize, len(rest)); n++ {
			part[n] = float64(rest[n])
		}
		without(part[:n], p.probe.BesideHz)
		for _, v := range part[:n] {
			pcm = append(pcm, clip(v))
		}
	}
	return pcm
}

func samplesOf(d time.Duration) int { return int(d * probeRate / time.Second) }

// probeSound is what is sent; it is made once.
var probeSound = sync.OnceValue(func() []int16 {
	sound := append(chirp(probeRate, probeLevel), make([]int16, samplesOf(probePause))...)
	return append(sound, voice(samplesOf(voiceLength), voiceLevel)...)
})

// voice makes something that codecs take for speech: harmonics of a pitch that glides, under three formants that move, in syllables.
// Nobody said it, so nobody's rights are in it, and it is the same everywhere.
func voice(samples int, levelDBm0 float64) []int16 {
	const syllablesHz, highest = 4, 3400
	turn := func(hz, t float64) float64 { return 2 * math.Pi * hz * t }
	pcm, phase, power := make([]float64, samples), 0.0, 0.0
	for i := range pcm {
		t := float64(i) / probeRate
		pitch := 120 + 25*math.Sin(turn(0.8, t)) + 10*math.Sin(turn(2.3, t))
		phase = math.Mod(phase+2*math.Pi*pitch/probeRate, 2*math.Pi)
		formants := [...]struct{ hz, width, gain float64 }{
			{500 + 250*math.Sin(turn(1.7, t)), 90, 1}, {1500 + 600*math.Sin(turn(1.1, t)+1), 120, 0.6}, {2600 + 200*math.Sin(turn(0.6, t)), 160, 0.3},
		}
		for k := 1; float64(k)*pitch < highest; k++ {
			gain := 0.02
			for _, f := range formants {
				off := (float64(k)*pitch - f.hz) / f.width
				gain += f.gain / (1 + off*off)
			}
			pcm[i] += gain * math.Sin(float64(k)*phase+0.1*float64(k*k))
		}
		pcm[i] *= 0.08 + 0.92*(0.5-0.5*math.Cos(turn(syllablesHz, t)))
		power += pcm[i] * pcm[i]
	}
	scale := amplitude(levelDBm0) / math.Sqrt(2*power/float64(samples))
	out := make([]int16, samples)
	for i, v := range pcm {
		out[i] = clip(v * scale)
	}
	return out
}
