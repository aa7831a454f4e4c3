package call_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

const answerPCMA = "v=0\r\no=- 5 5 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 101\r\n" +
	"a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"

const contactCallee = "Contact: <sip:2000@192.0.2.9:5070>"

// answered is a 200 with an answer.
func answered(more ...string) []string {
	return append(append([]string{contactCallee}, more...), sdpBody(answerPCMA)...)
}

// dial places a call.
func (b *bench) dial(d call.Dial) string {
	b.t.Helper()
	if d.To == "" {
		d.To = "2000"
	}
	id, err := b.set.Dial(b.t.Context(), d)
	if err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
	return id
}

// talk places a call that is answered.
func (b *bench) talk(d call.Dial) *clientTx {
	b.t.Helper()
	b.dial(d)
	invite := b.net.only("INVITE")
	invite.respond(200, "OK", "callee", answered()...)
	b.wantState(call.Established)
	return invite
}

// within delivers a request of the called side within the dialog of an INVITE.
func (b *bench) within(invite *clientTx, method string, seq int, remoteTag string, extra ...string) *serverTx {
	return b.deliver(append([]string{
		method + " sip:c0ntact@10.0.0.1:5060 SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK%s%d;rport", method, seq),
		"From: <sip:2000@pbx.test>;tag=" + remoteTag,
		"To: <sip:1000@pbx.test>;tag=" + invite.req.From().Params.GetOr("tag", ""),
		"Call-ID: " + invite.req.CallID().Value(),
		fmt.Sprintf("CSeq: %d %s", seq, method),
		"Contact: <sip:2000@192.0.2.9:5070>",
		"Max-Forwards: 70",
	}, extra...)...)
}

func TestOutgoing(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		play   func(*bench)
	}{
		"a call is placed, answered, and ended by the other side": {nil, func(b *bench) {
			b.dial(call.Dial{To: "+1 (555) 01-00", ToneHz: 440})
			invite := b.net.only("INVITE")
			for header, want := range map[string]string{
				"From":         `"Bob \"B\" \\o/" <sip:1000@pbx.test>;tag=`,
				"To":           "<sip:+15550100@pbx.test>",
				"Contact":      "<sip:c0ntact@10.0.0.1:5060>",
				"CSeq":         "1 INVITE",
				"Content-Type": "application/sdp",
				"Allow":        "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE",
			} {
				if h := invite.req.GetHeader(header); h == nil || !strings.HasPrefix(h.Value(), want) {
					b.t.Errorf("%s is %v, want %s", header, h, want)
				}
			}
			if got := invite.req.Recipient.String() + " via " + invite.req.Destination(); got != "sip:+15550100@pbx.test via 192.0.2.1:5060" {
				b.t.Errorf("INVITE goes to %s", got)
			}
			invite.respond(100, "Trying", "")
			b.wantState(call.Trying)
			time.Sleep(time.Second)
			invite.respond(180, "Ringing", "callee")
			b.wantState(call.Ringing)
			time.Sleep(time.Second)
			invite.respond(200, "OK", "callee", answered()...)
			b.wantState(call.Established)
			if n := b.net.ackCount(); n != 1 {
				b.t.Fatalf("%d ACK, want 1", n)
			}
			ack := b.net.ack(0)
			if got := ack.Recipient.String() + " " + ack.CSeq().Value() + " to " + ack.Destination(); got != "sip:2000@192.0.2.9:5070 1 ACK to 192.0.2.9:5070" {
				b.t.Errorf("ACK is %s", got)
			}
			r := b.record()
			if *r.SetupMs != 2000 || r.Codec != "PCMA/8000" || r.Remote != "sip:+15550100@pbx.test" || r.Direction != call.Out {
				b.t.Errorf("record is %+v", r)
			}
			if got := b.session().has().source; got != (media.Tone{Hz: 440, LevelDBm0: -10}) {
				b.t.Errorf("source is %+v", got)
			}
			if got := b.within(invite, "BYE", 1, "callee").codes(); got != "200" {
				b.t.Errorf("BYE answered %s", got)
			}
			b.wantEnd(200, call.Remote, "BYE from the other side")
		}},
		"12 times 180 are 12 provisional responses and no more": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			for range 12 {
				invite.respond(180, "Ringing", "callee")
				time.Sleep(time.Second)
			}
			b.wantState(call.Ringing)
			invite.respond(200, "OK", "callee", answered()...)
			b.wantState(call.Established)
		}},
		"183 with a description is early media; the answer may differ": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(183, "Session Progress", "callee", append([]string{contactCallee}, sdpBody(offerPCMU)...)...)
			b.wantState(call.Early)
			if r := b.record(); r.Codec != "PCMU/8000" || !r.AnsweredAt.IsZero() {
				b.t.Errorf("early record is %+v", r)
			}
			invite.respond(180, "Ringing", "callee")
			b.wantState(call.Early)
			invite.respond(200, "OK", "callee", answered()...)
			b.wantState(call.Established)
			if r := b.record(); r.Codec != "PCMA/8000" {
				b.t.Errorf("codec is %s after the answer", r.Codec)
			}
		}},
		"a 200 without a description confirms the early answer": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(183, "Session Progress", "callee", answered()...)
			invite.respond(200, "OK", "callee", contactCallee)
			b.wantState(call.Established)
		}},
		"a 200 that never had a description is ended": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(200, "OK", "callee", contactCallee)
			b.wantEnd(200, call.Policy, "no usable answer to our offer: there is no description")
			if b.net.ackCount() != 1 {
				b.t.Error("the 200 was not acknowledged")
			}
			b.net.only("BYE").respond(200, "OK", "callee")
		}},
		"refusals are the end, in their own words": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(486, "Busy Here", "callee")
			b.wantEnd(486, call.Remote, "486 Busy Here")
		}},
		"a refusal without words gets the usual ones": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(480, "", "callee")
			b.wantEnd(480, call.Remote, "480 Temporarily Unavailable")
		}},
		"a redirection is reported with its targets": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(302, "Moved Temporarily", "callee", "Contact: <sip:2001@pbx.test>, <tel:+15550100>;q=0.5")
			b.wantEnd(302, call.Remote, "302 Moved Temporarily")
			if got := b.record().End.Contacts; len(got) != 2 || got[0] != "sip:2001@pbx.test" || got[1] != "tel:+15550100" {
				b.t.Errorf("contacts are %q", got)
			}
		}},
		"a challenge is answered, and the ACK carries the credentials": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(407, "Proxy Authentication Required", "proxy",
				`Proxy-Authenticate: Digest realm="pbx.test", nonce="n1", algorithm=MD5, qop="auth"`)
			second := b.net.requests("INVITE")[1]
			if got := second.req.GetHeader("Proxy-Authorization"); got == nil || second.req.CSeq().SeqNo != 2 {
				b.t.Fatalf("second INVITE is\n%s", second.req)
			}
			if second.req.To().Params.Has("tag") {
				b.t.Error("second INVITE has the To tag of the challenge")
			}
			second.respond(200, "OK", "callee", answered()...)
			b.wantState(call.Established)
			ack := b.net.ack(0)
			if ack.GetHeader("Proxy-Authorization") == nil || ack.CSeq().SeqNo != 2 {
				b.t.Errorf("ACK is\n%s", ack)
			}
		}},
		"a wrong password is told as such": {nil, func(b *bench) {
			b.dial(call.Dial{})
			challenge := `WWW-Authenticate: Digest realm="pbx.test", nonce="n%d", algorithm=MD5, qop="auth"`
			b.net.only("INVITE").respond(401, "Unauthorized", "x", fmt.Sprintf(challenge, 1))
			b.net.requests("INVITE")[1].respond(401, "Unauthorized", "x", fmt.Sprintf(challenge, 2))
			b.wantEnd(401, call.Remote, "401 Unauthorized: credentials refused")
			if n := len(b.net.requests("INVITE")); n != 2 {
				b.t.Errorf("%d INVITEs, want 2", n)
			}
		}},
		"hanging up before a provisional response waits for it": {nil, func(b *bench) {
			id := b.dial(call.Dial{})
			if err := b.set.Hangup(id); err != nil {
				b.t.Fatal(err)
			}
			if n := len(b.net.requests("CANCEL")); n != 0 {
				b.t.Fatalf("%d CANCEL before any response", n)
			}
			invite := b.net.only("INVITE")
			invite.respond(100, "Trying", "")
			cancel := b.net.only("CANCEL")
			if got, want := cancel.req.Via().Value(), invite.req.Via().Value(); got != want {
				b.t.Errorf("CANCEL has Via %s, INVITE %s", got, want)
			}
			invite.respond(180, "Ringing", "callee")
			cancel.respond(200, "OK", "callee")
			invite.respond(487, "Request Terminated", "callee")
			b.net.only("CANCEL")
			b.wantEnd(487, call.Local, "hung up")
		}},
		"an answer that crosses the CANCEL is acknowledged and ended": {nil, func(b *bench) {
			id := b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "callee")
			_ = b.set.Hangup(id)
			b.net.only("CANCEL").respond(481, "No Such Call", "callee")
			invite.respond(200, "OK", "callee", answered()...)
			if b.net.ackCount() != 1 {
				b.t.Error("the 200 was not acknowledged")
			}
			b.net.only("BYE").respond(200, "OK", "callee")
			b.wantEnd(200, call.Local, "hung up")
			if r := b.record(); !r.AnsweredAt.IsZero() {
				b.t.Error("a call nobody wanted any more counts as answered")
			}
		}},
		"a CANCEL nobody answers ends after 64*T1": {nil, func(b *bench) {
			id := b.dial(call.Dial{})
			b.net.only("INVITE").respond(180, "Ringing", "callee")
			_ = b.set.Hangup(id)
			time.Sleep(32*time.Second - 1)
			b.wantState(call.Ringing)
			time.Sleep(time.Nanosecond)
			b.wantEnd(487, call.Local, "hung up")
		}},
		"hanging up while the server is looked up": {func(o *call.Options) {
			o.Server = func(ctx context.Context) (ua.Candidate, error) {
				<-ctx.Done()
				return ua.Candidate{}, ctx.Err()
			}
		}, func(b *bench) {
			_ = b.set.Hangup(b.dial(call.Dial{}))
			b.wantEnd(487, call.Local, "hung up")
			if n := len(b.net.requests("INVITE")); n != 0 {
				b.t.Errorf("%d INVITEs", n)
			}
		}},
		"the server is not found": {func(o *call.Options) {
			o.Server = func(context.Context) (ua.Candidate, error) { return ua.Candidate{}, ua.ErrHostNotFound }
		}, func(b *bench) {
			b.dial(call.Dial{})
			b.wantEnd(503, call.Network, "no way to the server: no such host")
		}},
		"the server does not answer": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").end(fmt.Errorf("INVITE: %w", ua.ErrTimeout))
			b.wantEnd(408, call.Timeout, "no answer from the server")
		}},
		"the server cannot be reached": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").end(fmt.Errorf("INVITE to 192.0.2.1: %w", ua.ErrUnreachable))
			b.wantEnd(503, call.Network, "INVITE not sent: INVITE to 192.0.2.1: unreachable")
		}},
		"a call that rings for ever is cancelled": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "callee")
			time.Sleep(3 * time.Minute)
			b.net.only("CANCEL").respond(200, "OK", "callee")
			invite.respond(487, "Request Terminated", "callee")
			b.wantEnd(408, call.Timeout, "no answer within 180 s")
		}},
		"a repeated 200 means a lost ACK": {nil, func(b *bench) {
			invite := b.talk(call.Dial{})
			res := with(sip.NewResponseFromRequest(invite.req, 200, "OK", nil), answered()...)
			res.To().Params.Add("tag", "callee")
			invite.repeat(res)
			invite.repeat(res)
			if n := b.net.ackCount(); n != 3 {
				b.t.Errorf("%d ACK, want 3", n)
			}
			if n := len(b.net.requests("BYE")); n != 0 {
				b.t.Errorf("%d BYE", n)
			}
		}},
		"a second fork that answers is acknowledged and ended": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "one")
			invite.respond(180, "Ringing", "two")
			invite.respond(200, "OK", "one", answered()...)
			second := with(sip.NewResponseFromRequest(invite.req, 200, "OK", nil), append([]string{"Contact: <sip:2002@192.0.2.10>"}, sdpBody(answerPCMA)...)...)
			second.To().Params.Add("tag", "two")
			invite.repeat(second)
			bye := b.net.only("BYE")
			if got := bye.req.Recipient.String() + " " + bye.req.To().Params.GetOr("tag", ""); got != "sip:2002@192.0.2.10 two" {
				b.t.Errorf("BYE goes to %s", got)
			}
			invite.repeat(second)
			if n := b.net.ackCount(); n != 3 {
				b.t.Errorf("%d ACK, want one for each 200: 3", n)
			}
			bye.respond(200, "OK", "two")
			b.wantState(call.Established)
			if r := b.record(); r.Treatment[0] != "answered 2 times; only the first answer counts" {
				b.t.Errorf("remarks are %q", r.Treatment)
			}
		}},
		"a fork that says BYE before the answer leaves the others ringing": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "one")
			invite.respond(180, "Ringing", "two")
			b.within(invite, "BYE", 1, "one")
			b.wantState(call.Ringing)
			invite.respond(200, "OK", "two", answered()...)
			b.wantState(call.Established)
		}},
		"requests go along the recorded route, to the target": {nil, func(b *bench) {
			b.dial(call.Dial{Seconds: 1})
			b.net.only("INVITE").respond(200, "OK", "callee",
				answered("Record-Route: <sip:192.0.2.2;lr>, <sip:192.0.2.1:5080;lr;ftag=x>")...)
			ack := b.net.ack(0)
			if got := routes(ack) + " " + ack.Recipient.String() + " via " + ack.Destination(); got != "<sip:192.0.2.1:5080;lr;ftag=x> <sip:192.0.2.2;lr> sip:2000@192.0.2.9:5070 via 192.0.2.1:5080" {
				b.t.Errorf("ACK goes %s", got)
			}
			time.Sleep(time.Second)
			bye := b.net.only("BYE")
			if got := routes(bye.req) + " via " + bye.req.Destination(); got != "<sip:192.0.2.1:5080;lr;ftag=x> <sip:192.0.2.2;lr> via 192.0.2.1:5080" {
				b.t.Errorf("BYE goes %s", got)
			}
			bye.respond(200, "OK", "callee")
			b.wantEnd(200, call.Local, "hung up after 1 s as asked")
		}},
		"a route by name is looked up, or is where the call went": {nil, func(b *bench) {
			b.net.names = map[string]netip.AddrPort{"edge.test": netip.MustParseAddrPort("192.0.2.7:5060")}
			b.dial(call.Dial{Seconds: 1})
			b.net.only("INVITE").respond(200, "OK", "callee", answered("Record-Route: <sip:edge.test;lr>")...)
			if got := b.net.ack(0).Destination(); got != "192.0.2.7:5060" {
				b.t.Errorf("ACK goes to %s", got)
			}
			b.net.names = nil
			b.dial(call.Dial{})
			b.net.requests("INVITE")[1].respond(200, "OK", "callee", answered("Record-Route: <sip:edge.test;lr>")...)
			if got := b.net.ack(1).Destination(); got != serverAddr.String() {
				b.t.Errorf("ACK goes to %s", got)
			}
		}},
		"a challenged BYE is sent again with credentials": {nil, func(b *bench) {
			b.talk(call.Dial{Seconds: 5})
			time.Sleep(5 * time.Second)
			b.net.only("BYE").respond(401, "Unauthorized", "callee", `WWW-Authenticate: Digest realm="pbx.test", nonce="n1", algorithm=MD5`)
			byes := b.net.requests("BYE")
			if len(byes) != 2 || byes[1].req.GetHeader("Authorization") == nil || byes[1].req.CSeq().SeqNo != 3 {
				b.t.Fatalf("%d BYE; the last is\n%s", len(byes), byes[len(byes)-1].req)
			}
			byes[1].respond(200, "OK", "callee")
		}},
		"the maximum duration bounds what was asked": {func(o *call.Options) { o.Caps.MaxDuration = 3 * time.Second }, func(b *bench) {
			b.talk(call.Dial{Seconds: 60})
			time.Sleep(3 * time.Second)
			b.net.only("BYE").respond(200, "OK", "callee")
			b.wantEnd(200, call.Policy, "maximum duration reached")
		}},
		"digits are sent after the answer": {nil, func(b *bench) {
			b.talk(call.Dial{DTMF: "12,#"})
			if got := b.session().has().sent; got != "12,#" {
				b.t.Errorf("sent %q", got)
			}
		}},
		"digits that cannot be sent are told": {nil, func(b *bench) {
			b.dial(call.Dial{DTMF: "1"})
			body := strings.ReplaceAll(strings.ReplaceAll(answerPCMA, " 101", ""), "a=rtpmap:101 telephone-event/8000\r\n", "")
			b.net.only("INVITE").respond(200, "OK", "callee", append([]string{contactCallee}, sdpBody(body)...)...)
			if r := b.record(); len(r.Treatment) != 1 || !strings.HasPrefix(r.Treatment[0], "digits not sent") {
				b.t.Errorf("remarks are %q", r.Treatment)
			}
		}},
		"headers of the account and of the call are sent, the call's winning": {func(o *call.Options) {
			o.Account.Headers = []account.Header{{Method: "INVITE", Name: "X-Site", Value: "north"}, {Method: "*", Name: "X-Tenant", Value: "42"}, {Method: "REGISTER", Name: "X-Reg", Value: "1"}, {Method: "*", Name: "Via", Value: "evil"}}
		}, func(b *bench) {
			b.dial(call.Dial{Seconds: 1, Headers: map[string]string{"x-site": "south", "X-Run": "7"}})
			invite := b.net.only("INVITE")
			invite.respond(200, "OK", "callee", answered()...)
			if got := custom(invite.req); got != "X-Run:7 X-Tenant:42 x-site:south" {
				b.t.Errorf("INVITE has %s", got)
			}
			time.Sleep(time.Second)
			bye := b.net.only("BYE")
			bye.respond(200, "OK", "callee")
			if got := custom(bye.req); got != "X-Tenant:42" {
				b.t.Errorf("BYE has %s", got)
			}
		}},
		"an outbound proxy is named in Route": {func(o *call.Options) { o.Route = "proxy.test:5080" }, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			if got := routes(invite.req); got != "<sip:proxy.test:5080;lr>" {
				b.t.Errorf("Route is %s", got)
			}
			invite.respond(486, "Busy Here", "callee")
		}},
		"the caller id is another user than the one who authenticates": {func(o *call.Options) { o.Account.UserCallerID = "+15550100" }, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			if got := invite.req.From().Address.String(); got != "sip:+15550100@pbx.test" {
				b.t.Errorf("From is %s", got)
			}
			invite.respond(486, "Busy Here", "callee")
		}},
		"a cellular line offers the cellular codecs": {func(o *call.Options) { o.Network = "cellular" }, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			if body := string(invite.req.Body()); !strings.Contains(body, "RTP/AVP 8 ") || !strings.Contains(body, "ptime:30") {
				b.t.Errorf("offer is\n%s", body)
			}
			invite.respond(486, "Busy Here", "callee")
		}},
		"closing the line says goodbye, and why": {nil, func(b *bench) {
			b.talk(call.Dial{})
			done := make(chan struct{})
			go func() { b.set.Close("agent is shutting down"); close(done) }()
			bye := b.net.only("BYE")
			if got := bye.req.GetHeader("Reason").Value(); got != `SIP;cause=503;text="agent is shutting down"` {
				b.t.Errorf("BYE says %s", got)
			}
			bye.respond(200, "OK", "callee")
			<-done
			b.wantEnd(200, call.Local, "agent is shutting down")
			if _, err := b.set.Dial(context.Background(), call.Dial{To: "2000"}); !errors.Is(err, call.ErrClosed) {
				b.t.Errorf("Dial after Close: %v", err)
			}
		}},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, c.change, c.play) })
	}
}

func routes(req *sip.Request) string {
	var values []string
	for _, h := range req.GetHeaders("Route") {
		values = append(values, h.Value())
	}
	return strings.Join(values, " ")
}

// custom are the X- headers of a request.
func custom(req *sip.Request) string {
	var values []string
	for _, h := range req.Headers() {
		if strings.HasPrefix(strings.ToLower(h.Name()), "x-") {
			values = append(values, h.Name()+":"+h.Value())
		}
	}
	slices.Sort(values)
	return strings.Join(values, " ")
}
