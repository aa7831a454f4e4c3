package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

func parse(t *testing.T, lines ...string) *Description {
	t.Helper()
	d, err := Parse([]byte(strings.Join(lines, "\r\n") + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOffer(t *testing.T) {
	c := caps()
	golden(t, "testdata/offered/plain.sdp", Offer(c, origin))
	c.Addr, c.Direction, c.RTCPMux = netip.MustParseAddr("2001:db8::1"), SendOnly, true
	o := origin
	o.Addr = c.Addr
	golden(t, "testdata/offered/ipv6-mux-hold.sdp", Offer(c, o))
	c = caps()
	c.TelephoneEvent = false
	golden(t, "testdata/offered/no-telephone-event.sdp", Offer(c, origin))
}

// Codecs of other clocks bring their own telephone-event, and no number is used twice.
func TestOfferNumbersEveryFormat(t *testing.T) {
	c := caps()
	opus, _ := codec.Lookup(103)
	c.Codecs = append(c.Codecs, opus.Format, codec.Format{Name: "odd", PT: 101, Clock: 16000, Channels: 1})
	golden(t, "testdata/offered/many-clocks.sdp", Offer(c, origin))
}

// The way of RFC 2833, which some still want: one telephone-event, of 8 kHz, whatever the codecs' clocks.
func TestEventsAt8kHz(t *testing.T) {
	wide := codec.Format{Name: "wide", PT: 110, Clock: 48000, Channels: 1}
	for what, row := range map[string]struct {
		legacy, adjust bool
		want           string
	}{
		"each clock its own":              {false, false, "of 48000 8000; send 101 in 0 receive 101+96"},
		"durations alone mean nothing":    {false, true, "of 48000 8000; send 101 in 0 receive 101+96"},
		"one for all":                     {true, false, "of 8000; send 101 in 0 receive 101"},
		"one for all, durations likewise": {true, true, "of 8000; send 101 in 8000 receive 101"},
	} {
		c := caps()
		c.Codecs = append([]codec.Format{wide}, c.Codecs...)
		c.EventsAt8k, c.DurationsAt8k = row.legacy, row.adjust
		offer := Offer(c, origin)
		var clocks []string
		for _, f := range offer.Media[0].formats(nil) {
			if f.Name == telephoneEvent {
				clocks = append(clocks, fmt.Sprint(f.Clock))
			}
		}
		answer, _, err := Answer(offer, c, origin)
		if err != nil {
			t.Fatal(err)
		}
		n, err := AcceptWith(offer, answer, c)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("of %s; send %d in %d receive %s", strings.Join(clocks, " "), n.TelephoneEventPT, n.EventClock, numbers(n.ReceiveEvents))
		if got != row.want {
			t.Errorf("%s: %s, want %s in\n%s", what, got, row.want, offer.Marshal())
		}
	}
	// Who offers only what the codec's clock would have gets none in the legacy mode.
	c := caps()
	c.Codecs = []codec.Format{wide}
	offer := Offer(c, origin)
	c.EventsAt8k = true
	if _, n, err := Answer(offer, c, origin); err != nil || n.TelephoneEventPT != -1 || len(n.ReceiveEvents) > 0 {
		t.Errorf("%+v, %v", n, err)
	}
}

func TestAccept(t *testing.T) {
	rows := map[string]struct {
		with   func(*Capabilities)
		answer []string
		want   string
	}{
		"the plain answer": {nil, []string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:20"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 0=PCMU/8000 dtmf 101/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"their order": {func(c *Capabilities) { c.HonorTheirs = true }, []string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 8 0"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 8=PCMA/8000 dtmf -1/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"our order": {nil, []string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 8 0"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 0=PCMU/8000 dtmf -1/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"telephone-event and a codec under the answerer's own numbers": {nil,
			[]string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 97 96", "a=rtpmap:96 telephone-event/8000", "a=rtpmap:97 PCMA/8000"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 97=PCMA/8000 dtmf 96/101+96 receive 0=PCMU/8000 8=PCMA/8000 97=PCMA/8000 ptime 20 sendrecv"},
		"a dynamic number without rtpmap means what we offered": {nil, []string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 0 101"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 0=PCMU/8000 dtmf 101/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"they ask for 30 ms": {nil, []string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 0", "a=ptime:30"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 0=PCMU/8000 dtmf -1/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 30 sendrecv"},
		"they ask for 30 ms, ours is forced": {func(c *Capabilities) { c.ForcePTime = true }, []string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 0", "a=ptime:30"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 0=PCMU/8000 dtmf -1/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"they put us on hold": {nil, []string{"c=IN IP4 192.0.2.9", "a=inactive", "m=audio 4000 RTP/AVP 0"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 0=PCMU/8000 dtmf -1/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 inactive"},
		"our hold, answered sendrecv against the RFC": {func(c *Capabilities) { c.Direction = SendOnly }, []string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 0", "a=sendrecv"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 0=PCMU/8000 dtmf -1/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendonly"},
		"one port for RTP and RTCP, asked and granted": {func(c *Capabilities) { c.RTCPMux = true }, []string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 0", "a=rtcp-mux"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4000 send 0=PCMU/8000 dtmf -1/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv mux"},
		"one port granted without being asked": {nil, []string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 0", "a=rtcp-mux"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 0=PCMU/8000 dtmf -1/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"the last port there is leaves none for RTCP": {nil, []string{"c=IN IP4 192.0.2.9", "m=audio 65535 RTP/AVP 0", "a=rtcp:0"},
			"to 192.0.2.9:65535 rtcp invalid AddrPort send 0=PCMU/8000 dtmf -1/101 receive 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"Opus with the telephone-event of 8 kHz alone": {withOpus, []string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 103 96", "a=rtpmap:103 opus/48000/2", "a=rtpmap:96 telephone-event/8000"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 103=opus/48000/2 dtmf 96 in 8000/101+96 receive 103=opus/48000/2 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
		"Opus with the telephone-events of both clocks": {withOpus, []string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 103 0 96 101", "a=rtpmap:103 opus/48000/2", "a=rtpmap:101 telephone-event/48000", "a=rtpmap:96 telephone-event/8000"},
			"to 192.0.2.9:4000 rtcp 192.0.2.9:4001 send 103=opus/48000/2 dtmf 101/101+96 receive 103=opus/48000/2 0=PCMU/8000 8=PCMA/8000 ptime 20 sendrecv"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			c := caps()
			if row.with != nil {
				row.with(&c)
			}
			n, err := AcceptWith(Offer(c, origin), parse(t, append([]string{"v=0"}, row.answer...)...), c)
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(n); got != row.want {
				t.Errorf("negotiated\n %s, want\n %s", got, row.want)
			}
		})
	}
}

func withOpus(c *Capabilities) { c.Codecs = append([]codec.Format{opusFormat}, c.Codecs...) }

func TestAcceptFollowsThePeerByItself(t *testing.T) {
	c := caps()
	c.PTime = 40
	n, err := Accept(Offer(c, origin), parse(t, "v=0", "c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 8 0"))
	if err != nil {
		t.Fatal(err)
	}
	if n.Codec.Name != "PCMA" || n.PTime != 40 {
		t.Errorf("sends %s every %d ms, want the answer's first codec and the offered packet time", n.Codec, n.PTime)
	}
}

func TestAcceptRefuses(t *testing.T) {
	rows := map[string]struct {
		answer []string
		want   string
	}{
		"an answer without media":           {nil, "the answer refuses it"},
		"a refused stream":                  {[]string{"m=audio 0 RTP/AVP 0"}, "the answer refuses it"},
		"another kind of stream":            {[]string{"m=image 4000 udptl t38"}, "the answer refuses it"},
		"a codec that was not offered":      {[]string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 18"}, "the answer has none of the offered codecs but G729/8000"},
		"telephone-events alone":            {[]string{"c=IN IP4 192.0.2.9", "m=audio 4000 RTP/AVP 101"}, "the answer has none of the offered codecs but telephone-event/8000"},
		"an address that cannot be reached": {[]string{"c=IN IP6 2001:db8::9", "m=audio 4000 RTP/AVP 0"}, "2001:db8::9 cannot be reached from 192.0.2.1"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			_, err := Accept(Offer(caps(), origin), parse(t, append([]string{"v=0"}, row.answer...)...))
			if !errors.Is(err, ErrNotAcceptable) || !strings.HasSuffix(err.Error(), ": "+row.want) {
				t.Errorf("error %v, want %q", err, row.want)
			}
		})
	}
}

// Whatever two of ours say to each other must come out the same on both sides.
func TestBothSidesAgree(t *testing.T) {
	for _, offers := range []Direction{SendRecv, SendOnly, RecvOnly, Inactive} {
		for _, answers := range []Direction{SendRecv, SendOnly, RecvOnly, Inactive} {
			a, b := caps(), caps()
			a.Direction, b.Direction, b.Codecs = offers, answers, codec.Formats([]int{8, 0}, codec.Options{})
			b.Addr, b.Port, b.HonorTheirs = netip.MustParseAddr("192.0.2.2"), 20000, true
			offer := Offer(a, origin)
			seen, err := Parse(offer.Marshal())
			if err != nil {
				t.Fatal(err)
			}
			answer, theirs, err := Answer(seen, b, origin)
			if err != nil {
				t.Fatal(err)
			}
			back, err := Parse(answer.Marshal())
			if err != nil {
				t.Fatal(err)
			}
			ours, err := Accept(offer, back)
			if err != nil {
				t.Fatal(err)
			}
			if ours.Direction != theirs.Direction.Reverse() || ours.Codec != theirs.Codec || fmt.Sprint(ours.TelephoneEventPT) != numbers(theirs.ReceiveEvents) {
				t.Errorf("%s meets %s:\n %s\n %s", offers, answers, summary(ours), summary(theirs))
			}
			if want := offers.Both(answers.Reverse()); ours.Direction != want {
				t.Errorf("%s meets %s: %s, want %s", offers, answers, ours.Direction, want)
			}
		}
	}
}

func TestReoffer(t *testing.T) {
	c := caps()
	t.Run("after our answer: their lines, their numbers", func(t *testing.T) {
		answer, _, err := Answer(read(t, "testdata/offer/sbc-two-audio.sdp"), c, origin)
		if err != nil {
			t.Fatal(err)
		}
		c := c
		c.Direction = SendOnly
		golden(t, "testdata/offered/again-after-answer.sdp", Reoffer(answer, c, origin.Next()))
	})
	t.Run("after our offer: the same again", func(t *testing.T) {
		first := Offer(c, origin)
		if again := Reoffer(first, c, origin); string(again.Marshal()) != string(first.Marshal()) {
			t.Errorf("an unchanged re-offer differs:\n%s\n%s", again.Marshal(), first.Marshal())
		}
	})
	t.Run("without one before", func(t *testing.T) {
		if again := Reoffer(nil, c, origin); string(again.Marshal()) != string(Offer(c, origin).Marshal()) {
			t.Errorf("not a first offer:\n%s", again.Marshal())
		}
	})
}
