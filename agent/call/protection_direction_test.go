package call_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/call"
)

// What becomes of a call by the policy of its direction, whatever that of the other direction is: what its record says of protection, or
// the code it is refused with.
func TestARecordSaysHowItsDirectionIsProtected(t *testing.T) {
	type outcome struct{ ours, oursBare, theirs, theirsBare string } // who calls, and whether the other side has no keys
	policies := map[string]outcome{
		"disabled": {"none", "none", "488", "none"},
		"enabled":  {"WAY", "none", "WAY", "none"},
		"required": {"WAY", "BYE 488", "WAY", "488"},
	}
	for _, way := range []string{"sdes", "dtls"} {
		for in, incoming := range policies {
			for out, outgoing := range policies {
				nodes := fmt.Sprintf("<%sIncoming>%s</%sIncoming><%sOutgoing>%s</%sOutgoing>", way, in, way, way, out, way)
				change := func(o *call.Options) { o.Account = answering(t, nodes) }
				for sentence, c := range map[string]struct {
					want string
					play func(*bench)
				}{
					"a call of ours":                        {outgoing.ours, func(b *bench) { answerWith(b, call.Dial{}, true) }},
					"a call of ours, answered without keys": {outgoing.oursBare, func(b *bench) { answerWith(b, call.Dial{}, false) }},
					"a call of theirs":                      {incoming.theirs, func(b *bench) { b.invite("a", sdpBody(theirs(way))...).ack() }},
					"a call of theirs, without keys":        {incoming.theirsBare, func(b *bench) { b.invite("a", sdpBody(theirs("none"))...).ack() }},
				} {
					simulate(t, change, func(b *bench) {
						c.play(b)
						if got, want := protectionOf(b), strings.Replace(c.want, "WAY", way, 1); got != want {
							b.t.Errorf("%s: %s: %s, want %s", nodes, sentence, got, want)
						}
					})
				}
			}
		}
	}
}

// The direction is the call's, not that of the offer: an INVITE without one changes who offers, and nothing else.
func TestALateOfferIsProtectedAsItsCallsDirectionSays(t *testing.T) {
	const incoming, outgoing = "<sdesIncoming>required</sdesIncoming><dtlsOutgoing>required</dtlsOutgoing>", "<dtlsIncoming>required</dtlsIncoming><sdesOutgoing>required</sdesOutgoing>"
	for nodes, want := range map[string]struct{ offer, sdes, dtls string }{
		incoming: {"RTP/SAVP crypto", "BYE 488", "dtls"},
		outgoing: {"UDP/TLS/RTP/SAVP fingerprint", "sdes", "BYE 488"},
	} {
		change := func(o *call.Options) { o.Account = answering(t, nodes) }
		simulate(t, change, func(b *bench) {
			p := b.invite("a")
			offer := string(p.tx.last().Body())
			if got := offerOf(offer); got != want.offer {
				b.t.Errorf("%s: the 200 offers %s, want %s", nodes, got, want.offer)
			}
			p.ack(sdpBody(answerTo(offer, true))...)
			b.wantState(call.Established)
		})
		for way, want := range map[string]string{"sdes": want.sdes, "dtls": want.dtls} {
			simulate(t, change, func(b *bench) {
				b.dial(call.Dial{LateOffer: true})
				b.net.only("INVITE").respond(200, "OK", "callee", append([]string{contactCallee}, sdpBody(theirs(way))...)...)
				if got := protectionOf(b); got != want {
					b.t.Errorf("%s: an offer of %s in the 200: %s, want %s", nodes, way, got, want)
				}
			})
		}
	}
}

// answering is an account that answers at once.
func answering(t *testing.T, nodes string) *account.Account {
	return accountOf(t, "<autoAnswerEnabled>1</autoAnswerEnabled><autoAnswerTimeoutInSeconds>0</autoAnswerTimeoutInSeconds>"+nodes)
}

// protectionOf is what the only call's record says of protection, or the code that it was refused with: after an answer by BYE, for the
// reason that it gives.
func protectionOf(b *bench) string {
	b.t.Helper()
	var why string
	for _, bye := range b.net.requests("BYE") {
		if reason := bye.req.GetHeader("Reason"); reason != nil && strings.HasPrefix(reason.Value(), "SIP;cause=488;") {
			why = "BYE 488"
		}
		bye.respond(200, "OK", "callee")
	}
	r := b.record()
	switch {
	case r.State == call.Established:
		return r.Protection
	case r.End == nil || r.End.By != call.Policy:
		b.t.Errorf("%s, ended %+v", r.State, r.End)
	case why == "":
		return fmt.Sprint(r.End.Code)
	}
	return why
}

// answerWith places a call and has it answered, with the keys that it offers or without any.
func answerWith(b *bench, d call.Dial, keys bool) {
	b.t.Helper()
	b.dial(d)
	invite := b.net.only("INVITE")
	invite.respond(200, "OK", "callee", append([]string{contactCallee}, sdpBody(answerTo(string(invite.req.Body()), keys))...)...)
	synctest.Wait()
}

const theirHead = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 "

// theirs is an offer that insists on a way of protection, or knows of none.
func theirs(way string) string {
	return theirHead + map[string]string{
		"none": "RTP/AVP 0\r\n",
		"sdes": "RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n",
		"dtls": "UDP/TLS/RTP/SAVP 0\r\na=setup:actpass\r\na=rtcp-mux\r\na=fingerprint:sha-256 " + fingerprint + "\r\n",
	}[way]
}

// answerTo takes what an offer has: its profile and, with keys, the first of its own or its certificate's fingerprint.
func answerTo(offer string, keys bool) string {
	_, media, _ := strings.Cut(offer, "m=audio ")
	answer := theirHead + strings.Fields(media)[1] + " 0\r\n"
	for line := range strings.Lines(media) {
		switch {
		case keys && strings.HasPrefix(line, "a=crypto:"):
			return answer + line
		case keys && strings.HasPrefix(line, "a=fingerprint:"):
			return answer + "a=setup:active\r\na=rtcp-mux\r\na=fingerprint:sha-256 " + fingerprint + "\r\n"
		}
	}
	return answer
}
