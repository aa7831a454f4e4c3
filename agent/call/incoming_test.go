package call_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func autoAnswer(o *call.Options) { o.Account.AutoAnswerEnabled = true }

func TestIncoming(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		play   func(*bench)
	}{
		"a call is answered at once, acknowledged, and ended by the caller": {autoAnswer, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			if got := p.tx.codes(); got != "100 200" {
				b.t.Fatalf("answered %s, want 100 200", got)
			}
			p.ack()
			b.wantState(call.Established)
			time.Sleep(5 * time.Second)
			if got := p.tx.codes(); got != "100 200" {
				b.t.Errorf("2xx sent again after its ACK: %s", got)
			}
			b.session().measured(media.Stats{Sent: 250, Received: 249, Lost: 1})
			bye := p.send("BYE")
			if got := bye.codes(); got != "200" {
				b.t.Errorf("BYE answered %s", got)
			}
			b.wantEnd(200, call.Remote, "BYE from the other side")
			r := b.record()
			if r.RTP.Sent != 250 || r.RTP.Received != 249 || r.RTP.Lost != 1 {
				b.t.Errorf("final statistics are %+v", r.RTP)
			}
			if r.Codec != "PCMU/8000" || r.Direction != call.In || r.Remote != "sip:2000@pbx.test" || r.CallID != "a" || r.SetupMs == nil || *r.SetupMs != 0 {
				b.t.Errorf("record is %+v", r)
			}
			if b.session().has().source != (media.Echo{}) {
				b.t.Errorf("source is %T, want echo", b.session().has().source)
			}
		}},
		"a call rings, is answered after the delay, and the record says how long that took": {
			func(o *call.Options) { autoAnswer(o); o.Account.AutoAnswerTimeoutInSeconds = 3 }, func(b *bench) {
				p := b.invite("a", sdpBody(offerPCMU)...)
				if got := p.tx.codes(); got != "100 180" {
					b.t.Fatalf("answered %s, want 100 180", got)
				}
				b.wantState(call.Ringing)
				if b.sessions() != 0 {
					b.t.Error("ports are taken while the call rings")
				}
				time.Sleep(3 * time.Second)
				if got := p.tx.codes(); got != "100 180 200" {
					b.t.Fatalf("answered %s, want 100 180 200", got)
				}
				p.ack()
				if r := b.record(); *r.SetupMs != 3000 || !strings.HasPrefix(r.Treatment[len(r.Treatment)-1], "auto-answer: after 3s") {
					b.t.Errorf("setup %d ms, treatment %q", *r.SetupMs, r.Treatment)
				}
			}},
		"nobody answers": {nil, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			time.Sleep(59 * time.Second)
			b.wantState(call.Ringing)
			time.Sleep(time.Second)
			if got := p.tx.codes(); got != "100 180 480" {
				b.t.Errorf("answered %s, want 100 180 480", got)
			}
			b.wantEnd(480, call.Timeout, "no answer within 60 s")
		}},
		"the caller gives up": {nil, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			tag := p.tag()
			p.tx.cancel()
			b.wantEnd(487, call.Remote, "cancelled by the caller")
			if got := p.tag(); got != tag {
				b.t.Errorf("487 has the To tag %q, 180 had %q", got, tag)
			}
		}},
		"the caller gives up before we have looked": {autoAnswer, func(b *bench) {
			p := &caller{b: b, callID: "a", seq: 1}
			req := parse(append(p.head("INVITE", ""), sdpBody(offerPCMU)...)...)
			p.tx = newServerTx(b.t, asRequest(req))
			p.tx.cancel()
			b.set.HandleRequest(asRequest(req), p.tx)
			synctest.Wait()
			b.wantEnd(487, call.Remote, "cancelled by the caller")
			if b.sessions() != 0 {
				b.t.Error("ports were taken for a call that was cancelled")
			}
		}},
		"a CANCEL after the answer has no effect": {autoAnswer, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			p.tx.cancel()
			p.ack()
			b.wantState(call.Established)
		}},
		"the way back to the caller breaks while it rings": {nil, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			p.tx.lose()
			b.wantEnd(503, call.Network, "the caller cannot be reached")
		}},
		"a 200 is sent again at T1 doubling to T2 until the ACK comes": {autoAnswer, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			time.Sleep(16 * time.Second)
			synctest.Wait()
			var gaps []string
			for i := 2; i < len(p.tx.at); i++ {
				gaps = append(gaps, p.tx.at[i].Sub(p.tx.at[i-1]).String())
			}
			if got := strings.Join(gaps, " "); got != "500ms 1s 2s 4s 4s 4s" {
				b.t.Errorf("gaps are %s", got)
			}
			p.ack()
			before := p.tx.codes()
			time.Sleep(10 * time.Second)
			if p.tx.codes() != before {
				b.t.Error("200 sent again after its ACK")
			}
			b.wantState(call.Established)
		}},
		"without an ACK the call is ended with BYE after 64*T1": {autoAnswer, func(b *bench) {
			b.invite("a", sdpBody(offerPCMU)...)
			time.Sleep(32*time.Second - time.Millisecond)
			b.wantState(call.Established)
			time.Sleep(time.Millisecond)
			b.wantEnd(200, call.Timeout, "no ACK within 32 s")
			bye := b.net.only("BYE")
			if got := bye.req.Recipient.String(); got != "sip:2000@192.0.2.9:5070" {
				b.t.Errorf("BYE goes to %s", got)
			}
			bye.respond(200, "OK", "caller")
		}},
		"an ACK of another CSeq acknowledges nothing": {autoAnswer, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			p.seq = 7
			p.ack()
			time.Sleep(600 * time.Millisecond)
			if got := p.tx.codes(); got != "100 200 200" {
				b.t.Errorf("answered %s, want the 200 sent again", got)
			}
		}},
		"an ACK with the INVITE's branch, which the transaction passes on, counts": {autoAnswer, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			p.tx.acks <- asRequest(parse(p.head("ACK", p.tag())...))
			time.Sleep(time.Minute)
			if got := p.tx.codes(); got != "100 200" {
				b.t.Errorf("answered %s, want no 200 again", got)
			}
			b.wantState(call.Established)
		}},
		"hanging up before the ACK waits for it": {autoAnswer, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			if err := b.set.Hangup(b.record().ID); err != nil {
				b.t.Fatal(err)
			}
			if n := len(b.net.requests("BYE")); n != 0 {
				b.t.Fatalf("%d BYE before the ACK", n)
			}
			p.ack()
			b.net.only("BYE").respond(200, "OK", "caller")
			b.wantEnd(200, call.Local, "hung up")
		}},
		"hanging up while it rings refuses with 486": {nil, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			if err := b.set.Hangup(b.record().ID); err != nil {
				b.t.Fatal(err)
			}
			if got := p.tx.codes(); got != "100 180 486" {
				b.t.Errorf("answered %s, want 100 180 486", got)
			}
			b.wantEnd(486, call.Local, "hung up")
		}},
		"the caller may hang up with BYE before the answer, too": {nil, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			bye := p.send("BYE")
			if got := bye.codes(); got != "200" {
				b.t.Errorf("BYE answered %s", got)
			}
			if got := p.tx.codes(); got != "100 180 487" {
				b.t.Errorf("INVITE answered %s, want 487 in the end", got)
			}
			b.wantEnd(487, call.Remote, "BYE from the other side")
		}},
		"a BYE that overtakes the ACK ends the call": {autoAnswer, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			p.send("BYE", `Reason: Q.850;cause=16;text="normal"`)
			b.wantEnd(200, call.Remote, `BYE from the other side (Q.850;cause=16;text="normal")`)
			late := p.again("ACK")
			if got := late.codes(); got != "" {
				b.t.Errorf("ACK answered %s", got)
			}
			if got := p.send("INFO").codes(); got != "481" {
				b.t.Errorf("a request after the BYE is answered %s, want 481", got)
			}
		}},
		"no common codec is refused before it rings": {nil, func(b *bench) {
			p := b.invite("a", sdpBody(strings.ReplaceAll(offerPCMU, "RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000", "RTP/AVP 96\r\na=rtpmap:96 EVRC/8000"))...)
			if got := p.tx.codes(); got != "100 488" {
				b.t.Errorf("answered %s, want 100 488", got)
			}
			b.wantEnd(488, call.Policy, "488 Not Acceptable Here")
		}},
		"on Wi-Fi their first codec is taken": {prefers(delivery.WiFi), func(b *bench) {
			b.invite("a", sdpBody(offerThree)...).ack()
			if r := b.record(); r.Codec != "PCMU/8000" {
				b.t.Errorf("codec is %q", r.Codec)
			}
		}},
		"on a cellular network our first codec is taken, in packets its frames fill": {prefers(delivery.Cellular), func(b *bench) {
			b.invite("a", sdpBody(offerThree)...).ack()
			if r := b.record(); r.Codec != "GSM/8000" {
				b.t.Errorf("codec is %q", r.Codec)
			}
			if n := b.session().last(b.t); n.PTime != 20 {
				b.t.Errorf("packets of %d ms of GSM", n.PTime)
			}
		}},
		"a call without an offer gets ours, and its answer comes with the ACK": {autoAnswer, func(b *bench) {
			p := b.invite("a")
			offer := p.tx.last()
			d, err := sdp.Parse(offer.Body())
			if offer.StatusCode != sip.StatusOK || err != nil || d.Media[0].Port != 20000 {
				b.t.Fatalf("answered %d with %v (%v)", offer.StatusCode, d, err)
			}
			if b.session().has().started {
				b.t.Error("audio runs before the answer")
			}
			p.ack(sdpBody(offerPCMU)...)
			if n := b.session().last(b.t); n.Remote.String() != "192.0.2.9:4000" {
				b.t.Errorf("audio goes to %s", n.Remote)
			}
			if r := b.record(); r.Codec != "PCMU/8000" {
				b.t.Errorf("codec is %q", r.Codec)
			}
		}},
		"a call without an offer whose ACK has no answer is ended": {autoAnswer, func(b *bench) {
			p := b.invite("a")
			p.ack()
			bye := b.net.only("BYE")
			if got := bye.req.GetHeader("Reason"); got == nil || !strings.HasPrefix(got.Value(), "SIP;cause=488") {
				b.t.Errorf("BYE says %v", got)
			}
			bye.respond(200, "OK", "caller")
			b.wantEnd(200, call.Policy, "no usable answer to our offer in the ACK")
		}},
		"the maximum duration ends a call": {
			func(o *call.Options) { autoAnswer(o); o.Caps.MaxDuration = 10 * time.Second }, func(b *bench) {
				p := b.invite("a", sdpBody(offerPCMU)...)
				p.ack()
				time.Sleep(10 * time.Second)
				bye := b.net.only("BYE")
				if got := bye.req.GetHeader("Reason").Value(); got != `SIP;cause=200;text="maximum duration reached"` {
					b.t.Errorf("BYE says %s", got)
				}
				bye.respond(200, "OK", "caller")
				b.wantEnd(200, call.Policy, "maximum duration reached")
			}},
		"received digits are in the record": {autoAnswer, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			p.ack()
			b.session().onDTMF('1')
			synctest.Wait()
			if got := p.send("INFO", "Content-Type: application/dtmf-relay", "", "Signal=#\r\nDuration=160\r\n").codes(); got != "200" {
				b.t.Errorf("INFO answered %s", got)
			}
			b.session().onDTMF('2')
			if r := b.record(); r.DTMF != "1#2" {
				b.t.Errorf("digits are %q, want 1#2", r.DTMF)
			}
		}},
		"audio has no port": {func(o *call.Options) {
			autoAnswer(o)
			o.OpenMedia = func(media.Config) (call.Media, error) { return nil, media.ErrPortsExhausted }
		}, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			if got := p.tx.codes(); got != "100 500" {
				b.t.Errorf("answered %s, want 100 500", got)
			}
			b.wantEnd(500, call.Local, "500 Server Internal Error")
		}},
		"a panic while it is answered costs this call and no more": {func(o *call.Options) {
			autoAnswer(o)
			open := o.OpenMedia
			calls := 0
			o.OpenMedia = func(c media.Config) (call.Media, error) {
				if calls++; calls == 1 {
					panic("on purpose")
				}
				return open(c)
			}
		}, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			if got := p.tx.codes(); got != "100 500" {
				b.t.Errorf("answered %s, want 100 500", got)
			}
			b.wantEnd(500, call.Local, "internal error")
			second := b.invite("b", sdpBody(offerPCMU)...)
			second.ack()
			if got := second.tx.codes(); got != "100 200" {
				b.t.Errorf("the next call is answered %s", got)
			}
		}},
		"a panic in an answered call still says BYE": {autoAnswer, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			p.ack()
			b.session().breakDown()
			p.send("INVITE", reoffer("sendonly")...)
			b.wantEnd(200, call.Local, "internal error")
			if got := b.net.ack(0).Method; got != "BYE" {
				b.t.Errorf("last word is %s", got)
			}
		}},
		"a panic where audio is handled costs this call and no more": {func(o *call.Options) {
			autoAnswer(o)
			open := o.OpenMedia
			o.OpenMedia = func(c media.Config) (call.Media, error) {
				time.AfterFunc(time.Second, func() { c.Guard(func() { panic("on purpose") }) })
				return open(c)
			}
		}, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			p.ack()
			time.Sleep(2 * time.Second)
			b.wantEnd(200, call.Local, "internal error")
			if got := b.net.ack(0).Method; got != "BYE" {
				b.t.Errorf("last word is %s", got)
			}
			second := b.invite("b", sdpBody(offerPCMU)...)
			second.ack()
			if got := second.tx.codes(); got != "100 200" {
				b.t.Errorf("the next call is answered %s", got)
			}
		}},
		"closing the line does not wait for ever for an ACK": {autoAnswer, func(b *bench) {
			b.invite("a", sdpBody(offerPCMU)...)
			start := time.Now()
			b.set.Close("agent is shutting down")
			if took := time.Since(start); took != call.CloseTimeout {
				b.t.Errorf("Close took %v", took)
			}
			b.wantEnd(200, call.Local, "line closed")
			if got := b.net.ack(0).Method; got != "BYE" {
				b.t.Errorf("last word is %s", got)
			}
		}},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, c.change, c.play) })
	}
}

// offerThree offers PCMU, G.722 and GSM, without a packet time.
var offerThree = strings.ReplaceAll(offerPCMU, "RTP/AVP 0 101", "RTP/AVP 0 9 3 101")

// prefers is a line that would rather speak GSM, or G.722 on Wi-Fi; the document's defaults say whose list is honoured.
func prefers(network delivery.NetworkType) func(*call.Options) {
	return func(o *call.Options) {
		autoAnswer(o)
		o.Network = network
		o.Account.CodecOrder, o.Account.CodecOrder3G = []int{9, 0, 3}, []int{3, 9, 0}
		o.Account.HonorTheirCodecListWiFi, o.Account.HonorTheirCodecList3G = true, false
	}
}
