package provisioning

import (
	"context"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watch calls yield with the first snapshot and then with every one that
// differs, until the context ends. It returns an error only when the directory
// cannot be read at the start; later on, an unreadable directory changes nothing.
func (s *Source) Watch(ctx context.Context, yield func(Snapshot)) error {
	// Watching begins before the first reading: no change falls in between.
	events, closeWatcher := s.events()
	defer func() { closeWatcher() }()
	seen := stamp(s.opts.Dir, s.opts.CAFile)
	snap, _, err := s.Read()
	if err != nil {
		return err
	}
	yield(snap)
	poll := time.NewTimer(s.opts.Poll)
	defer poll.Stop()
	complained := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-events:
			if !open { // the directory itself went away or was replaced
				events = nil
				continue
			}
			s.settle(ctx, events)
		case <-poll.C:
			unwatched := events == nil
			if unwatched {
				events, closeWatcher = s.events()
			}
			began := time.Now()
			now := stamp(s.opts.Dir, s.opts.CAFile)
			poll.Reset(s.pause(time.Since(began), events != nil))
			// Without a watcher until now the stamp is not enough: two changes
			// within one tick of the file system's clock leave the same one.
			if !unwatched && now == seen && now != "" && !s.unread {
				continue
			}
		}
		now := stamp(s.opts.Dir, s.opts.CAFile) // before the reading: what changes during it shows at the next poll
		snap, changed, err := s.Read()
		if err != nil { // not seen: the next poll tries again
			if !complained {
				s.opts.Log.Error("accounts directory unreadable, the last snapshot stays in force", "error", err)
			}
			complained = true
			continue
		}
		complained, seen = false, now
		if changed {
			yield(snap)
		}
	}
}

// Looking at a directory of ten thousand files takes a while. Of an agent's time at
// rest that is a hundredth at most, where looking is all there is; a fraction of it
// where the file system tells of changes. mostPause bounds how long a change that it
// did not tell of goes unseen.
const (
	restAlone   = 100
	restWatched = 400
	mostPause   = 30 * time.Second
)

// pause between two looks, the last of which took this long.
func (s *Source) pause(took time.Duration, watched bool) time.Duration {
	rest := took * restAlone
	if watched {
		rest = took * restWatched
	}
	return max(s.opts.Poll, min(rest, mostPause))
}

// settle waits until nothing happened for Quiet, at most three times that.
func (s *Source) settle(ctx context.Context, events <-chan struct{}) {
	limit := time.NewTimer(3 * s.opts.Quiet)
	defer limit.Stop()
	for {
		quiet := time.NewTimer(s.opts.Quiet)
		select {
		case <-ctx.Done():
		case <-limit.C:
		case <-quiet.C:
		case _, open := <-events:
			quiet.Stop()
			if open {
				continue
			}
		}
		quiet.Stop()
		return
	}
}

// events gives a channel that ticks when something happened in the directory.
// It is nil when the file system cannot tell (the poll remains) and closed when
// the directory was removed.
func (s *Source) events() (events <-chan struct{}, closeWatcher func()) {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		if err = w.Add(s.opts.Dir); err != nil {
			_ = w.Close()
		}
	}
	if err != nil {
		if !s.polling { // it is tried at every poll; once is enough to say so
			s.opts.Log.Warn("directory cannot be watched, polling it", "dir", s.opts.Dir, "every", s.opts.Poll, "error", err)
		}
		s.polling = true
		return nil, func() {}
	}
	s.polling = false
	ticks, done := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(done)
		defer close(ticks)
		s.forward(w, ticks)
	}()
	return ticks, func() { _ = w.Close(); <-done }
}

// forward turns watcher events into ticks until the watcher is closed or the
// directory is gone.
func (s *Source) forward(w *fsnotify.Watcher, ticks chan<- struct{}) {
	tick := func() {
		select {
		case ticks <- struct{}{}:
		default:
		}
	}
	for {
		select {
		case e, ok := <-w.Events:
			if !ok {
				return
			}
			tick()
			if e.Name == s.opts.Dir && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) {
				_ = w.Close()
				return
			}
		case err, ok := <-w.Errors:
			if !ok {
				return
			}
			s.opts.Log.Warn("watching the directory", "error", fmt.Errorf("file events: %w", err))
			tick() // an overflow lost events: look for ourselves
		}
	}
}
