package sdp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestParseCandidate(t *testing.T) {
	for text, want := range map[string]string{
		"1 1 udp 2130706431 192.0.2.1 10000 typ host":                                           "1 1 udp 2130706431 192.0.2.1 10000 typ host",
		"H0a4d 2 UDP 1 2001:db8::1 9 TYP srflx raddr 10.0.0.1 rport 4000 generation 0":          "H0a4d 2 udp 1 2001:db8::1 9 typ srflx raddr 10.0.0.1 rport 4000",
		"3 1 udp 16777215 203.0.113.9 50000 typ relay generation 0 raddr 192.0.2.1 rport 10000": "3 1 udp 16777215 203.0.113.9 50000 typ relay raddr 192.0.2.1 rport 10000",
		"1 1 udp 1 ::ffff:192.0.2.1 10000 typ host":                                             "1 1 udp 1 192.0.2.1 10000 typ host",
		"1 1 tcp 1 192.0.2.1 9 typ host tcptype active":                                         "of no use",
		"1 1 udp 1 4f7a.local 10000 typ host":                                                   "of no use",
		"1 1 udp 1 192.0.2.1 10000 typ token":                                                   "of no use",
		"1 1 udp 1 224.0.0.1 10000 typ host":                                                    "of no use",
		"1 1 udp 1 192.0.2.1 0 typ host":                                                        "of no use",
		strings.Repeat("f", 33) + " 1 udp 1 192.0.2.1 9 typ host":                               "of no use",
		"1 1 udp 1 192.0.2.1 10000":                                                             "want foundation",
		"1 0 udp 1 192.0.2.1 10000 typ host":                                                    "component",
		"1 1 udp 4294967296 192.0.2.1 10000 typ host":                                           "priority",
		"1 1 udp 1 192.0.2.1 65536 typ host":                                                    "port",
		"":                                                                                      "want foundation",
	} {
		c, ok, err := ParseCandidate(text)
		got := c.String()
		switch {
		case err != nil:
			got = err.Error()
		case !ok:
			got = "of no use"
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What one side's ICE makes of the other's, in an answer and in the offerer's reading of it.
func TestNegotiateICE(t *testing.T) {
	ours := func() Capabilities {
		c := caps()
		c.RTCPMux = true
		c.ICE = &ICE{Ufrag: "ours", Pwd: strings.Repeat("p", 22), Candidates: []Candidate{{Foundation: "1", Component: 1, Priority: 2130706431, Addr: netip.MustParseAddrPort("192.0.2.1:10000"), Type: "host"}}}
		return c
	}
	const secrets = "a=ice-ufrag:them|a=ice-pwd:0123456789012345678901|"
	const host = "a=candidate:1 1 UDP 2130706431 192.0.2.9 4000 typ host|"
	for what, row := range map[string]struct {
		session, media string
		without        bool // we speak none
		want           string
	}{
		"full ICE":                           {"", secrets + host + "a=candidate:1 2 UDP 2130706430 192.0.2.9 4001 typ host|a=rtcp-mux|", false, "them 1 candidates, controlled"},
		"its secrets for all streams":        {secrets, host + "a=rtcp-mux|", false, "them 1 candidates, controlled"},
		"one that only answers checks":       {"a=ice-lite|", secrets + host + "a=rtcp-mux|", false, "them 1 candidates, controlling"},
		"RTCP apart":                         {"", secrets + host, false, "none"},
		"we speak none":                      {"", secrets + host + "a=rtcp-mux|", true, "none"},
		"a password too short":               {"", "a=ice-ufrag:them|a=ice-pwd:short|" + host + "a=rtcp-mux|", false, "none"},
		"no secrets":                         {"", host + "a=rtcp-mux|", false, "none"},
		"another address than any candidate": {"", secrets + strings.Replace(host, "4000", "4002", 1) + "a=rtcp-mux|", false, "none, mismatch"},
		"a name for an address":              {"", secrets + "a=candidate:1 1 udp 1 a.local 4000 typ host|a=rtcp-mux|", false, "them 0 candidates, controlled"},
		"it says that ours does not match":   {"", secrets + host + "a=rtcp-mux|a=ice-mismatch|", false, "none"},
		"more candidates than anybody needs": {"", secrets + host + strings.Repeat("a=candidate:1 1 udp 1 192.0.2.8 4000 typ host|", 100) + "a=rtcp-mux|", false, "them 32 candidates, controlled"},
	} {
		c := ours()
		if row.without {
			c.ICE = nil
		}
		offer := parse(t, strings.Split("v=0|o=- 1 1 IN IP4 192.0.2.9|s=-|c=IN IP4 192.0.2.9|t=0 0|"+row.session+"m=audio 4000 RTP/AVP 0|"+row.media, "|")...)
		answer, n, err := Answer(offer, c, origin)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		got, text := "none", string(answer.Marshal())
		if n.ICE != nil {
			got = fmt.Sprintf("%s %d candidates, %s", n.ICE.Ufrag, len(n.ICE.Candidates), map[bool]string{true: "controlling", false: "controlled"}[n.Controlling])
		}
		if strings.Contains(text, "a=ice-mismatch\r\n") {
			got += ", mismatch"
		}
		if told := strings.Contains(text, "a=ice-ufrag:ours\r\n") && strings.Contains(text, "a=candidate:1 1 udp 2130706431 192.0.2.1 10000 typ host\r\n"); got != row.want || told != (n.ICE != nil) {
			t.Errorf("%s: %s, want %s; it is answered\n%s", what, got, row.want, text)
		}
		back, err := AcceptWith(Offer(c, origin), parse(t, strings.Split("v=0|o=- 1 1 IN IP4 192.0.2.9|s=-|c=IN IP4 192.0.2.9|t=0 0|"+row.session+"m=audio 4000 RTP/AVP 0|"+row.media, "|")...), c)
		if err != nil || (back.ICE != nil) != (n.ICE != nil) || back.ICE != nil && !back.Controlling {
			t.Errorf("%s, as an answer: %+v, %v", what, back, err)
		}
	}
}
