package codec

import (
	"encoding/hex"
	"math"
	"testing"
)

// The octets of G.722 mode 1 of a signal in both bands: what ffmpeg makes of the same samples.
func TestG722BitsAreTheStandards(t *testing.T) {
	pcm := make([]int16, 64)
	for i := range pcm {
		pcm[i] = int16((i%57)*317 - 8876 + (i*i)%211*(1-i%2*2)*20)
	}
	got, err := newG722Encoder().Encode(nil, pcm)
	if err != nil {
		t.Fatal(err)
	}
	const want = "308621862284040e10121415191b193e3e1e1b391e34313c2e2f3873f36c2d6d"
	if hex.EncodeToString(got) != want {
		t.Errorf("64 samples are\n%x, want\n%s", got, want)
	}
}

func TestG722KeepsTonesOfBothBandsClean(t *testing.T) {
	for hz, want := range map[float64]float64{300: 44, 1000: 46.5, 3000: 35, 5000: 20, 6500: 20} {
		pcm := sine(hz, 0.316, g722Rate, 4*g722Rate)
		payload, err := newG722Encoder().Encode(nil, pcm)
		if err != nil {
			t.Fatal(err)
		}
		dec := newG722Decoder()
		if n := dec.Samples(payload); n != len(pcm) || len(payload) != len(pcm)/2 {
			t.Errorf("a payload of %d bytes for %d samples announces %d", len(payload), len(pcm), n)
		}
		back, err := dec.Decode(nil, payload)
		if err != nil {
			t.Fatal(err)
		}
		if snr := fitDB(back, hz, g722Rate); snr < want {
			t.Errorf("%g Hz at -10 dBFS comes back with %.1f dB SNR, want at least %g", hz, snr, want)
		}
		if change := 20 * math.Log10(rms(back[g722Rate:])/rms(pcm)); math.Abs(change) > 0.5 {
			t.Errorf("%g Hz comes back %.1f dB louder", hz, change)
		}
	}
}

func TestG722WantsPairsOfSamples(t *testing.T) {
	if _, err := newG722Encoder().Encode(nil, make([]int16, 3)); err == nil {
		t.Error("three samples are coded")
	}
}

// A lost packet is filled, and what follows is soon right again although the decoder did not see it.
func TestG722RecoversFromALostPacket(t *testing.T) {
	pcm := sine(437, 0.3, g722Rate, g722Rate)
	payload, _ := newG722Encoder().Encode(nil, pcm)
	dec := newG722Decoder()
	out, _ := dec.Decode(nil, payload[:4000])
	out = dec.Conceal(out, 320)
	if filled := out[8000:]; len(filled) != 320 || rms(filled) < rms(out[7000:8000])/2 {
		t.Errorf("%d samples of level %.0f fill the gap", len(filled), rms(filled))
	}
	out, _ = dec.Decode(out, payload[4160:])
	if snr := fitDB(out[8000+320+1600:], 437, g722Rate); snr < 30 {
		t.Errorf("100 ms after the gap the SNR is %.1f dB", snr)
	}
}

func TestG722AllocatesNothing(t *testing.T) { allocatesNothing(t, 9) }

func BenchmarkG722(b *testing.B) { benchmarkCodec(b, 9) }

func FuzzG722(f *testing.F) { fuzzDecoder(f, 9) }
