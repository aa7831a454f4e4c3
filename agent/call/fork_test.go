package call_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/call"
)

// scene is one test of a table keyed by a sentence.
type scene struct {
	change func(*call.Options)
	play   func(*bench)
}

func play(t *testing.T, scenes map[string]scene) {
	t.Helper()
	for sentence, s := range scenes {
		t.Run(sentence, func(t *testing.T) { simulate(t, s.change, s.play) })
	}
}

// branch is a fork of a call: its Contact, and its audio, which has an address of its own.
func branch(n int, more ...string) []string {
	body := strings.ReplaceAll(answerPCMA, "192.0.2.9", fmt.Sprintf("192.0.2.%d", 10+n))
	return append(append([]string{fmt.Sprintf("Contact: <sip:fork%d@192.0.2.%d>", n, 10+n)}, more...), sdpBody(body)...)
}

// silentBranch is a fork that describes nothing.
func silentBranch(n int) []string { return branch(n)[:1] }

// plays says whose audio is heard.
func (b *bench) plays(n int) {
	b.t.Helper()
	if got, want := b.session().last(b.t).Remote.Addr().String(), fmt.Sprintf("192.0.2.%d", 10+n); got != want {
		b.t.Errorf("audio is that of %s, want %s", got, want)
	}
}

// ok is a 2xx of a branch, for repeat.
func (x *clientTx) ok(tag string, extra ...string) *sip.Response {
	res := sip.NewResponseFromRequest(x.req, 200, "OK", nil)
	res.To().Params.Add("tag", tag)
	return with(res, extra...)
}

func TestForks(t *testing.T) {
	play(t, map[string]scene{
		"the fork that described itself last is heard, and the one that answers in the end": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(183, "Session Progress", "one", branch(1)...)
			b.plays(1)
			invite.respond(183, "Session Progress", "two", branch(2)...)
			b.plays(2)
			invite.respond(180, "Ringing", "three", silentBranch(3)...)
			b.plays(2)
			invite.respond(200, "OK", "one", branch(1)...)
			b.plays(1)
			b.wantState(call.Established)
			if got := b.net.ack(0).Recipient.String(); got != "sip:fork1@192.0.2.11" {
				b.t.Errorf("ACK goes to %s", got)
			}
		}},
		"an answer without a description means what this very fork said before, whoever is heard": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(183, "Session Progress", "one", branch(1)...)
			invite.respond(183, "Session Progress", "two", branch(2)...)
			invite.respond(200, "OK", "one", silentBranch(1)...)
			b.plays(1)
			b.wantState(call.Established)
		}},
		"of three forks that answer, the first has the call and the others hear ACK and BYE": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			for i, tag := range []string{"one", "two", "three"} {
				invite.respond(180, "Ringing", tag, silentBranch(i+1)...)
			}
			invite.respond(200, "OK", "two", branch(2)...)
			third, first := invite.ok("three", branch(3)...), invite.ok("one", branch(1)...)
			invite.repeat(third)
			invite.repeat(first)
			invite.repeat(third) // its ACK was lost
			byes := b.net.requests("BYE")
			if len(byes) != 2 || b.net.ackCount() != 4 {
				b.t.Fatalf("%d BYE and %d ACK, want 2 and 4", len(byes), b.net.ackCount())
			}
			for i, want := range []string{"sip:fork3@192.0.2.13 three", "sip:fork1@192.0.2.11 one"} {
				if got := byes[i].req.Recipient.String() + " " + byes[i].req.To().Params.GetOr("tag", ""); got != want {
					b.t.Errorf("BYE %d goes to %s, want %s", i, got, want)
				}
				byes[i].respond(200, "OK", "")
			}
			b.plays(2)
			b.wantState(call.Established)
		}},
		"a second answer that comes before the first was looked at is no other's": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.repeat(invite.ok("two", branch(2)...))
			invite.respond(200, "OK", "one", branch(1)...)
			b.wantState(call.Established)
			b.plays(1)
			bye := b.net.only("BYE")
			if got := bye.req.To().Params.GetOr("tag", ""); got != "two" {
				b.t.Errorf("BYE goes to %s", got)
			}
			bye.respond(200, "OK", "")
		}},
		"199 ends a fork, and what is heard is the latest of the others": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(183, "Session Progress", "one", branch(1)...)
			invite.respond(183, "Session Progress", "two", branch(2)...)
			invite.respond(183, "Session Progress", "three", branch(3)...)
			invite.respond(199, "Early Dialog Terminated", "three", silentBranch(3)...)
			b.plays(2)
			invite.respond(199, "Early Dialog Terminated", "one", silentBranch(1)...)
			b.plays(2)
			invite.respond(199, "Early Dialog Terminated", "two", silentBranch(2)...)
			b.wantState(call.Early)
			if got := b.within(invite, "BYE", 1, "two").codes(); got != "481" {
				b.t.Errorf("BYE of a fork that has ended: %s", got)
			}
			invite.respond(486, "Busy Here", "proxy")
			b.wantEnd(486, call.Remote, "486 Busy Here")
		}},
		"a fork that says BYE is heard no longer": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(183, "Session Progress", "one", branch(1)...)
			invite.respond(183, "Session Progress", "two", branch(2)...)
			if got := b.within(invite, "BYE", 1, "two").codes(); got != "200" {
				b.t.Errorf("BYE answered %s", got)
			}
			b.plays(1)
			invite.respond(200, "OK", "one", silentBranch(1)...)
			b.wantState(call.Established)
		}},
		"an INVITE lists what it supports, 199 among it": {nil, func(b *bench) {
			b.dial(call.Dial{})
			supported := b.net.only("INVITE").req.GetHeader("Supported").Value()
			for _, tag := range []string{"100rel", "199", "replaces"} {
				if !strings.Contains(supported, tag) {
					b.t.Errorf("Supported is %s, without %s", supported, tag)
				}
			}
		}},
		"more forks than are followed end nothing": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			for i := range 40 {
				invite.respond(180, "Ringing", fmt.Sprintf("t%d", i), silentBranch(1)...)
			}
			invite.respond(200, "OK", "t39", branch(1)...)
			b.wantState(call.Established)
		}},
		"a call without an offer answers in the ACK": {nil, func(b *bench) {
			b.dial(call.Dial{LateOffer: true})
			invite := b.net.only("INVITE")
			if len(invite.req.Body()) > 0 {
				b.t.Errorf("INVITE has a body:\n%s", invite.req)
			}
			invite.respond(180, "Ringing", "one", silentBranch(1)...)
			invite.respond(200, "OK", "one", branch(1)...)
			b.wantState(call.Established)
			b.plays(1)
			ack := b.net.ack(0)
			if body := string(ack.Body()); !strings.Contains(body, "m=audio 20000 RTP/AVP 8 101") || ack.ContentType() == nil {
				b.t.Errorf("ACK has\n%s", body)
			}
			invite.repeat(invite.ok("two", branch(2)...))
			if body := string(b.net.ack(1).Body()); !strings.Contains(body, "m=audio 0 RTP/AVP 8 101") {
				b.t.Errorf("the ACK of a fork that is hung up has\n%s", body)
			}
			b.net.only("BYE").respond(200, "OK", "")
		}},
		"an offer that cannot be used is refused in the ACK, and hung up": {nil, func(b *bench) {
			b.dial(call.Dial{LateOffer: true})
			body := strings.NewReplacer("RTP/AVP 8 101", "RTP/AVP 97", "a=rtpmap:8 PCMA/8000", "a=rtpmap:97 nothing/8000").Replace(answerPCMA)
			b.net.only("INVITE").respond(200, "OK", "one", append([]string{contactCallee}, sdpBody(body)...)...)
			if body := string(b.net.ack(0).Body()); !strings.Contains(body, "m=audio 0 RTP/AVP 97") {
				b.t.Errorf("ACK has\n%s", body)
			}
			b.net.only("BYE").respond(200, "OK", "")
			if r := b.record(); r.End == nil || r.End.By != call.Policy || !strings.HasPrefix(r.End.Reason, "no usable offer") {
				b.t.Errorf("record is %+v", r)
			}
		}},
	})
}

// What answers when the call is over is acknowledged all the same: a phone would be
// off the hook else.
func TestAnswersAfterTheCall(t *testing.T) {
	play(t, map[string]scene{
		"the 200 again, whose ACK was lost": {nil, func(b *bench) {
			invite := b.talk(call.Dial{Seconds: 1})
			time.Sleep(time.Second)
			b.net.only("BYE").respond(200, "OK", "callee")
			b.wantState(call.Ended)
			invite.repeat(invite.ok("callee", answered()...))
			if n := b.net.ackCount(); n != 2 {
				b.t.Errorf("%d ACK, want 2", n)
			}
			b.net.only("BYE")
		}},
		"another fork, which is hung up, with credentials where they are asked for": {nil, func(b *bench) {
			invite := b.talk(call.Dial{Seconds: 1})
			time.Sleep(time.Second)
			b.net.only("BYE").respond(200, "OK", "callee")
			late := invite.ok("late", branch(2)...)
			invite.repeat(late)
			byes := b.net.requests("BYE")
			if len(byes) != 2 || byes[1].req.Recipient.String() != "sip:fork2@192.0.2.12" {
				b.t.Fatalf("%d BYE", len(byes))
			}
			byes[1].respond(407, "Proxy Authentication Required", "late", `Proxy-Authenticate: Digest realm="pbx.test", nonce="n1", algorithm=MD5`)
			byes = b.net.requests("BYE")
			if len(byes) != 3 || byes[2].req.GetHeader("Proxy-Authorization") == nil {
				b.t.Fatalf("%d BYE", len(byes))
			}
			byes[2].respond(200, "OK", "late")
			invite.repeat(late)
			synctest.Wait()
			if n := b.net.ackCount(); n != 3 || len(b.net.requests("BYE")) != 3 {
				b.t.Errorf("%d ACK and %d BYE, want 3 and 3", n, len(b.net.requests("BYE")))
			}
		}},
	})
}
