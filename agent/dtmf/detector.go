package dtmf

import "math"

// What makes received audio a digit. ITU-T Q.24 asks receivers to take tones of 40 ms that are off by 1.5 %, with the high one up to
// 4 dB (in some countries 8) over or 8 dB under the low one, and to leave alone what is shorter than 23 ms.
const (
	blockSeconds  = 0.01275 // the rows' frequencies fall near the zeros of each other's response
	hitsForDigit  = 4       // blocks, half overlapping: 32 ms
	missesToEnd   = 3
	leastDBm0     = -38
	highOverLow   = 8.5 // dB, with room for what the tones leak into each other
	lowOverHigh   = 10.8
	overOthers    = 6.5  // dB over the other rows, or columns
	partOfAll     = 0.68 // of the power, both tones together; at 1.5 % off a block sees three quarters
	steady        = 2.5  // dB from one block to the next: speech is never as even
	overHarmonics = 12   // dB of the high tone over its second harmonic, as speech has harmonics; the low ones' lie among the high tones
)

// Detector hears digits in audio (ITU-T Q.23, Q.24), for peers that send no telephone-event. It is fed 16-bit PCM at one rate.
//
// Goertzel's algorithm gives the power at eight frequencies, and at the second harmonics of four, in blocks of 12.75 ms that overlap by half.
type Detector struct {
	size    int // samples a block
	filters [12]goertzel
	halves  [2]half // that the current block consists of
	n       int     // samples of the running half

	candidate rune // of the last block
	level     float64
	hits      int
	misses    int
	now       rune // the digit that sounds; 0 = none
}

// half is half a block: the state that a filter had over its samples alone, to be put together with the next half's.
type half struct {
	re, im [12]float64
	power  float64
}

// goertzel turns samples by one frequency.
type goertzel struct {
	twice  float64 // 2·cos of a sample's turn
	cos    float64
	sin    float64
	s1, s2 float64
	// turn is what the first half of a block has turned further when the second ends.
	turnCos, turnSin float64
}

// rows and columns of the keypad, in Hz, and which digit is where.
var (
	rows    = [4]float64{697, 770, 852, 941}
	columns = [4]float64{1209, 1336, 1477, 1633}
	keypad  = [4]string{"123A", "456B", "789C", "*0#D"}
)

// NewDetector makes a detector for PCM at rate Hz.
func NewDetector(rate int) *Detector {
	d := &Detector{size: int(math.Round(blockSeconds*float64(rate)/2)) * 2}
	for i := range d.filters {
		hz := rows[i%4]
		if i >= 4 {
			hz = columns[i%4]
		}
		if i >= 8 {
			hz *= 2
		}
		turn := 2 * math.Pi * hz / float64(rate)
		f := &d.filters[i]
		f.sin, f.cos = math.Sincos(turn)
		f.twice = 2 * f.cos
		f.turnSin, f.turnCos = math.Sincos(turn * float64(d.size/2))
	}
	return d
}

// Push takes samples and calls began for each digit that begins in them.
func (d *Detector) Push(pcm []int16, began func(rune)) {
	for len(pcm) > 0 {
		part := pcm[:min(len(pcm), d.size/2-d.n)]
		d.take(part)
		pcm = pcm[len(part):]
		if d.n == d.size/2 {
			if digit := d.close(); digit != 0 {
				began(digit)
			}
		}
	}
}

func (d *Detector) take(pcm []int16) {
	for i := range d.filters {
		f := &d.filters[i]
		s1, s2, twice := f.s1, f.s2, f.twice
		for _, v := range pcm {
			s1, s2 = float64(v)+twice*s1-s2, s1
		}
		f.s1, f.s2 = s1, s2
	}
	power := d.halves[1].power
	for _, v := range pcm {
		power += float64(v) * float64(v)
	}
	d.halves[1].power = power
	d.n += len(pcm)
}

// close ends half a block, judges the block it completes, and gives the digit that began by it, or 0.
func (d *Detector) close() rune {
	second := &d.halves[1]
	var powers [12]float64
	n := float64(d.size)
	for i := range d.filters {
		f := &d.filters[i]
		second.re[i], second.im[i] = f.s1-f.s2*f.cos, f.s2*f.sin
		f.s1, f.s2 = 0, 0
		first := &d.halves[0]
		re := first.re[i]*f.turnCos - first.im[i]*f.turnSin + second.re[i]
		im := first.re[i]*f.turnSin + first.im[i]*f.turnCos + second.im[i]
		powers[i] = 2 * (re*re + im*im) / (n * n) // a sine's mean square
	}
	all := (d.halves[0].power + second.power) / n
	d.halves[0] = *second
	d.halves[1] = half{}
	d.n = 0
	digit := judge(&powers, all)
	return d.follow(digit, 10*math.Log10(all+1e-9))
}

// judge gives the digit that a block holds, or 0.
func judge(powers *[12]float64, all float64) rune {
	row, column := strongest(powers[0:4]), strongest(powers[4:8])
	low, high := powers[row], powers[4+column]
	switch {
	case all < square(leastDBm0),
		low+high < partOfAll*all,
		high > low*ratioHigh, low > high*ratioLow,
		rival(powers[0:4], row)*ratioOthers > low, rival(powers[4:8], column)*ratioOthers > high,
		powers[8+column]*ratioHarmonics > high:
		return 0
	}
	return rune(keypad[row][column])
}

var ratioHigh, ratioLow, ratioOthers, ratioHarmonics = ratio(highOverLow), ratio(lowOverHigh), ratio(overOthers), ratio(overHarmonics)

func ratio(dB float64) float64 { return math.Pow(10, dB/10) }

// square is the mean square of audio at a level.
func square(dBm0 float64) float64 {
	return 32768. * 32768. / 2 * math.Pow(10, (dBm0-fullScale)/10)
}

func strongest(powers []float64) int {
	best := 0
	for i, p := range powers {
		if p > powers[best] {
			best = i
		}
	}
	return best
}

// rival is the strongest but one.
func rival(powers []float64, best int) float64 {
	most := 0.
	for i, p := range powers {
		if i != best {
			most = max(most, p)
		}
	}
	return most
}

// follow makes digits of blocks: one must hold for a while to begin, and its absence to end.
func (d *Detector) follow(digit rune, level float64) rune {
	even := math.Abs(level-d.level) < steady
	d.level = level
	if digit == 0 || digit != d.candidate || !even {
		d.candidate, d.hits = digit, min(1, int(digit))
	} else {
		d.hits++
	}
	if d.now != 0 {
		if digit == d.now {
			d.misses = 0
			return 0
		}
		if d.misses++; d.misses < missesToEnd {
			return 0
		}
		d.now, d.misses = 0, 0
	}
	if d.hits < hitsForDigit {
		return 0
	}
	d.now = d.candidate
	return d.now
}
