package codec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
)

// The bits of EN 300 961 under RFC 3551's signature, of a voice-like signal: what TU Berlin's toast makes of the same samples.
func TestGSMBitsAreTheStandards(t *testing.T) {
	pcm := make([]int16, 2*gsmSamples)
	for i := range pcm {
		pcm[i] = int16((i%57)*317 - 8876 + (i*i)%211)
	}
	got, err := newGSMEncoder().Encode(nil, pcm)
	if err != nil {
		t.Fatal(err)
	}
	const want = "d79e9aa11a501486db6dc92473d2db6d12492473aa14dce53715824ad4dc96edff" +
		"d7df9aa11a738779713126dc73c4cb77fb42e46caaa6dc96edbf73847aa3595aeb"
	if hex.EncodeToString(got) != want {
		t.Errorf("two frames are\n%x, want\n%s", got, want)
	}
}

func TestGSMFramesPackAndUnpack(t *testing.T) {
	b := make([]byte, gsmBytes)
	for i := range b {
		b[i] = byte(i*89 + 7)
	}
	b[0] = gsmSignature<<4 | b[0]&0x0f
	var f gsmFrame
	f.parse(b)
	if got := f.appendTo(nil); !bytes.Equal(got, b) {
		t.Errorf("unpacked and packed again:\n%x, want\n%x", got, b)
	}
}

func TestGSMKeepsAToneClean(t *testing.T) {
	pcm := sine(1000, 0.316, gsmRate, 4*gsmRate)
	payload, err := newGSMEncoder().Encode(nil, pcm)
	if err != nil {
		t.Fatal(err)
	}
	dec := newGSMDecoder()
	if n := dec.Samples(payload); n != len(pcm) {
		t.Errorf("a payload for %d samples announces %d", len(pcm), n)
	}
	back, err := dec.Decode(nil, payload)
	if err != nil {
		t.Fatal(err)
	}
	if snr := fitDB(back, 1000, gsmRate); snr < 40.5 {
		t.Errorf("1 kHz at -10 dBFS comes back with %.1f dB SNR, want at least 40.5", snr)
	}
}

func TestGSMRefusesWhatIsNoFrame(t *testing.T) {
	frame, err := newGSMEncoder().Encode(nil, make([]int16, gsmSamples))
	if err != nil {
		t.Fatal(err)
	}
	unsigned := slices.Clone(frame)
	unsigned[0] ^= 0x80
	rows := map[string]struct {
		payload []byte
		samples int
	}{
		"half a frame":                      {frame[:16], 0},
		"a frame and a half":                {append(slices.Clone(frame), frame[:16]...), 0},
		"a frame without the signature":     {unsigned, gsmSamples},
		"a second frame without it":         {append(slices.Clone(frame), unsigned...), 2 * gsmSamples},
		"the 65 bytes of Microsoft's frame": {make([]byte, 65), 0},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			dec := newGSMDecoder()
			if n := dec.Samples(row.payload); n != row.samples {
				t.Errorf("announces %d samples, want %d", n, row.samples)
			}
			if pcm, err := dec.Decode(nil, row.payload); !errors.Is(err, ErrMalformed) || len(pcm) != 0 {
				t.Errorf("%d samples and error %v", len(pcm), err)
			}
		})
	}
	if _, err := newGSMEncoder().Encode(nil, make([]int16, 161)); err == nil {
		t.Error("161 samples make a frame")
	}
}

// GSM 06.11: the first lost frame repeats the last good one, further ones fade to silence within 320 ms.
func TestGSMConcealmentRepeatsThenFades(t *testing.T) {
	pcm := sine(300, 0.5, gsmRate, gsmRate)
	payload, _ := newGSMEncoder().Encode(nil, pcm)
	dec := newGSMDecoder()
	heard, err := dec.Decode(nil, payload)
	if err != nil {
		t.Fatal(err)
	}
	level := rms(heard[len(heard)-gsmSamples:])
	var out []int16
	for range 50 { // 500 ms in pieces that are no frames
		out = dec.Conceal(out, 80)
	}
	if first := rms(out[:gsmSamples]); first < level/2 || first > level*1.5 {
		t.Errorf("the first lost frame has level %.0f, the last good one %.0f", first, level)
	}
	if late := rms(out[12*gsmSamples : 13*gsmSamples]); late > level/2 {
		t.Errorf("after 240 ms the level is %.0f of %.0f: no fade", late, level)
	}
	for i, v := range out[gsmMuted*gsmSamples:] {
		if v != 0 {
			t.Fatalf("sample %d ms into the gap is %d, want silence", 320+i/8, v)
		}
	}
	back, err := dec.Decode(nil, payload[:5*gsmBytes])
	if err != nil || rms(back[2*gsmSamples:]) < level/2 {
		t.Errorf("after the gap the level is %.0f of %.0f (%v)", rms(back[2*gsmSamples:]), level, err)
	}
	if n := len(newGSMDecoder().Conceal(nil, 123)); n != 123 {
		t.Errorf("asked for 123 concealed samples, got %d", n)
	}
	for _, v := range newGSMDecoder().Conceal(nil, 400) {
		if v != 0 {
			t.Fatal("something is made up before anything was heard")
		}
	}
}

func TestGSMAllocatesNothing(t *testing.T) { allocatesNothing(t, 3) }

func BenchmarkGSM(b *testing.B) { benchmarkCodec(b, 3) }

func FuzzGSM(f *testing.F) { fuzzDecoder(f, 3) }
