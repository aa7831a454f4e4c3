package codec

// g729Heard says what the last frame was.
type g729Heard int

const (
	g729Nothing g729Heard = iota // comfort noise goes on
	g729Speech
	g729Hush // a silence descriptor
)

// g729Synthesis is the decoder of §4: bits to filters and excitation to speech.
type g729Synthesis struct {
	spectrum   g729Spectrum
	cosines    g729Lines // of the last frame
	filters    [2]g729Filter
	gains      g729Gains
	adaptive   int32
	fixed      int32
	sharpness  int32 // of the pulses' repetition
	lag        int   // the last one, for lost frames
	lags       [2]int
	excitation [g729Past + g729Samples]int32
	memory     g729Lines // the synthesis filter's last outputs
	dice       g729Dice  // for what lost frames do not say
	heard      g729Heard
	noise      g729Noise
	code       g729Code
	speech     [g729Order + g729Samples]int32 // the last ten before a frame, and the frame
	post       g729Postfilter
}

const (
	g729Dull  = 3277  // 0.2, least sharpness
	g729Sharp = 13017 // 0.8, most
)

// g729Rest are the cosines of an even spectrum, from which every stream begins.
var g729Rest = g729Lines{30000, 26000, 21000, 15000, 8000, 0, -8000, -15000, -21000, -26000}

func newG729Synthesis() g729Synthesis {
	return g729Synthesis{
		spectrum: newG729Spectrum(), cosines: g729Rest, gains: newG729Gains(), sharpness: g729Dull, lag: 60, dice: 21845,
		heard: g729Speech, noise: newG729Noise(), post: newG729Postfilter(),
	}
}

// decode makes the speech of a frame.
func (s *g729Synthesis) decode(f *g729Frame, out *[g729Samples]int16) {
	lines := s.spectrum.decode(f)
	s.shape(lines.cosines())
	for i := range f.sub {
		e := &f.sub[i]
		var lag g729Lag
		switch {
		case i == 1:
			lag = e.secondLag(s.lags[0])
			s.lag = lag.whole
		case f.parity == f.even():
			lag = e.firstLag()
			s.lag = lag.whole
		default:
			lag = s.lastLag()
		}
		s.lags[i] = lag.whole
		s.predict(i, lag)
		s.code.place(e.pulses, e.signs, lag.whole, s.sharpness)
		s.adaptive, s.fixed = s.gains.decode(e, &s.code)
		s.excite(i)
	}
	s.noise.note(s.excitation[g729Past:])
	s.heard = g729Speech
	s.finish(out)
}

// conceal makes a frame in place of a lost one.
func (s *g729Synthesis) conceal(out *[g729Samples]int16) {
	if s.heard != g729Speech {
		s.hush(nil, out)
		return
	}
	lines := s.spectrum.repeat()
	s.shape(lines.cosines())
	for i := range s.lags {
		lag := s.lastLag()
		s.lags[i] = lag.whole
		s.predict(i, lag)
		pulses := uint16(s.dice.next()) & 0x1fff
		s.code.place(pulses, uint8(s.dice.next())&0x0f, lag.whole, s.sharpness)
		s.adaptive = min(scaled(s.adaptive, 29491), 29491) // by 0.9
		s.fixed = scaled(s.fixed, 32111)                   // by 0.98
		s.gains.lose()
		s.excite(i)
	}
	s.finish(out)
}

// hush makes a frame of comfort noise, of a new descriptor or, without one, on from the last.
func (s *g729Synthesis) hush(d *g729Descriptor, out *[g729Samples]int16) {
	cosines := s.noise.next(d, s.heard == g729Speech, &s.spectrum, &s.excitation)
	s.shape(cosines)
	s.heard = g729Nothing
	if d != nil {
		s.heard = g729Hush
	}
	for i := range s.lags {
		s.lags[i] = s.lag
		s.filter(i)
	}
	s.sharpness = g729Dull
	s.finish(out)
}

// shape gives the frame its filters.
func (s *g729Synthesis) shape(cosines g729Lines) {
	s.filters = cosines.interpolated(&s.cosines)
	s.cosines = cosines
}

// lastLag stands in for a lag that is not known; the next such one is longer by a sample.
func (s *g729Synthesis) lastLag() g729Lag {
	lag := g729Lag{s.lag, 0}
	s.lag = min(s.lag+1, g729MaxLag)
	return lag
}

func (s *g729Synthesis) predict(i int, lag g729Lag) {
	lag.predict(s.excitation[:], g729Past+i*g729Sub)
}

// excite completes a subframe's excitation and filters it.
func (s *g729Synthesis) excite(i int) {
	s.sharpness = min(max(s.adaptive, g729Dull), g729Sharp)
	s.code.excite(s.excitation[g729Past+i*g729Sub:], s.adaptive, s.fixed)
	s.filter(i)
}

// filter makes a subframe of speech. Where it does not fit, all excitation is made smaller first.
func (s *g729Synthesis) filter(i int) {
	out := s.speech[g729Order+i*g729Sub:][:g729Sub]
	exc := s.excitation[g729Past+i*g729Sub:]
	if !s.filters[i].synthesize(out, exc, &s.memory) {
		for k := range s.excitation {
			s.excitation[k] >>= 2
		}
		s.filters[i].synthesize(out, exc, &s.memory)
	}
	copy(s.memory[:], out[g729Sub-g729Order:])
}

// finish sends a frame through the post-filter and makes room for the next.
func (s *g729Synthesis) finish(out *[g729Samples]int16) {
	s.post.filter(&s.speech, &s.filters, &s.lags, s.heard == g729Speech, out)
	copy(s.speech[:g729Order], s.speech[g729Samples:])
	copy(s.excitation[:g729Past], s.excitation[g729Samples:])
}
