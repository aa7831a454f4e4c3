package trace

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// shown is a message as JSON.
type shown struct {
	At        time.Time `json:"at"`
	Direction string    `json:"direction"` // sent or received
	Transport string    `json:"transport"`
	Local     string    `json:"local"`
	Remote    string    `json:"remote"`
	Method    string    `json:"method"`
	Code      int       `json:"code,omitempty"`
	CSeq      string    `json:"cseq,omitempty"`
	CallID    string    `json:"callId,omitempty"`
	// Retransmission counts the times that it went the same way before.
	Retransmission int    `json:"retransmission,omitempty"`
	Cut            bool   `json:"cut,omitempty"`
	NotSent        string `json:"notSent,omitempty"`
	Message        string `json:"message"`
}

// MarshalJSON tells everything that is known of a message.
func (m Message) MarshalJSON() ([]byte, error) {
	direction := "received"
	if m.Sent {
		direction = "sent"
	}
	return plainJSON(shown{
		At: m.At, Direction: direction, Transport: m.Transport, Local: m.Local.String(), Remote: m.Remote.String(), Method: m.Method, Code: m.Code,
		CSeq: m.CSeq, CallID: m.CallID, Retransmission: m.Again, Cut: m.Cut, NotSent: m.Problem, Message: strings.ToValidUTF8(string(m.Text), "\uFFFD"),
	})
}

// MarshalJSON tells the messages, and what is missing among them.
func (t Trace) MarshalJSON() ([]byte, error) {
	all := t.Messages
	if all == nil {
		all = []Message{}
	}
	return plainJSON(struct {
		Messages []Message `json:"messages"`
		Dropped  int       `json:"dropped,omitempty"`
	}{all, t.Dropped})
}

// plainJSON leaves <, > and & as they are: SIP is full of them, and this is no web page.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}
