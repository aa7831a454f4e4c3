// Package sdp describes sessions (RFC 8866) and negotiates them by offer and answer (RFC 3264).
//
// It exists so that what a call agrees on is decided by pure functions over values: no socket, no clock, no dialog. The parser is
// ours and forgiving, because descriptions in the field come with bare newlines, missing lines and lines out of order, and a
// softphone that answers 488 to those is of no use; what it cannot use it keeps, so that an answer can refuse it line by line.
package sdp

import "net/netip"

// Description is one session description. Unknown lines are dropped, unknown attributes are kept in order.
type Description struct {
	Origin     Origin
	Name       string      // s=
	Connection *Connection // session-level c=, nil when absent
	Direction  Direction   // session-level direction, SendRecv when absent
	Attributes []Attribute // session-level a=
	Media      []Media
}

// Origin is the o= line. The owner of a session keeps Username, SessionID and Addr and raises Version with every changed description.
type Origin struct {
	Username  string // "-" when empty
	SessionID uint64
	Version   uint64
	Addr      netip.Addr
}

// Connection is a c= line. Host is the address as written; Addr is valid when Host is an address and not a name.
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
