//go:build cgo && !nolibopus

package codec

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/codec/libopus"
)

func opusFormat(own Opus, params string) Format {
	s, _ := Lookup(opusNumber)
	f := s.Format
	f.Opus, f.Params = own, params
	return f
}

func opusHalves(t testing.TB, f Format) (Encoder, *opusDecoder) {
	t.Helper()
	e, err := NewEncoder(f)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder(f)
	if err != nil {
		t.Fatal(err)
	}
	return e, d.(*opusDecoder)
}

// packets codes a signal in packets of a time.
func packets(t testing.TB, e Encoder, pcm []int16, ms int) [][]byte {
	t.Helper()
	var list [][]byte
	for n := e.Rate() * ms / 1000; len(pcm) >= n; pcm = pcm[n:] {
		p, err := e.Encode(nil, pcm[:n])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

func TestOpusKeepsATone(t *testing.T) {
	for bandwidth, hz := range map[int]float64{8000: 1000, 16000: 5000, 48000: 15000} {
		for _, ms := range opusPacketTimes {
			e, d := opusHalves(t, opusFormat(Opus{Bandwidth: bandwidth, Bitrate: 64000, Complexity: -1, VBR: true}, ""))
			var heard []int16
			for i, p := range packets(t, e, sine(hz, 0.3, e.Rate(), 3*e.Rate()), ms) {
				if n := d.Samples(p); n != e.Rate()*ms/1000 {
					t.Fatalf("packet %d of %d ms announces %d samples", i, ms, n)
				}
				var err error
				if heard, err = d.Decode(heard, p); err != nil {
					t.Fatal(err)
				}
			}
			if snr := fitDB(heard, hz, e.Rate()); snr < 15 {
				t.Errorf("%g Hz at %d Hz, %d ms: %.1f dB SNR", hz, bandwidth, ms, snr)
			}
		}
	}
}

// What the peer's parameters ask for is what packets are like.
func TestOpusPacketsObeyThePeer(t *testing.T) {
	pcm := make([]int16, 2*48000)
	rng := rand.New(rand.NewPCG(1, 2))
	for i, low := range sine(300, 0.3, 48000, len(pcm)) {
		pcm[i] = low/2 + int16(rng.NormFloat64()*1000)
	}
	own := Opus{Bandwidth: 48000, Complexity: -1, VBR: true}
	total := func(params string, own Opus) (bytes int, sizes map[int]bool, widest byte) {
		e, _ := opusHalves(t, opusFormat(own, params))
		sizes = map[int]bool{}
		for _, p := range packets(t, e, pcm, 20)[10:] {
			bytes, sizes[len(p)] = bytes+len(p), true
			widest = max(widest, p[0]>>3)
		}
		return bytes * 50 * 8 / 90, sizes, widest
	}
	if bits, sizes, _ := total("maxaveragebitrate=16000;cbr=1", own); bits < 15500 || bits > 16500 || len(sizes) != 1 {
		t.Errorf("a constant 16 kbit/s: %d bit/s in packets of %v bytes", bits, sizes)
	}
	if bits, sizes, _ := total("maxaveragebitrate=40000", own); bits < 30000 || bits > 46000 || len(sizes) < 3 {
		t.Errorf("about 40 kbit/s: %d bit/s in packets of %v bytes", bits, sizes)
	}
	if _, _, widest := total("maxplaybackrate=8000;maxaveragebitrate=16000", own); widest > 3 {
		t.Errorf("a peer that plays 8 kHz is sent configuration %d", widest)
	}
	if bits, _, _ := total("", Opus{Bandwidth: 48000, Complexity: -1, Bitrate: -1, VBR: true}); bits < 200000 {
		t.Errorf("as much as goes is %d bit/s", bits)
	}
}

func TestOpusSendsNoSilenceToWhoTakesDTX(t *testing.T) {
	for params, most := range map[string]int{"usedtx=1": 40, "": 1000} {
		e, d := opusHalves(t, opusFormat(Opus{Bandwidth: 16000, Complexity: -1, VBR: true}, params))
		sent := 0
		for _, p := range packets(t, e, make([]int16, 10*16000), 20) {
			if len(p) > 0 {
				sent++
				if _, err := d.Decode(nil, p); err != nil {
					t.Fatal(err)
				}
			}
		}
		if sent > most || params == "" && sent != 500 {
			t.Errorf("of 10 s of silence %d packets are sent to %q", sent, params)
		}
	}
}

// speechlike has syllables of 100 ms: each a pitch and a level of its own, with harmonics, so that what comes next cannot be guessed.
func speechlike(rate, n int) []int16 {
	pcm, rng := make([]int16, n), rand.New(rand.NewPCG(3, 4))
	phase, pitch, level := 0.0, 0.0, 0.0
	for i := range pcm {
		if i%(rate/10) == 0 {
			pitch, level = 90+160*rng.Float64(), 500+3000*rng.Float64()
		}
		phase += 2 * math.Pi * pitch / float64(rate)
		sum := 0.0
		for k := 1.0; k < 12; k++ {
			sum += math.Sin(k*phase) / k
		}
		pcm[i] = int16(sum * level)
	}
	return pcm
}

// With FEC what was lost is heard again, from the packet after it: nearer to the truth than what concealment makes up.
func TestOpusRecoversWhatWasLost(t *testing.T) {
	own := Opus{Bandwidth: 16000, Complexity: -1, Bitrate: 24000, VBR: true, ExpectedLoss: 20}
	pcm := speechlike(16000, 8*16000)
	sent := packets(t, func() Encoder { e, _ := opusHalves(t, opusFormat(own, "useinbandfec=1")); return e }(), pcm, 20)
	play := func(lost, recover bool) []int16 {
		_, d := opusHalves(t, opusFormat(own, ""))
		var out []int16
		for i, p := range sent {
			switch {
			case !lost || i%15 != 5: // the first of a syllable
				out, _ = d.Decode(out, p)
			case recover:
				out = d.Recover(out, sent[i+1], 320)
			default:
				out = d.Conceal(out, 320)
			}
		}
		return out
	}
	whole, fec, plc := play(false, false), play(true, true), play(true, false)
	if len(fec) != len(whole) || len(plc) != len(whole) {
		t.Fatalf("%d, %d and %d samples", len(whole), len(fec), len(plc))
	}
	error2 := func(out []int16) (sum float64) {
		for i := range sent {
			if i%15 == 5 {
				for k := i * 320; k < (i+1)*320; k++ {
					sum += float64(out[k]-whole[k]) * float64(out[k]-whole[k])
				}
			}
		}
		return sum
	}
	if a, b := error2(fec), error2(plc); a > b/2 {
		t.Errorf("recovered audio is off by %.3g, concealed by %.3g: FEC does not serve", a, b)
	}
}

func TestOpusConcealmentFades(t *testing.T) {
	e, d := opusHalves(t, opusFormat(Opus{}, ""))
	var heard []int16
	for _, p := range packets(t, e, sine(300, 0.5, 16000, 16000), 20) {
		heard, _ = d.Decode(heard, p)
	}
	level := rms(heard[len(heard)-320:])
	out := d.Conceal(d.Conceal(nil, 123), 16000)
	if len(out) != 16123 || rms(out[:160]) < level/3 || rms(out[15000:]) > level/20 {
		t.Errorf("%d samples, level %.0f then %.0f after %.0f", len(out), rms(out[:160]), rms(out[15000:]), level)
	}
}

func TestOpusAllocatesNothing(t *testing.T) {
	allocatesNothing(t, opusNumber)
	_, d := opusHalves(t, opusFormat(Opus{}, ""))
	e, _ := opusHalves(t, opusFormat(Opus{}, "useinbandfec=1"))
	p, out := packets(t, e, sine(300, 0.5, 16000, 320), 20)[0], make([]int16, 0, 320)
	if n := testing.AllocsPerRun(100, func() { out = d.Recover(out[:0], p, 320) }); n != 0 {
		t.Errorf("%v allocations to recover a packet", n)
	}
}

func BenchmarkOpus(b *testing.B) { benchmarkCodec(b, opusNumber) }

// What our side of a call of libopus costs, as a share of libopus's own time: an empty request against a packet.
func BenchmarkOpusCallOverhead(b *testing.B) {
	lib, err := libopus.NewEncoder(16000)
	if err != nil {
		b.Fatal(err)
	}
	_ = lib.Set(libopus.Complexity, 9)
	pcm, packet := sine(440, 0.5, 16000, 320), make([]byte, opusRoom)
	b.ReportAllocs()
	var crossing, coding time.Duration
	for b.Loop() {
		at := time.Now()
		_ = lib.Set(libopus.DTX, 0)
		crossed := time.Now()
		_, _ = lib.Encode(packet, pcm)
		crossing, coding = crossing+crossed.Sub(at), coding+time.Since(crossed)
	}
	b.ReportMetric(float64(coding)/float64(coding-crossing), "x-libopus")
}

func FuzzOpus(f *testing.F) {
	e, _ := opusHalves(f, opusFormat(Opus{}, "useinbandfec=1"))
	for _, p := range packets(f, e, speechlike(16000, 3200), 20) {
		f.Add(p, uint16(320))
	}
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, packet []byte, gap uint16) {
		_, d := opusHalves(t, opusFormat(Opus{}, ""))
		for range 2 {
			n := d.Samples(packet)
			out, err := d.Decode(nil, packet)
			if n < 0 || n > 1920 || err == nil && len(out) != n || err != nil && len(out) != 0 {
				t.Fatalf("%d samples were announced, %d came (%v)", n, len(out), err)
			}
			if out = d.Recover(nil, packet, int(gap)); len(out) != int(gap) {
				t.Fatalf("a gap of %d is filled with %d samples", gap, len(out))
			}
		}
	})
}
