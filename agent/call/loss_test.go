package call_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// untilEnd tells how long the only call lasts from now, within a limit. Questions
// time out meanwhile, as real ones do.
func (b *bench) untilEnd(limit time.Duration) time.Duration {
	b.t.Helper()
	from, seen := time.Now(), map[*clientTx]time.Time{}
	for time.Since(from) < limit {
		time.Sleep(100 * time.Millisecond)
		for _, tx := range b.net.requests("OPTIONS") {
			if at, ok := seen[tx]; !ok {
				seen[tx] = time.Now()
			} else if time.Since(at) >= 32*time.Second {
				tx.end(ua.ErrTimeout)
			}
		}
		if r := b.record(); r.State == call.Ended {
			return r.EndedAt.Sub(from)
		}
	}
	b.t.Fatalf("the call did not end within %v", limit)
	return 0
}

// asked are the questions for a sign of life so far.
func (b *bench) asked() int { return len(b.net.requests("OPTIONS")) + len(b.net.requests("UPDATE")) }

// surviving are the options of a line with a node that says how long its calls survive.
func surviving(t *testing.T, node string) func(*call.Options) {
	a := accountOf(t, "<autoAnswerEnabled>1</autoAnswerEnabled><autoAnswerTimeoutInSeconds>0</autoAnswerTimeoutInSeconds>"+node)
	return func(o *call.Options) { o.Account = a }
}

// The node's time is how long a call outlives its other side: audio may come up to
// two seconds late to be seen.
func TestACallEndsSoLongAfterTheNetworkWasLost(t *testing.T) {
	for node, want := range map[string]time.Duration{
		"": 30 * time.Second,
		"<networkLossCallTimeoutMs>8000</networkLossCallTimeoutMs>":   8 * time.Second,
		"<networkLossCallTimeoutMs>120000</networkLossCallTimeoutMs>": 2 * time.Minute,
		"<networkLossCallTimeoutMs>0</networkLossCallTimeoutMs>":      5 * time.Second, // less would be guessing
	} {
		simulate(t, surviving(t, node), func(b *bench) {
			b.talking()
			time.Sleep(time.Minute)
			if b.asked() != 0 {
				b.t.Errorf("a peer that is heard was asked %d times", b.asked())
			}
			b.session().vanish(media.Stats{LastPacket: time.Now()})
			if took := b.untilEnd(5 * time.Minute); took != want {
				b.t.Errorf("%s: the call ended %v after its other side vanished, want %v", node, took, want)
			}
			if r := b.record(); r.End.By != call.Timeout || r.End.Code != 200 || !strings.HasPrefix(r.End.Reason, "the other side has vanished: nothing heard for ") {
				b.t.Errorf("%s: ended %+v", node, r.End)
			}
			if bye := b.net.only("BYE"); bye.req.GetHeader("Reason") == nil {
				b.t.Error("the BYE does not say why")
			}
		})
	}
}

func TestLossOfTheOtherSide(t *testing.T) {
	const vanished = "the other side has vanished: nothing heard for 30 s, "
	for sentence, play := range map[string]func(*bench){
		"a peer that is silent but answers is left alone": func(b *bench) {
			b.talking()
			b.session().vanish(media.Stats{})
			for i := range 30 {
				time.Sleep(12 * time.Second)
				asked := b.net.requests("OPTIONS")
				if len(asked) != i+1 {
					b.t.Fatalf("asked %d times after %d periods of silence", len(asked), i+1)
				}
				asked[i].respond([]int{200, 405, 501, 404}[i%4], "any answer", "caller")
			}
			b.wantState(call.Established)
		},
		"RTCP alone is a sign of life": func(b *bench) {
			b.talking()
			for range 60 {
				b.session().vanish(media.Stats{LastReport: time.Now()})
				time.Sleep(5 * time.Second)
			}
			if b.asked() != 0 {
				b.t.Errorf("asked %d times", b.asked())
			}
		},
		"so is any request of the other side": func(b *bench) {
			p := b.talking()
			b.session().vanish(media.Stats{})
			for range 60 {
				time.Sleep(5 * time.Second)
				p.send("OPTIONS")
			}
			if b.asked() != 0 {
				b.t.Errorf("asked %d times", b.asked())
			}
		},
		"on hold nothing is to come, and nobody asks": func(b *bench) {
			p := b.talking()
			p.send("INVITE", reoffer("recvonly")...)
			p.ack()
			b.session().vanish(media.Stats{})
			time.Sleep(10 * time.Minute)
			if b.asked() != 0 {
				b.t.Errorf("asked %d times", b.asked())
			}
			p.send("INVITE", reoffer("sendrecv")...)
			p.ack()
			if took := b.untilEnd(time.Minute); took > 32*time.Second || took < 30*time.Second {
				b.t.Errorf("taken back, the call ended after %v", took)
			}
		},
		"a dialog that the other side does not know is over at once": func(b *bench) {
			b.talking()
			b.session().vanish(media.Stats{})
			time.Sleep(12 * time.Second)
			b.net.only("OPTIONS").respond(481, "Call/Transaction Does Not Exist", "caller")
			b.wantEnd(200, call.Timeout, "the other side does not know the call any more (481 Call/Transaction Does Not Exist)")
			b.net.only("BYE")
		},
		"a server that cannot reach the other side is no answer": func(b *bench) {
			b.talking()
			b.session().vanish(media.Stats{LastPacket: time.Now()})
			time.Sleep(12 * time.Second)
			b.net.only("OPTIONS").respond(408, "Request Timeout", "")
			b.untilEnd(time.Minute)
			b.wantEnd(200, call.Timeout, vanished+"no answer to OPTIONS") // the second one
		},
		"a question that the network refuses is the network's failure": func(b *bench) {
			b.talking()
			b.session().vanish(media.Stats{LastPacket: time.Now()})
			for range 2 {
				time.Sleep(11 * time.Second)
				asked := b.net.requests("OPTIONS")
				asked[len(asked)-1].end(ua.ErrUnreachable)
			}
			b.untilEnd(time.Minute)
			b.wantEnd(200, call.Network, vanished+"asking it failed: unreachable")
		},
		"audio that the network does not take makes us ask at once": func(b *bench) {
			b.talking()
			b.session().vanish(media.Stats{SendErrors: 1})
			b.session().comeBack()
			time.Sleep(2 * time.Second)
			b.net.only("OPTIONS").respond(200, "OK", "caller")
			time.Sleep(time.Minute)
			b.net.only("OPTIONS")
			b.wantState(call.Established)
		},
		"audio that comes again takes every doubt away": func(b *bench) {
			b.talking()
			for range 5 {
				b.session().vanish(media.Stats{LastPacket: time.Now()})
				time.Sleep(29 * time.Second)
				b.session().comeBack()
				time.Sleep(12 * time.Second)
			}
			b.wantState(call.Established)
		},
		"where UPDATE alone is allowed it asks": func(b *bench) {
			p := b.invite("a", append([]string{"Allow: INVITE, ACK, CANCEL, BYE", "Allow: UPDATE"}, sdpBody(offerPCMU)...)...)
			p.ack()
			b.session().vanish(media.Stats{})
			time.Sleep(12 * time.Second)
			update := b.net.only("UPDATE").req
			if update.Contact() == nil || len(update.Body()) != 0 {
				b.t.Errorf("the UPDATE changes more than it should:\n%s", update)
			}
		},
		"a question that is challenged is asked again with credentials": func(b *bench) {
			invite := b.talk(call.Dial{})
			b.session().vanish(media.Stats{})
			time.Sleep(12 * time.Second)
			b.net.only("OPTIONS").respond(407, "Proxy Authentication Required", "", `Proxy-Authenticate: Digest realm="pbx.test", nonce="n1", algorithm=MD5, qop="auth"`)
			again := b.net.requests("OPTIONS")
			if len(again) != 2 || again[1].req.GetHeader("Proxy-Authorization") == nil || again[1].req.CSeq().SeqNo != invite.req.CSeq().SeqNo+2 {
				b.t.Fatalf("%d questions, the last:\n%s", len(again), again[len(again)-1].req)
			}
			again[1].respond(200, "OK", "callee")
			time.Sleep(8 * time.Second)
			b.wantState(call.Established)
		},
		"a BYE that nobody answers leaves nothing behind": func(b *bench) {
			b.talking()
			if err := b.set.Hangup(b.record().ID); err != nil {
				b.t.Fatal(err)
			}
			b.wantEnd(200, call.Local, "hung up")
			time.Sleep(32 * time.Second)
			b.net.only("BYE").end(ua.ErrTimeout)
			synctest.Wait()
			if n := b.set.Active(); n != 0 {
				b.t.Errorf("%d calls are left", n)
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, surviving(t, ""), play) })
	}
}
