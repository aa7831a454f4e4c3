package sdp

import (
	"strings"
	"testing"
)

// Who offers asks, who answers asks in turn where the offer had the attribute, and blocks go to who asked for them (RFC 3611 §5.2).
func TestMetricsAreAskedFor(t *testing.T) {
	ours := caps()
	ours.VoIPMetrics = true
	const own = "a=rtcp-xr:voip-metrics\r\n"
	if text := string(Offer(ours, origin).Marshal()); strings.Count(text, own) != 1 {
		t.Errorf("the offer is\n%s", text)
	}
	if text := string(Offer(caps(), origin).Marshal()); strings.Contains(text, "rtcp-xr") {
		t.Errorf("the offer of who wants none is\n%s", text)
	}
	for says, c := range map[string]struct {
		session, media string
		asks           bool // in our answer
		sends          bool
	}{
		"nothing":                 {"", "", false, false},
		"metrics":                 {"", own, true, true},
		"metrics, as linphone":    {"", "a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r\n", true, true},
		"other blocks":            {"", "a=rtcp-xr:pkt-loss-rle=300 stat-summary=loss\r\n", true, false},
		"an empty list":           {"", "a=rtcp-xr:\r\n", true, false},
		"metrics for all streams": {own, "", true, true},
		"none for this stream":    {own, "a=rtcp-xr:stat-summary=loss\r\n", true, false},
		"a block of like name":    {"", "a=rtcp-xr:voip-metrics2\r\n", true, false},
	} {
		theirs, err := Parse([]byte("v=0\r\nc=IN IP4 192.0.2.9\r\n" + c.session + "m=audio 4000 RTP/AVP 0\r\n" + c.media))
		if err != nil {
			t.Fatal(err)
		}
		answer, n, err := Answer(theirs, ours, origin)
		if err != nil {
			t.Fatal(err)
		}
		if asks := strings.Contains(string(answer.Marshal()), own); asks != c.asks || n.VoIPMetrics != c.sends {
			t.Errorf("an offer with %s: the answer asks %v, we send %v", says, asks, n.VoIPMetrics)
		}
		if n, err := AcceptWith(Offer(ours, origin), theirs, ours); err != nil || n.VoIPMetrics != c.sends {
			t.Errorf("an answer with %s: we send %v (%v)", says, n.VoIPMetrics, err)
		}
		answer, n, err = Answer(theirs, caps(), origin)
		if err != nil || n.VoIPMetrics || strings.Contains(string(answer.Marshal()), "rtcp-xr") {
			t.Errorf("who wants none answers\n%s", answer.Marshal())
		}
	}
}
