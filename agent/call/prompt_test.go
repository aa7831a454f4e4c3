package call_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
)

// oneFile has a file of a tone, and no other.
func oneFile(name string, hz float64) func(string, int) ([]int16, error) {
	return func(asked string, rate int) ([]int16, error) {
		if asked != name {
			return nil, fmt.Errorf("%s: no such file", asked)
		}
		pcm := make([]int16, rate)
		media.Tone{Hz: hz, LevelDBm0: -10}.Open(rate).Fill(media.Frame{Samples: pcm, Rate: rate}, media.Frame{})
		return pcm, nil
	}
}

func TestBothSidesPlayFiles(t *testing.T) {
	p := newProxy(t)
	alice := newPhone(t, p, "alice", func(o *call.Options) { o.Files = oneFile("question.wav", 700) })
	bob := newPhone(t, p, "bob", func(o *call.Options) {
		autoAnswer(o)
		o.Play, o.Files = "periodic(wav(answer.caf))", oneFile("answer.caf", 1200)
	})
	alice.dial(call.Dial{To: "bob", Play: "periodic(wav(question.wav))", Seconds: 2})
	a, b := alice.waitState(call.Ended), bob.waitState(call.Ended)
	if a.Heard == nil || math.Abs(a.Heard.FrequencyHz-1200) > 5 || b.Heard == nil || math.Abs(b.Heard.FrequencyHz-700) > 5 {
		t.Errorf("the caller heard %+v, the called %+v; want 1200 and 700 Hz", a.Heard, b.Heard)
	}
}

func TestAPromptThatCannotBePlayedIsNoCall(t *testing.T) {
	simulate(t, func(o *call.Options) { o.Files = oneFile("fine.wav", 440) }, func(b *bench) {
		for says, c := range map[string]struct {
			d    call.Dial
			want string
		}{
			"no tone":          {call.Dial{To: "1", Play: "beep"}, `play: character 1: there is no tone "beep"`},
			"a missing file":   {call.Dial{To: "1", Play: "wav(gone.wav)"}, "play: tone: wav(gone.wav): gone.wav: no such file"},
			"a tone beside it": {call.Dial{To: "1", Play: "wav(fine.wav)", ToneHz: 440}, "toneHz and play"},
		} {
			if _, err := b.set.Dial(t.Context(), c.d); !errors.Is(err, call.ErrBadValue) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want something with %q", says, err, c.want)
			}
		}
	})
}

// A line whose prompt is broken answers all the same, with silence, and the record says why.
func TestALineWhosePromptIsBroken(t *testing.T) {
	simulate(t, func(o *call.Options) {
		autoAnswer(o)
		o.Play, o.Files = "wav(gone.wav)", oneFile("fine.wav", 440)
	}, func(b *bench) {
		b.invite("broken", sdpBody(offerPCMU)...).ack()
		b.wantState(call.Established)
		if _, ok := b.session().has().source.(media.Silence); !ok {
			t.Errorf("%T is sent", b.session().has().source)
		}
		if r := b.record(); !slices.Contains(r.Treatment, "play: silence, for: tone: wav(gone.wav): gone.wav: no such file") {
			t.Errorf("the record says %q", r.Treatment)
		}
	})
}
