package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// What a description may hold at most. Real ones stay far below; a hostile one must not cost us memory.
const (
	maxSize  = 64 << 10
	maxMedia = 32
)

// ErrSyntax says that a body is no session description.
var ErrSyntax = errors.New("not a session description")

// Parse reads a description. It takes any line end, any order of lines and unknown lines; it refuses, wrapping ErrSyntax, what would
// leave a stream's address, port or formats in doubt.
func Parse(body []byte) (*Description, error) {
	if len(body) > maxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrSyntax, len(body), maxSize)
	}
	p := parser{d: &Description{}}
	number := 0
	for line := range strings.Lines(string(body)) {
		number++
		if err := p.line(strings.TrimSpace(strings.Map(printable, line))); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrSyntax, number, err)
		}
	}
	if !p.version {
		return nil, fmt.Errorf("%w: no v= line", ErrSyntax)
	}
	return p.d, nil
}

type parser struct {
	d       *Description
	version bool
}

// printable makes spaces of line ends and other control characters.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

func (p *parser) line(line string) error {
	if len(line) < 2 || line[1] != '=' {
		return nil // empty, or nothing SDP knows
	}
	text := strings.TrimSpace(line[2:])
	switch line[0] {
	case 'v':
		p.version = true
		if text != "0" {
			return fmt.Errorf("version %q", text)
		}
	case 'o':
		p.d.Origin = parseOrigin(text)
	case 's':
		p.d.Name = text
	case 'c':
		return p.connection(text)
	case 'm':
		return p.media(text)
	case 'a':
		p.attribute(text)
	}
	return nil
}

// parseOrigin reads an o= line; what cannot be read stays zero, as nothing hangs on it but the owner's own comparisons.
func parseOrigin(text string) Origin {
	var o Origin
	f := strings.Fields(text)
	if len(f) < 6 {
		return o
	}
	o.Username = f[0]
	o.SessionID, _ = strconv.ParseUint(f[1], 10, 64)
	o.Version, _ = strconv.ParseUint(f[2], 10, 64)
	o.Addr, _ = netip.ParseAddr(f[5])
	o.Addr = o.Addr.Unmap().WithZone("")
	return o
}

func (p *parser) connection(text string) error {
	f := strings.Fields(text)
	if len(f) < 3 || !strings.EqualFold(f[0], "IN") {
		return fmt.Errorf("connection %q", text)
	}
	host, _, _ := strings.Cut(f[2], "/") // a multicast TTL
	if host == "" {
		return fmt.Errorf("connection %q", text)
	}
	c := &Connection{Host: host, Addr: parseAddr(host)}
	if n := len(p.d.Media); n > 0 {
		p.d.Media[n-1].Connection = c
	} else {
		p.d.Connection = c
	}
	return nil
}

// parseAddr reads an address; a name, or an address only valid on the peer's own link, gives the invalid address.
func parseAddr(host string) netip.Addr {
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

func (p *parser) media(text string) error {
	if len(p.d.Media) == maxMedia {
		return fmt.Errorf("more than %d media lines", maxMedia)
	}
	f := strings.Fields(text)
	if len(f) < 4 {
		return fmt.Errorf("media %q", text)
	}
	port, _, _ := strings.Cut(f[1], "/") // a number of ports, of hierarchical encodings
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("media port %q", f[1])
	}
	p.d.Media = append(p.d.Media, Media{Kind: f[0], Port: int(n), Proto: f[2], Formats: slices.Clone(f[3:])})
	return nil
}

func (p *parser) attribute(text string) {
	key, value, _ := strings.Cut(text, ":")
	a := Attribute{strings.TrimSpace(key), strings.TrimSpace(value)}
	if a.Key == "" {
		return
	}
	if n := len(p.d.Media); n > 0 {
		m := &p.d.Media[n-1]
		m.Attributes = append(m.Attributes, a)
		return
	}
	p.d.Attributes = append(p.d.Attributes, a)
}
