// Package recording keeps what is said in calls, as WAV files in a directory that has a bound: how many files, how many bytes. It is a
// package of its own because a disk is slow and full at times, and a call's audio must notice neither: recordings take what they
// are given and return, a goroutine each writes, and what the disk does not keep up with is left out and counted.
package recording

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Defaults of Limits. The state directory of a pod holds 64 MiB.
const (
	DefaultFiles = 100
	DefaultBytes = 32 << 20
)

// Errors of a store.
var (
	ErrNone    = errors.New("no such recording")
	ErrNoStore = errors.New("there is no directory for recordings (--state)")
	ErrFull    = errors.New("the directory of recordings is full")
)

const suffix = ".wav"

// Limits of what a store keeps; 0 = the default.
type Limits struct {
	Files int
	Bytes int64
}

// Store is the directory. All methods may be called from any goroutine.
type Store struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex
	limits Limits
	kept   []*entry // oldest first
	bytes  int64
}

// entry is one file of it.
type entry struct {
	name    string
	bytes   int64
	running bool
}

// Open makes the directory, where it is missing, and finds what is in it of runs before. Without a directory nothing can be recorded.
func Open(dir string, log *slog.Logger) (*Store, error) {
	s := &Store{dir: dir, log: log}
	s.Set(Limits{})
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	files, err := os.ReadDir(dir) // by name, and so by age
	if err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || !info.Mode().IsRegular() || !strings.HasSuffix(f.Name(), suffix) {
			continue
		}
		s.kept, s.bytes = append(s.kept, &entry{name: f.Name(), bytes: info.Size()}), s.bytes+info.Size()
	}
	s.Set(Limits{})
	return s, nil
}

// Set puts other limits in force, and removes what is too much by them.
func (s *Store) Set(l Limits) {
	if l.Files <= 0 {
		l.Files = DefaultFiles
	}
	if l.Bytes <= 0 {
		l.Bytes = DefaultBytes
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
	s.room(0, 0)
}

// room makes room by removing the oldest recordings that are over, and tells whether there is enough.
func (s *Store) room(files int, bytes int64) bool {
	for len(s.kept)+files > s.limits.Files || s.bytes+bytes > s.limits.Bytes {
		i := slices.IndexFunc(s.kept, func(e *entry) bool { return !e.running })
		if i < 0 {
			return false
		}
		old := s.kept[i]
		if err := os.Remove(filepath.Join(s.dir, old.name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("old recording not removed", "file", old.name, "error", err)
			return false
		}
		s.kept, s.bytes = slices.Delete(s.kept, i, i+1), s.bytes-old.bytes
	}
	return true
}

// create makes the file of a call.
func (s *Store) create(name string) (*os.File, *entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.room(1, 0) {
		return nil, nil, ErrFull
	}
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, nil, err
	}
	e := &entry{name: name, running: true}
	s.kept = append(s.kept, e)
	return f, e, nil
}

// grow makes room for a file that becomes longer.
func (s *Store) grow(e *entry, to int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := to - e.bytes
	if more <= 0 {
		return nil
	}
	if !s.room(0, more) {
		return ErrFull
	}
	e.bytes, s.bytes = to, s.bytes+more
	return nil
}

// finish lets a file be removed when room is needed.
func (s *Store) finish(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.running = false
}

// Find opens the recording of a call by its id, be it over or not. Errors wrap ErrNone.
func (s *Store) Find(call string) (io.ReadSeekCloser, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.kept, func(e *entry) bool { return call != "" && strings.HasSuffix(e.name, "-"+call+suffix) })
	if i < 0 {
		return nil, "", fmt.Errorf("%w of call %q", ErrNone, call)
	}
	f, err := os.Open(filepath.Join(s.dir, s.kept[i].name))
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrNone, err)
	}
	return f, s.kept[i].name, nil
}

// nameOf a call's file: by its age first.
func nameOf(call string, began time.Time) string {
	return began.UTC().Format("20060102T150405.000Z") + "-" + call + suffix
}
