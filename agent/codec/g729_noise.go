package codec

// g729Noise makes comfort noise of silence descriptors (Annex B, §B.4.4). Levels are in units of 1/8.
type g729Noise struct {
	dice    g729Dice
	level   int32 // what is played
	sent    int32 // what the last descriptor said
	cosines g729Lines
	energy  int32 // of the last frame of speech, in units of 2^shift
	shift   int
}

const g729NoiseSeed = 11111

func newG729Noise() g729Noise {
	return g729Noise{
		dice: g729NoiseSeed, sent: int32(g729NoiseGain[0]),
		cosines: g729Lines{31441, 27566, 21458, 13612, 4663, -4663, -13612, -21458, -27556, -31441},
	}
}

// note remembers the energy of a frame of speech, in case the descriptor after it is lost.
func (n *g729Noise) note(excitation []int32) {
	n.dice = g729NoiseSeed
	acc := correlation(excitation, excitation, 0)
	n.shift = norm(acc)
	n.energy, n.shift = upper(acc<<n.shift), 15-n.shift
}

// next makes the excitation of a frame of noise, and says by which cosines it is to be filtered.
func (n *g729Noise) next(d *g729Descriptor, first bool, s *g729Spectrum, exc *[g729Past + g729Samples]int32) g729Lines {
	switch {
	case d != nil:
		n.sent = int32(g729NoiseGain[d.gain])
		n.cosines = s.hush(d)
	case first: // the descriptor was lost
		n.sent = int32(g729NoiseGain[g729NoiseIndex(longTimes(shl(n.energy, n.shift), 410))])
	}
	if first {
		n.level = n.sent
	} else {
		n.level = saturate(rounded(n.level, 28672) + rounded(n.sent, 4096)) // 7/8 and 1/8
	}
	for at := g729Past; at < len(exc); at += g729Sub {
		if n.level == 0 {
			clear(exc[at : at+g729Sub])
			continue
		}
		n.excite(exc, at)
	}
	return n.cosines
}

// hush is the cosines a descriptor names. Its predictors are the first of speech, and a mixture of both.
func (s *g729Spectrum) hush(d *g729Descriptor) g729Lines {
	past := g729Predictors[0].past
	if d.mode == 1 {
		for k := range past {
			for i := range past[k] {
				past[k][i] = int16(mac(mac(0, int32(past[k][i]), 19660), int32(g729Predictors[1].past[k][i]), 13107) >> 16)
			}
		}
	}
	own := g729Sum(int(g729NoiseFirst[d.first]), int(g729NoiseSecond[0][d.second]), int(g729NoiseSecond[1][d.second]))
	own.spread(10)
	lines := s.compose(&own, &past, &g729NoiseNow[d.mode])
	return lines.cosines()
}

// g729NoiseIndex is the level that is nearest to an energy (§B.4.2.1).
func g729NoiseIndex(energy int32) int32 {
	whole, rest := log2(energy)
	e := whole<<10 + rounded(rest, 1024)
	switch {
	case e <= -2721:
		return 0
	case e > 22111:
		return 31
	case e <= 4762:
		return max(scaled(e+3401, 24), 1)
	}
	return max(scaled(e-340, 193)>>2-1, 6)
}

// g729Random are the parameters of a subframe of noise, drawn by chance.
type g729Random struct {
	lag   g729Lag
	gain  int32 // of the past excitation, below 0.5, in units of 2⁻¹⁴
	at    [4]int
	signs [4]int32
}

func (n *g729Noise) draw() (r g729Random) {
	v := n.dice.next()
	if r.lag.third = int(v&3) - 1; r.lag.third == 2 {
		r.lag.third = 0
	}
	r.lag.whole = int(v>>2&0x3f) + 40
	r.at[0], r.signs[0] = int(v>>8&7)*5, v>>11&1
	r.at[1], r.signs[1] = int(v>>12&7)*5+1, v>>15&1
	v = n.dice.next()
	r.at[2], r.signs[2] = int(v&7)*5+2, v>>3&1
	r.at[3], r.signs[3] = int(v>>5&7)*5+3+int(v>>4&1), v>>8&1
	for i, s := range r.signs {
		r.signs[i] = 2*s - 1
	}
	r.gain = n.dice.next() & 0x1fff
	return r
}

// excite makes a subframe at exc[at:] that has the level: random noise, some past excitation, and four pulses for the rest of the energy.
func (n *g729Noise) excite(exc *[g729Past + g729Samples]int32, at int) {
	r := n.draw()
	random := n.random()
	r.lag.predict(exc[:], at)
	sub := exc[at : at+g729Sub]
	peak := int32(0)
	for i, v := range sub {
		sub[i] = saturate(rounded(v, 2*r.gain) + random[i])
		peak = max(peak, min(max(sub[i], -sub[i]), 32767))
	}
	shift := 0
	if peak != 0 {
		shift = max(3-(norm(peak)-16), 0)
	}
	energy, inner := int32(0), int32(0)
	for _, v := range sub {
		energy = mac(energy, v>>shift, v>>shift)
	}
	for i, p := range r.at {
		inner = saturate(inner + r.signs[i]*(sub[p]>>shift))
	}
	wanted := mac(0, n.level, mac(0, n.level, g729Sub)>>6)
	inner >>= 1
	square := mac(clamp32(int64(wanted>>(2*shift+1))-int64(energy)), inner, inner)
	shift++
	if square < 0 { // too much already: without the past excitation
		copy(sub, random[:])
		square, inner, shift = n.alone(&r, &random, wanted)
	}
	gain := shr16(n.solve(square, inner), 2-shift)
	gain = min(max(gain, -5000), 5000)
	for i, p := range r.at {
		sub[p] = saturate(sub[p] + r.signs[i]*gain)
	}
}

// alone are the terms of the pulses' equation when there is only random noise beside them.
func (n *g729Noise) alone(r *g729Random, random *g729Code, wanted int32) (square, inner int32, shift int) {
	all := int32(0)
	for _, p := range r.at {
		all |= min(max(random[p], -random[p]), 32767)
	}
	shift = 1
	if all&0x4000 != 0 {
		shift = 2
	}
	for i, p := range r.at {
		inner = saturate(inner + r.signs[i]*(random[p]>>shift))
	}
	square = longTimes(wanted, 24576) >> (2*shift - 1)
	return mac(square, inner, inner), inner, shift
}

// solve is the smaller solution of the pulses' equation of second degree.
func (*g729Noise) solve(square, inner int32) int32 {
	r := root(square)
	x, y := saturate(r-inner), saturate(-saturate(inner+r))
	if max(y, -y) < max(x, -x) {
		return y
	}
	return x
}

// random is Gaussian noise at half of the level.
func (n *g729Noise) random() (out g729Code) {
	energy := int32(0)
	for i := range out {
		sum := int32(0)
		for range 12 {
			sum += n.dice.next()
		}
		out[i] = int32(int16(sum >> 7))
		energy = mac(energy, out[i], out[i])
	}
	level := saturate(n.level + rounded(n.level, 19043)) // half of √40, less 1
	factor := longTimes(inverseRoot(energy>>1), level)
	shift := norm(factor)
	factor = shl(factor, shift) >> 16
	for i, v := range out {
		out[i] = shr16(rounded(v, factor), shift-14)
	}
	return out
}
