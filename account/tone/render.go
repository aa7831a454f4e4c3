package tone

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// Files gives the samples of a wav by its identifier: 16-bit, mono, at the rate
// (samples a second) that is asked for.
type Files func(identifier string, rate int) ([]int16, error)

// ErrNoFiles is why a tone with a wav cannot be played without Files.
var ErrNoFiles = errors.New("there are no files to play")

// A Player turns a tone into samples. It is not safe for concurrent use.
type Player struct {
	source source
	mixed  []float64
}

// Play prepares a tone at a rate, in samples a second. Files are read here, so
// that playing itself cannot fail. Without a tone, or with one that has no
// length, the player is at its end at once.
func Play(t *Tone, rate int, files Files) (*Player, error) {
	if rate < 1000 || rate > 192_000 {
		return nil, fmt.Errorf("tone: a rate of %d samples a second cannot be played", rate)
	}
	if t == nil {
		return &Player{source: &gap{}}, nil
	}
	s, err := build(t, rate, files)
	if err != nil {
		return nil, fmt.Errorf("tone: %w", err)
	}
	return &Player{source: s}, nil
}

// Read fills samples and returns how many there were; io.EOF comes with 0 samples
// at the end. A periodic tone never ends.
func (p *Player) Read(samples []int16) (int, error) {
	if len(samples) == 0 {
		return 0, nil
	}
	if len(p.mixed) < len(samples) {
		p.mixed = make([]float64, len(samples))
	}
	mixed := p.mixed[:len(samples)]
	clear(mixed)
	n := p.source.add(mixed)
	for i, v := range mixed[:n] {
		samples[i] = int16(math.Round(max(-32768, min(32767, v))))
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// A source adds its next samples to out and tells how many there were; fewer
// than asked for means that it ended there.
type source interface {
	add(out []float64) int
	rewind()
}

func build(t *Tone, rate int, files Files) (source, error) {
	switch t.Kind {
	case Sine:
		return newSine(t, rate), nil
	case Silence:
		return &gap{length: count(t.Duration, rate)}, nil
	case WAV:
		if files == nil {
			return nil, fmt.Errorf("wav(%s): %w", t.File, ErrNoFiles)
		}
		samples, err := files(t.File, rate)
		if err != nil {
			return nil, fmt.Errorf("wav(%s): %w", t.File, err)
		}
		return &recording{samples: samples}, nil
	}
	var parts []source
	for _, p := range t.Parts {
		s, err := build(p, rate, files)
		if err != nil {
			return nil, err
		}
		parts = append(parts, s)
	}
	if t.Kind == Periodic {
		return &loop{parts: parts}, nil
	}
	return &chord{parts: parts, ended: make([]bool, len(parts))}, nil
}

// count is how many samples a duration in milliseconds has.
func count(ms float64, rate int) int { return int(math.Round(ms * float64(rate) / 1000)) }

// fullScaleDBm0 is the level of the loudest sine that fits: +3.14 dBm0 (ITU-T G.711 table 5).
const fullScaleDBm0 = 3.14

// peak is the amplitude of a sine as the peak of its samples.
func peak(amplitude float64) float64 {
	if amplitude >= 0 {
		return amplitude
	}
	return maxAmplitude * math.Pow(10, (amplitude-fullScaleDBm0)/20)
}

// sines are sine waves of one length and amplitude; each starts at phase 0.
type sines struct {
	peak         float64
	steps        []float64 // radians a sample
	length, next int
}

func newSine(t *Tone, rate int) *sines {
	s := &sines{peak: peak(t.Amplitude), length: count(t.Duration, rate)}
	for _, f := range t.Frequencies {
		if f < float64(rate)/2 { // the others cannot be represented
			s.steps = append(s.steps, 2*math.Pi*f/float64(rate))
		}
	}
	return s
}

func (s *sines) add(out []float64) int {
	n := min(len(out), s.length-s.next)
	for _, step := range s.steps {
		for i := range n {
			out[i] += s.peak * math.Sin(step*float64(s.next+i))
		}
	}
	s.next += n
	return n
}

func (s *sines) rewind() { s.next = 0 }

// gap is silence.
type gap struct{ length, next int }

func (g *gap) add(out []float64) int {
	n := min(len(out), g.length-g.next)
	g.next += n
	return n
}

func (g *gap) rewind() { g.next = 0 }

// recording is a file.
type recording struct {
	samples []int16
	next    int
}

func (r *recording) add(out []float64) int {
	n := min(len(out), len(r.samples)-r.next)
	for i := range n {
		out[i] += float64(r.samples[r.next+i])
	}
	r.next += n
	return n
}

func (r *recording) rewind() { r.next = 0 }

// loop plays its parts one after the other, over and over.
type loop struct {
	parts []source
	part  int
	// played is how many samples the current round has given; a round without any
	// ends the loop, which would never come to a sample.
	played int
}

func (l *loop) add(out []float64) int {
	done := 0
	for done < len(out) {
		n := l.parts[l.part].add(out[done:])
		done += n
		l.played += n
		if done == len(out) {
			break
		}
		if l.part++; l.part == len(l.parts) {
			if l.played == 0 {
				l.part = 0
				return done
			}
			l.rewind()
		}
	}
	return done
}

func (l *loop) rewind() {
	l.part, l.played = 0, 0
	for _, p := range l.parts {
		p.rewind()
	}
}

// chord plays its parts at once.
type chord struct {
	parts []source
	ended []bool
}

func (c *chord) add(out []float64) int {
	longest := 0
	for i, p := range c.parts {
		if c.ended[i] {
			continue
		}
		n := p.add(out)
		c.ended[i] = n < len(out)
		longest = max(longest, n)
	}
	return longest
}

func (c *chord) rewind() {
	clear(c.ended)
	for _, p := range c.parts {
		p.rewind()
	}
}
