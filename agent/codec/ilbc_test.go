package codec

import (
	"bytes"
	"errors"
	"testing"
)

func ilbcHalves(t testing.TB, params string) (Encoder, Decoder) {
	t.Helper()
	s, _ := Lookup(ilbcNumber)
	f := s.Format
	f.Params = params
	e, err := NewEncoder(f)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder(f)
	if err != nil {
		t.Fatal(err)
	}
	return e, d
}

func TestILBCKeepsATone(t *testing.T) {
	for params, size := range map[string]int{"mode=20": 38, "mode=30": 50, "": 50} {
		e, d := ilbcHalves(t, params)
		pcm := sine(1000, 0.316, ilbcRate, 12*2400)
		payload, err := e.Encode(nil, pcm)
		if err != nil {
			t.Fatal(err)
		}
		if want := len(pcm) / e.FrameSamples() * size; len(payload) != want {
			t.Errorf("%q: %d bytes, want %d", params, len(payload), want)
		}
		out, err := d.Decode(nil, payload)
		if err != nil || len(out) != len(pcm) {
			t.Fatalf("%q: %d samples of %d (%v)", params, len(out), len(pcm), err)
		}
		snr := fitDB(out, 1000, ilbcRate)
		t.Logf("%q: 1 kHz at -10 dBFS comes back with %.1f dB SNR", params, snr)
		if snr < 15 {
			t.Errorf("%q: %.1f dB SNR", params, snr)
		}
	}
}

func TestILBCFramesPackAndUnpack(t *testing.T) {
	for _, m := range []*ilbcMode{ilbc20, ilbc30} {
		b := make([]byte, m.bytes)
		for i := range b {
			b[i] = byte(i*89 + 0x41)
		}
		b[2], b[5] = 0x15, 0x25 // the start state is in the first sub-frames
		b[len(b)-1] &^= 1
		var f ilbcFrame
		if !m.unpack(b, &f) {
			t.Fatalf("%d ms: refused", m.ms)
		}
		if got := m.pack(nil, &f); !bytes.Equal(got, b) {
			t.Errorf("%d ms: unpacked and packed again:\n%x, want\n%x", m.ms, got, b)
		}
		b[len(b)-1] |= 1
		if m.unpack(b, &f) {
			t.Errorf("%d ms: a frame marked as empty counts as one", m.ms)
		}
	}
}

func TestILBCShortIndexesNameTheirVectors(t *testing.T) {
	for i := range 128 {
		if got := ilbcShorten(ilbcLengthen(i)); got != i {
			t.Errorf("index %d comes back as %d", i, got)
		}
	}
}

func TestILBCRefusesWhatIsNoFrame(t *testing.T) {
	_, d := ilbcHalves(t, "")
	for _, n := range []int{0, 1, 37, 39, 49, 51, 88} {
		if got := d.Samples(make([]byte, n)); got != 0 {
			t.Errorf("%d bytes announce %d samples", n, got)
		}
		if out, err := d.Decode(nil, make([]byte, n)); !errors.Is(err, ErrMalformed) || len(out) != 0 {
			t.Errorf("%d bytes: %d samples and %v", n, len(out), err)
		}
	}
	if n := d.Samples(make([]byte, 76)); n != 320 {
		t.Errorf("two frames of 20 ms announce %d samples", n)
	}
}

// RFC 3952 §5: 20 ms when both sides say so, else 30.
func TestILBCModesAreNegotiated(t *testing.T) {
	s, _ := Lookup(ilbcNumber)
	with := func(params string) Format { f := s.Format; f.Params = params; return f }
	rows := map[string]struct {
		theirs string
		ptime  int
		want   string
		packet int // of a wish for 40 ms
	}{
		"both 20":             {"mode=20", 20, "mode=20", 40},
		"they 30":             {"mode=30", 20, "mode=30", 30},
		"they say nothing":    {"", 20, "mode=30", 30},
		"we 30":               {"mode=20", 30, "mode=30", 30},
		"40 ms are two of 20": {"mode=20", 40, "mode=20", 40},
		"60 ms are two of 30": {"mode=30", 60, "mode=30", 30},
	}
	for name, row := range rows {
		ours := Formats([]int{ilbcNumber}, Options{PTime: row.ptime})[0]
		agreed := Agree(with(row.theirs), ours)
		if agreed.Params != row.want || Answer(agreed, ours).Params != row.want || PacketTime(agreed, 40) != row.packet {
			t.Errorf("%s: %q, packets of %d ms", name, agreed.Params, PacketTime(agreed, 40))
		}
	}
}

func TestILBCAllocatesNothing(t *testing.T) {
	for _, params := range []string{"mode=20", "mode=30"} {
		e, d := ilbcHalves(t, params)
		pcm, payload, out := sine(440, 0.5, 8000, e.FrameSamples()), make([]byte, 0, 100), make([]int16, 0, 1000)
		if n := testing.AllocsPerRun(50, func() {
			payload, _ = e.Encode(payload[:0], pcm)
			out, _ = d.Decode(out[:0], payload)
			out = d.Conceal(out, 100)
		}); n != 0 {
			t.Errorf("%q: %v allocations a packet", params, n)
		}
	}
}

func BenchmarkILBC(b *testing.B) {
	e, d := ilbcHalves(b, "mode=30")
	pcm, payload, out := sine(440, 0.5, 8000, 240), make([]byte, 0, 100), make([]int16, 0, 1000)
	payload, _ = e.Encode(payload, pcm)
	for name, step := range map[string]func(){
		"encode": func() { payload, _ = e.Encode(payload[:0], pcm) },
		"decode": func() { out, _ = d.Decode(out[:0], payload) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/30, "ms/s")
		})
	}
}

func FuzzILBC(f *testing.F) {
	for _, params := range []string{"mode=20", "mode=30"} {
		e, _ := ilbcHalves(f, params)
		good, _ := e.Encode(nil, sine(440, 0.5, 8000, e.FrameSamples()))
		f.Add(good, uint16(160))
		f.Add(good[1:], uint16(160))
	}
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, payload []byte, gap uint16) {
		_, d := ilbcHalves(t, "")
		for range 2 {
			n := d.Samples(payload)
			out, err := d.Decode(nil, payload)
			if err == nil && len(out) != n || err != nil && len(out) != 0 {
				t.Fatalf("%d samples were announced, %d came (%v)", n, len(out), err)
			}
			if out = d.Conceal(nil, int(gap)); len(out) != int(gap) {
				t.Fatalf("a gap of %d is filled with %d samples", gap, len(out))
			}
		}
	})
}
