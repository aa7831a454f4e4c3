package codec

import (
	"math"
	"testing"
	"time"
)

// halves are a codec's encoder and decoder, and 20 ms of a tone for them.
func halves(t testing.TB, number int) (Encoder, Decoder, []int16) {
	t.Helper()
	spec, _ := Lookup(number)
	enc, err := NewEncoder(spec.Format)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := NewDecoder(spec.Format)
	if err != nil {
		t.Fatal(err)
	}
	return enc, dec, sine(440, 0.5, spec.Rate, spec.Rate/50)
}

func allocatesNothing(t *testing.T, number int) {
	enc, dec, pcm := halves(t, number)
	payload, out := make([]byte, 0, 1500), make([]int16, 0, 2*len(pcm))
	allocs := testing.AllocsPerRun(100, func() {
		payload, _ = enc.Encode(payload[:0], pcm)
		out, _ = dec.Decode(out[:0], payload)
		out = dec.Conceal(out, len(pcm))
	})
	if allocs != 0 {
		t.Errorf("%v allocations a packet, want none", allocs)
	}
}

// benchmarkCodec codes packets of 20 ms; ms/s is what a second of audio costs.
func benchmarkCodec(b *testing.B, number int) {
	enc, dec, pcm := halves(b, number)
	payload, out := make([]byte, 0, 1500), make([]int16, 0, len(pcm))
	payload, _ = enc.Encode(payload, pcm)
	for name, step := range map[string]func(){
		"encode": func() { payload, _ = enc.Encode(payload[:0], pcm) },
		"decode": func() { out, _ = dec.Decode(out[:0], payload) },
		"decode and conceal": func() { // every second packet lost
			out, _ = dec.Decode(out[:0], payload)
			out = dec.Conceal(out[:0], len(pcm))
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
			b.ReportMetric(50*float64(b.Elapsed())/float64(b.N)/float64(time.Millisecond), "ms/s")
		})
	}
}

// fuzzDecoder feeds a decoder any bytes, with a gap between: what it announces is what it gives, and never an error half way.
func fuzzDecoder(f *testing.F, number int) {
	enc, _, pcm := halves(f, number)
	good, err := enc.Encode(nil, pcm)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, uint16(160))
	f.Add(good[:len(good)-1], uint16(1))
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, payload []byte, gap uint16) {
		_, dec, _ := halves(t, number)
		for range 2 {
			n := dec.Samples(payload)
			if n < 0 || n > 160*len(payload) {
				t.Fatalf("%d bytes announce %d samples", len(payload), n)
			}
			out, err := dec.Decode(nil, payload)
			if err == nil && len(out) != n || err != nil && len(out) != 0 {
				t.Fatalf("%d samples were announced, %d came (%v)", n, len(out), err)
			}
			if out = dec.Conceal(nil, int(gap)); len(out) != int(gap) {
				t.Fatalf("a gap of %d is filled with %d samples", gap, len(out))
			}
		}
	})
}

// fitDB is the signal-to-noise ratio of what should be a sine of any level, phase and offset, its first part left out.
func fitDB(pcm []int16, hz float64, rate int) float64 {
	pcm = pcm[len(pcm)%(rate/4):]
	if len(pcm) > rate {
		pcm = pcm[len(pcm)-rate:]
	}
	var s, c, dc, all float64
	for i, v := range pcm {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		s, c, dc, all = s+float64(v)*sin, c+float64(v)*cos, dc+float64(v), all+float64(v)*float64(v)
	}
	n := float64(len(pcm))
	tone := 2 * (s*s + c*c) / n
	return 10 * math.Log10(tone/max(all-tone-dc*dc/n, 1e-9))
}
