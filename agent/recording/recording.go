package recording

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/soundfile"
)

const (
	// waiting is how many stretches of audio may wait for the disk: of a tenth of a second, as calls hand them over, six seconds.
	waiting = 64
	// patience bounds how long the end of a recording is waited for.
	patience = 2 * time.Second
	channels = 2
)

// Recording is one call's file: left what we sent, right what we heard. It implements media.Recorder.
type Recording struct {
	store *Store
	name  string
	work  chan stretch
	ended chan struct{}
	free  sync.Pool // of *[]int16
	once  sync.Once

	rate, dropped atomic.Int64 // dropped frames

	mu      sync.Mutex
	bytes   int64
	problem error
}

type stretch struct {
	pcm   *[]int16
	rate  int
	first int64
}

// Result is what became of a recording.
type Result struct {
	// File in the directory of recordings; "" = there is none.
	File  string
	Bytes int64
	// Length of the call that it holds, and of what is silent in it because the disk was too slow.
	Length, Dropped time.Duration
	// Err is why it is not whole, or was not made.
	Err error
}

// Begin records a call. The file is made with the first audio; Close must be called.
func (s *Store) Begin(call string, began time.Time) (*Recording, error) {
	if s == nil || s.dir == "" {
		return nil, ErrNoStore
	}
	r := &Recording{store: s, name: nameOf(call, began), work: make(chan stretch, waiting), ended: make(chan struct{})}
	r.free.New = func() any { return new([]int16) }
	go r.run()
	return r, nil
}

// File is the name the recording has, or will have.
func (r *Recording) File() string { return r.name }

// Record implements media.Recorder: it takes the audio, or counts what there is no room for, and returns.
func (r *Recording) Record(pcm []int16, rate int, first int64) {
	r.rate.Store(int64(rate))
	kept := r.free.Get().(*[]int16)
	*kept = append((*kept)[:0], pcm...)
	select {
	case r.work <- stretch{kept, rate, first}:
	default:
		r.free.Put(kept)
		r.dropped.Add(int64(len(pcm) / channels))
	}
}

// Close ends the recording when all of it is written, and tells what became of it. Nothing may be recorded after it. A disk that
// takes too long is left to it.
func (r *Recording) Close() Result {
	r.once.Do(func() { close(r.work) })
	late := time.NewTimer(patience)
	defer late.Stop()
	var slow error
	select {
	case <-r.ended:
	case <-late.C:
		slow = fmt.Errorf("the disk takes longer than %v", patience)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	result := Result{File: r.name, Bytes: r.bytes, Err: r.problem}
	if result.Err == nil {
		result.Err = slow
	}
	if r.bytes == 0 {
		result.File = ""
	}
	if rate := r.rate.Load(); rate > 0 {
		result.Length = time.Duration((r.bytes-min(r.bytes, soundfile.HeaderSize))/(2*channels)) * time.Second / time.Duration(rate)
		result.Dropped = time.Duration(r.dropped.Load()) * time.Second / time.Duration(rate)
	}
	return result
}

// run writes what comes until it ends. After an error what comes is thrown away.
func (r *Recording) run() {
	defer close(r.ended)
	var f *file
	for s := range r.work {
		if r.failed() == nil {
			if err := r.write(&f, s); err != nil {
				r.fail(err)
			}
		}
		r.free.Put(s.pcm)
	}
	if f != nil {
		if err := f.Close(); err != nil {
			r.fail(err)
		}
		r.store.finish(f.entry)
	}
}

// write writes one stretch, and what the header says after it.
func (r *Recording) write(f **file, s stretch) error {
	if *f == nil {
		var err error
		if *f, err = r.store.open(r.name, s.rate); err != nil {
			return err
		}
	}
	end := soundfile.HeaderSize + 2*channels*(s.first+int64(len(*s.pcm)/channels))
	if err := r.store.grow((*f).entry, end); err != nil {
		return err
	}
	if err := (*f).writer.WriteAt(*s.pcm, s.first); err != nil {
		return err
	}
	if err := (*f).writer.Sync(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes = (*f).writer.Bytes()
	return nil
}

func (r *Recording) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.problem
}

func (r *Recording) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem == nil {
		r.problem = err
	}
}

// file is one that is written.
type file struct {
	*os.File
	entry  *entry
	writer *soundfile.Writer
}

func (s *Store) open(name string, rate int) (*file, error) {
	f, e, err := s.create(name)
	if err != nil {
		return nil, err
	}
	w, err := soundfile.NewWriter(f, rate, channels)
	if err != nil {
		_ = f.Close()
		s.finish(e)
		return nil, err
	}
	return &file{File: f, entry: e, writer: w}, nil
}
