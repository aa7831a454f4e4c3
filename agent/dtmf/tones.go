package dtmf

import (
	"math"
	"time"
)

// The pairs of tones of ITU-T Q.23, by event code: a low one for the row of the key, a high one for its column. The high one is
// sent 2 dB louder, as lines lose more of it.
var (
	lowTones  = [...]float64{941, 697, 697, 697, 770, 770, 770, 852, 852, 852, 941, 941, 697, 770, 852, 941}
	highTones = [...]float64{1336, 1209, 1336, 1477, 1209, 1336, 1477, 1209, 1336, 1477, 1209, 1477, 1633, 1633, 1633, 1633}
)

const (
	lowDBm0   = -9
	highDBm0  = -7
	fullScale = 3.14 // dBm0 of a full-scale sine
)

// Tones plays queued digits within audio, for peers that take no telephone-event. The zero value is not usable; see NewTones.
type Tones struct {
	rate      int
	queue     []rune
	low, high float64 // radians a sample
	at        int     // samples of the digit so far
	sound     int     // samples of tone left
	gap       int     // samples of silence left
	pause     int     // samples left to a comma
}

// NewTones makes a player for PCM at rate Hz.
func NewTones(rate int) *Tones { return &Tones{rate: rate} }

// Queue adds digits; a comma pauses 2 s. The error says which character is no digit; then nothing was added.
func (t *Tones) Queue(text string) error {
	if err := Check(text); err != nil {
		return err
	}
	t.queue = append(t.queue, []rune(text)...)
	return nil
}

// Fill puts the tones that are due in place of what is in pcm, and silence after each; the rest stays.
func (t *Tones) Fill(pcm []int16) {
	for i := range pcm {
		switch {
		case t.sound > 0:
			n := float64(t.at)
			v := lowAmplitude*math.Sin(t.low*n) + highAmplitude*math.Sin(t.high*n)
			pcm[i] = int16(math.Round(v))
			t.at++
			t.sound--
		case t.gap > 0:
			pcm[i] = 0
			t.gap--
		case t.pause > 0:
			t.pause--
		case len(t.queue) > 0:
			t.begin()
		default:
			return
		}
	}
}

// begin takes the next of the queue.
func (t *Tones) begin() {
	next := t.queue[0]
	t.queue = t.queue[1:]
	if next == ',' {
		t.pause = t.samples(CommaPause)
		return
	}
	code, _ := Code(next)
	radians := 2 * math.Pi / float64(t.rate)
	t.low, t.high, t.at = lowTones[code]*radians, highTones[code]*radians, 0
	t.sound, t.gap = t.samples(DefaultTone), t.samples(DefaultGap)
}

func (t *Tones) samples(d time.Duration) int {
	return int(int64(t.rate) * int64(d) / int64(time.Second))
}

var lowAmplitude, highAmplitude = amplitude(lowDBm0), amplitude(highDBm0)

func amplitude(dBm0 float64) float64 { return 32767 * math.Pow(10, (dBm0-fullScale)/20) }
