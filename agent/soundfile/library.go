package soundfile

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Bounds of what a library keeps in memory.
const (
	// MaxSamples a file may hold, at its own rate and at the one it is played at: 17 minutes at 8 kHz.
	MaxSamples = 8 << 20
	// keptSamples of all files together; the one that was asked for longest ago goes first.
	keptSamples = 16 << 20
)

// ErrNoLibrary says that no directory of files was given.
var ErrNoLibrary = errors.New("there is no directory of audio files (--prompts)")

// Library gives the audio of the files of a directory, and keeps what it read, for calls that play the same. All methods may be
// called from any goroutine.
type Library struct {
	dir string

	mu   sync.Mutex // held while a file is read: two calls that want the same read it once
	kept []kept     // asked for last, last
}

// kept is a file's audio at one rate.
type kept struct {
	name     string
	rate     int
	modified time.Time
	bytes    int64
	samples  []int16
}

// NewLibrary is the library of a directory; "" = there is none, and every file is missing.
func NewLibrary(dir string) *Library { return &Library{dir: dir} }

// Samples gives a file's audio: 16-bit, mono, at a rate in samples a second (tone.Files). The samples are shared: they must not be
// changed. Errors name the file, and the place in it.
func (l *Library) Samples(name string, rate int) ([]int16, error) {
	if l == nil || l.dir == "" {
		return nil, ErrNoLibrary
	}
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would hold the call up
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: no file", name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	want := kept{name: name, rate: rate, modified: info.ModTime(), bytes: info.Size()}
	if i := slices.IndexFunc(l.kept, want.same); i >= 0 {
		found := l.kept[i]
		l.kept = append(slices.Delete(l.kept, i, i+1), found)
		return found.samples, nil
	}
	if want.samples, err = read(f, name, rate); err != nil {
		return nil, err
	}
	l.keep(want)
	return want.samples, nil
}

func (k kept) same(o kept) bool {
	return k.name == o.name && k.rate == o.rate && k.modified.Equal(o.modified) && k.bytes == o.bytes
}

// read reads a whole file at a rate.
func read(f *os.File, name string, rate int) ([]int16, error) {
	r, err := NewReader(f, name)
	if err != nil {
		return nil, err
	}
	samples, err := r.ReadAll(MaxSamples)
	if err != nil {
		return nil, err
	}
	if at := int64(len(samples)) * int64(rate) / int64(r.Rate); at > MaxSamples {
		return nil, fmt.Errorf("%s: %w: %d samples at %d a second", name, ErrTooLong, at, rate)
	}
	return Resample(samples, r.Rate, rate), nil
}

// keep adds a file, in place of older versions of it, and of what was not asked for lately.
func (l *Library) keep(k kept) {
	l.kept = slices.DeleteFunc(l.kept, func(o kept) bool { return o.name == k.name && o.rate == k.rate })
	l.kept = append(l.kept, k)
	size := 0
	for _, k := range l.kept {
		size += len(k.samples)
	}
	for size > keptSamples {
		size -= len(l.kept[0].samples)
		l.kept = slices.Delete(l.kept, 0, 1)
	}
}
