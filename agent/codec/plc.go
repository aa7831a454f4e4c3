package codec

import (
	"math"
	"slices"
)

// Concealer fills the gaps lost packets leave, by repeating the last pitch period that was heard and fading it out: the method of
// ITU-T G.711 Appendix I (without its look-ahead delay), for any sampling rate, for codecs that bring no concealment of their own.
// It allocates nothing after it is made.
type Concealer struct {
	rate    int
	history []int16 // the last samples played, a ring
	oldest  int     // where it begins
	period  []int16 // what a running concealment repeats
	pos     int     // next sample of period
	lost    int     // samples concealed since the last good one; 0 = no concealment runs
}

// The times of G.711 Appendix I, in units of 1/8 ms.
const (
	plcHistory   = 390 // 48.75 ms
	plcWindow    = 160 // 20 ms compared to find the pitch
	plcShortest  = 40  // 5 ms, 200 Hz
	plcLongest   = 120 // 15 ms, 66 Hz
	plcFadeFrom  = 80  // 10 ms at full level
	plcFadeUntil = 480 // 60 ms to silence
	plcBlend     = 32  // 4 ms from concealment back to speech
)

// NewConcealer makes a concealer for PCM at rate Hz.
func NewConcealer(rate int) *Concealer {
	c := &Concealer{rate: rate}
	c.history = make([]int16, c.samples(plcHistory))
	c.period = make([]int16, 0, c.samples(plcLongest))
	return c
}

// samples converts 1/8 ms units.
func (c *Concealer) samples(eighths int) int { return eighths * c.rate / 8000 }

// Good shows the concealer a decoded frame. The first one after a gap is blended, in place, with the concealment it ends.
func (c *Concealer) Good(pcm []int16) {
	if c.lost > 0 && len(pcm) > 0 {
		n := min(c.samples(plcBlend), len(pcm))
		for i := range n {
			stale, fresh := int(c.next()), int(pcm[i])
			pcm[i] = int16((stale*(n-i) + fresh*i) / n)
		}
		c.lost = 0
	}
	c.remember(pcm)
}

// Conceal appends n samples in place of lost ones.
func (c *Concealer) Conceal(dst []int16, n int) []int16 {
	if n <= 0 {
		return dst
	}
	if c.lost == 0 {
		c.start()
	}
	start := len(dst)
	for range n {
		dst = append(dst, c.next())
	}
	c.remember(dst[start:])
	return dst
}

// start takes the last pitch period of the history, its end blended so that it can follow itself without a click.
func (c *Concealer) start() {
	c.straighten()
	pitch, end := c.pitch(), len(c.history)
	c.period, c.pos = append(c.period[:0], c.history[end-pitch:]...), 0
	blend := pitch / 4
	for i := range blend {
		at := pitch - blend + i
		before := int(c.history[end-pitch-blend+i])
		c.period[at] = int16((int(c.period[at])*(blend-i) + before*i) / blend)
	}
}

// next is the next concealed sample.
func (c *Concealer) next() int16 {
	from, until := c.samples(plcFadeFrom), c.samples(plcFadeUntil)
	v := int(c.period[c.pos])
	switch {
	case c.lost >= until:
		v = 0
	case c.lost > from:
		v = v * (until - c.lost) / (until - from)
	}
	c.lost = min(c.lost+1, until)
	if c.pos++; c.pos == len(c.period) {
		c.pos = 0
	}
	return int16(v)
}

// pitch is the lag, in samples, at which the end of the history is most like what came before it.
func (c *Concealer) pitch() int {
	window, longest := c.samples(plcWindow), c.samples(plcLongest)
	tail := c.history[len(c.history)-window:]
	best, bestLag := math.Inf(-1), longest
	for lag := c.samples(plcShortest); lag <= longest; lag++ {
		earlier := c.history[len(c.history)-window-lag:][:window]
		var cross, energy int64
		for i, v := range tail {
			cross += int64(v) * int64(earlier[i])
			energy += int64(earlier[i]) * int64(earlier[i])
		}
		if energy == 0 {
			continue
		}
		if score := float64(cross) / math.Sqrt(float64(energy)); score > best {
			best, bestLag = score, lag
		}
	}
	return bestLag
}

func (c *Concealer) remember(pcm []int16) {
	pcm = pcm[max(len(pcm)-len(c.history), 0):]
	n := copy(c.history[c.oldest:], pcm)
	copy(c.history, pcm[n:])
	if c.oldest += len(pcm); c.oldest >= len(c.history) {
		c.oldest -= len(c.history)
	}
}

// straighten has the history begin with the oldest sample.
func (c *Concealer) straighten() {
	slices.Reverse(c.history[:c.oldest])
	slices.Reverse(c.history[c.oldest:])
	slices.Reverse(c.history)
	c.oldest = 0
}
