package codec

import (
	"math"
	"testing"
)

func TestMuLawFollowsG711(t *testing.T) {
	for octet, want := range map[byte]int16{0x00: -32124, 0x80: 32124, 0x7f: 0, 0xff: 0, 0xfe: 8, 0x7e: -8, 0xef: 132, 0x8f: 16764} {
		if got := DecodeMuLaw(octet); got != want {
			t.Errorf("octet %#02x decodes to %d, want %d", octet, got, want)
		}
	}
	for i := range 256 {
		octet := byte(i)
		if octet == 0x7f { // negative zero is sent as positive zero
			continue
		}
		if got := EncodeMuLaw(DecodeMuLaw(octet)); got != octet {
			t.Errorf("octet %#02x comes back as %#02x", octet, got)
		}
	}
}

func TestALawFollowsG711(t *testing.T) {
	for octet, want := range map[byte]int16{0x2a: -32256, 0xaa: 32256, 0xd5: 8, 0x55: -8, 0xd4: 24, 0xc5: 264} {
		if got := DecodeALaw(octet); got != want {
			t.Errorf("octet %#02x decodes to %d, want %d", octet, got, want)
		}
	}
	for i := range 256 {
		if got := EncodeALaw(DecodeALaw(byte(i))); got != byte(i) {
			t.Errorf("octet %#02x comes back as %#02x", i, got)
		}
	}
}

// Every sample must land in the interval whose output value it is given: at most half a step away, and half a clipping step at the ends.
func TestG711QuantisesEverySampleToHalfAStep(t *testing.T) {
	for x := math.MinInt16; x <= math.MaxInt16; x++ {
		sample := int16(x)
		for law, got := range map[string]int16{
			"mu": DecodeMuLaw(EncodeMuLaw(sample)),
			"a":  DecodeALaw(EncodeALaw(sample)),
		} {
			step := 8.0
			if law == "a" {
				step = 16
			}
			magnitude, bias := math.Abs(float64(x)), 132.0
			if law == "a" {
				bias = 0
			}
			for edge := 256.0; magnitude+bias >= edge && edge < 32768; edge *= 2 {
				if law == "mu" || edge >= 512 {
					step *= 2
				}
			}
			if diff := math.Abs(float64(x) - float64(got)); diff > max(step/2, 644) || (magnitude < 32000 && diff > step/2) {
				t.Fatalf("%s-law: %d becomes %d, off by %.0f with a step of %.0f", law, x, got, diff, step)
			}
		}
	}
}

// ITU-T G.711 table 5 and 6: these octets are a 1 kHz sine at 0 dBm0, 3.17 and 3.14 dB below the overload sine.
func TestG711DigitalMilliwattHasItsLevel(t *testing.T) {
	milliwatt := map[string]struct {
		octets   []byte
		decode   func(byte) int16
		overload float64
		headroom float64
	}{
		"mu-law": {[]byte{0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e}, DecodeMuLaw, 8159 * 4, 3.17},
		"a-law":  {[]byte{0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4}, DecodeALaw, 4096 * 8, 3.14},
	}
	for law, m := range milliwatt {
		power := 0.0
		for _, octet := range m.octets {
			power += math.Pow(float64(m.decode(octet)), 2) / float64(len(m.octets))
		}
		if got := 20 * math.Log10(m.overload/math.Sqrt(2*power)); math.Abs(got-m.headroom) > 0.01 {
			t.Errorf("%s: the digital milliwatt is %.3f dB below overload, want %.2f", law, got, m.headroom)
		}
	}
}

func TestG711KeepsAToneClean(t *testing.T) {
	for _, number := range []int{0, 8} {
		spec, _ := Lookup(number)
		enc, err := NewEncoder(spec.Format)
		if err != nil {
			t.Fatal(err)
		}
		dec, err := NewDecoder(spec.Format)
		if err != nil {
			t.Fatal(err)
		}
		pcm := sine(1000, 0.316, 8000, 4*8000)
		payload, err := enc.Encode(nil, pcm)
		if err != nil {
			t.Fatal(err)
		}
		if n := dec.Samples(payload); n != len(pcm) {
			t.Errorf("%s: a payload for %d samples announces %d", spec.Format, len(pcm), n)
		}
		back, err := dec.Decode(nil, payload)
		if err != nil {
			t.Fatal(err)
		}
		if snr := snrDB(pcm, back); snr < 36.5 {
			t.Errorf("%s: 1 kHz at -10 dBFS comes back with %.1f dB SNR, want at least 36.5", spec.Format, snr)
		}
	}
}

func TestG711AllocatesNothing(t *testing.T) {
	spec, _ := Lookup(0)
	enc, _ := NewEncoder(spec.Format)
	dec, _ := NewDecoder(spec.Format)
	pcm, payload, out := sine(440, 0.5, 8000, 160), make([]byte, 0, 160), make([]int16, 0, 320)
	allocs := testing.AllocsPerRun(100, func() {
		payload, _ = enc.Encode(payload[:0], pcm)
		out, _ = dec.Decode(out[:0], payload)
		out = dec.Conceal(out, 160)
	})
	if allocs != 0 {
		t.Errorf("%v allocations a packet, want none", allocs)
	}
}

func BenchmarkG711(b *testing.B) {
	for _, number := range []int{0, 8} {
		spec, _ := Lookup(number)
		enc, _ := NewEncoder(spec.Format)
		dec, _ := NewDecoder(spec.Format)
		pcm, payload, out := sine(440, 0.5, 8000, 160), make([]byte, 0, 160), make([]int16, 0, 160)
		b.Run(spec.Format.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				payload, _ = enc.Encode(payload[:0], pcm)
				out, _ = dec.Decode(out[:0], payload)
			}
		})
	}
}

func sine(hz, amplitude float64, rate, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(amplitude * 32767 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return pcm
}

func snrDB(want, got []int16) float64 {
	var signal, noise float64
	for i := range want {
		signal += float64(want[i]) * float64(want[i])
		diff := float64(want[i]) - float64(got[i])
		noise += diff * diff
	}
	return 10 * math.Log10(signal/max(noise, 1e-9))
}

func FuzzMuLaw(f *testing.F) { fuzzDecoder(f, 0) }

func FuzzALaw(f *testing.F) { fuzzDecoder(f, 8) }
