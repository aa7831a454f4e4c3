package codec

import "math"

// g729Search looks for the four pulses of the fixed codebook (§A.3.8): one on each of the tracks 5n, 5n+1, 5n+2, and 5n+3 or 5n+4.
type g729Search struct {
	d      g729Vector          // what a pulse brings towards the target
	signs  g729Vector          // ±1
	phi    [g729Sub]g729Vector // what two pulses have in common, with their signs
	best   float64             // of the square of what is brought by the energy it takes
	places [4]int
}

// pulses finds them for what the adaptive codebook left over.
func (s *g729Search) pulses(rest, h *g729Vector, out *g729Excitation) {
	s.d = rest.backward(h)
	for i, v := range s.d {
		s.signs[i] = 1
		if v < 0 {
			s.signs[i] = -1
		}
		s.d[i] = math.Abs(v)
	}
	s.correlate(h)
	s.best, s.places = -1, [4]int{0, 1, 2, 3}
	for last := 3; last <= 4; last++ {
		s.pairs([4]int{2, last, 0, 1})
		s.pairs([4]int{last, 0, 1, 2})
	}
	p := &s.places
	j := p[3]%5 - 3
	out.pulses = uint16(p[0]/5 | p[1]/5<<3 | p[2]/5<<6 | j<<9 | p[3]/5<<10)
	out.signs = 0
	for i, at := range p {
		if s.signs[at] > 0 {
			out.signs |= 1 << i
		}
	}
}

// correlate fills phi.
func (s *g729Search) correlate(h *g729Vector) {
	for apart := range g729Sub {
		sum := 0.0
		for i := g729Sub - 1 - apart; i >= 0; i-- { // pulses at i and i+apart share what follows
			sum += h[g729Sub-1-apart-i] * h[g729Sub-1-i]
			v := sum * s.signs[i] * s.signs[i+apart]
			s.phi[i][i+apart], s.phi[i+apart][i] = v, v
		}
	}
}

// pairs tries the tracks two by two: a first one at its two best places with all of the second, then all of the others.
func (s *g729Search) pairs(tracks [4]int) {
	for _, a := range s.two(tracks[0]) {
		b := s.second(a, tracks[1])
		brought := s.d[a] + s.d[b]
		energy := s.phi[a][a] + s.phi[b][b] + 2*s.phi[a][b]
		var common g729Vector
		for i := range common {
			common[i] = 2 * (s.phi[a][i] + s.phi[b][i])
		}
		for c := tracks[2]; c < g729Sub; c += 5 {
			withC, energyC := brought+s.d[c], energy+s.phi[c][c]+common[c]
			for d := tracks[3]; d < g729Sub; d += 5 {
				v := withC + s.d[d]
				if q := v * v / (energyC + s.phi[d][d] + common[d] + 2*s.phi[c][d]); q > s.best {
					s.best = q
					s.keep([4]int{a, b, c, d})
				}
			}
		}
	}
}

// keep notes where the pulses are, each at its track's place.
func (s *g729Search) keep(found [4]int) {
	for _, at := range found {
		s.places[min(at%5, 3)] = at
	}
}

// two are the places of a track that bring most.
func (s *g729Search) two(track int) (at [2]int) {
	at = [2]int{track, track + 5}
	if s.d[at[1]] > s.d[at[0]] {
		at[0], at[1] = at[1], at[0]
	}
	for i := track + 10; i < g729Sub; i += 5 {
		switch {
		case s.d[i] > s.d[at[0]]:
			at[0], at[1] = i, at[0]
		case s.d[i] > s.d[at[1]]:
			at[1] = i
		}
	}
	return at
}

// second is the place of a track that goes best with a.
func (s *g729Search) second(a, track int) int {
	best, at := -1.0, track
	for b := track; b < g729Sub; b += 5 {
		v := s.d[a] + s.d[b]
		if q := v * v / (s.phi[a][a] + s.phi[b][b] + 2*s.phi[a][b]); q > best {
			best, at = q, b
		}
	}
	return at
}
