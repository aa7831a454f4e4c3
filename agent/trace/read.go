package trace

import (
	"bytes"
	"cmp"
	"strings"
)

// Header gives the value of a message's first header of a name, or of its compact form
// ("" = it has none); "" when there is none.
func Header(text []byte, name, compact string) string {
	_, rest := cutLine(text)
	for len(rest) > 0 {
		var line []byte
		if line, rest = cutHeader(rest); len(trimEnd(line)) == 0 {
			break
		}
		key, value, ok := bytes.Cut(line, []byte(":"))
		key = trimBlank(key)
		if ok && (strings.EqualFold(string(key), name) || compact != "" && strings.EqualFold(string(key), compact)) {
			return strings.Join(strings.Fields(string(value)), " ")
		}
	}
	return ""
}

// Body gives what follows the empty line.
func Body(text []byte) []byte {
	for len(text) > 0 {
		var line []byte
		if line, text = cutLine(text); len(trimEnd(line)) == 0 {
			return text
		}
	}
	return nil
}

// Label is what one calls the message: "INVITE", "180 Ringing".
func (m Message) Label() string {
	first, _ := cutLine(m.Text)
	start := printable(string(trimEnd(first)))
	method, rest, ok := strings.Cut(start, " ")
	if !ok {
		return cmp.Or(clip(start), "(empty)")
	}
	if m.Code != 0 {
		return clip(rest)
	}
	return clip(method)
}

// Content says what the body is: "SDP", "SDP sendonly", "200 OK" of a sipfrag; "" = there
// is none.
func (m Message) Content() string {
	body := Body(m.Text)
	if len(body) == 0 {
		return ""
	}
	kind, _, _ := strings.Cut(strings.ToLower(Header(m.Text, "Content-Type", "c")), ";")
	kind = strings.TrimSpace(kind)
	switch kind {
	case "application/sdp":
		for _, held := range []string{"sendonly", "recvonly", "inactive"} {
			if bytes.Contains(body, []byte("a="+held)) {
				return "SDP " + held
			}
		}
		return "SDP"
	case "message/sipfrag":
		first, _ := cutLine(body)
		return clip(printable(strings.TrimPrefix(string(trimEnd(first)), "SIP/2.0 ")))
	}
	_, sub, _ := strings.Cut(kind, "/")
	return clip(printable(cmp.Or(sub, kind, "body")))
}

// notes tell what an engineer looks for next.
func (m Message) notes() []string {
	var all []string
	if m.CSeq != "" {
		all = append(all, printable(clip(m.CSeq)))
	}
	if m.Transport != "UDP" {
		all = append(all, m.Transport)
	}
	if m.Code == 0 && (Header(m.Text, "Authorization", "") != "" || Header(m.Text, "Proxy-Authorization", "") != "") {
		all = append(all, "with credentials")
	}
	if why := Header(m.Text, "Reason", ""); why != "" {
		all = append(all, "Reason: "+printable(clip(why)))
	}
	if m.Again > 0 {
		all = append(all, "sent again, "+times(m.Again))
	}
	if m.Cut {
		all = append(all, "shown in part")
	}
	if m.Problem != "" {
		all = append(all, "NOT SENT: "+printable(m.Problem))
	}
	return all
}

// mostLabel is the most of a word of others that goes into a line, in characters.
const mostLabel = 40

func clip(s string) string {
	if r := []rune(s); len(r) > mostLabel {
		return string(r[:mostLabel-1]) + "…"
	}
	return s
}

// printable keeps what others sent from doing things to a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfffd || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// Naming finds the messages of a line: those that name its Contact user, which nobody
// else has, and requests from its address of record or to it.
func Naming(contactUser, user, host string) func(Message) bool {
	contact, aor := []byte(contactUser), strings.ToLower(":"+user+"@"+host)
	return func(m Message) bool {
		if contactUser != "" && bytes.Contains(m.Text, contact) {
			return true
		}
		if m.Code != 0 || user == "" {
			return false
		}
		whose := Header(m.Text, "To", "t")
		if m.Sent {
			whose = Header(m.Text, "From", "f")
		}
		whose = strings.ToLower(whose)
		i := strings.Index(whose, aor)
		return i >= 0 && (i+len(aor) == len(whose) || strings.ContainsRune(">;:? ", rune(whose[i+len(aor)])))
	}
}
