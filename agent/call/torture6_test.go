package call_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// ipv6 are the messages of RFC 5118, "SIP Torture Test Messages for IPv6", written
// after it: RPORT makes the answer come back to whoever sends them from ::1.
var ipv6 = []struct {
	section, name string
	allowed       []int
	start         string
	headers       []string
	body          string
}{
	{"4.1", "a reference to an IPv6 address", []int{405}, "REGISTER sip:[2001:db8::10]",
		[]string{"Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111;RPORT"}, ""},
	{"4.2", "an IPv6 address without brackets", []int{400}, "REGISTER sip:2001:db8::10",
		[]string{"Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-112;RPORT"}, ""},
	{"4.3", "a port that is part of the address", []int{405}, "REGISTER sip:[2001:db8::10:5070]",
		[]string{"Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-113;RPORT"}, ""},
	{"4.4", "a port that is none of it", []int{405}, "REGISTER sip:[2001:db8::10]:5070",
		[]string{"Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-114;RPORT"}, ""},
	{"4.5", "received with brackets", []int{481}, "BYE sip:[2001:db8::10]",
		[]string{"Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-115;RPORT"}, ""},
	{"4.5", "received without brackets", []int{481}, "OPTIONS-IN-DIALOG sip:[2001:db8::10]",
		[]string{"Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3-116;RPORT"}, ""},
	{"4.6", "IPv6 in the session description", []int{180}, "INVITE sip:user@[2001:db8::10]",
		[]string{"Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-117;RPORT", "Contact: <sip:user@[2001:db8::20]>"},
		"v=0\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\ns=Live video feed\nc=IN IP6 2001:db8::20\nt=3338481189 3370017201\n" +
			"m=audio 6000 RTP/AVP 0\na=rtpmap:0 PCMU/8000\nm=video 6024 RTP/AVP 107\na=rtpmap:107 H263-1998/90000\n"},
	{"4.7", "addresses of both families in headers", []int{180}, "INVITE sip:user@host.example.net",
		[]string{"Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-118;RPORT",
			"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144", "Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200",
			"Contact: <sip:alice@[2001:db8::9:255]>"},
		"v=0\no=bob 280744730 28977631 IN IP4 host.example.com\ns=\nc=IN IP4 192.0.2.250\nt=0 0\nm=audio 22334 RTP/AVP 0\n"},
	{"4.8", "addresses of both families in the session description", []int{180}, "INVITE sip:user@[2001:db8::10]",
		[]string{"Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-119;RPORT", "Contact: <sip:user@[2001:db8::9:1]>"},
		"v=0\no=bob 280744730 28977631 IN IP4 host.example.com\ns=\nt=0 0\nm=audio 22334 RTP/AVP 0\nc=IN IP4 192.0.2.1\nm=video 6024 RTP/AVP 107\nc=IN IP6 2001:db8::1\na=rtpmap:107 H263-1998/90000\n"},
	{"4.9", "IPv4-mapped addresses", []int{180}, "INVITE sip:user@example.com",
		[]string{"Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKas3-120;RPORT", "Via: SIP/2.0/UDP [::ffff:192.0.2.2]:5060;branch=z9hG4bKas3-121",
			"Contact: \"T. desk phone\" <sip:ted@[::ffff:192.0.2.2]>"},
		"v=0\no=bob 280744730 28977631 IN IP6 ::ffff:192.0.2.2\ns=\nc=IN IP6 ::ffff:192.0.2.2\nt=0 0\nm=audio 49174 RTP/AVP 0\n"},
	{"4.10", "three colons, as RFC 3261's grammar has it", []int{400, 200}, "OPTIONS sip:user@[2001:db8:::192.0.2.1]",
		[]string{"Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-122;RPORT"}, ""},
	{"4.10", "two colons, as RFC 5954's has it", []int{200}, "OPTIONS sip:user@[2001:db8::192.0.2.1]",
		[]string{"Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-123;RPORT"}, ""},
}

// TestRFC5118 sends them over an IPv6 socket.
func TestRFC5118(t *testing.T) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nRFC 5118\tMESSAGE\tANSWER\tALLOWED")
	here := netip.AddrPortFrom(netip.IPv6Loopback(), 0)
	v := newVictim(t, here)
	for i, c := range ipv6 {
		t.Run(c.section+" "+c.name, func(t *testing.T) {
			v.t = t
			method, uri, _ := strings.Cut(c.start, " ")
			to := "To: <sip:user@[2001:db8::10]>"
			if method == "BYE" || method == "OPTIONS-IN-DIALOG" {
				method, to = "BYE", to+";tag=bd76ya"
			}
			lines := append([]string{method + " " + uri + " SIP/2.0", to, "From: <sip:user@[2001:db8::20]>;tag=81x2",
				fmt.Sprintf("Call-ID: 5118-%d@[2001:db8::1]", i), "CSeq: 98176 " + method, "Max-Forwards: 70"}, c.headers...)
			if c.body != "" {
				lines = append(lines, "Content-Type: application/sdp")
			}
			body := strings.ReplaceAll(c.body, "\n", "\r\n")
			text := strings.ReplaceAll(strings.Join(lines, "\r\n"), "RPORT", "rport") + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			m := newTormentor(t, v, "udp", here)
			code, says := m.outcome([]byte(text), c.allowed)
			if !slices.Contains(c.allowed, code) {
				t.Errorf("%s, allowed %v:\n%s", says, c.allowed, text)
			}
			m.alive()
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.section, c.name, says, outcomes(c.allowed))
		})
	}
	_ = w.Flush()
	t.Log(table.String())
}
