package tone

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is the form of a tone.
type Kind string

// The forms of tones.
const (
	Sine     Kind = "sine"
	Silence  Kind = "silence"
	WAV      Kind = "wav"
	Periodic Kind = "periodic"
	Compound Kind = "compound"
)

// Tone is one parsed expression.
type Tone struct {
	Kind Kind
	// Duration of a sine or silence, in milliseconds.
	Duration float64
	// Amplitude of a sine: the peak of 16-bit samples when 0 or more, else dBm0.
	Amplitude float64
	// Frequencies of a sine, in Hertz, played at once.
	Frequencies []float64
	// File is the identifier of a wav.
	File string
	// Parts of a periodic or compound tone.
	Parts []*Tone
}

// Limits of an expression; what exceeds them is an error.
const (
	maxText        = 4096      // bytes
	maxDepth       = 8         // operators within operators
	maxDuration    = 3_600_000 // milliseconds
	maxAmplitude   = 32767
	maxFrequency   = 20_000 // Hertz
	maxFrequencies = 16
)

// An Error tells where an expression is wrong. Offset counts bytes from 0.
type Error struct {
	Offset  int
	Message string
}

// Error is the message with the place, counted from 1.
func (e *Error) Error() string { return fmt.Sprintf("character %d: %s", e.Offset+1, e.Message) }

// Parse reads an expression. The error is an *Error.
func Parse(text string) (*Tone, error) {
	p := &parser{text: text}
	if len(text) > maxText {
		return nil, p.fail(maxText, "the tone is longer than %d bytes", maxText)
	}
	t, err := p.tone(1)
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(text) {
		return nil, p.fail(p.at, "%s follows the end of the tone", p.found())
	}
	return t, nil
}

// A parser walks through an expression.
type parser struct {
	text string
	at   int
}

func (p *parser) fail(at int, format string, args ...any) error {
	return &Error{Offset: at, Message: fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// found names what stands at the current place.
func (p *parser) found() string {
	if p.at >= len(p.text) {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return strconv.QuoteRune(r)
}

// take skips white space and the byte c, if it stands there.
func (p *parser) take(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(c byte) error {
	if !p.take(c) {
		return p.fail(p.at, "%s where %q is meant", p.found(), c)
	}
	return nil
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

// run takes the bytes that belong.
func (p *parser) run(belongs func(byte) bool) string {
	start := p.at
	for p.at < len(p.text) && belongs(p.text[p.at]) {
		p.at++
	}
	return p.text[start:p.at]
}

func (p *parser) tone(depth int) (*Tone, error) {
	p.space()
	start := p.at
	t := &Tone{Kind: Kind(p.run(letter))}
	if t.Kind == "" {
		return nil, p.fail(start, "%s where a tone is meant", p.found())
	}
	if depth > maxDepth {
		return nil, p.fail(start, "tones are nested deeper than %d levels", maxDepth)
	}
	var inside func(*Tone, int) error
	switch t.Kind {
	case Sine:
		inside = p.sine
	case Silence:
		inside = p.silence
	case WAV:
		inside = p.wav
	case Periodic, Compound:
		inside = p.parts
	default:
		return nil, p.fail(start, "there is no tone %q; there are sine, silence, wav, periodic and compound", string(t.Kind))
	}
	if err := p.expect('('); err != nil {
		return nil, err
	}
	if err := inside(t, depth); err != nil {
		return nil, err
	}
	return t, p.expect(')')
}

func (p *parser) sine(t *Tone, _ int) (err error) {
	if t.Duration, err = p.number("duration", 0, maxDuration); err != nil {
		return err
	}
	if err = p.expect(','); err != nil {
		return err
	}
	if t.Amplitude, err = p.number("amplitude", -200, maxAmplitude); err != nil {
		return err
	}
	if err = p.expect(','); err != nil {
		return err
	}
	for {
		start := p.at
		f, err := p.number("frequency", 1, maxFrequency)
		if err != nil {
			return err
		}
		if t.Frequencies = append(t.Frequencies, f); len(t.Frequencies) > maxFrequencies {
			return p.fail(start, "a sine has more than %d frequencies", maxFrequencies)
		}
		if !p.take(',') {
			return nil
		}
	}
}

func (p *parser) silence(t *Tone, _ int) (err error) {
	t.Duration, err = p.number("duration", 0, maxDuration)
	return err
}

// wav takes the identifier: the name of a file, never a path.
func (p *parser) wav(t *Tone, _ int) error {
	p.space()
	start := p.at
	t.File = strings.TrimRight(p.run(func(c byte) bool { return c != ')' && c != '(' && c != ',' }), " \t\r\n")
	switch {
	case t.File == "":
		return p.fail(start, "the file's name is missing")
	case strings.ContainsAny(t.File, "/\\") || strings.HasPrefix(t.File, "."):
		return p.fail(start, "the file must be named without a path")
	case strings.ContainsFunc(t.File, func(r rune) bool { return r < ' ' || r == utf8.RuneError || r == 0x7F }):
		return p.fail(start, "the file's name contains a control character")
	}
	return nil
}

func (p *parser) parts(t *Tone, depth int) error {
	for {
		part, err := p.tone(depth + 1)
		if err != nil {
			return err
		}
		t.Parts = append(t.Parts, part)
		if !p.take(',') {
			return nil
		}
	}
}

// number takes a number and its unit, which says nothing.
func (p *parser) number(what string, lowest, highest float64) (float64, error) {
	p.space()
	start := p.at
	if p.at < len(p.text) && p.text[p.at] == '-' {
		p.at++
	}
	whole := p.run(digit)
	if whole == "" {
		p.at = start
		return 0, p.fail(start, "%s where a %s is meant", p.found(), what)
	}
	if p.at+1 < len(p.text) && p.text[p.at] == '.' && digit(p.text[p.at+1]) {
		p.at++
		p.run(digit)
	}
	v, err := strconv.ParseFloat(p.text[start:p.at], 64)
	if err != nil || v < lowest || v > highest {
		return 0, p.fail(start, "the %s %s is not between %s and %s", what, p.text[start:p.at], plain(lowest), plain(highest))
	}
	if p.at < len(p.text) && letter(p.text[p.at]) {
		p.run(func(c byte) bool { return letter(c) || digit(c) })
	}
	return v, nil
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// String is the expression in its plain form; parsing it gives the same tone.
func (t *Tone) String() string {
	var args []string
	switch t.Kind {
	case Sine:
		args = []string{plain(t.Duration) + "ms", plain(t.Amplitude)}
		for _, f := range t.Frequencies {
			args = append(args, plain(f)+"Hz")
		}
	case Silence:
		args = []string{plain(t.Duration) + "ms"}
	case WAV:
		args = []string{t.File}
	default:
		for _, p := range t.Parts {
			args = append(args, p.String())
		}
	}
	return string(t.Kind) + "(" + strings.Join(args, ",") + ")"
}
