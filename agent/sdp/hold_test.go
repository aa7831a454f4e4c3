package sdp

import (
	"strings"
	"testing"
)

func TestRedirectChangesTheDirectionAlone(t *testing.T) {
	const was = "v=0\r\no=- 7 3 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\nm=audio 4000 RTP/SAVP 8 101\r\n" +
		"a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\na=ptime:20\r\na=recvonly\r\n"
	previous, err := Parse([]byte(was))
	if err != nil {
		t.Fatal(err)
	}
	before := string(previous.Marshal())
	got := string(Redirect(previous, Inactive, previous.Origin.Next()).Marshal())
	want := strings.NewReplacer("o=- 7 3 ", "o=- 7 4 ", "a=recvonly", "a=inactive").Replace(before)
	if got != want {
		t.Errorf("offered\n%s\nwant\n%s", got, want)
	}
	if string(previous.Marshal()) != before {
		t.Error("the description before has changed, too")
	}
}
