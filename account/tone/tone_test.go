package tone

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// The tones of the account schema, and one of every form.
var plainForms = []string{
	"periodic(sine(2000ms,2000,440Hz,480Hz),silence(4000ms))",
	"periodic(sine(250ms,2000,480Hz,620Hz),silence(250ms))",
	"periodic(sine(500ms,2000,480Hz,620Hz),silence(500ms))",
	"periodic(sine(300ms,2000,440Hz),silence(10000ms))",
	"sine(100ms,-24,1000Hz)",
	"sine(12.5ms,0,697.25Hz)",
	"silence(0ms)",
	"wav(busy tone.caf)",
	"compound(sine(10ms,1,1Hz),periodic(wav(a.wav),silence(1ms)))",
	"compound(compound(silence(1ms)),periodic(periodic(silence(1ms))))",
}

func TestParsePrintsTheSame(t *testing.T) {
	for _, text := range plainForms {
		parsed, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := parsed.String(); got != text {
			t.Errorf("%s is printed %s", text, got)
		}
	}
}

func TestParseIsTolerant(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"white space is free":             {" periodic ( sine\n( 500 ms , 2000 ,\t440 Hz ) , silence( 500ms ) ) ", ""},
		"units are ignored":               {"sine(500,2000,440)", "sine(500ms,2000,440Hz)"},
		"any unit is":                     {"sine(500seconds,2000,440kHz)", "sine(500ms,2000,440Hz)"},
		"a unit may end in a digit":       {"sine(500ms,-24dBm0,440Hz)", "sine(500ms,-24,440Hz)"},
		"a level may have a fraction":     {"sine(500ms,-13.50dB,440Hz)", "sine(500ms,-13.5,440Hz)"},
		"white space around a file":       {"wav(  ring.wav )", "wav(ring.wav)"},
		"white space inside a name stays": {"wav(my ring.wav)", "wav(my ring.wav)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			parsed, err := Parse(tt.in)
			if tt.want == "" { // a unit must follow its digits at once
				if err == nil {
					t.Fatalf("parsed %s", parsed)
				}
				return
			}
			if err != nil || parsed.String() != tt.want {
				t.Errorf("%v %v, want %s", parsed, err, tt.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"nothing":                    {"", "character 1: the end where a tone is meant"},
		"an unknown tone":            {"square(1,2,3)", `character 1: there is no tone "square"; there are sine, silence, wav, periodic and compound`},
		"no parenthesis":             {"sine 1", `character 6: '1' where '(' is meant`},
		"no end":                     {"silence(1", `character 10: the end where ')' is meant`},
		"something behind the end":   {"silence(1) x", `character 12: 'x' follows the end of the tone`},
		"no duration":                {"silence()", `character 9: ')' where a duration is meant`},
		"a negative duration":        {"silence(-1ms)", `character 9: the duration -1 is not between 0 and 3600000`},
		"an endless duration":        {"silence(99999999)", `character 9: the duration 99999999 is not between 0 and 3600000`},
		"no frequency":               {"sine(1,2)", `character 9: ')' where ',' is meant`},
		"an empty frequency":         {"sine(1,2,3,)", `character 12: ')' where a frequency is meant`},
		"a frequency of 0":           {"sine(1,2,0)", `character 10: the frequency 0 is not between 1 and 20000`},
		"an amplitude that is large": {"sine(1,32768,3)", `character 8: the amplitude 32768 is not between -200 and 32767`},
		"no parts":                   {"periodic()", `character 10: ')' where a tone is meant`},
		"a missing part":             {"compound(silence(1),)", `character 21: ')' where a tone is meant`},
		"a file without a name":      {"wav( )", `character 6: the file's name is missing`},
		"a path":                     {"wav(../secret)", `character 5: the file must be named without a path`},
		"a hidden file":              {"wav(.bashrc)", `character 5: the file must be named without a path`},
		"two files":                  {"wav(a,b)", `character 6: ',' where ')' is meant`},
		"a sign alone":               {"silence(-)", `character 9: '-' where a duration is meant`},
		"another alphabet":           {"ton(größe)", `character 1: there is no tone "ton"; there are sine, silence, wav, periodic and compound`},
		"nine operators":             {strings.Repeat("compound(", 9) + "silence(1)" + strings.Repeat(")", 9), `character 73: tones are nested deeper than 8 levels`},
		"seventeen frequencies":      {"sine(1,2" + strings.Repeat(",3", 17) + ")", `character 42: a sine has more than 16 frequencies`},
		"a long text":                {strings.Repeat(" ", 5000), `character 4097: the tone is longer than 4096 bytes`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tt.in)
			var e *Error
			if !errors.As(err, &e) || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// play reads up to limit samples, in uneven steps.
func play(t *testing.T, text string, rate, limit int, files Files) []int16 {
	t.Helper()
	parsed, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Play(parsed, rate, files)
	if err != nil {
		t.Fatal(err)
	}
	var out []int16
	for step := 1; len(out) < limit; step = step*3%161 + 1 {
		buf := make([]int16, min(step, limit-len(out)))
		n, err := p.Read(buf)
		out = append(out, buf[:n]...)
		if err == io.EOF {
			if n > 0 {
				t.Fatal("samples came with the end")
			}
			break
		}
		if err != nil || n == 0 {
			t.Fatalf("%d samples, %v", n, err)
		}
	}
	return out
}

// level is the amplitude of one frequency in samples (Goertzel's algorithm).
func level(samples []int16, rate int, frequency float64) float64 {
	var re, im float64
	for i, s := range samples {
		phase := 2 * math.Pi * frequency * float64(i) / float64(rate)
		re += float64(s) * math.Cos(phase)
		im += float64(s) * math.Sin(phase)
	}
	return 2 * math.Hypot(re, im) / float64(len(samples))
}

func TestSineHasItsFrequencyAndAmplitude(t *testing.T) {
	tests := map[string]struct {
		text string
		rate int
		want map[float64]float64
	}{
		"a raw amplitude is the peak":      {"sine(1000ms,2000,440Hz)", 8000, map[float64]float64{440: 2000, 880: 0, 300: 0}},
		"several frequencies at once":      {"sine(1000ms,2000,440Hz,480Hz)", 16000, map[float64]float64{440: 2000, 480: 2000, 460: 0}},
		"a level is below full scale":      {"sine(1000ms,-10dBm0,1000Hz)", 8000, map[float64]float64{1000: 32767 * math.Pow(10, -13.14/20)}},
		"no amplitude":                     {"sine(1000ms,0,440Hz)", 8000, map[float64]float64{440: 0}},
		"compound adds":                    {"compound(sine(1000ms,1000,440Hz),sine(1000ms,2000,600Hz))", 8000, map[float64]float64{440: 1000, 600: 2000}},
		"what is too high for the rate":    {"sine(1000ms,2000,5000Hz,440Hz)", 8000, map[float64]float64{440: 2000, 3000: 0}},
		"compound goes on with the longer": {"compound(silence(1ms),sine(1000ms,1000,440Hz))", 8000, map[float64]float64{440: 1000}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			samples := play(t, tt.text, tt.rate, 10*tt.rate, nil)
			if len(samples) != tt.rate {
				t.Fatalf("%d samples, want %d", len(samples), tt.rate)
			}
			for frequency, want := range tt.want {
				if got := level(samples, tt.rate, frequency); math.Abs(got-want) > 5+want/100 {
					t.Errorf("%g Hz has the amplitude %.0f, want %.0f", frequency, got, want)
				}
			}
		})
	}
}

func TestPeriodicRepeats(t *testing.T) {
	samples := play(t, "periodic(sine(100ms,2000,500Hz),silence(50ms))", 8000, 8000, nil)
	if len(samples) != 8000 {
		t.Fatalf("%d samples", len(samples))
	}
	for round := range 6 {
		on := samples[round*1200 : round*1200+800]
		off := samples[round*1200+800 : (round+1)*1200]
		if got := level(on, 8000, 500); math.Abs(got-2000) > 20 {
			t.Errorf("round %d: amplitude %.0f", round+1, got)
		}
		if slices.ContainsFunc(off, func(s int16) bool { return s != 0 }) {
			t.Errorf("round %d: the gap is not silent", round+1)
		}
		if !slices.Equal(samples[:1200], samples[round*1200:(round+1)*1200]) {
			t.Errorf("round %d differs from the first", round+1)
		}
	}
}

func TestEnds(t *testing.T) {
	for text, want := range map[string]int{
		"silence(0)":                              0,
		"silence(10ms)":                           80,
		"periodic(silence(0),sine(0,1000,440))":   0,
		"compound(silence(10ms),silence(30ms))":   240,
		"periodic(periodic(silence(0)))":          0,
		"compound(periodic(silence(1ms)))":        1000, // as many as are asked for
		"periodic(compound(silence(1ms)),wav(a))": 1000,
	} {
		files := func(string, int) ([]int16, error) { return []int16{1, 2, 3}, nil }
		if got := len(play(t, text, 8000, 1000, files)); got != want {
			t.Errorf("%s gives %d samples, want %d", text, got, want)
		}
	}
	p, err := Play(nil, 8000, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.Read(make([]int16, 10)); n != 0 || err != io.EOF {
		t.Errorf("no tone gives %d samples, %v", n, err)
	}
}

func TestFiles(t *testing.T) {
	files := func(id string, rate int) ([]int16, error) {
		if id != "ring.wav" || rate != 16000 {
			return nil, fmt.Errorf("no file %s at %d", id, rate)
		}
		return []int16{1, -2, 32767}, nil
	}
	if got := play(t, "wav(ring.wav)", 16000, 100, files); !slices.Equal(got, []int16{1, -2, 32767}) {
		t.Errorf("played %v", got)
	}
	if got := play(t, "periodic(wav(ring.wav))", 16000, 7, files); !slices.Equal(got, []int16{1, -2, 32767, 1, -2, 32767, 1}) {
		t.Errorf("looped %v", got)
	}
	if got := play(t, "compound(wav(ring.wav),wav(ring.wav))", 16000, 7, files); !slices.Equal(got, []int16{2, -4, 32767}) {
		t.Errorf("mixed without clipping: %v", got)
	}
	tone, err := Parse("periodic(wav(other.wav))")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Play(tone, 8000, files); err == nil || err.Error() != "tone: wav(other.wav): no file other.wav at 8000" {
		t.Errorf("error %v", err)
	}
	if _, err := Play(tone, 8000, nil); !errors.Is(err, ErrNoFiles) {
		t.Errorf("error %v", err)
	}
	if _, err := Play(tone, 0, files); err == nil {
		t.Error("a rate of 0 must be refused")
	}
}

// FuzzParse: what is parsed prints as something that parses to the same, and can be played.
func FuzzParse(f *testing.F) {
	for _, text := range plainForms {
		f.Add(text)
	}
	f.Add("sine( 500 , -24dBm0 , 440 )")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(parsed.String())
		if len(parsed.String()) > maxText {
			return
		}
		if err != nil || again.String() != parsed.String() {
			t.Fatalf("%q is printed %q and read %v, %v", text, parsed, again, err)
		}
		p, err := Play(parsed, 8000, func(string, int) ([]int16, error) { return make([]int16, 3), nil })
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if n, err := p.Read(make([]int16, 160)); n == 0 && err != io.EOF {
				t.Fatalf("%q gives no samples and no end: %v", text, err)
			}
		}
	})
}
