package relay

import (
	"net/textproto"
	"slices"
	"strings"
	"time"
)

// Message is a SIP message that went by.
type Message struct {
	At time.Time
	// Up: from a client to the registrar.
	Up bool
	// Method of a request, from CSeq that of a response; Code of a response.
	Method, Code string
	// Text is the whole message.
	Text string
}

// Parse reads what a message says of itself; what is none is no message.
func Parse(raw []byte) (Message, bool) {
	m := Message{Text: string(raw)}
	first, _, _ := strings.Cut(m.Text, "\r\n")
	words := strings.SplitN(first, " ", 3)
	switch {
	case len(words) < 3:
		return m, false
	case words[0] == "SIP/2.0":
		m.Code = words[1]
		_, m.Method, _ = strings.Cut(m.Header("CSeq"), " ")
	default:
		m.Method = words[0]
	}
	return m, true
}

// Header gives the first value of a header; "" when there is none.
func (m Message) Header(name string) string {
	name = textproto.CanonicalMIMEHeaderKey(name)
	head, _, _ := strings.Cut(m.Text, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(key)) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// User is the user part of the From URI: the line.
func (m Message) User() string {
	_, rest, _ := strings.Cut(m.Header("From"), "sip")
	_, rest, _ = strings.Cut(rest, ":")
	user, _, _ := strings.Cut(rest, "@")
	return user
}

// Transaction tells a request from its retransmissions, which have the same.
func (m Message) Transaction() string {
	_, branch, _ := strings.Cut(m.Header("Via"), "branch=")
	if i := strings.IndexAny(branch, ";, "); i >= 0 {
		branch = branch[:i]
	}
	return branch + " " + m.Header("CSeq")
}

// Requests of a method among messages, each once however often it was sent again.
func Requests(seen []Message, method string) []Message {
	known := map[string]bool{}
	var all []Message
	for _, m := range seen {
		if m.Up && m.Code == "" && m.Method == method && !known[m.Transaction()] {
			known[m.Transaction()] = true
			all = append(all, m)
		}
	}
	return all
}

// Busiest is the most messages within one second, wherever it begins.
func Busiest(messages []Message) (most int) {
	all := slices.Clone(messages)
	slices.SortFunc(all, func(a, b Message) int { return a.At.Compare(b.At) })
	first := 0
	for i, m := range all {
		for m.At.Sub(all[first].At) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// PerSecond counts messages in each second from the first second to the last,
// which end where the clock's begin.
func PerSecond(messages []Message) []int {
	if len(messages) == 0 {
		return nil
	}
	first := messages[0].At.Unix()
	counts := make([]int, messages[len(messages)-1].At.Unix()-first+1)
	for _, m := range messages {
		counts[m.At.Unix()-first]++
	}
	return counts
}
