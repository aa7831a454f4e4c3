package sdp

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

var update = flag.Bool("update", false, "write the golden answers anew")

func caps() Capabilities {
	return Capabilities{
		Addr: netip.MustParseAddr("192.0.2.1"), Port: 10000, Codecs: codec.Formats([]int{0, 8}, codec.Options{}), PTime: 20, TelephoneEvent: true,
	}
}

var origin = Origin{SessionID: 7, Version: 1, Addr: netip.MustParseAddr("192.0.2.1")}

// summary is a negotiation in one line.
func summary(n Negotiated) string {
	var receive []string
	for _, f := range n.Receive {
		receive = append(receive, fmt.Sprintf("%d=%s", f.PT, f))
	}
	dtmf := fmt.Sprint(n.TelephoneEventPT)
	if n.EventClock > 0 {
		dtmf += fmt.Sprintf(" in %d", n.EventClock)
	}
	s := fmt.Sprintf("to %v rtcp %v send %d=%s dtmf %s/%s receive %s ptime %d %s", n.Remote, n.RemoteRTCP, n.Codec.PT, n.Codec,
		dtmf, numbers(n.ReceiveEvents), strings.Join(receive, " "), n.PTime, n.Direction)
	if n.RTCPMux {
		s += " mux"
	}
	return s
}

// numbers are the payload types of formats in one word, -1 when there are none.
func numbers(formats []codec.Format) string {
	var list []string
	for _, f := range formats {
		list = append(list, fmt.Sprint(f.PT))
	}
	return cmp.Or(strings.Join(list, "+"), "-1")
}

func read(t *testing.T, path string) *Description {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(body)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return d
}

func TestAnswer(t *testing.T) {
	rows := map[string]struct {
		offer string // testdata/offer/NAME.sdp
		with  func(*Capabilities)
		want  string
	}{
		"baresip": {"baresip", nil,
			"to 192.0.2.20:20310 rtcp 192.0.2.20:20311 send 0=PCMU/8000 dtmf 97/97 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"sipp": {"sipp", nil,
			"to 127.0.0.1:6000 rtcp 127.0.0.1:6001 send 0=PCMU/8000 dtmf -1/-1 receive 0=PCMU/8000 ptime 20 sendrecv"},
		"linphone with video, AVPF and three telephone-events": {"linphone-video", nil,
			"to 192.0.2.30:25000 rtcp 192.0.2.30:25001 send 0=PCMU/8000 dtmf 100/100 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"linphone, RTCP on one port": {"linphone-video", func(c *Capabilities) { c.RTCPMux = true },
			"to 192.0.2.30:25000 rtcp 192.0.2.30:25000 send 0=PCMU/8000 dtmf 100/100 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv mux"},
		"Asterisk, our order": {"asterisk", nil,
			"to 198.51.100.7:13514 rtcp 198.51.100.7:13515 send 0=PCMU/8000 dtmf 101/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"Asterisk, their order": {"asterisk", func(c *Capabilities) { c.HonorTheirs = true },
			"to 198.51.100.7:13514 rtcp 198.51.100.7:13515 send 8=PCMA/8000 dtmf 101/101 receive 8=PCMA/8000 0=PCMU/8000 ptime 20 sendrecv"},
		"FreeSWITCH asks for 30 ms": {"freeswitch", nil,
			"to 203.0.113.5:17562 rtcp 203.0.113.5:17563 send 0=PCMU/8000 dtmf 101/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 30 sendrecv"},
		"FreeSWITCH asks for 30 ms, ours is forced": {"freeswitch", func(c *Capabilities) { c.ForcePTime = true },
			"to 203.0.113.5:17562 rtcp 203.0.113.5:17563 send 0=PCMU/8000 dtmf 101/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"an SBC with a secure and a plain stream, fax, and RTCP elsewhere": {"sbc-two-audio", nil,
			"to 203.0.113.81:30022 rtcp 203.0.113.82:31000 send 0=PCMU/8000 dtmf 116/116 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"hold by 0.0.0.0": {"old-hold", nil,
			"to invalid AddrPort rtcp invalid AddrPort send 0=PCMU/8000 dtmf 101/101 receive 0=PCMU/8000 ptime 20 recvonly"},
		"hold by sendonly for the session": {"hold-sendonly", nil,
			"to 192.0.2.20:20310 rtcp 192.0.2.20:20311 send 0=PCMU/8000 dtmf -1/-1 receive 0=PCMU/8000 ptime 20 recvonly"},
		"hold meets hold": {"hold-sendonly", func(c *Capabilities) { c.Direction = SendOnly },
			"to 192.0.2.20:20310 rtcp 192.0.2.20:20311 send 0=PCMU/8000 dtmf -1/-1 receive 0=PCMU/8000 ptime 20 inactive"},
		"our hold is kept when they offer both ways": {"sipp", func(c *Capabilities) { c.Direction = SendOnly },
			"to 127.0.0.1:6000 rtcp 127.0.0.1:6001 send 0=PCMU/8000 dtmf -1/-1 receive 0=PCMU/8000 ptime 20 sendonly"},
		"a stream's inactive overrules the session's sendrecv": {"inactive", nil,
			"to 192.0.2.20:20310 rtcp 192.0.2.20:20311 send 0=PCMU/8000 dtmf -1/-1 receive 0=PCMU/8000 ptime 20 inactive"},
		"IPv6": {"ipv6", func(c *Capabilities) { c.Addr = netip.MustParseAddr("2001:db8::1") },
			"to [2001:db8::20]:40000 rtcp [2001:db8::21]:40001 send 8=PCMA/8000 dtmf 101/101 receive 8=PCMA/8000 ptime 20 sendrecv"},
		"a sloppy one: bare newlines, a host name, no s= or t=, dynamic numbers, no last newline": {"sloppy", nil,
			"to invalid AddrPort rtcp invalid AddrPort send 0=PCMU/8000 dtmf 120/120 receive 0=PCMU/8000 121=PCMA/8000 ptime 20 recvonly"},
		"no telephone-event wanted": {"asterisk", func(c *Capabilities) { c.TelephoneEvent = false },
			"to 198.51.100.7:13514 rtcp 198.51.100.7:13515 send 0=PCMU/8000 dtmf -1/-1 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			c := caps()
			if row.with != nil {
				row.with(&c)
			}
			o := origin
			o.Addr = c.Addr
			answer, n, err := Answer(read(t, "testdata/offer/"+row.offer+".sdp"), c, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(n); got != row.want {
				t.Errorf("negotiated\n %s, want\n %s", got, row.want)
			}
			golden(t, "testdata/answer/"+strings.NewReplacer(" ", "-", ",", "", ":", "", ".", "", "'", "", "=", "").Replace(name)+".sdp", answer)
		})
	}
}

func golden(t *testing.T, path string, d *Description) {
	t.Helper()
	got := d.Marshal()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; got\n%s\nwant\n%s", path, got, want)
	}
}

func TestAnswerRefuses(t *testing.T) {
	rows := map[string]struct{ offer, want string }{
		"video alone":                        {"video-only", "no audio is offered"},
		"a browser's protected stream":       {"webrtc", "profile UDP/TLS/RTP/SAVPF is offered, the line takes unprotected media only"},
		"no common codec":                    {"g729-only", "codecs G729/8000, telephone-event/8000 are offered, PCMU/8000, PCMA/8000 are spoken"},
		"an address of a family we have not": {"ipv6", "2001:db8::20 cannot be reached from 192.0.2.1"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			_, _, err := Answer(read(t, "testdata/offer/"+row.offer+".sdp"), caps(), origin)
			if !errors.Is(err, ErrNotAcceptable) || !strings.HasSuffix(err.Error(), ": "+row.want) {
				t.Errorf("error %v, want %q", err, row.want)
			}
		})
	}
}

func TestAnswerRefusesAddressesOfMany(t *testing.T) {
	for _, host := range []string{"224.2.1.1/127", "255.255.255.255"} {
		offer, err := Parse([]byte("v=0\r\nc=IN IP4 " + host + "\r\nm=audio 4000 RTP/AVP 0\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Answer(offer, caps(), origin); !errors.Is(err, ErrNotAcceptable) {
			t.Errorf("%s: error %v", host, err)
		}
	}
}

func TestAnswerHonoursPacketTimesThatMakeSense(t *testing.T) {
	rows := map[string]struct {
		attributes string
		own        int
		want       int
	}{
		"none said":                         {"", 30, 30},
		"none said, none of ours":           {"", 0, 20},
		"theirs":                            {"a=ptime:60\r\n", 20, 60},
		"theirs with a fraction":            {"a=ptime:30.0\r\n", 20, 30},
		"too short to be meant":             {"a=ptime:1\r\n", 20, 20},
		"too long for a packet":             {"a=ptime:1000\r\n", 20, 20},
		"not a number":                      {"a=ptime:abc\r\n", 20, 20},
		"their maximum is under ours":       {"a=maxptime:20\r\n", 40, 20},
		"not a multiple of a codec's frame": {"a=ptime:25\r\n", 20, 20},
		"ours is beyond what can be sent":   {"", 5000, 120},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			offer, err := Parse([]byte("v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\n" + row.attributes))
			if err != nil {
				t.Fatal(err)
			}
			c := caps()
			c.PTime = row.own
			if _, n, err := Answer(offer, c, origin); err != nil || n.PTime != row.want {
				t.Errorf("packet time %d (%v), want %d", n.PTime, err, row.want)
			}
		})
	}
}

// The account document's own example: codecs 0,18 are offered to an account whose codecOrder is 0,18 and codecOrder3G 18,0. On Wi-Fi
// theirs is honoured, on a cellular network ours is kept; either can be asked for the other.
func TestWhoseCodecOrderWins(t *testing.T) {
	rows := map[string]struct {
		offer string
		order []int
		honor bool
		want  string
	}{
		"the document's example on Wi-Fi":                       {"0 18", []int{0, 18}, true, "PCMU/8000"},
		"the document's example on a cellular network":          {"0 18", []int{18, 0}, false, "G729/8000"},
		"a cellular network that honours their list":            {"0 18", []int{18, 0}, true, "PCMU/8000"},
		"the offer turned round, on Wi-Fi":                      {"18 0", []int{0, 18}, true, "G729/8000"},
		"the offer turned round, Wi-Fi that keeps its own list": {"18 0", []int{0, 18}, false, "PCMU/8000"},
		"wideband first among theirs":                           {"9 0 8 3", []int{0, 8, 9, 3}, true, "G722/8000"},
		"wideband first among ours":                             {"0 8 3 9", []int{9, 3, 8, 0}, false, "G722/8000"},
		"the thrifty one first among ours":                      {"9 0 8 3", []int{18, 3, 0}, false, "GSM/8000"},
		"a codec only they have does not count":                 {"18 3", []int{0, 3}, true, "GSM/8000"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			offer, err := Parse([]byte("v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP " + row.offer + "\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			c := caps()
			c.Codecs, c.HonorTheirs = nil, row.honor
			for _, number := range row.order {
				spec, _ := codec.Lookup(number)
				c.Codecs = append(c.Codecs, spec.Format)
			}
			answer, n, err := Answer(offer, c, origin)
			if err != nil || n.Codec.String() != row.want {
				t.Errorf("sends %s (%v), want %s", n.Codec, err, row.want)
			}
			if first := answer.Media[0].Formats[0]; first != fmt.Sprint(n.Codec.PT) {
				t.Errorf("the answer's first format is %s, sent is %d", first, n.Codec.PT)
			}
		})
	}
}

// GSM comes in frames of 20 ms, iLBC in such of 20 or 30: packets hold whole ones, whatever is asked for or forced.
func TestPacketsHoldWholeFrames(t *testing.T) {
	const ilbc = "a=rtpmap:102 iLBC/8000\r\n"
	rows := map[string]struct {
		format     string
		attributes string
		own        int
		force      bool
		want       int
	}{
		"G.711 as asked":                     {"0", "a=ptime:30\r\n", 20, false, 30},
		"GSM as asked":                       {"3", "a=ptime:40\r\n", 20, false, 40},
		"GSM, asked for 30 ms":               {"3", "a=ptime:30\r\n", 20, false, 20},
		"GSM, asked for 10 ms":               {"3", "a=ptime:10\r\n", 20, false, 20},
		"GSM, the cellular default of 30 ms": {"3", "", 30, false, 20},
		"GSM, 50 ms forced":                  {"3", "a=ptime:20\r\n", 50, true, 40},
		"G.722 as asked":                     {"9", "a=ptime:30\r\n", 20, false, 30},
		"iLBC of 30 ms, 20 ms forced":        {"102", ilbc + "a=fmtp:102 mode=30\r\na=ptime:30\r\n", 20, true, 30},
		"iLBC of 30 ms, 40 ms forced":        {"102", ilbc + "a=fmtp:102 mode=30\r\na=ptime:30\r\n", 40, true, 30},
		"iLBC of 30 ms, 60 ms forced":        {"102", ilbc + "a=ptime:30\r\n", 60, true, 60},
		"iLBC of 20 ms, asked for 60 ms":     {"102", ilbc + "a=fmtp:102 mode=20\r\na=ptime:60\r\n", 20, false, 60},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			c := caps()
			c.Codecs, c.PTime, c.ForcePTime = codec.Formats([]int{0, 3, 9, 102}, codec.Options{PTime: row.own}), row.own, row.force
			body := "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP " + row.format + "\r\n" + row.attributes
			theirs, err := Parse([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if _, n, err := Answer(theirs, c, origin); err != nil || n.PTime != row.want {
				t.Errorf("as an offer: packets of %d ms (%v), want %d", n.PTime, err, row.want)
			}
			if n, err := AcceptWith(Offer(c, origin), theirs, c); err != nil || n.PTime != row.want {
				t.Errorf("as an answer: packets of %d ms (%v), want %d", n.PTime, err, row.want)
			}
		})
	}
}

// Comfort noise (RFC 3389) is agreed on by who offers it, for the clock of the codec that is spoken; we offer none, since audio that
// never pauses tells more. A hold after that repeats it, and it is never taken for a codec.
func TestComfortNoiseIsAgreedOn(t *testing.T) {
	for says, c := range map[string]struct {
		body   string
		codecs []int
		want   int
	}{
		"by its static number":        {"m=audio 4000 RTP/AVP 0 13\r\n", []int{0}, 13},
		"by a dynamic one":            {"m=audio 4000 RTP/AVP 0 97\r\na=rtpmap:97 cn/8000\r\n", []int{0}, 97},
		"not of another clock":        {"m=audio 4000 RTP/AVP 0 97\r\na=rtpmap:97 CN/16000\r\n", []int{0}, 0},
		"not when 13 means something": {"m=audio 4000 RTP/AVP 0 13\r\na=rtpmap:13 other/8000\r\n", []int{0}, 0},
		"not when nobody offers it":   {"m=audio 4000 RTP/AVP 0\r\n", []int{0}, 0},
		"and stays no codec":          {"m=audio 4000 RTP/AVP 13 0 8\r\n", []int{0, 8}, 13},
	} {
		ours := caps()
		ours.Codecs, ours.HonorTheirs = codec.Formats(c.codecs, codec.Options{}), true
		theirs, err := Parse([]byte("v=0\r\nc=IN IP4 192.0.2.9\r\n" + c.body))
		if err != nil {
			t.Fatal(err)
		}
		answer, n, err := Answer(theirs, ours, origin)
		if err != nil || n.NoisePT != c.want || n.Codec.Name != "PCMU" {
			t.Errorf("%s: %d, %v, %v", says, n.NoisePT, n.Codec, err)
			continue
		}
		said := strings.Contains(string(answer.Marshal()), fmt.Sprintf("a=rtpmap:%d CN/8000\r\n", n.NoisePT))
		if said != (c.want > 0) {
			t.Errorf("%s: the answer is\n%s", says, answer.Marshal())
		}
		hold := Redirect(answer, SendOnly, origin.Next())
		if n, err := AcceptWith(hold, theirs, ours); err != nil || n.NoisePT != c.want || n.Codec.Name != "PCMU" || len(n.Receive) != len(c.codecs) {
			t.Errorf("%s, on hold: %+v, %v", says, n, err)
		}
		if strings.Contains(string(Offer(ours, origin).Marshal()), "CN/") {
			t.Errorf("%s: it is offered", says)
		}
	}
}

// An offer of codecs of two RTP clocks has telephone-events for both: those of the clock of the codec that is sent are agreed on
// (RFC 4733 §2.1), and audio may come in either codec.
func TestAnswerToTwoClocks(t *testing.T) {
	const offer = "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 111 0 96 97\r\na=rtpmap:111 opus/48000/2\r\n" +
		"a=rtpmap:96 telephone-event/48000\r\na=rtpmap:97 telephone-event/8000\r\n"
	for says, c := range map[string]struct {
		codecs []codec.Format
		send   int
		events string
	}{
		"Opus first":  {[]codec.Format{opusFormat, codec.Formats([]int{0}, codec.Options{})[0]}, 96, "96+97"},
		"G.711 first": {[]codec.Format{codec.Formats([]int{0}, codec.Options{})[0], opusFormat}, 97, "97+96"},
		"G.711 alone": {codec.Formats([]int{0}, codec.Options{}), 97, "97"},
		"Opus alone":  {[]codec.Format{opusFormat}, 96, "96"},
	} {
		ours := caps()
		ours.Codecs = c.codecs
		theirs, err := Parse([]byte(offer))
		if err != nil {
			t.Fatal(err)
		}
		answer, n, err := Answer(theirs, ours, origin)
		if err != nil || numbers(n.ReceiveEvents) != c.events || n.TelephoneEventPT != c.send || len(n.Receive) != len(c.codecs) || !n.Codec.Same(c.codecs[0]) {
			t.Errorf("%s: %+v, %v\n%s", says, n, err, answer.Marshal())
		}
		if answered := numbers((&Capabilities{}).events(answer.Media[0].formats(nil))); answered != c.events {
			t.Errorf("%s: the answer has telephone-events %s\n%s", says, answered, answer.Marshal())
		}
	}
}

// opusFormat is Opus in a build that may not speak it.
var opusFormat = codec.Format{Name: "opus", PT: 103, Clock: 48000, Channels: 2}
