package call_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// TestReINVITE asks for changes of a session and has them answered in every way.
func TestReINVITE(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		play   func(*bench)
	}{
		"a challenge is answered, and the ACK carries the credentials": {nil, func(b *bench) {
			b.talk(call.Dial{})
			w := b.ask(b.set.Hold)
			b.reinvite(1).respond(407, "Proxy Authentication Required", "callee", `Proxy-Authenticate: Digest realm="pbx.test", nonce="n1"`)
			tx := b.reinvite(2)
			if h := tx.req.GetHeader("Proxy-Authorization"); h == nil || tx.req.CSeq().SeqNo != 3 {
				b.t.Fatalf("asked again with\n%s", tx.req)
			}
			b.wantOffer(tx, "sendonly", 2) // the same offer
			acks := b.net.ackCount()
			tx.respond(200, "OK", "callee", reoffer("recvonly")...)
			w.granted(b.t)
			if ack := b.net.ack(acks); ack.GetHeader("Proxy-Authorization") == nil || ack.CSeq().SeqNo != 3 {
				b.t.Errorf("acknowledged with\n%s", ack)
			}
		}},
		"a refusal is known before its ACK has left: who gets that may send an INVITE at once": {nil, func(b *bench) {
			invite := b.talk(call.Dial{})
			b.ask(b.set.Hold)
			b.reinvite(1).withoutACK = true
			b.reinvite(1).respond(491, "Request Pending", "callee")
			if tx := b.within(invite, "INVITE", 1, "callee", reoffer("sendrecv")...); tx.last().StatusCode != 200 {
				b.t.Errorf("the other side's INVITE is answered %d", tx.last().StatusCode)
			}
			b.reinvite(1).end(sip.ErrTransactionTerminated)
		}},
		"what follows a refusal leaves after its ACK": {nil, func(b *bench) {
			b.talk(call.Dial{})
			b.ask(b.set.Hold)
			b.reinvite(1).withoutACK = true
			b.reinvite(1).respond(407, "Proxy Authentication Required", "callee", `Proxy-Authenticate: Digest realm="pbx.test", nonce="n1"`)
			if n := len(b.reinvites()); n != 1 {
				b.t.Errorf("%d INVITEs have left", n)
			}
			b.reinvite(1).end(sip.ErrTransactionTerminated)
			synctest.Wait()
			b.reinvite(2).respond(200, "OK", "callee", reoffer("recvonly")...)
		}},
		"a repeated 200 is acknowledged again": {nil, func(b *bench) {
			b.talk(call.Dial{})
			b.ask(b.set.Hold)
			acks := b.net.ackCount()
			res := b.reinvite(1).respond(200, "OK", "callee", reoffer("recvonly")...)
			b.reinvite(1).repeat(res)
			if n := b.net.ackCount() - acks; n != 2 || b.net.ack(acks).String() != b.net.ack(acks+1).String() {
				b.t.Errorf("%d ACKs", n)
			}
		}},
		"a 200 moves the target": {nil, func(b *bench) {
			b.talk(call.Dial{})
			w := b.ask(b.set.Hold)
			acks := b.net.ackCount()
			b.reinvite(1).respond(200, "OK", "callee", append([]string{"Contact: <sip:2000@192.0.2.88:5099>"}, reoffer("recvonly")...)...)
			w.granted(b.t)
			if got := b.net.ack(acks).Recipient.String(); got != "sip:2000@192.0.2.88:5099" {
				b.t.Errorf("ACK goes to %s", got)
			}
			b.wantTarget("sip:2000@192.0.2.88:5099")
		}},
		"481 ends the call (§12.2.1.2)": {nil, func(b *bench) {
			b.talk(call.Dial{})
			w := b.ask(b.set.Hold)
			b.reinvite(1).respond(481, "Call/Transaction Does Not Exist", "callee")
			b.net.only("BYE").respond(481, "Call/Transaction Does Not Exist", "callee")
			b.wantEnd(200, call.Timeout, "INVITE was answered 481 Call/Transaction Does Not Exist, to hold")
			if err := w.outcome(b.t); !errors.Is(err, call.ErrNotNow) {
				b.t.Error(err)
			}
		}},
		"408 does, too": {nil, func(b *bench) {
			b.talk(call.Dial{})
			b.ask(b.set.Hold)
			b.reinvite(1).respond(408, "Request Timeout", "callee")
			if h := b.net.only("BYE").req.GetHeader("Reason"); h == nil || !strings.HasPrefix(h.Value(), "SIP;cause=408") {
				b.t.Errorf("BYE says %v", h)
			}
			b.wantEnd(200, call.Timeout, "INVITE was answered 408 Request Timeout, to hold")
		}},
		"and so does no answer at all": {nil, func(b *bench) {
			b.talk(call.Dial{})
			b.ask(b.set.Hold)
			b.reinvite(1).end(ua.ErrTimeout)
			b.net.only("BYE")
			b.wantEnd(200, call.Timeout, "no answer to INVITE, to hold")
		}},
		"a request that does not get away changes nothing": {nil, func(b *bench) {
			b.talk(call.Dial{})
			w := b.ask(b.set.Hold)
			b.reinvite(1).end(ua.ErrUnreachable)
			if err := w.outcome(b.t); !errors.Is(err, call.ErrNotNow) || !errors.Is(err, ua.ErrUnreachable) {
				b.t.Error(err)
			}
			b.wantHeld("", "sendrecv")
		}},
		"after 491 the owner of the Call-ID waits 2.1 to 4 s (§14.1)": {nil, func(b *bench) {
			b.talk(call.Dial{})
			w := b.ask(b.set.Hold)
			b.reinvite(1).respond(491, "Request Pending", "callee")
			time.Sleep(2099 * time.Millisecond)
			b.reinvite(1)
			b.wantHeld("", "sendrecv")
			time.Sleep(1902 * time.Millisecond)
			b.wantOffer(b.reinvite(2), "sendonly", 2) // as if the first had never been
			b.reinvite(2).respond(200, "OK", "callee", reoffer("recvonly")...)
			w.granted(b.t)
			b.wantHeld("local", "sendonly")
		}},
		"after 491 the other side waits 0 to 2 s, and theirs comes first": {autoAnswer, func(b *bench) {
			p := b.talking()
			w := b.ask(b.set.Hold)
			if got := p.send("INVITE", reoffer("sendrecv")...).codes(); got != "491" {
				b.t.Errorf("their offer, which crossed ours, was answered %s", got)
			}
			if got := p.send("UPDATE", reoffer("sendrecv")...).codes(); got != "491" {
				b.t.Errorf("their UPDATE, which crossed ours, was answered %s", got)
			}
			if got := p.send("UPDATE").codes(); got != "200" {
				b.t.Errorf("their UPDATE without an offer was answered %s", got)
			}
			b.reinvite(1).respond(491, "Request Pending", "caller")
			time.Sleep(2001 * time.Millisecond)
			b.reinvite(2).respond(200, "OK", "caller", reoffer("recvonly")...)
			w.granted(b.t)
		}},
		"ours waits for the ACK of theirs": {autoAnswer, func(b *bench) {
			p := b.talking()
			p.send("INVITE", reoffer("sendrecv")...)
			w := b.ask(b.set.Hold)
			if n := len(b.reinvites()); n != 0 {
				b.t.Fatal("two INVITEs are under way")
			}
			p.ack()
			b.reinvite(1).respond(200, "OK", "caller", reoffer("recvonly")...)
			w.granted(b.t)
		}},
		"500 with Retry-After is tried again then": {nil, func(b *bench) {
			b.talk(call.Dial{})
			w := b.ask(b.set.Hold)
			b.reinvite(1).respond(500, "Server Internal Error", "callee", "Retry-After: 7 (busy)")
			time.Sleep(6999 * time.Millisecond)
			b.reinvite(1)
			time.Sleep(2 * time.Millisecond)
			b.reinvite(2).respond(200, "OK", "callee", reoffer("recvonly")...)
			w.granted(b.t)
		}},
		"whoever always asks to come again is not asked for ever": {nil, func(b *bench) {
			b.talk(call.Dial{})
			w := b.ask(b.set.Hold)
			for i := range 6 {
				b.reinvite(i+1).respond(491, "Request Pending", "callee")
				time.Sleep(5 * time.Second)
			}
			b.reinvite(6)
			if err := w.outcome(b.t); !errors.Is(err, call.ErrPeerRefused) {
				b.t.Error(err)
			}
		}},
		"one that rings is cancelled after a minute": {nil, func(b *bench) {
			b.talk(call.Dial{})
			w := b.ask(b.set.Hold)
			b.reinvite(1).respond(180, "Ringing", "callee")
			time.Sleep(61 * time.Second)
			b.net.only("CANCEL").respond(200, "OK", "callee")
			b.reinvite(1).respond(487, "Request Terminated", "callee")
			if err := w.outcome(b.t); !errors.Is(err, call.ErrPeerRefused) {
				b.t.Error(err)
			}
			b.wantState(call.Established)
		}},
		"an answer that cannot be followed ends the call": {nil, func(b *bench) {
			b.talk(call.Dial{})
			b.ask(b.set.Hold)
			acks := b.net.ackCount()
			b.reinvite(1).respond(200, "OK", "callee", sdpBody(strings.Replace(offerPCMU, "audio 4000", "audio 0", 1))...)
			if b.net.ackCount() != acks+1 {
				b.t.Error("not acknowledged")
			}
			if h := b.net.only("BYE").req.GetHeader("Reason"); h == nil || !strings.HasPrefix(h.Value(), "SIP;cause=488") {
				b.t.Errorf("BYE says %v", h)
			}
			b.wantState(call.Ended)
		}},
		"a 200 without an answer changes nothing": {nil, func(b *bench) {
			b.talk(call.Dial{})
			w := b.ask(b.set.Hold)
			b.reinvite(1).respond(200, "OK", "callee")
			if err := w.outcome(b.t); !errors.Is(err, call.ErrPeerRefused) {
				b.t.Error(err)
			}
			b.wantHeld("", "sendrecv")
		}},
		"a 200 that crosses our BYE is acknowledged": {nil, func(b *bench) {
			b.talk(call.Dial{})
			b.ask(b.set.Hold)
			_ = b.set.Hangup(b.record().ID)
			b.net.only("BYE").respond(200, "OK", "callee")
			acks := b.net.ackCount()
			b.reinvite(1).respond(200, "OK", "callee", reoffer("recvonly")...)
			if b.net.ackCount() != acks+1 {
				b.t.Error("not acknowledged")
			}
		}},
		"BYEs that cross are both answered": {autoAnswer, func(b *bench) {
			p := b.talking()
			_ = b.set.Hangup(b.record().ID)
			bye := b.net.only("BYE")
			if got := p.send("BYE").codes(); got != "200" {
				b.t.Errorf("their BYE was answered %s", got)
			}
			bye.respond(481, "Call/Transaction Does Not Exist", "caller")
			b.wantEnd(200, call.Local, "hung up")
		}},
		"a re-INVITE that crosses our BYE has no call any more": {autoAnswer, func(b *bench) {
			p := b.talking()
			_ = b.set.Hangup(b.record().ID)
			if got := p.send("INVITE", reoffer("sendonly")...).codes(); got != "481" {
				b.t.Errorf("answered %s", got)
			}
			b.net.only(sip.BYE).respond(200, "OK", "caller")
		}},
		"changes wait for one another": {nil, func(b *bench) {
			b.talk(call.Dial{})
			hold, resume := b.ask(b.set.Hold), b.ask(b.set.Resume)
			b.reinvite(1).respond(200, "OK", "callee", reoffer("recvonly")...)
			hold.granted(b.t)
			b.reinvite(2).respond(200, "OK", "callee", reoffer("sendrecv")...)
			resume.granted(b.t)
			b.wantHeld("", "sendrecv")
		}},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, c.change, c.play) })
	}
}
