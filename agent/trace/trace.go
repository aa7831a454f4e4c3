// Package trace keeps the SIP messages of an agent's lines and calls as they were on
// the wire, so that "what did they say to each other?" is answered after the fact, by
// the agent itself: as text with arrows (Ladder), as JSON, and as a capture file.
//
// What must not be shown is taken out before a message is kept (redact.go): nothing
// that reads a Store can give away what it does not hold. What is kept is bounded, in
// messages and bytes of one call and of all together; what was not used for longest
// goes first, and of failed calls later than of those that went well.
package trace

import (
	"net/netip"
	"slices"
	"time"
)

// Message is one SIP message, without its secrets. Nobody writes to it.
type Message struct {
	// At is when it was sent or received.
	At   time.Time
	Sent bool
	// Transport is UDP, TCP or TLS.
	Transport     string
	Local, Remote netip.AddrPort
	// Text is the message, its secrets replaced. It may be cut (Cut).
	Text []byte
	Cut  bool
	// CallID, the method of CSeq and its number as text; "" where the message has none
	// that can be read. Code is that of a response, 0 for a request.
	CallID, Method, CSeq string
	Code                 int
	// Problem is why the message never got onto the wire; "" = it did.
	Problem string
	// Again counts the times that the same message went the same way before.
	Again int
}

// Trace is what is kept of a call or a line, in the order it happened.
type Trace struct {
	Messages []Message
	// Dropped messages were more than is kept of one call.
	Dropped int
}

// After gives what came after a time.
func (t Trace) After(at time.Time) Trace {
	t.Messages = slices.DeleteFunc(slices.Clone(t.Messages), func(m Message) bool { return !m.At.After(at) })
	return t
}

// Until is the time of the last message; zero when there is none.
func (t Trace) Until() (last time.Time) {
	for _, m := range t.Messages {
		if m.At.After(last) {
			last = m.At
		}
	}
	return last
}

// From and To are the ends of a message's way.
func (m Message) From() netip.AddrPort {
	if m.Sent {
		return m.Local
	}
	return m.Remote
}

// To is where it went.
func (m Message) To() netip.AddrPort {
	if m.Sent {
		return m.Remote
	}
	return m.Local
}

// sorted puts messages in order and counts those that came again.
func sorted(all []Message) []Message {
	slices.SortStableFunc(all, func(a, b Message) int { return a.At.Compare(b.At) })
	type same struct {
		from, to netip.AddrPort
		text     string
	}
	seen := map[same]int{}
	for i := range all {
		k := same{all[i].From(), all[i].To(), string(all[i].Text)}
		all[i].Again = seen[k]
		seen[k]++
	}
	return all
}
