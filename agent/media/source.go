package media

import "math"

// fullScaleDBm0 is the level of a full-scale sine, the overload point of ITU-T G.711: +3.14 dBm0 for A-law. μ-law's is +3.17, so that
// levels of a μ-law stream are 0.03 dB off.
const fullScaleDBm0 = 3.14

// Source says what a session sends: Silence, Echo, MarkedEcho, Tone, Probe or Prompt. Sources are compared with == when a session is updated, and must be
// comparable.
type Source interface {
	// Open makes the running source for PCM at rate Hz.
	Open(rate int) Generator
}

// Generator is a running source.
type Generator interface {
	// Fill writes the samples of out. heard is the audio played in the same moment, as long and as fast as out.
	Fill(out, heard Frame)
}

// Silence sends silence.
type Silence struct{}

// Open implements Source.
func (Silence) Open(int) Generator { return Silence{} }

// Fill implements Generator.
func (Silence) Fill(out, _ Frame) { clear(out.Samples) }

// Echo sends back what is heard, after the jitter buffer; silence while nothing is, so that a peer waiting for our audio gets it.
type Echo struct{}

// Open implements Source.
func (Echo) Open(int) Generator { return Echo{} }

// Fill implements Generator.
func (Echo) Fill(out, heard Frame) { copy(out.Samples, heard.Samples) }

// MarkedEcho sends back what is heard and a tone beside it, so that who called can tell a line that hears nothing from one that
// cannot be heard.
type MarkedEcho struct {
	Hz        float64
	LevelDBm0 float64
}

// Open implements Source.
func (m MarkedEcho) Open(rate int) Generator { return markedEcho{Tone(m).Open(rate)} }

type markedEcho struct{ tone Generator }

// Fill implements Generator.
func (m markedEcho) Fill(out, heard Frame) {
	m.tone.Fill(out, heard)
	for i, v := range heard.Samples {
		out.Samples[i] = clip(float64(out.Samples[i]) + float64(v))
	}
}

// Tone sends one sine, continuous in phase.
type Tone struct {
	Hz        float64
	LevelDBm0 float64 // -10 is usual; over 3.14 clips
}

// Open implements Source.
func (t Tone) Open(rate int) Generator {
	return &oscillator{
		amplitude: 32767 * math.Pow(10, (t.LevelDBm0-fullScaleDBm0)/20),
		step:      2 * math.Pi * t.Hz / float64(rate),
	}
}

type oscillator struct{ amplitude, step, phase float64 }

// Fill implements Generator. The sine turns a vector from sample to sample, started anew from the phase with each frame.
func (o *oscillator) Fill(out, _ Frame) {
	sin, cos := math.Sincos(o.phase)
	turnSin, turnCos := math.Sincos(o.step)
	for i := range out.Samples {
		out.Samples[i] = clip(o.amplitude * sin)
		sin, cos = sin*turnCos+cos*turnSin, cos*turnCos-sin*turnSin
	}
	o.phase = math.Mod(o.phase+o.step*float64(len(out.Samples)), 2*math.Pi)
}

func clip(v float64) int16 {
	return int16(math.Round(min(max(v, math.MinInt16), math.MaxInt16)))
}
