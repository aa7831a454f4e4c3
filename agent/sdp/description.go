// Package sdp describes sessions (RFC 8866) and negotiates them by offer and answer (RFC 3264).
//
// It exists so that what a call agrees on is decided by pure functions over values: no socket, no clock, no dialog. The parser is
// ours and forgiving, because descriptions in the field come with bare newlines, missing lines and lines out of order, and a
// softphone that answers 488 to those is of no use; media it cannot use it keeps, so that an answer can refuse it line by line.
package sdp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
)

// Description is one session description. Lines that play no part in offer and answer are dropped, attributes are kept in order.
type Description struct {
	Origin     Origin
	Name       string      // s=
	Connection *Connection // session-level c=, nil when absent
	Attributes []Attribute // session-level a=
	Media      []Media
}

// Origin is the o= line. The owner of a session keeps it and raises Version with every changed description (RFC 3264 §8).
type Origin struct {
	Username  string // "-" when empty
	SessionID uint64
	Version   uint64
	Addr      netip.Addr // invalid when it was written as a name
}

// NewOrigin makes the origin of a new session, with a random session id.
func NewOrigin(addr netip.Addr) Origin {
	return Origin{SessionID: uint64(rand.Uint32()), Version: 1, Addr: addr}
}

// Next is the origin of the next description in the same session.
func (o Origin) Next() Origin {
	o.Version++
	return o
}

// Connection is a c= line. Host is the address as written, without TTL; Addr is valid when Host is an address and not a name.
type Connection struct {
	Host string
	Addr netip.Addr
}

// Attribute is one a= line: "a=Key" or "a=Key:Value".
type Attribute struct{ Key, Value string }

// Media is one m= line with what belongs to it.
type Media struct {
	Kind       string      // "audio", "video", "image", …
	Port       int         // 0 = refused or withdrawn
	Proto      string      // "RTP/AVP", …
	Formats    []string    // the format list as written; payload types for RTP
	Connection *Connection // media-level c=, nil when absent
	Attributes []Attribute
}

// attribute finds the first attribute with a key.
func attribute(attributes []Attribute, key string) (string, bool) {
	for _, a := range attributes {
		if strings.EqualFold(a.Key, key) {
			return a.Value, true
		}
	}
	return "", false
}

// attribute finds an attribute of a stream: its own, else the session's.
func (d *Description) attribute(m *Media, key string) (string, bool) {
	if v, ok := attribute(m.Attributes, key); ok {
		return v, true
	}
	return attribute(d.Attributes, key)
}

// connection is where a stream is received: its own c=, else the session's, else nothing.
func (d *Description) connection(m *Media) Connection {
	switch {
	case m.Connection != nil:
		return *m.Connection
	case d.Connection != nil:
		return *d.Connection
	}
	return Connection{}
}

// Marshal writes the description with CRLF line ends.
func (d *Description) Marshal() []byte {
	b := []byte("v=0\r\n")
	username := d.Origin.Username
	if username == "" {
		username = "-"
	}
	b = fmt.Appendf(b, "o=%s %d %d IN %s\r\n", username, d.Origin.SessionID, d.Origin.Version, network(d.Origin.Addr))
	name := d.Name
	if name == "" {
		name = "-"
	}
	b = fmt.Appendf(b, "s=%s\r\n", name)
	b = d.Connection.appendTo(b)
	b = append(b, "t=0 0\r\n"...)
	b = appendAttributes(b, d.Attributes)
	for _, m := range d.Media {
		b = fmt.Appendf(b, "m=%s %d %s %s\r\n", m.Kind, m.Port, m.Proto, strings.Join(m.Formats, " "))
		b = m.Connection.appendTo(b)
		b = appendAttributes(b, m.Attributes)
	}
	return b
}

func (c *Connection) appendTo(b []byte) []byte {
	switch {
	case c == nil:
		return b
	case c.Addr.IsValid():
		return fmt.Appendf(b, "c=IN %s\r\n", network(c.Addr))
	}
	return fmt.Appendf(b, "c=IN IP4 %s\r\n", c.Host)
}

func appendAttributes(b []byte, attributes []Attribute) []byte {
	for _, a := range attributes {
		b = append(append(b, "a="...), a.Key...)
		if a.Value != "" {
			b = append(append(b, ':'), a.Value...)
		}
		b = append(b, "\r\n"...)
	}
	return b
}

// network is an address with its SDP address type.
func network(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "IP4 0.0.0.0"
	case a.Unmap().Is4():
		return "IP4 " + a.Unmap().String()
	}
	return "IP6 " + a.String()
}

// at makes a c= line for an address.
func at(a netip.Addr) *Connection { return &Connection{Host: a.Unmap().String(), Addr: a.Unmap()} }

// value makes an attribute with a number.
func value(key string, n int) Attribute { return Attribute{key, strconv.Itoa(n)} }
