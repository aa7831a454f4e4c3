package sdp

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ICE is what one side of a stream says for Interactive Connectivity Establishment (RFC 8445, written as RFC 8839 has it).
type ICE struct {
	Ufrag, Pwd string
	Lite       bool // a=ice-lite: it answers checks and makes none
	Candidates []Candidate
}

// Candidate is a place where a stream may be received.
type Candidate struct {
	Foundation string
	Component  int    // 1 = RTP
	Priority   uint32 // the larger the better (RFC 8445 §5.1.2)
	Addr       netip.AddrPort
	Type       string         // host, srflx, prflx or relay
	Related    netip.AddrPort // what Addr leads to, for all but host; may be invalid
}

// Bounds of what is read.
const (
	mostCandidates = 32
	mostFoundation = 32
	leastUfrag     = 4  // RFC 8839 §5.4
	leastPwd       = 22 // so many characters are 128 bits
	mostSecret     = 256
)

// iceKeys are the attributes of ICE.
const (
	keyUfrag     = "ice-ufrag"
	keyPwd       = "ice-pwd"
	keyLite      = "ice-lite"
	keyMismatch  = "ice-mismatch"
	keyCandidate = "candidate"
)

// String writes a candidate as its attribute has it (RFC 8839 §5.1).
func (c Candidate) String() string {
	text := fmt.Sprintf("%s %d udp %d %s %d typ %s", c.Foundation, c.Component, c.Priority, c.Addr.Addr(), c.Addr.Port(), c.Type)
	if c.Related.IsValid() {
		text += fmt.Sprintf(" raddr %s rport %d", c.Related.Addr(), c.Related.Port())
	}
	return text
}

// ParseCandidate reads the value of a=candidate. It is an error when it is broken; ok is false for one that is sound but of no use
// here: another transport than UDP, or a name instead of an address.
func ParseCandidate(text string) (c Candidate, ok bool, err error) {
	f := strings.Fields(text)
	if len(f) < 8 || !strings.EqualFold(f[6], "typ") {
		return c, false, fmt.Errorf("candidate %.60q: want foundation, component, transport, priority, address, port and type", text)
	}
	component, err := strconv.ParseUint(f[1], 10, 8)
	if err != nil || component < 1 {
		return c, false, fmt.Errorf("candidate %.60q: component %.10q", text, f[1])
	}
	priority, err := strconv.ParseUint(f[3], 10, 31)
	if err != nil {
		return c, false, fmt.Errorf("candidate %.60q: priority %.20q", text, f[3])
	}
	port, err := strconv.ParseUint(f[5], 10, 16)
	if err != nil {
		return c, false, fmt.Errorf("candidate %.60q: port %.10q", text, f[5])
	}
	c = Candidate{Foundation: f[0], Component: int(component), Priority: uint32(priority), Type: strings.ToLower(f[7])}
	if len(c.Foundation) > mostFoundation || !slices.Contains([]string{"host", "srflx", "prflx", "relay"}, c.Type) {
		return c, false, nil // "unknown … MUST be ignored"
	}
	addr := parseAddr(f[4])
	if !strings.EqualFold(f[2], "udp") || !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() || port == 0 {
		return c, false, nil
	}
	c.Addr = netip.AddrPortFrom(addr.Unmap(), uint16(port))
	return c.related(f[8:]), true, nil
}

// related reads raddr and rport, which serve diagnosis alone.
func (c Candidate) related(f []string) Candidate {
	var addr netip.Addr
	var port uint64
	for i := 0; i+1 < len(f); i += 2 {
		switch strings.ToLower(f[i]) {
		case "raddr":
			addr = parseAddr(f[i+1])
		case "rport":
			port, _ = strconv.ParseUint(f[i+1], 10, 16)
		}
	}
	if addr.IsValid() {
		c.Related = netip.AddrPortFrom(addr.Unmap(), uint16(port))
	}
	return c
}

// attributes of ours.
func (i *ICE) attributes() []Attribute {
	if i == nil {
		return nil
	}
	list := []Attribute{{Key: keyUfrag, Value: i.Ufrag}, {Key: keyPwd, Value: i.Pwd}}
	for _, c := range i.Candidates {
		list = append(list, Attribute{Key: keyCandidate, Value: c.String()})
	}
	return list
}

// ice reads what the owner of a description says for a stream, nil for nothing that can be used. mismatch tells that its default
// address is none of its candidates: something between has changed it, and ICE cannot be used (RFC 8839 §4.2.5).
func (d *Description) ice(m *Media) (theirs *ICE, mismatch bool) {
	ufrag, pwd := "", ""
	if v, ok := d.attribute(m, keyUfrag); ok {
		ufrag = strings.TrimSpace(v)
	}
	if v, ok := d.attribute(m, keyPwd); ok {
		pwd = strings.TrimSpace(v)
	}
	if _, broken := attribute(m.Attributes, keyMismatch); broken || !iceSecret(ufrag, leastUfrag) || !iceSecret(pwd, leastPwd) {
		return nil, false
	}
	i := &ICE{Ufrag: ufrag, Pwd: pwd}
	_, i.Lite = attribute(d.Attributes, keyLite)
	unread := false
	for _, a := range m.Attributes {
		if !strings.EqualFold(a.Key, keyCandidate) || len(i.Candidates) >= mostCandidates {
			continue
		}
		c, ok, err := ParseCandidate(a.Value)
		unread = unread || err != nil || !ok
		if ok && c.Component == 1 {
			i.Candidates = append(i.Candidates, c)
		}
	}
	addr := d.connection(m).Addr
	unknown := !addr.IsValid() || addr.IsUnspecified() // as who finds its addresses later writes it
	there := slices.ContainsFunc(i.Candidates, func(c Candidate) bool { return c.Addr == netip.AddrPortFrom(addr.Unmap(), uint16(m.Port)) })
	if len(i.Candidates) > 0 && !there && !unknown && !unread {
		return nil, true
	}
	return i, false
}

// iceSecret tells a user name fragment or password that can be one: ice-chars, and enough of them.
func iceSecret(s string, least int) bool {
	if len(s) < least || len(s) > mostSecret {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '+' && r != '/'
	}) < 0
}

// ICE is what the first live audio stream says of it; nil for nothing that can be used.
func (d *Description) ICE() *ICE {
	i := d.audio()
	if i < 0 {
		return nil
	}
	theirs, _ := d.ice(&d.Media[i])
	return theirs
}

// Same tells whether a further description goes on with the same ICE session: another user name fragment or password begins a new
// one (RFC 8839 §4.4.1.1.1).
func (i *ICE) Same(j *ICE) bool {
	return i != nil && j != nil && i.Ufrag == j.Ufrag && i.Pwd == j.Pwd
}
