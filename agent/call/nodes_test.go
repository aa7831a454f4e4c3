package call_test

import (
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// theirOffer prefers PCMA and asks for packets of 40 ms.
const theirOffer = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n" +
	"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:40\r\na=sendrecv\r\n"

// Each node of the account XML that shapes a call's media, with what is on the wire
// without it and with it: of an offer of ours, or of our answer.
func TestNodesShapeTheDescription(t *testing.T) {
	for node, c := range map[string]struct {
		value         string
		cellular      bool
		answer        bool
		without, with string
	}{
		"codecOrder":              {value: "8,0", without: "RTP/AVP 0 8 ", with: "RTP/AVP 8 0 "},
		"codecOrder3G":            {value: "8,0", cellular: true, without: "RTP/AVP 0 8 ", with: "RTP/AVP 8 0 "},
		"ptime":                   {value: "40", without: "a=ptime:20", with: "a=ptime:40"},
		"ptime3G":                 {value: "60", cellular: true, without: "a=ptime:30", with: "a=ptime:60"},
		"dtmfOrder":               {value: "info", without: "telephone-event", with: "a=rtpmap"},
		"forcePtime":              {value: "1", answer: true, without: "a=ptime:40", with: "a=ptime:20"},
		"forcePtime3G":            {value: "1", cellular: true, answer: true, without: "a=ptime:40", with: "a=ptime:30"},
		"honorTheirCodecListWiFi": {value: "0", answer: true, without: "RTP/AVP 8 ", with: "RTP/AVP 0 "},
		"honorTheirCodecList3G":   {value: "1", cellular: true, answer: true, without: "RTP/AVP 0 ", with: "RTP/AVP 8 "},
	} {
		for _, said := range []bool{false, true} {
			nodes := "<autoAnswerEnabled>1</autoAnswerEnabled><autoAnswerTimeoutInSeconds>0</autoAnswerTimeoutInSeconds>"
			for _, order := range []string{"codecOrder", "codecOrder3G"} {
				if !said || node != order {
					nodes += "<" + order + ">0,8</" + order + ">"
				}
			}
			want, other := c.without, c.with
			if said {
				nodes += "<" + node + ">" + c.value + "</" + node + ">"
				want, other = c.with, c.without
			}
			a := accountOf(t, nodes)
			simulate(t, func(o *call.Options) {
				o.Account = a
				if c.cellular {
					o.Network = delivery.Cellular
				}
			}, func(b *bench) {
				body := description(b, c.answer)
				generic := want == "a=rtpmap" // anything, as long as the other is not there
				if !strings.Contains(body, want) && !generic || other != "a=rtpmap" && strings.Contains(body, other) {
					b.t.Errorf("%s said %v: want %q and not %q in\n%s", node, said, want, other, body)
				}
			})
		}
	}
}

// accountOf is what an account XML means.
func accountOf(t *testing.T, nodes string) *account.Account {
	t.Helper()
	docs, _, err := account.ReadString("<account><username>1000</username><password>top-secret</password><host>pbx.test</host>"+nodes+"</account>", account.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, problems := account.Effective(docs[0])
	if len(account.Errors(problems)) > 0 {
		t.Fatal(problems)
	}
	return a
}

// The nodes about RTP reach the session that is opened for a call.
func TestNodesShapeTheMedia(t *testing.T) {
	for nodes, want := range map[string]media.Config{
		"": {Ports: media.PortRange{First: 10000, Last: 65535}, SymmetricRTP: true, EventVolume: 10},
		"<rtpPortRangeStart>20000</rtpPortRangeStart><rtpPortRangeEnd>20100</rtpPortRangeEnd>": {Ports: media.PortRange{First: 20000, Last: 20100}, SymmetricRTP: true, EventVolume: 10},
		"<sendAudioBack>0</sendAudioBack>":  {Ports: media.PortRange{First: 10000, Last: 65535}, EventVolume: 10},
		"<rfc2833Volume>63</rfc2833Volume>": {Ports: media.PortRange{First: 10000, Last: 65535}, SymmetricRTP: true, EventVolume: 63},
	} {
		var got media.Config
		simulate(t, func(o *call.Options) {
			o.Account = accountOf(t, nodes)
			open := o.OpenMedia
			o.OpenMedia = func(c media.Config) (call.Media, error) { got = c; return open(c) }
		}, func(b *bench) { description(b, false) })
		if got.Ports != want.Ports || got.SymmetricRTP != want.SymmetricRTP || got.EventVolume != want.EventVolume {
			t.Errorf("%s: ports %+v, symmetric %v, events at -%d dBm0; want %+v, %v, -%d", nodes, got.Ports, got.SymmetricRTP, got.EventVolume, want.Ports, want.SymmetricRTP, want.EventVolume)
		}
	}
}

// The digest names authUsername where there is one, and the SIP user else.
func TestNodesShapeTheCredentials(t *testing.T) {
	for nodes, want := range map[string]string{"": "1000", "<authUsername>4711</authUsername>": "4711"} {
		simulate(t, func(o *call.Options) { o.Account = accountOf(t, nodes) }, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(401, "Unauthorized", "x", `WWW-Authenticate: Digest realm="pbx.test", nonce="n1", algorithm=MD5, qop="auth"`)
			again := b.net.requests("INVITE")[1]
			again.respond(486, "Busy Here", "callee")
			if got := again.req.GetHeader("Authorization"); got == nil || !strings.Contains(got.Value(), `username="`+want+`"`) {
				b.t.Errorf("%s: not the credentials of %s", nodes, want)
			}
		})
	}
}

// description is what we offer to a call of ours, or answer to theirOffer.
func description(b *bench, answer bool) string {
	b.t.Helper()
	if answer {
		p := b.invite("a", sdpBody(theirOffer)...)
		body := string(p.tx.last().Body())
		p.ack()
		return body
	}
	b.dial(call.Dial{})
	invite := b.net.only("INVITE")
	invite.respond(486, "Busy Here", "callee")
	return string(invite.req.Body())
}
