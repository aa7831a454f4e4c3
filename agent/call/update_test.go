package call_test

import (
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/call"
)

// TestUPDATEBeforeTheAnswer (RFC 3311 §5.2).
func TestUPDATEBeforeTheAnswer(t *testing.T) {
	reliable := func(rseq string, body []string) []string {
		return append([]string{"Require: 100rel", "RSeq: " + rseq, contactCallee}, body...)
	}
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		play   func(*bench)
	}{
		"one without an offer is taken": {nil, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			if tx := p.send("UPDATE"); tx.codes() != "200" || len(tx.last().Body()) != 0 {
				b.t.Errorf("answered %s", tx.last())
			}
			b.wantState(call.Ringing)
		}},
		"an offer before the first has its answer comes too early": {nil, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			if tx := p.send("UPDATE", reoffer("sendonly")...); tx.codes() != "500" || tx.last().GetHeader("Retry-After") == nil {
				b.t.Errorf("answered %s", tx.last())
			}
		}},
		"the called side without an offer": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "callee", contactCallee)
			if got := b.within(invite, "UPDATE", 1, "callee").codes(); got != "200" {
				b.t.Errorf("answered %s", got)
			}
			invite.respond(486, "Busy Here", "callee")
		}},
		"the called side's offer crosses ours until it has answered that": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "callee", contactCallee)
			if got := b.within(invite, "UPDATE", 1, "callee", reoffer("sendonly")...).codes(); got != "491" {
				b.t.Errorf("answered %s", got)
			}
			invite.respond(486, "Busy Here", "callee")
		}},
		"and is answered once it has, reliably": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(183, "Session Progress", "callee", reliable("1", sdpBody(answerPCMA))...)
			b.net.only("PRACK").respond(200, "OK", "callee")
			tx := b.within(invite, "UPDATE", 1, "callee", reoffer("sendonly")...)
			if tx.codes() != "200" || !strings.Contains(string(tx.last().Body()), "a=recvonly") {
				b.t.Fatalf("answered %s", tx.last())
			}
			if n := b.session().last(b.t); n.Remote.String() != "192.0.2.9:4002" || n.Codec.Name != "PCMU" {
				b.t.Errorf("agreed on %+v", n)
			}
			invite.respond(200, "OK", "callee", contactCallee)
			b.wantState(call.Established)
			b.wantHeld("remote", "recvonly")
		}},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, c.change, c.play) })
	}
}
