package trace

import (
	"bytes"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// class of a conversation: what it is about decides whose room it takes, so that no
// flood of one kind pushes out another.
type class uint8

const (
	calls    class = iota
	failures       // calls that were refused: those one looks at
	events         // REGISTER, SUBSCRIBE, NOTIFY, MESSAGE
	troubles       // such that are refused, or not answered, for as long as they are
	pings          // OPTIONS
	classes
)

// Bounds of what is kept.
const (
	// mostText of one message, in bytes.
	mostText = 16 << 10
	// retention of a call after its last message: as long as its record.
	retention = 10 * time.Minute
	// eventRetention is the same for what is not a call.
	eventRetention = 24 * time.Hour
	// cost of a message and of a conversation beside their text, in bytes.
	messageCost      = 96
	conversationCost = 320
)

// bounds of one conversation and of all of a class, in messages and bytes. The first
// messages stay when there are too many: how a call began says most.
var bounds = [classes]struct{ messages, first, bytes, all int }{
	calls:    {256, 32, 128 << 10, 10 << 20},
	failures: {256, 32, 128 << 10, 4 << 20},
	events:   {24, 0, 24 << 10, 1 << 19},
	troubles: {24, 0, 24 << 10, 2 << 20},
	pings:    {4, 0, 8 << 10, 1 << 19},
}

// Store keeps the messages of an agent. All methods may be called from any goroutine.
type Store struct {
	sink atomic.Pointer[func(Message)]

	mu      sync.Mutex
	all     map[string]*conversation
	class   [classes]queue
	scratch []byte
	now     func() time.Time
}

// conversation is what has one Call-ID.
type conversation struct {
	id           string
	class        class
	answered     bool
	messages     []record
	bytes        int
	dropped      int
	last         time.Time
	older, newer *conversation
}

// record is a message as it is kept.
type record struct {
	at      int64 // nanoseconds since 1970
	way     *way
	text    []byte
	problem *string // nil = none
	method  string
	code    int16
	sent    bool
	cut     bool
}

type way struct {
	transport     string
	local, remote netip.AddrPort
}

// queue of conversations, the one not used for longest first.
type queue struct {
	oldest, newest *conversation
	bytes          int
}

// NewStore gives an empty one.
func NewStore() *Store { return &Store{all: map[string]*conversation{}, now: time.Now} }

// Forward has f called with every message to come, in order; nil = no more. It must
// not block, nor call back.
func (s *Store) Forward(f func(Message)) {
	if f == nil {
		s.sink.Store(nil)
		return
	}
	s.sink.Store(&f)
}

// Message implements ua.Tap.
func (s *Store) Message(sent bool, transport string, local, remote netip.AddrPort, raw []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, f := redact(s.scratch[:0], raw)
	s.scratch = text[:0]
	if cap(s.scratch) > 2*mostText {
		s.scratch = nil
	}
	now := s.now()
	r := record{at: now.UnixNano(), sent: sent, code: int16(f.code), method: methodName(f.method)}
	if r.cut = len(text) > mostText; r.cut {
		text = text[:mostText]
	}
	r.text = append(make([]byte, 0, len(text)), text...)
	c := s.conversation(f, r)
	c.last = now
	r.way = c.way(transport, local, remote)
	s.add(c, r)
	if sink := s.sink.Load(); sink != nil {
		(*sink)(c.message(r))
	}
}

// NotSent notes that the last message to remote with this text never left.
func (s *Store) NotSent(remote netip.AddrPort, raw []byte, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, f := redact(nil, raw)
	c := s.all[string(f.callID)]
	if c == nil {
		return
	}
	for i := len(c.messages) - 1; i >= 0; i-- {
		r := &c.messages[i]
		if r.sent && r.way.remote == remote && string(r.text) == string(text[:min(len(text), mostText)]) {
			problem := cause.Error()
			r.problem = &problem
			if c.class == events {
				s.class[events].remove(c)
				c.class = troubles
				s.class[troubles].add(c)
			}
			return
		}
	}
}

// methodName gives the method without allocating for those that are known.
func methodName(b []byte) string {
	for _, known := range [...]string{"INVITE", "ACK", "BYE", "REGISTER", "OPTIONS", "CANCEL", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE", "PUBLISH"} {
		if string(b) == known {
			return known
		}
	}
	return string(b[:min(len(b), 32)])
}

// classOf a conversation that begins with this method.
func classOf(method []byte) class {
	switch string(method) {
	case "INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "REFER":
		return calls
	case "OPTIONS":
		return pings
	}
	return events
}

// mostID bounds a Call-ID as a key; who sends longer ones shares.
const mostID = 256

// conversation gives the one a message belongs to.
func (s *Store) conversation(f facts, r record) *conversation {
	id := f.callID[:min(len(f.callID), mostID)]
	if c := s.all[string(id)]; c != nil {
		s.class[c.class].remove(c)
		c.class = c.becomes(f, r)
		s.class[c.class].add(c)
		return c
	}
	c := &conversation{id: string(id), class: classOf(f.method), bytes: conversationCost}
	s.all[c.id] = c
	s.class[c.class].add(c)
	return c
}

// becomes gives the class of a conversation with another message in it.
func (c *conversation) becomes(f facts, r record) class {
	switch {
	case c.class == calls && c.fails(f):
		return failures
	case c.class == troubles && f.code >= 200 && f.code < 300:
		return events
	case c.class != events:
	case f.code >= 300 && f.code != 401 && f.code != 407, r.sent && f.code == 0 && c.repeats(r):
		return troubles
	}
	return c.class
}

// repeats tells whether a message is the last one again: nobody answered.
func (c *conversation) repeats(r record) bool {
	n := len(c.messages)
	return n > 0 && c.messages[n-1].sent && bytes.Equal(c.messages[n-1].text, r.text)
}

// fails tells whether a message says that a call came to nothing.
func (c *conversation) fails(f facts) bool {
	if string(f.method) != "INVITE" || f.code < 200 {
		return false
	}
	c.answered = c.answered || f.code < 300
	return !c.answered && f.code != 401 && f.code != 407
}

// way gives the message's, the same for all that share it.
func (c *conversation) way(transport string, local, remote netip.AddrPort) *way {
	w := way{transport, local, remote}
	for i := len(c.messages) - 1; i >= max(0, len(c.messages)-4); i-- {
		if *c.messages[i].way == w {
			return c.messages[i].way
		}
	}
	fresh := w // w itself stays on the stack
	return &fresh
}

// add keeps a message, and lets others go for it.
func (s *Store) add(c *conversation, r record) {
	b, q := bounds[c.class], &s.class[c.class]
	before := c.bytes
	c.messages = append(c.messages, r)
	c.bytes += r.cost()
	for len(c.messages) > b.messages || c.bytes > b.bytes && len(c.messages) > 1 {
		c.shorten(b.first)
	}
	q.bytes += c.bytes - before
	for q.bytes > b.all && q.oldest != c {
		s.drop(q.oldest)
	}
}

// shorten drops some messages after the first ones, never the last: several, so that
// not each message to come has to move them all.
func (c *conversation) shorten(first int) {
	from := min(first, len(c.messages)-2)
	to := min(from+1+len(c.messages)/16, len(c.messages)-1)
	for _, r := range c.messages[from:to] {
		c.bytes -= r.cost()
		c.dropped++
	}
	c.messages = slices.Delete(c.messages, from, to)
}

func (r record) cost() int { return len(r.text) + messageCost }

func (s *Store) drop(c *conversation) {
	s.class[c.class].remove(c)
	delete(s.all, c.id)
}

func (q *queue) add(c *conversation) {
	c.older, c.newer = q.newest, nil
	if q.newest != nil {
		q.newest.newer = c
	} else {
		q.oldest = c
	}
	q.newest = c
	q.bytes += c.bytes
}

func (q *queue) remove(c *conversation) {
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		q.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		q.newest = c.older
	}
	c.older, c.newer = nil, nil
	q.bytes -= c.bytes
}

// Sweep lets go of what is older than what it is about: calls that are over, and not
// among those that run (by Call-ID), after 10 minutes.
func (s *Store) Sweep(running map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for class := range classes {
		life := eventRetention
		if class == calls || class == failures {
			life = retention
		}
		var next *conversation
		for c := s.class[class].oldest; c != nil && now.Sub(c.last) > life; c = next {
			next = c.newer
			if !running[c.id] {
				s.drop(c)
			}
		}
	}
}

// Call gives what is kept of a Call-ID; ok: something is.
func (s *Store) Call(id string) (t Trace, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.all[id[:min(len(id), mostID)]]
	if c == nil {
		return Trace{}, false
	}
	return Trace{Messages: sorted(c.list()), Dropped: c.dropped}, true
}

// Line gives everything beside calls that is a line's: all of a conversation of which
// one message is.
func (s *Store) Line(of func(Message) bool) Trace {
	type found struct {
		messages []Message
		dropped  int
	}
	var all []found
	s.mu.Lock()
	for _, c := range s.all {
		if c.class != calls && c.class != failures {
			all = append(all, found{c.list(), c.dropped})
		}
	}
	s.mu.Unlock()
	var t Trace
	for _, f := range all {
		if slices.ContainsFunc(f.messages, of) {
			t.Messages, t.Dropped = append(t.Messages, f.messages...), t.Dropped+f.dropped
		}
	}
	t.Messages = sorted(t.Messages)
	return t
}

// Bytes that are kept.
func (s *Store) Bytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := 0
	for class := range classes {
		sum += s.class[class].bytes
	}
	return sum
}

func (c *conversation) list() []Message {
	all := make([]Message, 0, len(c.messages))
	for _, r := range c.messages {
		all = append(all, c.message(r))
	}
	return all
}

func (c *conversation) message(r record) Message {
	problem := ""
	if r.problem != nil {
		problem = *r.problem
	}
	return Message{
		At: time.Unix(0, r.at), Sent: r.sent, Transport: r.way.transport, Local: r.way.local, Remote: r.way.remote, Text: r.text, Cut: r.cut,
		CallID: c.id, Method: r.method, CSeq: Header(r.text, "CSeq", ""), Code: int(r.code), Problem: problem,
	}
}
