package media

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/soundfile"
)

// library is a directory with a file of a tone, of a second at 44,100 samples a second.
func library(t *testing.T, name string, hz float64) *soundfile.Library {
	t.Helper()
	dir := t.TempDir()
	const rate = 44100
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := soundfile.NewWriter(f, rate, 1)
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, rate)
	Tone{Hz: hz, LevelDBm0: -10}.Open(rate).Fill(Frame{Samples: pcm, Rate: rate}, Frame{})
	if err := errors.Join(w.WriteAt(pcm, 0), w.Sync()); err != nil {
		t.Fatal(err)
	}
	return soundfile.NewLibrary(dir)
}

func prompted(t *testing.T, text string, l *soundfile.Library) *Prompt {
	t.Helper()
	p, err := NewPrompt(text, l.Samples, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAFileIsPlayed has one side play a file over and over, as G.722 and so at another rate than any of the file's or the call's
// first, and the other once.
func TestAFileIsPlayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.open(t, alice), n.open(t, bob)
		start(t, a, spoken(bob, 9, 0), prompted(t, "periodic(wav(high.wav))", library(t, "high.wav", 1400)))
		start(t, b, spoken(alice, 0, 9), prompted(t, "wav(low.wav)", library(t, "low.wav", 600)))
		time.Sleep(700 * time.Millisecond)
		if h := a.Stats().Heard; h == nil {
			t.Error("the file that is played once is not heard")
		} else {
			within(t, "frequency played once", h.FrequencyHz, 600, 2)
		}
		time.Sleep(4300 * time.Millisecond)
		if h := b.Stats().Heard; h == nil {
			t.Error("the file that is played over and over is not heard")
		} else {
			within(t, "frequency", h.FrequencyHz, 1400, 2)
			within(t, "level", h.LevelDBm0, -10, 0.3)
		}
		if trouble := a.Stats().Trouble; !slices.Contains(trouble, Muted) {
			t.Errorf("after the file there is %v, want silence", trouble)
		}
	})
}

// TestAPromptThatCannotBePlayed is told before anybody listens.
func TestAPromptThatCannotBePlayed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mp3.wav"), append([]byte("RIFF....WAVEfmt "), append(binary.LittleEndian.AppendUint32(nil, 16),
		append(binary.LittleEndian.AppendUint16(nil, 0x55), "\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x00\x00"...)...)...), 0o600); err != nil {
		t.Fatal(err)
	}
	files := soundfile.NewLibrary(dir).Samples
	for says, c := range map[string]struct{ text, want string }{
		"no tone":                {"beep", `character 1: `},
		"a file that is missing": {"periodic(wav(none.wav))", "tone: wav(none.wav): openat none.wav: no such file or directory"},
		"a coding nobody reads":  {"wav(mp3.wav)", "tone: wav(mp3.wav): mp3.wav: byte 36: coding 85 (0x55) is not read: PCM, float, μ-law, A-law and IMA ADPCM are"},
	} {
		if _, err := NewPrompt(c.text, files, nil); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", says, err, c.want)
		}
	}
}
