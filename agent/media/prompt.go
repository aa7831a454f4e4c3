package media

import (
	"log/slog"
	"sync/atomic"

	"github.com/softphone-operator/softphone-operator/account/tone"
)

// Prompt sends a call tone: sines, pauses and audio files, once or over and over as the tone has it, and silence after its end.
type Prompt struct {
	tone  *tone.Tone
	files tone.Files
	log   *slog.Logger
}

// promptRate is the rate that files are tried at when a prompt is made; most codecs have it.
const promptRate = 8000

// NewPrompt makes a source of a tone (package tone). Its files are read here, so that one that is missing or broken is told before
// anybody listens; files may take their time. A nil log is the default one.
func NewPrompt(text string, files tone.Files, log *slog.Logger) (*Prompt, error) {
	t, err := tone.Parse(text)
	if err != nil {
		return nil, err
	}
	if _, err := tone.Play(t, promptRate, files); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.Default()
	}
	return &Prompt{tone: t, files: files, log: log}, nil
}

// Open implements Source. Files are made ready beside, with silence meanwhile: the clock that asks waits for no disk.
func (p *Prompt) Open(rate int) Generator {
	g := &prompt{}
	if reads(p.tone) {
		go g.prepare(p, rate)
	} else {
		g.prepare(p, rate)
	}
	return g
}

// reads tells whether a file is part of a tone.
func reads(t *tone.Tone) bool {
	if t == nil {
		return false
	}
	for _, part := range t.Parts {
		if reads(part) {
			return true
		}
	}
	return t.Kind == tone.WAV
}

type prompt struct{ player atomic.Pointer[tone.Player] }

func (g *prompt) prepare(p *Prompt, rate int) {
	player, err := tone.Play(p.tone, rate, p.files)
	if err != nil {
		p.log.Warn("prompt cannot be played", "tone", p.tone.String(), "error", err)
		return
	}
	g.player.Store(player)
}

// Fill implements Generator.
func (g *prompt) Fill(out, _ Frame) {
	n := 0
	if player := g.player.Load(); player != nil {
		n, _ = player.Read(out.Samples) // the end is no error: what follows is silence
	}
	clear(out.Samples[n:])
}
