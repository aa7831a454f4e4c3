package sipp

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Caller is the script of an outgoing call.
type Caller struct {
	// From is the caller's user; Domain the host of From, another one than the
	// proxy's for a stranger whom it does not ask for credentials.
	From, Domain string
	// Headers are added to the INVITE, "Name: value" each.
	Headers []string
	// Expect is the final response; 0 = 200.
	Expect int
	// Ringing expects 180 before it.
	Ringing bool
	// Tone is a file of µ-law samples to send while the call lasts.
	Tone string
	// Digits to send by RFC 4733 during the call (from the recordings that
	// Debian's package brings).
	Digits string
	// Hold is how long the call lasts after the answer.
	Hold time.Duration
	// CancelAfter sends CANCEL that long after 180, and expects 487.
	CancelAfter time.Duration
}

// Scenario writes the script as sipp's XML.
func (c Caller) Scenario() string {
	var b script
	b.open("caller")
	b.send(c.invite(), `retrans="500"`)
	b.line(`<recv response="100" optional="true"/>`)
	switch {
	case c.CancelAfter > 0:
		b.line(`<recv response="180"/>`)
		b.pause(c.CancelAfter)
		b.send(c.request("CANCEL", "[branch-4]", ""), `retrans="500"`)
		// A proxy of several processes may give the two answers in either order.
		b.line(`<recv response="200" optional="true"/>`)
		b.line(`<recv response="487"/>`)
		b.send(c.request("ACK", "[branch-7]", ""), "")
		return b.close()
	case c.Ringing:
		b.line(`<recv response="180"/>`)
	default:
		b.line(`<recv response="180" optional="true"/>`)
		b.line(`<recv response="183" optional="true"/>`)
	}
	if c.Expect != 0 && c.Expect != 200 {
		fmt.Fprintf(&b.Builder, "<recv response=\"%d\"/>\n", c.Expect)
		// The branch of the INVITE, counted back in messages (RFC 3261 §17.1.1.3).
		back := "[branch-5]"
		if c.Ringing {
			back = "[branch-4]"
		}
		b.send(c.request("ACK", back, ""), "")
		return b.close()
	}
	b.line(`<recv response="200" rrs="true"/>`)
	b.send(c.dialog("ACK"), "")
	if c.Tone != "" {
		b.action(fmt.Sprintf(`<exec rtp_stream="%s,-1,0"/>`, c.Tone))
	}
	for _, digit := range c.Digits {
		b.action(fmt.Sprintf(`<exec play_pcap_audio="%s"/>`, digitFile(digit)))
		b.pause(500 * time.Millisecond)
	}
	b.pause(c.Hold)
	b.send(c.dialog("BYE"), `retrans="500"`)
	b.line(`<recv response="200"/>`)
	return b.close()
}

func (c Caller) invite() string {
	return c.request("INVITE", "[branch]", "Contact: <sip:"+c.From+"@[local_ip]:[local_port]>\n"+
		"Allow: INVITE, ACK, BYE, CANCEL\nContent-Type: application/sdp\n"+
		strings.Join(append(c.Headers, ""), "\n")) + sdp
}

// request is one to the called user, outside a dialog.
func (c Caller) request(method, branch, more string) string {
	domain := c.Domain
	if domain == "" {
		domain = "sipp.invalid"
	}
	to := "To: <sip:[service]@[remote_ip]:[remote_port]>"
	if method == "ACK" {
		to += "[peer_tag_param]"
	}
	return method + " sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n" +
		"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=" + branch + ";rport\n" +
		"From: <sip:" + c.From + "@" + domain + ">;tag=[call_number]\n" + to + "\n" +
		"Call-ID: [call_id]\nCSeq: 1 " + method + "\nMax-Forwards: 70\n" + more + "Content-Length: [len]\n\n"
}

// dialog is a request within the call.
func (c Caller) dialog(method string) string {
	domain, number := c.Domain, 1
	if domain == "" {
		domain = "sipp.invalid"
	}
	if method != "ACK" {
		number = 2
	}
	return method + " [next_url] SIP/2.0\n" +
		"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport\n[routes]\n" +
		"From: <sip:" + c.From + "@" + domain + ">;tag=[call_number]\n" +
		"To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]\n" +
		fmt.Sprintf("Call-ID: [call_id]\nCSeq: %d %s\nMax-Forwards: 70\nContent-Length: 0\n\n", number, method)
}

const sdp = `v=0
o=sipp 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
`

// Callee is the script of a call that arrives.
type Callee struct {
	// Ring is how long it rings (180) before it answers; 0 = no 180.
	Ring time.Duration
	// Refuse answers with this instead, "486 Busy Here".
	Refuse string
	// Cancelled expects the caller to give up while it rings.
	Cancelled bool
}

// Scenario writes the script as sipp's XML.
func (c Callee) Scenario() string {
	var b script
	b.open("callee")
	if c.Cancelled {
		// The CANCEL has the Via of the last hop only; the answer to the INVITE needs them all.
		b.line(`<recv request="INVITE" rrs="true"><action><ereg regexp="(Via:.*)From:" search_in="msg" check_it="true" assign_to="whole,vias"/></action></recv>`)
		b.line(`<Reference variables="whole"/>`)
	} else {
		b.line(`<recv request="INVITE" rrs="true"/>`)
	}
	if c.Ring > 0 || c.Cancelled {
		b.send(reply("180 Ringing", "Contact: <sip:sipp@[local_ip]:[local_port]>\nContent-Length: 0\n\n"), "")
	}
	switch {
	case c.Cancelled:
		b.line(`<recv request="CANCEL"/>`)
		b.send(reply("200 OK", "Content-Length: 0\n\n"), "")
		b.send(replyToInvite("487 Request Terminated"), `retrans="500"`)
		b.line(`<recv request="ACK"/>`)
		return b.close()
	case c.Ring > 0:
		b.pause(c.Ring)
	}
	if c.Refuse != "" {
		b.send(reply(c.Refuse, "Content-Length: 0\n\n"), `retrans="500"`)
		b.line(`<recv request="ACK"/>`)
		return b.close()
	}
	b.send(reply("200 OK", "Contact: <sip:sipp@[local_ip]:[local_port]>\nContent-Type: application/sdp\nContent-Length: [len]\n\n"+
		strings.Replace(sdp, "[auto_media_port]", "[media_port]", 1)), `retrans="500"`)
	b.line(`<recv request="ACK"/>`)
	b.line(`<recv request="BYE"/>`)
	b.send(reply("200 OK", "Content-Length: 0\n\n"), "")
	return b.close()
}

// reply answers the last request.
func reply(status, rest string) string {
	return "SIP/2.0 " + status + "\n[last_Via:]\n[last_Record-Route:]\n[last_From:]\n[last_To:];tag=callee[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n" + rest
}

// replyToInvite answers the INVITE after a CANCEL came in between.
func replyToInvite(status string) string {
	return strings.NewReplacer("[last_Via:]\n", "[$vias]", "[last_CSeq:]", "CSeq: [cseq] INVITE").Replace(reply(status, "Content-Length: 0\n\n"))
}

// digitFile is the recording of one digit.
func digitFile(digit rune) string {
	name := string(digit)
	switch digit {
	case '*':
		name = "star"
	case '#':
		name = "pound"
	}
	return filepath.Join("/usr/share/sip-tester", "dtmf_2833_"+name+".pcap")
}

// script builds sipp's XML.
type script struct{ strings.Builder }

func (b *script) open(name string) {
	fmt.Fprintf(&b.Builder, "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<scenario name=%q>\n", name)
}

func (b *script) line(s string) { b.WriteString(s + "\n") }

func (b *script) send(message, attributes string) {
	fmt.Fprintf(&b.Builder, "<send %s><![CDATA[\n\n%s]]></send>\n", attributes, message)
}

func (b *script) pause(d time.Duration) {
	fmt.Fprintf(&b.Builder, "<pause milliseconds=\"%d\"/>\n", d.Milliseconds())
}

func (b *script) action(what string) {
	fmt.Fprintf(&b.Builder, "<nop><action>%s</action></nop>\n", what)
}

func (b *script) close() string {
	b.line("</scenario>")
	return b.String()
}
