package media

import "math"

// How what was heard is compared with what was sent: both at 8000 Hz, in segments that overlap by half.
const (
	segmentSize   = 256  // 32 ms
	sectionSize   = 1840 // 230 ms; within one, the delay is taken to be the same
	mostDrift     = 320  // samples by which the delay of a section may differ from the one before, as jitter buffers do
	leastBetter   = 1.05 // so much more alike must another delay be than the one before, or the pitch misleads
	leastAlike    = 0.3  // a section less like what was sent tells nothing of its delay
	quietDBm0     = -45  // segments quieter than this are not judged: nobody hears what becomes of silence
	leastSNR      = 0.
	mostSNR       = 35.
	lowestBin     = 8    // 250 Hz
	highestBin    = 108  // 3375 Hz
	spectralFloor = 1e-4 // of the strongest line of a segment: what is 40 dB below it is masked
)

// score is how alike two sounds are.
type score struct {
	snr      float64 // segmental, dB
	distance float64 // log-spectral, dB
}

// compare holds sent, from a sample on, against heard, in which sent begins at a sample. A tone of besideHz that somebody added is
// left out of both. ok is false when too little is left to compare.
//
// The measures are those of Quackenbush, Barnwell and Clements, Objective Measures of Speech Quality (1988): segmental
// signal-to-noise ratio, here between 0 and 35 dB a segment, and log-spectral distance. A level that changed as a whole is no fault.
func compare(sent, heard []int16, at, from int, besideHz float64) (s score, ok bool) {
	pairs := segments(sent, heard, at, from)
	dot, power := 0.0, 0.0
	for i := range pairs {
		p := &pairs[i]
		without(p.sent[:], besideHz)
		without(p.heard[:], besideHz)
		for k := range p.sent {
			dot, power = dot+p.sent[k]*p.heard[k], power+p.heard[k]*p.heard[k]
		}
	}
	if len(pairs) == 0 || dot <= 0 {
		return score{}, false
	}
	gain := dot / power
	for i := range pairs {
		s.snr += pairs[i].snr(gain) / float64(len(pairs))
		s.distance += pairs[i].distance(gain) / float64(len(pairs))
	}
	return s, true
}

// pair is a segment, as it was sent and as it was heard.
type pair struct{ sent, heard [segmentSize]float64 }

// segments pairs the segments that are loud enough, section by section, each at the delay that makes it most alike.
func segments(sent, heard []int16, at, from int) []pair {
	var pairs []pair
	shift := at
	for ; from+sectionSize <= len(sent); from += sectionSize {
		shift = aligned(sent[from:from+sectionSize], heard, from+shift) - from
		for i := from; i+segmentSize <= from+sectionSize; i += segmentSize / 2 {
			if levelDBm0(energy(sent[i:i+segmentSize])/segmentSize) < quietDBm0 || i+shift < 0 || i+shift+segmentSize > len(heard) {
				continue
			}
			var p pair
			for k := range p.sent {
				p.sent[k], p.heard[k] = float64(sent[i+k]), float64(heard[i+shift+k])
			}
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// aligned is where in heard a section is, which should be at a sample and may be a little earlier or later.
func aligned(section, heard []int16, expected int) int {
	norm := math.Sqrt(energy(section))
	alike := func(at int) float64 {
		if at < 0 || at+len(section) > len(heard) {
			return 0
		}
		dot, power := 0.0, 1.0
		for i, v := range section {
			h := float64(heard[at+i])
			dot, power = dot+float64(v)*h, power+h*h
		}
		return dot / (norm * math.Sqrt(power))
	}
	best, likeness := expected, max(alike(expected)*leastBetter, leastAlike)
	if likeness >= 1 {
		return expected // none is better
	}
	for at := expected - mostDrift; at <= expected+mostDrift; at++ {
		if a := alike(at); a > likeness {
			best, likeness = at, a
		}
	}
	return best
}

// without takes a tone out of a segment: what is left is what no sine of this frequency makes up.
func without(x []float64, hz float64) {
	if hz == 0 || len(x) < segmentSize/4 {
		return
	}
	var xs, xc, ss, sc, cc float64
	turn := 2 * math.Pi * hz / probeRate
	for i, v := range x {
		sin, cos := math.Sincos(turn * float64(i))
		xs, xc, ss, sc, cc = xs+v*sin, xc+v*cos, ss+sin*sin, sc+sin*cos, cc+cos*cos
	}
	determinant := ss*cc - sc*sc
	a, b := (xs*cc-xc*sc)/determinant, (xc*ss-xs*sc)/determinant
	for i := range x {
		sin, cos := math.Sincos(turn * float64(i))
		x[i] -= a*sin + b*cos
	}
}

// snr is how far what differs is below what was sent, in dB.
func (p *pair) snr(gain float64) float64 {
	signal, noise := 0.0, 0.0
	for i, v := range p.sent {
		d := v - gain*p.heard[i]
		signal, noise = signal+v*v, noise+d*d
	}
	return min(max(10*math.Log10(signal/max(noise, 1e-9)), leastSNR), mostSNR)
}

// distance is that of the logarithms of both power spectra, in dB.
func (p *pair) distance(gain float64) float64 {
	sent, heard := hann(p.sent[:]), hann(p.heard[:])
	floor := 0.0
	for k := lowestBin; k <= highestBin; k++ {
		floor = max(floor, spectralFloor*power(sent[k]))
	}
	sum := 0.0
	for k := lowestBin; k <= highestBin; k++ {
		d := 10 * math.Log10((power(sent[k])+floor)/(gain*gain*power(heard[k])+floor))
		sum += d * d
	}
	return math.Sqrt(sum / (highestBin - lowestBin + 1))
}

// hann is the spectrum of a segment under Hann's window.
func hann(x []float64) []complex128 {
	bins := make([]complex128, len(x))
	for i, v := range x {
		bins[i] = complex(v*(0.5-0.5*math.Cos(2*math.Pi*float64(i)/float64(len(x)))), 0)
	}
	transform(bins)
	return bins
}

func power(c complex128) float64 { return real(c)*real(c) + imag(c)*imag(c) }
