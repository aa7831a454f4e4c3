package soundfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// sine is a tone at half of full scale.
func sine(hz float64, rate, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(16384 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return pcm
}

// likeness is the ratio of a sine's power to that of whatever else is in pcm, in dB, and its level against full scale.
func likeness(pcm []int16, hz float64, rate int) (snr, level float64) {
	var re, im, power float64
	for i, v := range pcm {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		re, im, power = re+float64(v)*cos, im+float64(v)*sin, power+float64(v)*float64(v)
	}
	n := float64(len(pcm))
	tone := 2 * (re*re + im*im) / n / n
	return 10 * math.Log10(tone/max(power/n-tone, 1e-3)), 10 * math.Log10(tone/(32768*32768/2))
}

func readAll(t *testing.T, content []byte) (*Reader, []int16) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(content), "x")
	if err != nil {
		t.Fatal(err)
	}
	pcm, err := r.ReadAll(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return r, pcm
}

// TestFilesOfFFmpeg reads what another program writes.
func TestFilesOfFFmpeg(t *testing.T) {
	for says, c := range map[string]struct {
		args   string
		coding string
		snr    float64
	}{
		"WAV of 8 bits":             {"-c:a pcm_u8 -f wav", "PCM 8 bit", 37},
		"WAV of 16 bits":            {"-c:a pcm_s16le -f wav", "PCM 16 bit", 85},
		"WAV of 24 bits":            {"-c:a pcm_s24le -f wav", "PCM 24 bit", 85},
		"WAV of 32 bits":            {"-c:a pcm_s32le -f wav", "PCM 32 bit", 85},
		"WAV of floats":             {"-c:a pcm_f32le -f wav", "float 32 bit", 85},
		"WAV of doubles":            {"-c:a pcm_f64le -f wav", "float 64 bit", 85},
		"WAV of μ-law":              {"-c:a pcm_mulaw -f wav", "μ-law", 35},
		"WAV of A-law":              {"-c:a pcm_alaw -f wav", "A-law", 35},
		"WAV of IMA ADPCM":          {"-c:a adpcm_ima_wav -f wav", "IMA ADPCM", 25},
		"a 64-bit WAV":              {"-c:a pcm_s16le -rf64 always -f wav", "PCM 16 bit", 85},
		"CAF of 16 bits":            {"-c:a pcm_s16be -f caf", "PCM 16 bit", 85},
		"CAF of 16 bits, little":    {"-c:a pcm_s16le -f caf", "PCM 16 bit", 85},
		"CAF of 24 bits":            {"-c:a pcm_s24be -f caf", "PCM 24 bit", 85},
		"CAF of 24 bits, little":    {"-c:a pcm_s24le -f caf", "PCM 24 bit", 85},
		"CAF of signed bytes":       {"-c:a pcm_s8 -f caf", "PCM 8 bit", 37},
		"CAF of floats":             {"-c:a pcm_f32le -f caf", "float 32 bit", 85},
		"CAF of big floats":         {"-c:a pcm_f32be -f caf", "float 32 bit", 85},
		"CAF of μ-law":              {"-c:a pcm_mulaw -f caf", "μ-law", 35},
		"CAF of A-law":              {"-c:a pcm_alaw -f caf", "A-law", 35},
		"CAF of IMA4 ADPCM":         {"-c:a adpcm_ima_qt -f caf", "IMA ADPCM", 25},
		"CAF of IMA4 ADPCM, stereo": {"-c:a adpcm_ima_qt -ac 2 -f caf", "IMA ADPCM", 25},
		"WAV of IMA ADPCM, stereo":  {"-c:a adpcm_ima_wav -ac 2 -f wav", "IMA ADPCM", 25},
		"WAV of 24 bits, stereo":    {"-c:a pcm_s24le -ac 2 -f wav", "PCM 24 bit", 80},
	} {
		t.Run(says, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			args := []string{"-v", "error", "-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "-"}
			cmd := exec.Command("ffmpeg", append(append(args, strings.Fields(c.args)...), path)...)
			var raw bytes.Buffer
			_ = binary.Write(&raw, binary.LittleEndian, sine(440, 16000, 16000))
			cmd.Stdin = &raw
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("ffmpeg: %v\n%s", err, out)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r, pcm := readAll(t, content)
			if r.Rate != 16000 || r.Coding != c.coding || len(pcm) < 16000 || len(pcm) > 18100 {
				t.Fatalf("%s at %d, %d samples; want %s at 16000, 16000 samples", r.Coding, r.Rate, len(pcm), c.coding)
			}
			want := -6.02
			if r.Channels == 2 {
				want = -9.03 // ffmpeg shares the power out
			}
			if snr, level := likeness(pcm[:16000], 440, 16000); snr < c.snr || math.Abs(level-want) > 0.3 {
				t.Errorf("signal to noise %.1f dB at %.2f dB, want %.0f at %.2f", snr, level, c.snr, want)
			}
		})
	}
}

// wav is a RIFF file of chunks.
func wav(chunks ...string) string {
	body := "WAVE" + strings.Join(chunks, "")
	return "RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body
}

func chunk(kind, content string) string {
	return kind + string(binary.LittleEndian.AppendUint32(nil, uint32(len(content)))) + content + strings.Repeat("\x00", len(content)%2)
}

func format(coding, channels, rate, align, bits int) string {
	b := binary.LittleEndian.AppendUint16(nil, uint16(coding))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate*align))
	b = binary.LittleEndian.AppendUint16(b, uint16(align))
	return chunk("fmt ", string(binary.LittleEndian.AppendUint16(b, uint16(bits))))
}

func cafChunk(kind, content string) string {
	return kind + string(binary.BigEndian.AppendUint64(nil, uint64(len(content)))) + content
}

func desc(coding string, rate float64, flags, channels, bits int) string {
	b := binary.BigEndian.AppendUint64(nil, math.Float64bits(rate))
	b = append(b, coding...)
	for _, v := range []int{flags, channels * bits / 8, 1, channels, bits} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return cafChunk("desc", string(b))
}

func TestWhatIsRead(t *testing.T) {
	mono := format(1, 1, 8000, 2, 16)
	for says, c := range map[string]struct {
		content string
		want    []int16
	}{
		"stereo is folded":                        {wav(format(1, 2, 8000, 4, 16), chunk("data", "\x10\x00\x30\x00\x00\x80\x00\x80")), []int16{0x20, -0x8000}},
		"other chunks are passed over":            {wav(chunk("LIST", "odd"), mono, chunk("fact", "1234"), chunk("data", "\x01\x00")), []int16{1}},
		"what follows the audio is none":          {wav(mono, chunk("data", "\x01\x00"), chunk("LIST", "1234")), []int16{1}},
		"a length that was never written":         {wav(mono) + "data\x00\x00\x00\x00\x01\x00\x02\x00", []int16{1, 2}},
		"a length of a stream":                    {wav(mono) + "data\xff\xff\xff\xff\x01\x00\x02\x00", []int16{1, 2}},
		"audio that is cut off":                   {wav(mono) + "data\xf0\x00\x00\x00\x01\x00\x02\x00\x03", []int16{1, 2}},
		"big endian":                              {"RIFX\x00\x00\x00\x00WAVEfmt \x00\x00\x00\x10\x00\x01\x00\x01\x00\x00\x1f\x40\x00\x00\x3e\x80\x00\x02\x00\x10data\x00\x00\x00\x02\x01\x02", []int16{0x102}},
		"no audio":                                {wav(mono, chunk("LIST", "")) + "data\x00\x00\x00\x00", nil},
		"floats beyond full scale":                {wav(format(3, 1, 8000, 4, 32), chunk("data", "\x00\x00\x00\x40\x00\x00\x00\xc0\x00\x00\xc0\x7f")), []int16{32767, -32768, 0}},
		"12 bits lie at the upper end of 16":      {wav(format(1, 1, 8000, 2, 12), chunk("data", "\xf0\x7f")), []int16{0x7ff0}},
		"CAF with chunks between":                 {"caff\x00\x01\x00\x00" + desc("lpcm", 8000, 0, 1, 16) + cafChunk("free", "abc") + cafChunk("data", "\x00\x00\x00\x00\x01\x02"), []int16{0x102}},
		"CAF of a stream":                         {"caff\x00\x01\x00\x00" + desc("lpcm", 8000, 2, 1, 16) + "data\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x01\x02\x03\x04", []int16{0x201, 0x403}},
		"the loudest of A-law and the quietest":   {wav(format(6, 1, 8000, 1, 8), chunk("data", "\x2a\xaa\x55\xd5")), []int16{-32256, 32256, -8, 8}},
		"the loudest of μ-law, and its two zeros": {wav(format(7, 1, 8000, 1, 8), chunk("data", "\x00\x80\x7f\xff")), []int16{-32124, 32124, 0, 0}},
	} {
		t.Run(says, func(t *testing.T) {
			if _, pcm := readAll(t, []byte(c.content)); !slices.Equal(pcm, c.want) {
				t.Errorf("%d, want %d", pcm, c.want)
			}
		})
	}
}

func TestMistakesInFiles(t *testing.T) {
	data := chunk("data", "\x00\x00")
	for says, c := range map[string]struct{ content, want string }{
		"nothing":                    {"", "x: byte 0: the file ends here, where 4 more bytes are needed"},
		"something else":             {"OggS\x00\x02", `x: byte 0: neither WAV nor CAF: the file begins with "OggS"`},
		"another RIFF":               {"RIFF\x04\x00\x00\x00AVI ", `x: byte 8: a RIFF file of "AVI ", not WAVE`},
		"no audio chunk":             {wav(format(1, 1, 8000, 2, 16)), "x: byte 36: the file ends here, where 8 more bytes are needed"},
		"audio before the format":    {wav(data, format(1, 1, 8000, 2, 16)), "x: byte 12: the audio comes before its format (chunk fmt)"},
		"a format that is too short": {wav(chunk("fmt ", "\x01\x00"), data), "x: byte 20: a format (chunk fmt) of 2 bytes is not within 16 to 4096"},
		"a format without an end":    {"RIFF\x00\x00\x00\x00WAVEfmt \xff\xff\xff\x7f", "x: byte 20: a format (chunk fmt) of 2147483647 bytes is not within 16 to 4096"},
		"MP3 in WAV":                 {wav(format(0x55, 1, 8000, 1, 0), data), "x: byte 36: coding 85 (0x55) is not read: PCM, float, μ-law, A-law and IMA ADPCM are"},
		"no channels":                {wav(format(1, 0, 8000, 0, 16), data), "x: byte 36: 0 channels are not within 1 to 8"},
		"no rate":                    {wav(format(1, 1, 0, 2, 16), data), "x: byte 36: a rate of 0 samples a second is not within 1000 to 192000"},
		"a rate beyond all":          {wav(format(1, 1, 1<<31-1, 2, 16), data), "x: byte 36: a rate of 2147483647 samples a second is not within 1000 to 192000"},
		"48 bits":                    {wav(format(1, 1, 8000, 6, 48), data), "x: byte 36: PCM of 48 bits are not read"},
		"floats of 16 bits":          {wav(format(3, 1, 8000, 2, 16), data), "x: byte 36: floats of 16 bits are not read"},
		"no bits":                    {wav(format(1, 1, 8000, 0, 0), data), "x: byte 36: PCM of 0 bits are not read"},
		"ADPCM without blocks":       {wav(format(0x11, 1, 8000, 0, 4), data), "x: byte 36: IMA ADPCM blocks of 0 bytes are not within 4 to 65536"},
		"extensible, cut short":      {wav(format(0xFFFE, 1, 8000, 2, 16), data), "x: byte 36: an extensible format (chunk fmt) of 16 bytes: at least 26 are needed"},
		"CAF of tomorrow":            {"caff\x00\x02\x00\x00", "x: byte 4: version 2 of CAF, not 1"},
		"CAF of AAC":                 {"caff\x00\x01\x00\x00" + desc("aac ", 8000, 0, 1, 0), `x: byte 52: coding "aac " is not read: lpcm, ulaw, alaw and ima4 are`},
		"CAF without a rate":         {"caff\x00\x01\x00\x00" + desc("lpcm", math.NaN(), 0, 1, 16), "x: byte 52: a rate of NaN samples a second is not within 1000 to 192000"},
		"CAF with its audio first":   {"caff\x00\x01\x00\x00" + cafChunk("data", "\x00\x00\x00\x00"), "x: byte 8: the audio comes before its format (chunk desc)"},
		"CAF with an endless chunk":  {"caff\x00\x01\x00\x00free\xff\xff\xff\xff\xff\xff\xff\xff", `x: byte 8: chunk "free" has no length`},
	} {
		t.Run(says, func(t *testing.T) {
			_, err := NewReader(strings.NewReader(c.content), "x")
			var where *Error
			if err == nil || err.Error() != c.want || !errors.As(err, &where) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestLongFilesAreRefused(t *testing.T) {
	r, err := NewReader(strings.NewReader(wav(format(1, 1, 8000, 2, 16), chunk("data", strings.Repeat("\x00", 20_000)))), "long.wav")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAll(9_999); !errors.Is(err, ErrTooLong) || !strings.HasPrefix(err.Error(), "long.wav: byte ") {
		t.Errorf("%v", err)
	}
}

func TestResampling(t *testing.T) {
	for _, c := range []struct{ from, to int }{
		{44100, 8000}, {44100, 16000}, {44100, 48000}, {11025, 8000}, {22050, 8000}, {48000, 8000}, {8000, 48000}, {16000, 8000}, {8000, 16000}, {32000, 48000}, {6000, 8000}, {44101, 8000},
	} {
		t.Run(fmt.Sprintf("%d to %d", c.from, c.to), func(t *testing.T) {
			got := Resample(sine(440, c.from, c.from/2), c.from, c.to)
			if want := (c.from/2*c.to + c.from - 1) / c.from; len(got) != want {
				t.Fatalf("%d samples, want %d", len(got), want)
			}
			middle := got[c.to/20 : len(got)-c.to/20]
			snr, level := likeness(middle[:len(middle)/(c.to/40)*(c.to/40)], 440, c.to)
			if snr < 70 || math.Abs(level+6.02) > 0.05 {
				t.Errorf("signal to noise %.1f dB at %.2f dB, want 70 at -6.02", snr, level)
			}
			if c.to < c.from {
				hz := 0.62 * float64(c.to) // beyond what the lower rate holds
				if hz > float64(c.from)/2 {
					return
				}
				var power float64
				folded := Resample(sine(hz, c.from, c.from/2), c.from, c.to)
				folded = folded[c.to/20 : len(folded)-c.to/20]
				for _, v := range folded {
					power += float64(v) * float64(v)
				}
				if db := 10 * math.Log10(power/float64(len(folded))/(16384*16384/2)); db > -70 {
					t.Errorf("%.0f Hz comes through %.1f dB down, want 70", hz, -db)
				}
			}
		})
	}
}

func TestLibrary(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one.wav", wav(format(1, 1, 8000, 2, 16), chunk("data", "\x01\x00\x02\x00")))
	write("broken.wav", wav(format(85, 1, 8000, 2, 16)))
	if err := os.Symlink("one.wav", filepath.Join(dir, "linked.wav")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "out.wav")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.wav"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := NewLibrary(dir)
	first, err := l.Samples("one.wav", 8000)
	if err != nil || !slices.Equal(first, []int16{1, 2}) {
		t.Fatalf("%d %v", first, err)
	}
	if again, _ := l.Samples("one.wav", 8000); &again[0] != &first[0] {
		t.Error("a file that did not change was read twice")
	}
	if linked, err := l.Samples("linked.wav", 8000); err != nil || !slices.Equal(linked, first) {
		t.Errorf("a link within the directory, as ConfigMaps are mounted: %d %v", linked, err)
	}
	write("one.wav", wav(format(1, 1, 8000, 2, 16), chunk("data", "\x03\x00\x04\x00\x05\x00")))
	if now, err := l.Samples("one.wav", 8000); err != nil || !slices.Equal(now, []int16{3, 4, 5}) {
		t.Errorf("a file that changed: %d %v", now, err)
	}
	for says, c := range map[string]struct{ name, want string }{
		"a file that is missing": {"none.wav", "none.wav"},
		"a link that leads out":  {"out.wav", "path escapes"},
		"a broken file":          {"broken.wav", "broken.wav: byte 36: coding 85"},
		"a directory":            {".", "no file"},
		"a pipe":                 {"pipe.wav", "no file"},
	} {
		if _, err := l.Samples(c.name, 8000); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something with %q", says, err, c.want)
		}
	}
	if _, err := NewLibrary("").Samples("one.wav", 8000); !errors.Is(err, ErrNoLibrary) {
		t.Errorf("no directory: %v", err)
	}
}

// TestLibraryForgets holds what a library keeps to its bound.
func TestLibraryForgets(t *testing.T) {
	l := NewLibrary("x")
	for i := range 5 {
		l.keep(kept{name: strconv.Itoa(i), rate: 8000, samples: make([]int16, keptSamples/3)})
	}
	var names []string
	for _, k := range l.kept {
		names = append(names, k.name)
	}
	if !slices.Equal(names, []string{"2", "3", "4"}) {
		t.Errorf("kept are %v, want the last three", names)
	}
}

func TestWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.wav")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewWriter(f, 16000, 2)
	if err != nil {
		t.Fatal(err)
	}
	for frame, pcm := range map[int64][]int16{3: {7, -1}, 0: {1, 3}} {
		if err := w.WriteAt(pcm, frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, pcm := readAll(t, content)
	if r.Rate != 16000 || r.Channels != 2 || !slices.Equal(pcm, []int16{2, 0, 0, 3}) || int64(len(content)) != w.Bytes() {
		t.Errorf("%d Hz, %d channels, %d, %d bytes of %d", r.Rate, r.Channels, pcm, len(content), w.Bytes())
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=duration_ts,channels,sample_rate", "-of", "csv=p=0", path).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "16000,2,4" {
		t.Errorf("ffprobe: %s %v", out, err)
	}
}

func fuzz(f *testing.F, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := NewReader(bytes.NewReader(content), "x")
		if err != nil {
			var where *Error
			if !errors.As(err, &where) || where.Offset < 0 || where.Offset > int64(len(content)) {
				t.Fatalf("%d bytes: %v", len(content), err)
			}
			return
		}
		// The most samples a byte makes is two, of ADPCM; a first block adds its first sample.
		if pcm, err := r.ReadAll(4*len(content) + 64); err != nil {
			t.Fatalf("%d samples of %d bytes: %v", len(pcm), len(content), err)
		}
	})
}

func FuzzWAV(f *testing.F) {
	data := chunk("data", strings.Repeat("\x12\x34\x56\x78", 20))
	fuzz(f, wav(format(1, 1, 8000, 2, 16), data), wav(format(1, 2, 44100, 6, 24), data), wav(format(3, 1, 8000, 8, 64), data), wav(format(6, 2, 8000, 2, 8), data),
		wav(format(0x11, 2, 8000, 24, 4), data), wav(format(0xFFFE, 1, 8000, 2, 16), data), wav(format(7, 1, 8000, 1, 8))+"data\xff\xff\xff\xff\x01\x02")
}

func FuzzCAF(f *testing.F) {
	const head = "caff\x00\x01\x00\x00"
	data := cafChunk("data", strings.Repeat("\x12\x34\x56\x78", 40))
	fuzz(f, head+desc("lpcm", 8000, 0, 1, 16)+data, head+desc("lpcm", 44100, 3, 2, 32)+data, head+desc("ima4", 16000, 0, 2, 0)+data, head+desc("ulaw", 8000, 0, 1, 8)+data,
		head+desc("alaw", 8000, 0, 1, 8)+cafChunk("free", "x")+data)
}
