package ua

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// unreadable is a request that the parser does not take, as far as it takes to refuse
// it: "the UAS … should respond with 400" is what RFC 4475 §3.1.2 has for nearly all
// of them, and whoever sent one in good faith learns why nothing comes of it.
type unreadable struct {
	vias                     []string
	from, to, callID, number string // "" = not there
	code                     int
	reason                   string
}

// refuseUnreadable answers such a request, without a transaction (RFC 3261 §8.2.7): one
// sent again is looked at again. It is silent where there is no telling whom to answer.
func (s *uas) refuseUnreadable(raw []byte, from netip.AddrPort, by *stream, why error) {
	s.endpoint.log.Debug("request refused unread", "from", from, "error", why)
	u, ok := salvage(raw)
	if !ok {
		return
	}
	back, ok := u.wayBack(from, by)
	if !ok {
		return
	}
	if u.code == 0 {
		u.code, u.reason = 400, "Bad Request"
	}
	_ = s.write(back, u.response(maphash.Bytes(s.handover.seed, raw), s.endpoint.cfg.UserAgent))
}

// requestLine is what begins a request, well or badly; the URI of a good one is in it.
var requestLine = regexp.MustCompile(`^([^\s"<>@:]+)\s+(.*\S)\s+SIP/[0-9]+\.[0-9]+\s*$`)

// scheme is how a URI begins (RFC 3986 §3.1).
var scheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):`)

// salvage finds what a response needs; false: it is no request, or an ACK, which
// has none.
func salvage(raw []byte) (unreadable, bool) {
	var u unreadable
	lines := unfolded(raw)
	start := requestLine.FindStringSubmatch(lines[0])
	if start == nil || strings.EqualFold(start[1], "ACK") {
		return u, false
	}
	if found := scheme.FindStringSubmatch(start[2]); found != nil && !strings.EqualFold(found[1], "sip") && !strings.EqualFold(found[1], "sips") {
		u.code, u.reason = 416, "Unsupported URI Scheme"
	}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimRight(name, " \t")) {
		case "via", "v":
			u.vias = append(u.vias, value)
		case "from", "f":
			once(&u.from, value)
		case "to", "t":
			once(&u.to, value)
		case "call-id", "i":
			once(&u.callID, value)
		case "cseq":
			once(&u.number, value)
		}
	}
	return u, len(u.vias) > 0
}

func once(to *string, value string) {
	if *to == "" {
		*to = value
	}
}

// unfolded are the lines before the body, each header on one (RFC 3261 §7.3.1), without
// anything that could begin another. There is at least one.
func unfolded(raw []byte) []string {
	if end := bytes.Index(raw, headersEnd); end >= 0 {
		raw = raw[:end]
	}
	var lines []string
	for line := range bytes.SplitSeq(raw, []byte("\n")) {
		bare := bytes.Clone(bytes.TrimRight(line, "\r")) // byte by byte: what is no UTF-8 goes back as it came
		for i, c := range bare {
			if c < ' ' || c == 0x7f {
				bare[i] = ' '
			}
		}
		text := string(bare)
		if n := len(lines); n > 0 && (strings.HasPrefix(text, " ") || bytes.HasPrefix(line, []byte("\t"))) {
			lines[n-1] += " " + strings.TrimSpace(text)
			continue
		}
		lines = append(lines, text)
	}
	return lines
}

// wayBack is where the answer goes by the top Via, which is completed when it can be
// read whole; else its first words, protocol and sent-by, must do.
func (u *unreadable) wayBack(from netip.AddrPort, by *stream) (way, bool) {
	top, others, several := strings.Cut(u.vias[0], ",")
	whole := true
	req, err := viaOf(top)
	if err != nil {
		whole = false
		top, _, _ = strings.Cut(top, ";")
		req, err = viaOf(top)
	}
	if err != nil || req.Via() == nil {
		return way{}, false
	}
	back := wayBack(req, from, by)
	if whole {
		u.vias[0] = req.Via().Value()
		if several {
			u.vias[0] += ", " + others
		}
	}
	return back, true
}

// viaOf reads a Via by itself.
func viaOf(value string) (*sip.Request, error) {
	msg, err := sip.ParseMessage([]byte("OPTIONS sip:x SIP/2.0\r\nVia: " + value + "\r\n\r\n"))
	if err != nil {
		return nil, err
	}
	return msg.(*sip.Request), nil
}

// response writes the refusal. tag is made of the request, so that the same has the
// same (§8.2.7).
func (u *unreadable) response(tag uint64, server string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", u.code, u.reason)
	for _, via := range u.vias {
		b.WriteString("Via: " + via + "\r\n")
	}
	if u.to != "" && !strings.Contains(strings.ReplaceAll(strings.ToLower(u.to), " ", ""), ";tag=") {
		u.to += ";tag=" + strconv.FormatUint(tag, 36)
	}
	for _, h := range [][2]string{{"From", u.from}, {"To", u.to}, {"Call-ID", u.callID}, {"CSeq", u.number}, {"Server", server}} {
		if h[1] != "" {
			b.WriteString(h[0] + ": " + h[1] + "\r\n")
		}
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	return []byte(b.String())
}
