// Package provisioning turns a directory of account files into whole, validated
// snapshots.
//
// An agent must never run half of a change: the kubelet swaps a mounted Secret
// by one symlink, an editor writes files piece by piece, and either may hold a
// mistake. So the directory (never a single file) is watched, everything in it
// is read at once and judged, and only then handed on. A file that is wrong is
// refused by name while its last good content stays in force.
package provisioning

import (
	"bytes"
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Snapshot is everything the directory says, as one consistent whole.
type Snapshot struct {
	// Agent settings in force, defaults filled in.
	Agent delivery.Agent
	// Loaded is false while there is nothing that may run: agent.json was
	// never readable, and it may say which lines must not run.
	Loaded bool
	// Lines in force, sorted by name.
	Lines []Line
	// Checks in force, sorted by name.
	Checks []Check
	// Rejected files, sorted by name, each with what is wrong with it.
	Rejected []delivery.Rejected
	// Hash of the files in force (delivery.Hasher.Snapshot).
	Hash string
}

// Line is one account in force and what the operator wants of it.
type Line struct {
	// Name is the file's name without .xml; FILE/ID where a file holds several accounts.
	Name string
	// Account is the document's effective values.
	Account *account.Account
	// Row is the line's row of agent.json, defaults filled in.
	Row delivery.Line
	// ConfigHash of document and row (delivery.Hasher.Line), EffectiveHash of
	// the document after external provisioning.
	ConfigHash    string
	EffectiveHash string
	// Certificates its TLS connections are made with; never nil.
	Certificates *Certificates

	file string
	raw  []byte
}

// Document as delivered. It is parsed anew each time: a document is asked for
// when it changed, and a thousand of them at rest would be most of an agent's memory.
func (l Line) Document() *account.Document {
	documents, _, err := account.Read(bytes.NewReader(l.raw), account.ReadOptions{Mode: account.Authored, File: l.file})
	if err != nil || len(documents) == 0 {
		return &account.Document{} // it was read before: this cannot be
	}
	return documents[0]
}

// Options of a Source.
type Options struct {
	// Dir is the directory of files.
	Dir string
	// CAFile is a PEM file of authorities outside of Dir; "" = none.
	CAFile string
	// Quiet is how long nothing may have happened before the directory is
	// read, so that a burst of writes is read once; 0 = 10 ms. However busy the
	// directory, it is read at the latest after three times that.
	Quiet time.Duration
	// Poll is the safety net under the file system's events; 0 = 2 s.
	Poll time.Duration
	// Log gets what happened to files; never their content. nil = slog.Default().
	Log *slog.Logger
}

// Source reads one directory. It is not safe for concurrent use: one goroutine
// calls Read or Watch.
type Source struct {
	opts Options

	agent       delivery.Agent
	agentBytes  []byte
	agentLoaded bool
	files       map[string]kept[[]parsedLine] // by file name
	checks      map[string]kept[namedCheck]
	shared      account.Shared // settings of the lines

	roots     authorities          // the agent's last good ones
	client    clientCertificate    // likewise
	materials map[string]*material // in force, by line

	lastRaw  string // hash of what was read last, good or not
	rejected []delivery.Rejected
	unread   bool // a file that is there could not be read: it may be later
	polling  bool // the file system does not tell of changes, and that was said
}

// kept is the last good content of one file, and what was read from it.
type kept[T any] struct {
	content []byte
	value   T
}

type parsedLine struct {
	name    string
	account *account.Account
	raw     []byte // what the hashes cover
}

// New checks the options and returns a Source that has read nothing yet.
func New(o Options) (*Source, error) {
	if o.Dir == "" {
		return nil, errors.New("no directory of accounts given")
	}
	o.Dir = filepath.Clean(o.Dir) // the way file events spell it
	o.Quiet = cmp.Or(o.Quiet, 10*time.Millisecond)
	o.Poll = cmp.Or(o.Poll, 2*time.Second)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Source{opts: o, files: map[string]kept[[]parsedLine]{}, checks: map[string]kept[namedCheck]{}}, nil
}

// Read reads the directory now. changed is false when no byte differs from the
// last time. The error is about the directory itself; what is wrong with single
// files is in the snapshot.
func (s *Source) Read() (snap Snapshot, changed bool, err error) {
	raw, err := readDir(s.opts.Dir, s.opts.CAFile, s.agent)
	if err != nil {
		return Snapshot{}, false, err
	}
	s.unread = len(raw.failed) > 0
	if sum := raw.sum(); sum != s.lastRaw {
		s.lastRaw, changed = sum, true
		s.take(raw)
	}
	return s.snapshot(), changed, nil
}

// take judges what was read and keeps the good.
func (s *Source) take(raw rawFiles) {
	before := s.rejected
	s.rejected = nil
	s.takeAgent(raw)
	take(s, raw, s.files, delivery.LineName, s.readLines)
	take(s, raw, s.checks, delivery.CheckName, readCheck)
	s.takeCertificates(raw)
	slices.SortFunc(s.rejected, func(a, b delivery.Rejected) int { return cmp.Compare(a.File, b.File) })
	for _, r := range s.rejected {
		if !slices.Contains(before, r) {
			s.opts.Log.Warn("file refused, its last good content stays in force", "file", r.File, "reason", r.Reason)
		}
	}
}

// take judges every file of a kind anew when its bytes changed. ours tells whether
// a file is of that kind, and what it is called without the suffix.
func take[T any](s *Source, raw rawFiles, known map[string]kept[T], ours func(file string) (string, bool), read func(name, file string, content []byte) (T, error)) {
	for file := range known {
		if _, there := raw.content[file]; !there && raw.failed[file] == nil {
			delete(known, file)
		}
	}
	for file, err := range raw.failed {
		if _, is := ours(file); is {
			s.reject(file, err)
		}
	}
	for file, content := range raw.content {
		name, is := ours(file)
		if !is {
			continue
		}
		if last, ok := known[file]; ok && bytes.Equal(last.content, content) {
			continue
		}
		value, err := read(name, file, content)
		if err != nil {
			s.reject(file, err)
			continue
		}
		known[file] = kept[T]{content, value}
	}
}

func (s *Source) reject(file string, err error) {
	s.rejected = append(s.rejected, delivery.Rejected{File: file, Reason: err.Error()})
}

// snapshot gathers what is in force.
func (s *Source) snapshot() Snapshot {
	snap := Snapshot{Agent: s.agent.Defaults(), Loaded: s.agentLoaded, Rejected: slices.Clone(s.rejected)}
	hasher := delivery.NewHasher(s.agent.HashKey)
	inForce := map[string][]byte{}
	if s.agentBytes != nil {
		inForce[delivery.AgentFile] = s.agentBytes
	}
	for _, files := range []map[string][]byte{s.roots.files, s.client.files} {
		maps.Copy(inForce, files)
	}
	snap.Lines = slices.Grow(snap.Lines, len(s.files))
	for file, f := range s.files {
		inForce[file] = f.content
		for _, p := range f.value {
			m, ok := s.materials[p.name]
			if !ok {
				continue
			}
			maps.Copy(inForce, m.files)
			row := snap.Agent.Line(p.name)
			row.TLS = m.named
			snap.Lines = append(snap.Lines, Line{
				Name: p.name, Account: p.account, Row: row, Certificates: m.certificates, file: file, raw: p.raw,
				ConfigHash: hasher.Line(p.raw, row), EffectiveHash: hasher.Document(p.raw),
			})
		}
	}
	for file, f := range s.checks {
		inForce[file] = f.content
		snap.Checks = append(snap.Checks, Check{Name: f.value.name, Check: f.value.check, Hash: hasher.Document(f.content)})
	}
	snap.Hash = hasher.Snapshot(inForce)
	if !s.agentLoaded {
		snap.Lines, snap.Checks = nil, nil
	}
	slices.SortFunc(snap.Checks, func(a, b Check) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(snap.Lines, func(a, b Line) int { return cmp.Compare(a.Name, b.Name) })
	return snap
}
