// Package tone makes the tones that tests send and finds those that came back.
// It shares no code with the agent: what an agent says it heard is held against
// what somebody else heard.
package tone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"time"
)

// Rate of all samples here, in Hz.
const Rate = 8000

// amplitude leaves the sine well below clipping.
const amplitude = 8000

// Sine gives d of a sine.
func Sine(hz float64, d time.Duration) []int16 {
	pcm := make([]int16, int(d.Seconds()*Rate))
	for i := range pcm {
		pcm[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hz*float64(i)/Rate)))
	}
	return pcm
}

// WriteWAV writes mono 16-bit samples.
func WriteWAV(path string, pcm []int16) error {
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, uint32(36+2*len(pcm)))
	b = append(b, "WAVEfmt "...)
	for _, v := range []any{uint32(16), uint16(1), uint16(1), uint32(Rate), uint32(2 * Rate), uint16(2), uint16(16)} {
		b, _ = binary.Append(b, binary.LittleEndian, v) // fixed sizes cannot fail
	}
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(2*len(pcm)))
	b, _ = binary.Append(b, binary.LittleEndian, pcm)
	return os.WriteFile(path, b, 0o600)
}

// ReadWAV reads the samples of a 16-bit WAV, of two channels the first. A header whose length was not
// brought up to date is no obstacle: what is there is read.
func ReadWAV(path string) (pcm []int16, rate int, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, err
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, 0, fmt.Errorf("%s is no WAV", path)
	}
	channels := 1
	for rest := b[12:]; len(rest) >= 8; {
		id, size := string(rest[:4]), int(binary.LittleEndian.Uint32(rest[4:8]))
		body := rest[8:]
		if id == "data" {
			n := min(size, len(body))
			if n == 0 {
				n = len(body)
			}
			pcm = make([]int16, n/2/channels)
			for i := range pcm { // the first channel
				pcm[i] = int16(binary.LittleEndian.Uint16(body[2*channels*i:]))
			}
			return pcm, rate, nil
		}
		if id == "fmt " && len(body) >= 16 {
			bits := binary.LittleEndian.Uint16(body[14:])
			if channels = int(binary.LittleEndian.Uint16(body[2:])); channels < 1 || channels > 2 || bits != 16 {
				return nil, 0, fmt.Errorf("%s has %d channels of %d bits", path, channels, bits)
			}
			rate = int(binary.LittleEndian.Uint32(body[4:]))
		}
		size += size & 1
		if size > len(body) {
			break
		}
		rest = body[size:]
	}
	return nil, 0, fmt.Errorf("%s has no samples", path)
}

// MuLaw encodes samples by G.711 µ-law, by its definition: the sign, the
// segment of the biased magnitude, four bits of it, all inverted.
func MuLaw(pcm []int16) []byte {
	out := make([]byte, len(pcm))
	for i, s := range pcm {
		sign, m := byte(0), int(s)
		if m < 0 {
			sign, m = 0x80, -m
		}
		m = min(m, 32635) + 132
		segment := 7
		for mask := 0x4000; segment > 0 && m&mask == 0; mask >>= 1 {
			segment--
		}
		out[i] = ^(sign | byte(segment)<<4 | byte(m>>(segment+3))&0x0f)
	}
	return out
}

// Dominant finds the strongest frequency between 50 and 3950 Hz in samples, and
// the share of the whole energy that it carries (1 = a pure tone). It judges the
// middle of what it is given, one second of it at most.
func Dominant(pcm []int16, rate int) (hz, share float64, err error) {
	if n := len(pcm); n > rate {
		pcm = pcm[(n-rate)/2 : (n+rate)/2]
	}
	if len(pcm) < rate/10 {
		return 0, 0, fmt.Errorf("only %d samples", len(pcm))
	}
	var energy float64
	windowed := make([]float64, len(pcm))
	for i, s := range pcm {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(pcm)))
		windowed[i] = float64(s) * w
		energy += windowed[i] * windowed[i]
	}
	if energy/float64(len(pcm)) < 1 {
		return 0, 0, errors.New("silence")
	}
	best := 0.0
	search := func(from, to, step float64) {
		for f := from; f <= to; f += step {
			if p := power(windowed, f, rate); p > best {
				best, hz = p, f
			}
		}
	}
	search(50, 3950, 1)
	search(hz-1, hz+1, 0.1)
	// A sine of amplitude A in a Hann window of N samples has the energy 3A²N/16
	// and the peak (AN/4)²: their quotient is N/3.
	return hz, best / energy * 3 / float64(len(pcm)), nil
}

// power at one frequency, by Goertzel's recurrence.
func power(x []float64, hz float64, rate int) float64 {
	k := 2 * math.Cos(2*math.Pi*hz/float64(rate))
	var s1, s2 float64
	for _, v := range x {
		s1, s2 = v+k*s1-s2, s1
	}
	return s1*s1 + s2*s2 - k*s1*s2
}
