package codec

import (
	"bytes"
	"errors"
	"hash/fnv"
	"math"
	"slices"
	"testing"
)

// The decoder's arithmetic is the recommendation's to the last bit: this is the digest of what it makes of frames that no encoder would
// send, lost ones and silence descriptors among them, as it was when all of ITU-T's test vectors for Annex A came out sample for sample.
func TestG729SamplesAreTheStandards(t *testing.T) {
	d, h := newG729Decoder(), fnv.New64a()
	dice := uint32(1)
	var frame [g729Bytes]byte
	for n := range 3000 {
		for i := range frame {
			dice = dice*1664525 + 1013904223
			frame[i] = byte(dice >> 24)
		}
		var pcm []int16
		switch {
		case n%11 == 7:
			pcm = d.Conceal(nil, g729Samples)
		case n%50 == 20:
			pcm, _ = d.Decode(nil, frame[:g729Silence])
		default:
			pcm, _ = d.Decode(nil, frame[:])
		}
		for _, v := range pcm {
			h.Write([]byte{byte(v), byte(v >> 8)})
		}
	}
	if got := h.Sum64(); got != 0x131c2394c174a258 {
		t.Errorf("the samples' digest is %#x", got)
	}
}

func TestG729FramesPackAndUnpack(t *testing.T) {
	b := make([]byte, g729Bytes)
	for i := range b {
		b[i] = byte(i*89 + 7)
	}
	var f g729Frame
	f.parse(b)
	if got := f.appendTo(nil); !bytes.Equal(got, b) {
		t.Errorf("unpacked and packed again:\n%x, want\n%x", got, b)
	}
	var s g729Descriptor
	s.parse([]byte{0b1_10101_01, 0b10_10011_0})
	if want := (g729Descriptor{1, 21, 6, 19}); s != want {
		t.Errorf("a silence descriptor reads %+v, want %+v", s, want)
	}
}

// G.729 §3.7.2: the parity bit makes the number of ones among itself and the lag's six upper bits odd.
func TestG729ParityIsOdd(t *testing.T) {
	for lag, want := range map[uint8]uint8{0: 1, 3: 1, 4: 0, 0x80: 0, 0xfc: 1, 0xff: 1, 0x1c: 0} {
		f := g729Frame{sub: [2]g729Excitation{{lag: lag}}}
		if got := f.even(); got != want {
			t.Errorf("lag %#x: %d, want %d", lag, got, want)
		}
	}
}

// Every index of a lag names another one, from 19 1/3 to 143, and the encoder sends what the decoder reads.
func TestG729LagsAreReadAsSent(t *testing.T) {
	thirds := 58
	for i := range 256 {
		lag := (&g729Excitation{lag: uint8(i)}).firstLag()
		if got := lag.first(); got != uint8(i) {
			t.Errorf("index %d is read as %v and sent as %d", i, lag, got)
		}
		if at := 3*lag.whole + lag.third; at != thirds && i < 197 || i >= 197 && lag != (g729Lag{i - 112, 0}) {
			t.Errorf("index %d is %v", i, lag)
		}
		thirds++
	}
	for first, window := range map[int]int{19: 20, 25: 20, 60: 55, 139: 134, 143: 134} {
		for i := range 32 {
			lag := (&g729Excitation{lag: uint8(i)}).secondLag(first)
			if at := 3*(lag.whole-window) + 2 + lag.third; at != i || lag.third < -1 || lag.third > 1 {
				t.Errorf("index %d near %d is %v", i, first, lag)
			}
		}
	}
}

func TestG729ArithmeticIsNearTheTruth(t *testing.T) {
	near := func(what string, got, want, within float64) {
		t.Helper()
		if math.Abs(got-want) > within {
			t.Errorf("%s is %g, want %g", what, got, want)
		}
	}
	for _, v := range []int32{1, 5, 1000, 123456, 1 << 30, 2000000000} {
		whole, rest := log2(v)
		near("log2", float64(whole)+float64(rest)/32768, math.Log2(float64(v)), 2e-4)
		near("1/√", float64(inverseRoot(v))/(1<<30), 1/math.Sqrt(float64(v)), 4e-4/math.Sqrt(float64(v)))
		near("√", float64(root(v)), math.Sqrt(float64(v)/2), 2)
	}
	near("2^4.5", float64(pow2(4, 16384)), math.Exp2(4.5), 1)
	near("2^14.99", float64(pow2(14, 32440)), math.Exp2(14.99), 6)
	for v, want := range map[int32]int{0: 0, 1: 30, 1 << 30: 0, -1: 31, -1 << 31: 0} {
		if got := norm(v); got != want {
			t.Errorf("norm(%d) = %d, want %d", v, got, want)
		}
	}
	if mac(1<<31-1, 1, 1) != 1<<31-1 || msu(-1<<31, 1, 1) != -1<<31 || shl(1<<20, 12) != 1<<31-1 || shl(-5, -1) != -3 || upper(1<<31-1) != 32767 {
		t.Error("something does not saturate")
	}
}

// The filter of line spectral frequencies is the one floating point makes of them.
func TestG729FiltersAreOfTheirFrequencies(t *testing.T) {
	lines := g729Lines{2339, 4079, 7018, 9358, 11698, 14037, 15377, 18717, 21056, 23396}
	var w [g729Order]float64
	for i, v := range lines {
		w[i] = float64(v) / 8192
	}
	var want lpc
	want.fromFrequencies(&w)
	c := lines.cosines()
	for k, v := range c.filter() {
		if off := float64(v)/4096 - want[k]; math.Abs(off) > 0.003 {
			t.Errorf("coefficient %d is off by %g", k, off)
		}
	}
}

// What is decoded of the indices is near the frequencies they were found for, whatever is foretold.
func TestG729QuantizesFrequencies(t *testing.T) {
	s := newG729Spectrum()
	lines := [g729Order]float64{0.2, 0.35, 0.7, 1, 1.3, 1.6, 1.9, 2.2, 2.5, 2.8}
	for frame := range 20 {
		for i := range lines {
			lines[i] += 0.02 * math.Sin(float64(frame*(i+1)))
		}
		var f g729Frame
		s.quantize(&lines, &f)
		got := s.decode(&f)
		for i, v := range got {
			if off := float64(v)/8192 - lines[i]; frame > 3 && math.Abs(off) > 0.12 {
				t.Errorf("frame %d: frequency %d is off by %.3f rad", frame, i, off)
			}
		}
	}
}

// The pulses that are found bring most of what four pulses of the tracks could: the target here is made of such pulses.
func TestG729FindsPulses(t *testing.T) {
	var h, rest g729Vector
	for n := range h {
		h[n] = math.Pow(0.7, float64(n))
	}
	want := map[int]float64{10: 1, 21: -1, 37: 1, 8: -1}
	for at, sign := range want {
		for n := at; n < g729Sub; n++ {
			rest[n] += 100 * sign * h[n-at]
		}
	}
	var e g729Excitation
	new(g729Search).pulses(&rest, &h, &e)
	var c g729Code
	c.place(e.pulses, e.signs, g729Sub, 0)
	for at, sign := range want {
		if float64(c[at])*sign <= 0 {
			t.Errorf("no pulse at %d: %v", at, c)
		}
	}
}

func TestG729KeepsATone(t *testing.T) {
	pcm := sine(1000, 0.316, g729Rate, 4*g729Rate)
	payload, err := newG729Encoder().Encode(nil, pcm)
	if err != nil || len(payload) != len(pcm)/8 {
		t.Fatalf("%d samples are %d bytes (%v)", len(pcm), len(payload), err)
	}
	dec := newG729Decoder()
	if n := dec.Samples(payload); n != len(pcm) {
		t.Errorf("a payload for %d samples announces %d", len(pcm), n)
	}
	back, err := dec.Decode(nil, payload)
	if err != nil {
		t.Fatal(err)
	}
	snr := fitDB(back, 1000, g729Rate)
	t.Logf("1 kHz at -10 dBFS comes back with %.1f dB SNR", snr)
	if snr < 25 {
		t.Errorf("%.1f dB SNR, want at least 25", snr)
	}
	if level := rms(back[g729Rate:]) / rms(pcm[g729Rate:]); level < 0.9 || level > 1.1 {
		t.Errorf("the level is %.2f of what it was", level)
	}
}

func TestG729RefusesWhatIsNoFrame(t *testing.T) {
	dec := newG729Decoder()
	for _, n := range []int{1, 3, 9, 11, 13, 21, 33} {
		if got := dec.Samples(make([]byte, n)); got != 0 {
			t.Errorf("%d bytes announce %d samples", n, got)
		}
		if pcm, err := dec.Decode(nil, make([]byte, n)); !errors.Is(err, ErrMalformed) || len(pcm) != 0 {
			t.Errorf("%d bytes: %d samples and %v", n, len(pcm), err)
		}
	}
	for n, want := range map[int]int{0: 0, 2: 80, 10: 80, 12: 160, 20: 160, 42: 400} {
		if got := dec.Samples(make([]byte, n)); got != want {
			t.Errorf("%d bytes announce %d samples, want %d", n, got, want)
		}
	}
	if _, err := newG729Encoder().Encode(nil, make([]int16, 81)); err == nil {
		t.Error("81 samples make a frame")
	}
}

// §4.4: a lost frame goes on with the last pitch, at first as loud as it was, and fades.
func TestG729ConcealmentGoesOnThenFades(t *testing.T) {
	payload, _ := newG729Encoder().Encode(nil, sine(300, 0.5, g729Rate, g729Rate))
	dec := newG729Decoder()
	heard, err := dec.Decode(nil, payload)
	if err != nil {
		t.Fatal(err)
	}
	level := rms(heard[len(heard)-160:])
	var out []int16
	for range 100 { // a second in pieces that are no frames
		out = dec.Conceal(out, 30)
		out = dec.Conceal(out, 50)
	}
	if first := rms(out[:80]); first < level/2 || first > level*1.2 {
		t.Errorf("the first lost frame has level %.0f, what was before it %.0f", first, level)
	}
	if late := rms(out[len(out)-800:]); late > level/20 {
		t.Errorf("after a second the level is %.0f of %.0f: no fade", late, level)
	}
	back, err := dec.Decode(nil, payload[:20*g729Bytes])
	if err != nil || rms(back[800:]) < level/2 {
		t.Errorf("after the gap the level is %.0f of %.0f (%v)", rms(back[800:]), level, err)
	}
	for _, v := range newG729Decoder().Conceal(nil, 400) {
		if v < -8 || v > 8 {
			t.Fatalf("%d is made up before anything was heard", v)
		}
	}
}

// A lag whose parity is wrong is not believed: the one before stays (§4.1.2).
func TestG729DoubtsLagsOfWrongParity(t *testing.T) {
	f := g729Frame{sub: [2]g729Excitation{{lag: 180}, {lag: 14}}}
	f.parity = f.even()
	s := newG729Synthesis()
	var out [g729Samples]int16
	s.decode(&f, &out)
	if s.lags != [2]int{79, 78} {
		t.Fatalf("lags %v", s.lags)
	}
	f.sub[0].lag ^= 0x40
	s.decode(&f, &out)
	if s.lags[0] != 78 {
		t.Errorf("the lag is %d", s.lags[0])
	}
}

// Annex B: after a silence descriptor the line is not lost but quiet, at the level the descriptor says, until speech comes back.
func TestG729MakesComfortNoise(t *testing.T) {
	payload, _ := newG729Encoder().Encode(nil, sine(300, 0.5, g729Rate, g729Rate))
	for _, row := range []struct {
		gain uint8
		want float64 // of the excitation, in units of 1
	}{{8, 10}, {15, 50.1}, {23, 316.25}} {
		dec := newG729Decoder().(*g729Decoder)
		packet := append(slices.Clone(payload), 0, row.gain<<1)
		heard, err := dec.Decode(nil, packet)
		if err != nil || len(heard) != g729Rate+g729Samples {
			t.Fatalf("a descriptor at the end of a packet makes %d samples (%v)", len(heard), err)
		}
		heard = dec.Conceal(heard, 160*g729Samples) // nothing is sent
		sum, count := 0.0, 0
		for _, v := range dec.synthesis.excitation[:g729Past] {
			sum, count = sum+float64(v)*float64(v), count+1
		}
		if level := math.Sqrt(sum / float64(count)); math.Abs(level/row.want-1) > 0.02 {
			t.Errorf("gain %d: excitation of level %.1f, want %.1f", row.gain, level, row.want)
		}
		early, late := rms(heard[g729Rate+8000:][:2000]), rms(heard[len(heard)-2000:])
		if late < early/2 || late > early*2 {
			t.Errorf("gain %d: the noise changes from %.1f to %.1f", row.gain, early, late)
		}
		back, err := dec.Decode(nil, payload)
		if err != nil || rms(back[4000:]) < 0.9*rms(sine(300, 0.5, g729Rate, g729Rate)) {
			t.Errorf("gain %d: speech comes back at level %.0f (%v)", row.gain, rms(back[4000:]), err)
		}
	}
}

// A first descriptor that is lost is made up for by the level of the speech before it (§B.4.4).
func TestG729GuessesALostDescriptor(t *testing.T) {
	for level, want := range map[float64]float64{1: 8, 100: 798, 1000: 8000} {
		n := newG729Noise()
		exc := make([]int32, g729Samples)
		for i := range exc {
			exc[i] = int32(level) * int32(1-2*(i&1))
		}
		n.note(exc)
		s := newG729Spectrum()
		var past [g729Past + g729Samples]int32
		n.next(nil, true, &s, &past)
		if r := float64(n.sent) / want; r < 1/1.3 || r > 1.3 {
			t.Errorf("level %g is taken for %d/8", level, n.sent)
		}
	}
}

// RFC 4856 §2.1.9: we send no silence descriptors, and say so, whatever the peer says.
func TestG729SaysThatItIsWithoutAnnexB(t *testing.T) {
	ours := Formats([]int{18}, Options{})[0]
	for _, theirs := range []string{"", "annexb=yes", "annexb=no"} {
		f := Format{Name: "g729", PT: 18, Clock: 8000, Channels: 1, Params: theirs}
		if got := Answer(Agree(f, ours), ours); got.Params != "annexb=no" || ours.Params != "annexb=no" {
			t.Errorf("%q is answered with %q", theirs, got.Params)
		}
	}
}

// An error that a lost packet leaves in the excitation must die out, however long a tone the adaptive codebook could keep alive.
func TestG729RecoversFromLossInALoudTone(t *testing.T) {
	payload, _ := newG729Encoder().Encode(nil, sine(220, 0.9, g729Rate, 8*g729Rate))
	whole, _ := newG729Decoder().Decode(nil, payload)
	d := newG729Decoder()
	var holed []int16
	for i := 0; i < len(payload); i += g729Bytes {
		if n := i / g729Bytes; n >= 400 && n < 403 {
			holed = d.Conceal(holed, g729Samples)
			continue
		}
		holed, _ = d.Decode(holed, payload[i:i+g729Bytes])
	}
	if r := rms(holed[7*g729Rate:]) / rms(whole[7*g729Rate:]); r < 0.9 || r > 1.1 {
		t.Errorf("three seconds after the loss the level is %.2f of what it is without", r)
	}
}

func TestG729AllocatesNothing(t *testing.T) { allocatesNothing(t, g729Number) }

func BenchmarkG729(b *testing.B) { benchmarkCodec(b, g729Number) }

func FuzzG729(f *testing.F) { fuzzDecoder(f, g729Number) }
