package call_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
)

// pledged are the headers of a reliable response.
func pledged(rseq int, more ...string) []string {
	return append([]string{"Require: 100rel", fmt.Sprintf("RSeq: %d", rseq)}, more...)
}

// racks of all PRACKs sent so far, with the tag they go to.
func (b *bench) racks() string {
	var all []string
	for _, tx := range b.net.requests("PRACK") {
		all = append(all, tx.req.To().Params.GetOr("tag", "")+" "+tx.req.GetHeader("RAck").Value())
	}
	return strings.Join(all, ", ")
}

func (b *bench) wantRacks(want string) {
	b.t.Helper()
	if got := b.racks(); got != want {
		b.t.Errorf("PRACKs are %q, want %q", got, want)
	}
}

// TestPRACK is RFC 3262 as the calling side has it.
func TestPRACK(t *testing.T) {
	play(t, map[string]scene{
		"every reliable response is acknowledged once, in its order": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "one", pledged(7, silentBranch(1)...)...)
			b.wantRacks("one 7 1 INVITE")
			prack := b.net.only("PRACK")
			if prack.req.Recipient.String() != "sip:fork1@192.0.2.11" || prack.req.CSeq().SeqNo != 2 {
				b.t.Errorf("PRACK is\n%s", prack.req)
			}
			prack.respond(200, "OK", "one")
			invite.respond(180, "Ringing", "one", pledged(7, silentBranch(1)...)...)
			invite.respond(183, "Session Progress", "one", pledged(9, branch(1)...)...) // 8 is missing
			b.wantState(call.Ringing)
			b.wantRacks("one 7 1 INVITE")
			invite.respond(183, "Session Progress", "one", pledged(8, branch(1)...)...)
			b.wantState(call.Early)
			b.wantRacks("one 7 1 INVITE, one 8 1 INVITE")
			b.net.requests("PRACK")[1].respond(200, "OK", "one")
			invite.respond(200, "OK", "one", branch(1)...)
			b.wantState(call.Established)
		}},
		"the dialog counts on from its PRACKs": {nil, func(b *bench) {
			b.dial(call.Dial{Seconds: 1})
			invite := b.net.only("INVITE")
			invite.respond(183, "Session Progress", "one", pledged(1, branch(1)...)...)
			b.net.only("PRACK").respond(200, "OK", "one")
			invite.respond(200, "OK", "one", silentBranch(1)...)
			if ack := b.net.ack(0); ack.CSeq().SeqNo != 1 {
				b.t.Errorf("ACK has CSeq %d", ack.CSeq().SeqNo)
			}
			time.Sleep(time.Second)
			if bye := b.net.only("BYE"); bye.req.CSeq().SeqNo != 3 {
				b.t.Errorf("BYE has CSeq %d, want 3", bye.req.CSeq().SeqNo)
			} else {
				bye.respond(200, "OK", "one")
			}
		}},
		"every fork counts by itself, and loses by the count it has": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "one", pledged(5, silentBranch(1)...)...)
			invite.respond(180, "Ringing", "two", pledged(900, silentBranch(2)...)...)
			invite.respond(183, "Session Progress", "two", pledged(901, branch(2)...)...)
			invite.respond(183, "Session Progress", "one", pledged(6, branch(1)...)...)
			b.wantRacks("one 5 1 INVITE, two 900 1 INVITE, two 901 1 INVITE, one 6 1 INVITE")
			for _, prack := range b.net.requests("PRACK") {
				prack.respond(200, "OK", "")
			}
			invite.respond(200, "OK", "one", branch(1)...)
			invite.repeat(invite.ok("two", branch(2)...))
			bye := b.net.only("BYE")
			if bye.req.CSeq().SeqNo != 4 || bye.req.To().Params.GetOr("tag", "") != "two" {
				b.t.Errorf("BYE is\n%s", bye.req)
			}
			bye.respond(200, "OK", "two")
		}},
		"a challenged PRACK is sent again with credentials": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "one", pledged(1, silentBranch(1)...)...)
			b.net.only("PRACK").respond(407, "Proxy Authentication Required", "one", `Proxy-Authenticate: Digest realm="pbx.test", nonce="n1", algorithm=MD5`)
			pracks := b.net.requests("PRACK")
			if len(pracks) != 2 || pracks[1].req.GetHeader("Proxy-Authorization") == nil || pracks[1].req.GetHeader("RAck").Value() != "1 1 INVITE" {
				b.t.Fatalf("%d PRACK", len(pracks))
			}
			pracks[1].respond(200, "OK", "one")
			invite.respond(486, "Busy Here", "one")
		}},
		"one that nobody answers, or that is refused, ends nothing": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "one", pledged(1, silentBranch(1)...)...)
			b.net.only("PRACK").respond(481, "Call/Transaction Does Not Exist", "one")
			b.wantState(call.Ringing)
			invite.respond(200, "OK", "one", branch(1)...)
			b.wantState(call.Established)
		}},
		"100 and what requires nothing have no PRACK": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(100, "Trying", "one", pledged(1)...)
			invite.respond(180, "Ringing", "one", append(silentBranch(1), "RSeq: 2")...)
			invite.respond(180, "Ringing", "one", append(silentBranch(1), "Require: 100rel")...)
			invite.respond(180, "Ringing", "", pledged(3)...)
			b.wantRacks("")
			b.wantState(call.Ringing)
			invite.respond(486, "Busy Here", "one")
		}},
		"an offer in a reliable response is answered in its PRACK": {nil, func(b *bench) {
			b.dial(call.Dial{LateOffer: true})
			invite := b.net.only("INVITE")
			invite.respond(183, "Session Progress", "one", pledged(1, branch(1)...)...)
			b.wantState(call.Early)
			b.plays(1)
			prack := b.net.only("PRACK")
			if body := string(prack.req.Body()); !strings.Contains(body, "m=audio 20000 RTP/AVP 8 101") || prack.req.ContentType() == nil {
				b.t.Errorf("PRACK is\n%s", prack.req)
			}
			prack.respond(200, "OK", "one")
			invite.respond(200, "OK", "one", silentBranch(1)...)
			b.wantState(call.Established)
			if ack := b.net.ack(0); len(ack.Body()) > 0 {
				b.t.Errorf("ACK has a body:\n%s", ack)
			}
		}},
		"of two forks with offers the one that answers has the audio": {nil, func(b *bench) {
			b.dial(call.Dial{LateOffer: true})
			invite := b.net.only("INVITE")
			invite.respond(183, "Session Progress", "one", pledged(1, branch(1)...)...)
			invite.respond(183, "Session Progress", "two", pledged(1, branch(2)...)...)
			b.plays(2)
			for _, prack := range b.net.requests("PRACK") {
				if len(prack.req.Body()) == 0 {
					b.t.Errorf("PRACK has no answer:\n%s", prack.req)
				}
				prack.respond(200, "OK", "")
			}
			invite.respond(200, "OK", "one", silentBranch(1)...)
			b.plays(1)
			b.wantState(call.Established)
		}},
		"an offer that cannot be used is refused in the PRACK, and the call cancelled": {nil, func(b *bench) {
			b.dial(call.Dial{LateOffer: true})
			invite := b.net.only("INVITE")
			body := strings.NewReplacer("RTP/AVP 8 101", "RTP/AVP 97", "a=rtpmap:8 PCMA/8000", "a=rtpmap:97 nothing/8000").Replace(answerPCMA)
			invite.respond(183, "Session Progress", "one", pledged(1, append([]string{contactCallee}, sdpBody(body)...)...)...)
			prack := b.net.only("PRACK")
			if body := string(prack.req.Body()); !strings.Contains(body, "m=audio 0 RTP/AVP 97") {
				b.t.Errorf("PRACK has\n%s", body)
			}
			prack.respond(200, "OK", "one")
			b.net.only("CANCEL").respond(200, "OK", "one")
			invite.respond(487, "Request Terminated", "one")
			if r := b.record(); r.End == nil || r.End.By != call.Policy || !strings.HasPrefix(r.End.Reason, "no usable offer") {
				b.t.Errorf("record is %+v", r)
			}
		}},
	})
}

// rack is a PRACK of the caller for the response it got last.
func (p *caller) rack(extra ...string) *serverTx {
	return p.send("PRACK", append([]string{"RAck: " + p.tx.last().GetHeader("RSeq").Value() + " 1 INVITE"}, extra...)...)
}

func ringing(o *call.Options) { o.NoAnswer = 3 * time.Minute }

func answersAfter(seconds int) func(*call.Options) {
	return func(o *call.Options) {
		o.Account.AutoAnswerEnabled, o.Account.AutoAnswerTimeoutInSeconds = true, seconds
	}
}

// TestReliableRinging is RFC 3262 as the called side has it.
func TestReliableRinging(t *testing.T) {
	play(t, map[string]scene{
		"who requires reliable responses has a reliable 180, until it is acknowledged": {ringing, func(b *bench) {
			p := b.invite("a", append([]string{"Require: 100rel"}, sdpBody(offerPCMU)...)...)
			ringing := p.tx.last()
			if ringing.StatusCode != 180 || ringing.GetHeader("Require").Value() != "100rel" || ringing.GetHeader("RSeq") == nil || ringing.Contact() == nil {
				b.t.Fatalf("it is\n%s", ringing)
			}
			time.Sleep(3500 * time.Millisecond) // at 0.5, 1.5, 3.5
			if got := p.tx.codes(); got != "100 180 180 180 180" {
				b.t.Errorf("responses are %s", got)
			}
			if got := p.rack().codes(); got != "200" {
				b.t.Errorf("PRACK: %s", got)
			}
			time.Sleep(time.Minute)
			if got := p.tx.codes(); got != "100 180 180 180 180" {
				b.t.Errorf("responses are %s", got)
			}
			b.wantState(call.Ringing)
		}},
		"without PRACK the call is refused after 64·T1": {ringing, func(b *bench) {
			p := b.invite("a", append([]string{"Require: 100rel"}, sdpBody(offerPCMU)...)...)
			time.Sleep(32 * time.Second)
			if got := p.tx.codes(); got != "100 180 180 180 180 180 180 180 504" { // at 0.5 1.5 3.5 7.5 15.5 31.5
				b.t.Errorf("responses are %s", got)
			}
			b.wantEnd(504, call.Timeout, "no PRACK within 32 s")
		}},
		"a PRACK for something else is told so, also when the right one came": {ringing, func(b *bench) {
			p := b.invite("a", append([]string{"Require: 100rel"}, sdpBody(offerPCMU)...)...)
			for _, bad := range []string{"RAck: 1 1 INVITE", "RAck: x 1 INVITE", "RAck: 1", "X-None: 1"} {
				if got := p.send("PRACK", bad).codes(); got != "481" {
					b.t.Errorf("%s: %s", bad, got)
				}
			}
			rseq := p.tx.last().GetHeader("RSeq").Value()
			for _, bad := range []string{" 2 INVITE", " 1 BYE"} {
				if got := p.send("PRACK", "RAck: "+rseq+bad).codes(); got != "481" {
					b.t.Errorf("%s: %s", bad, got)
				}
			}
			if got := p.rack().codes() + " " + p.rack().codes(); got != "200 481" {
				b.t.Errorf("twice the right one: %s", got)
			}
		}},
		"who only supports reliable responses has a plain 180": {ringing, func(b *bench) {
			p := b.invite("a", append([]string{"Supported: 100rel"}, sdpBody(offerPCMU)...)...)
			if p.tx.last().GetHeader("RSeq") != nil || p.tx.last().GetHeader("Require") != nil {
				b.t.Errorf("it is\n%s", p.tx.last())
			}
			if got := p.send("PRACK", "RAck: 1 1 INVITE").codes(); got != "481" {
				b.t.Errorf("PRACK: %s", got)
			}
		}},
		"an answer may be quicker than the PRACK, which still is heard": {answersAfter(1), func(b *bench) {
			p := b.invite("a", append([]string{"Require: 100rel"}, sdpBody(offerPCMU)...)...)
			rseq := p.tx.last().GetHeader("RSeq").Value()
			time.Sleep(time.Second)
			b.wantState(call.Established)
			time.Sleep(600 * time.Millisecond)
			if got := p.tx.codes(); got != "100 180 180 200 200" {
				b.t.Errorf("responses are %s", got)
			}
			if got := p.send("PRACK", "RAck: "+rseq+" 1 INVITE").codes(); got != "200" {
				b.t.Errorf("PRACK: %s", got)
			}
			p.seq = 1
			p.ack()
			b.wantState(call.Established)
		}},
		"a refused call still hears the PRACK": {answersAfter(60), func(b *bench) {
			p := b.invite("a", append([]string{"Require: 100rel"}, sdpBody(offerPCMU)...)...)
			if err := b.set.Hangup(b.record().ID); err != nil {
				b.t.Fatal(err)
			}
			if got := p.tx.codes(); got != "100 180 486" {
				b.t.Errorf("responses are %s", got)
			}
		}},
		"without an offer the 180 carries ours, and the 200 waits for the answer in the PRACK": {answersAfter(1), func(b *bench) {
			p := b.invite("a", "Require: 100rel")
			if body := string(p.tx.last().Body()); !strings.Contains(body, "m=audio 20000") {
				b.t.Fatalf("180 has\n%s", body)
			}
			time.Sleep(2 * time.Second)
			b.wantState(call.Ringing)
			if got := p.rack(sdpBody(answerPCMA)...).codes(); got != "200" {
				b.t.Errorf("PRACK: %s", got)
			}
			b.wantState(call.Established)
			if ok := p.tx.last(); ok.StatusCode != 200 || len(ok.Body()) > 0 {
				b.t.Errorf("it is\n%s", ok)
			}
			p.seq = 1
			p.ack()
			b.wantState(call.Established)
			if r := b.record(); r.Codec != "PCMA/8000" {
				b.t.Errorf("codec is %s", r.Codec)
			}
		}},
		"a PRACK without a usable answer ends the call": {answersAfter(1), func(b *bench) {
			p := b.invite("a", "Require: 100rel")
			if got := p.rack().codes(); got != "200" {
				b.t.Errorf("PRACK: %s", got)
			}
			if got := p.tx.codes(); got != "100 180 488" {
				b.t.Errorf("responses are %s", got)
			}
		}},
		"PRACK and 100rel are told of": {ringing, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			if allow := p.tx.last().GetHeader("Allow").Value(); !strings.Contains(allow, "PRACK") {
				b.t.Errorf("Allow is %s", allow)
			}
		}},
	})
}
