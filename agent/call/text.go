package call

import (
	"slices"
	"time"
)

// Text is a text message (RFC 3428) that came or went.
type Text struct {
	ID        string    `json:"id"`
	Line      string    `json:"line"`
	Direction Direction `json:"direction"`
	// Remote is who sent it, or whom it is for: a URI without parameters.
	Remote string `json:"remote"`
	// RemoteName is the sender's display name; Anonymous: who asks not to be shown.
	RemoteName string `json:"remoteName,omitempty"`
	Anonymous  bool   `json:"anonymous,omitempty"`
	// Call it came within; "" = none.
	Call string `json:"call,omitempty"`
	Text string `json:"text"`
	// At is when it came, or was sent.
	At time.Time `json:"at"`
	// Code is the final response, ours or the other side's; 0 = there is none (yet).
	// Reason says it in words; a message that is under way has neither.
	Code   int    `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// EndedAt is when there was one, or none was waited for any more.
	EndedAt time.Time `json:"endedAt,omitzero"`
	// Treatment says what rules made of it, step by step.
	Treatment []string `json:"treatment,omitempty"`

	key textKey
}

// textKey is what the same MESSAGE shows on every path it comes by (RFC 3261 §8.2.2.2).
type textKey struct {
	callID, tag string
	seq         uint32
}

// Bounds of the texts that a line remembers, and of one of them.
const (
	mostTexts     = 50
	mostTextBytes = 64 << 10
	mostText      = 64 << 10 // bytes, where the account names no bound
	mostSending   = 32       // texts without a final response
)

// texts are the last of a line, oldest first.
type texts struct {
	all   []Text
	bytes int
}

func (t *texts) add(m Text) {
	t.all = append(t.all, m)
	t.bytes += len(m.Text)
	gone := 0
	for len(t.all)-gone > mostTexts || t.bytes > mostTextBytes && len(t.all)-gone > 1 {
		t.bytes -= len(t.all[gone].Text)
		gone++
	}
	t.all = slices.Delete(t.all, 0, gone)
}

func (t *texts) find(id string) int {
	return slices.IndexFunc(t.all, func(m Text) bool { return m.ID == id })
}

// came tells whether a message is here already.
func (t *texts) came(key textKey) bool {
	return slices.ContainsFunc(t.all, func(m Text) bool { return m.Direction == In && m.key == key })
}

// Texts are the line's last text messages, oldest first: at most 50, and 64 KiB of text.
func (s *Set) Texts() []Text {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.texts.all)
}

// Text is one of them.
func (s *Set) Text(id string) (Text, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.texts.find(id); i >= 0 {
		return s.texts.all[i], true
	}
	return Text{}, false
}
