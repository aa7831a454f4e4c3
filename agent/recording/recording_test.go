package recording

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/softphone-operator/softphone-operator/agent/soundfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string, l Limits) *Store {
	t.Helper()
	s, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.Set(l)
	return s
}

func begin(t *testing.T, s *Store, call string, age int) *Recording {
	t.Helper()
	r, err := s.Begin(call, began.Add(time.Duration(age)*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// say records so many tenths of a second of 8 kHz from a tenth on, waiting for the disk; frames hold their own number.
func say(r *Recording, from, tenths int) {
	for i := from; i < from+tenths; i++ {
		pcm := make([]int16, 1600)
		for k := range pcm {
			pcm[k] = int16(i*800 + k/2)
		}
		for len(r.work) > waiting/2 {
			time.Sleep(time.Millisecond)
		}
		r.Record(pcm, 8000, int64(i*800))
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range files {
		list = append(list, f.Name())
	}
	return list
}

// content is a file's audio, folded, and whether its header agrees with its length.
func content(t *testing.T, file []byte) []int16 {
	t.Helper()
	r, err := soundfile.NewReader(bytes.NewReader(file), "x")
	if err != nil {
		t.Fatal(err)
	}
	pcm, err := r.ReadAll(1 << 24)
	if err != nil {
		t.Fatal(err)
	}
	if r.Rate != 8000 || r.Channels != 2 || len(file) != soundfile.HeaderSize+4*len(pcm) {
		t.Errorf("%d Hz, %d channels, %d frames in %d bytes", r.Rate, r.Channels, len(pcm), len(file))
	}
	return pcm
}

func TestARecordingIsReadBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	s := open(t, dir, Limits{})
	r := begin(t, s, "abc", 0)
	say(r, 0, 10)
	say(r, 12, 3) // two tenths were never given: silence
	result := r.Close()
	const name = "20260301T120000.000Z-abc.wav"
	if result.Err != nil || result.File != name || result.Length != 1500*time.Millisecond || result.Dropped != 0 {
		t.Errorf("%+v", result)
	}
	f, found, err := s.Find("abc")
	if err != nil || found != name {
		t.Fatalf("%s %v", found, err)
	}
	defer f.Close()
	file, err := io.ReadAll(f)
	if err != nil || int64(len(file)) != result.Bytes {
		t.Fatalf("%d bytes, %v", len(file), err)
	}
	pcm := content(t, file)
	for i, v := range pcm {
		want := int16(i)
		if i >= 8000 && i < 9600 {
			want = 0
		}
		if v != want {
			t.Fatalf("frame %d is %d", i, v)
		}
	}
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v: others can listen", info.Mode(), err)
	}
	if _, _, err := s.Find("other"); !errors.Is(err, ErrNone) {
		t.Errorf("a call nobody recorded: %v", err)
	}
	if _, _, err := s.Find(""); !errors.Is(err, ErrNone) {
		t.Errorf("no call: %v", err)
	}
}

// TestACrashLeavesAWholeFile copies the file while it is written, as it would be left behind at any moment.
func TestACrashLeavesAWholeFile(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, open(t, dir, Limits{}), "abc", 0)
	for tenths := range 5 {
		say(r, tenths, 1)
		for {
			r.mu.Lock()
			written := r.bytes
			r.mu.Unlock()
			if written == int64(soundfile.HeaderSize+3200*(tenths+1)) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		left, err := os.ReadFile(filepath.Join(dir, r.File()))
		if err != nil {
			t.Fatal(err)
		}
		if pcm := content(t, left); len(pcm) != 800*(tenths+1) {
			t.Errorf("after %d tenths of a second there are %d frames", tenths+1, len(pcm))
		}
	}
	r.Close()
}

func TestTheOldestMakesRoom(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{Files: 3})
	for i, call := range []string{"a", "b", "c", "d"} {
		r := begin(t, s, call, i)
		say(r, 0, 1)
		r.Close()
	}
	want := []string{"20260301T120001.000Z-b.wav", "20260301T120002.000Z-c.wav", "20260301T120003.000Z-d.wav"}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("%v is kept", got)
	}
	// So many bytes as one second takes, and a running one is never taken away.
	s = open(t, dir, Limits{Files: 3, Bytes: 32_044})
	long := begin(t, s, "long", 9)
	say(long, 0, 10)
	if got := long.Close(); got.Err != nil || got.Length != time.Second {
		t.Errorf("%+v", got)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"20260301T120009.000Z-long.wav"}) {
		t.Errorf("%v is kept", got)
	}
	s.Set(Limits{Bytes: 1})
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("%v is kept where nothing may be", got)
	}
}

func TestAFullDirectory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{Bytes: 20_000})
	r := begin(t, s, "abc", 0)
	say(r, 0, 10)
	got := r.Close()
	if !errors.Is(got.Err, ErrFull) || got.Length != 600*time.Millisecond || got.Bytes != 44+6*3200 {
		t.Errorf("%+v, want six tenths of a second and no more room", got)
	}
	if file, err := os.ReadFile(filepath.Join(dir, got.File)); err != nil || len(content(t, file)) != 4800 {
		t.Errorf("%d bytes are left (%v)", len(file), err)
	}
}

func TestNoDirectory(t *testing.T) {
	if _, err := open(t, "", Limits{}).Begin("abc", began); !errors.Is(err, ErrNoStore) {
		t.Errorf("%v", err)
	}
	var none *Store
	if _, err := none.Begin("abc", began); !errors.Is(err, ErrNoStore) {
		t.Errorf("%v", err)
	}
}

func TestACallWithoutAudioLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	if got := begin(t, open(t, dir, Limits{}), "abc", 0).Close(); got.Err != nil || got.File != "" || got.Length != 0 {
		t.Errorf("%+v", got)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// TestADiskThatStandsStill holds nobody up: what there is no room for is counted, and is silence.
func TestADiskThatStandsStill(t *testing.T) {
	s := open(t, t.TempDir(), Limits{})
	r := begin(t, s, "abc", 0)
	s.mu.Lock() // as long as this is held, nothing is written
	r.Record(make([]int16, 1600), 8000, 0)
	for len(r.work) > 0 { // the writer takes the first, and waits
		time.Sleep(time.Millisecond)
	}
	for i := range waiting + 19 {
		r.Record(make([]int16, 1600), 8000, int64((i+1)*800))
	}
	s.mu.Unlock()
	if got := r.Close(); got.Err != nil || got.Dropped != 1900*time.Millisecond || got.Length != (waiting+1)*100*time.Millisecond {
		t.Errorf("%+v, want 1.9 s left out", got)
	}
}
