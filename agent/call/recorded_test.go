package call_test

import (
	"log/slog"
	"math"
	"path/filepath"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/recording"
	"github.com/softphone-operator/softphone-operator/agent/soundfile"
)

// TestBothSidesRecordACall has two lines send a tone each and record the call, one since whoever placed it asked for it, the other as
// it does with all calls. Read back, the files are as long as the records say.
func TestBothSidesRecordACall(t *testing.T) {
	dir := t.TempDir()
	store := func(name string) *recording.Store {
		s, err := recording.Open(filepath.Join(dir, name), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	p := newProxy(t)
	alice := newPhone(t, p, "alice", func(o *call.Options) { o.Recordings = store("alice") })
	bob := newPhone(t, p, "bob", func(o *call.Options) {
		autoAnswer(o)
		o.Record, o.Recordings = true, store("bob")
		o.Play = "periodic(sine(1000ms,-10,1400Hz))"
	})
	alice.dial(call.Dial{To: "bob", ToneHz: 600, Seconds: 2, Record: true})
	for _, r := range []call.Record{alice.waitState(call.Ended), bob.waitState(call.Ended)} {
		kept := r.Recording
		if kept == nil || kept.Problem != "" || kept.DroppedSeconds != 0 || kept.File == "" || kept.Seconds < 1 || kept.Seconds > r.EndedAt.Sub(r.StartedAt).Seconds()+0.1 {
			t.Fatalf("%s: %+v", r.Line, kept)
		}
		samples, err := soundfile.NewLibrary(filepath.Join(dir, r.Line)).Samples(kept.File, 8000)
		if err != nil || math.Abs(float64(len(samples))/8000-kept.Seconds) > 0.001 {
			t.Errorf("%s: %d samples of %g s (%v)", r.Line, len(samples), kept.Seconds, err)
		}
	}
}

// Where nothing can be kept, the call goes on, and its record says what is missing.
func TestARecordingWithoutADirectory(t *testing.T) {
	simulate(t, nil, func(b *bench) {
		b.talk(call.Dial{Record: true})
		if r := b.record(); r.Recording == nil || r.Recording.Problem != recording.ErrNoStore.Error() || r.State != call.Established {
			t.Errorf("%+v", r.Recording)
		}
	})
}
