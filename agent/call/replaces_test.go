package call_test

import (
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
)

// replacing is the INVITE of somebody who wants to take a call's place.
func (b *bench) replacing(dialog string, more ...string) *serverTx {
	b.t.Helper()
	p := &caller{b: b, callID: "other", seq: 1}
	lines := p.head("INVITE", "")
	lines[2] = "From: <sip:3000@pbx.test>;tag=third"
	return b.deliver(append(append(lines, "Replaces: "+dialog), more...)...)
}

// named names a call's dialog as its other side does.
func (p *caller) named() string { return p.callID + ";to-tag=" + p.tag() + ";from-tag=caller" }

func TestACallTakesThePlaceOfAnother(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		play   func(*bench)
	}{
		"a call that came": {autoAnswer, func(b *bench) {
			p := b.talking()
			tx := b.replacing(p.named(), append([]string{"Require: replaces"}, sdpBody(offerPCMU)...)...)
			if got := tx.codes(); got != "100 200" {
				b.t.Fatalf("answered %s", got)
			}
			bye := b.net.only("BYE")
			if h := bye.req.GetHeader("Reason"); bye.req.CallID().Value() != "a" || h == nil || !strings.Contains(h.Value(), "Replaced") {
				b.t.Errorf("BYE is\n%s", bye.req)
			}
			bye.respond(200, "OK", "caller")
			old := b.of("ended", func(r call.Record) bool { return r.State == call.Ended })
			new := b.of("goes on", func(r call.Record) bool { return r.State == call.Established })
			if new.Replaces != old.ID || old.End.Reason != "replaced by call "+new.ID || old.End.By != call.Remote || new.Remote != "sip:3000@pbx.test" {
				b.t.Errorf("%+v, %+v", old, new)
			}
			if want := "replaces: takes the place of call " + old.ID + " with sip:2000@pbx.test, answered at once"; len(new.Treatment) != 1 || new.Treatment[0] != want {
				b.t.Errorf("treatment %q", new.Treatment)
			}
		}},
		"a call that was placed goes on sending what it sent, for as long as was asked": {nil, func(b *bench) {
			invite := b.talk(call.Dial{ToneHz: 440, Seconds: 60})
			tag := invite.req.From().Params.GetOr("tag", "")
			time.Sleep(20 * time.Second)
			tx := b.replacing(invite.req.CallID().Value()+";from-tag=callee;to-tag="+tag, sdpBody(offerPCMU)...)
			if got := tx.codes(); got != "100 200" {
				b.t.Fatalf("answered %s", got)
			}
			b.net.only("BYE").respond(200, "OK", "callee")
			if got := b.audio[1].has().source; got != (media.Tone{Hz: 440, LevelDBm0: -10}) {
				b.t.Errorf("it sends %+v", got)
			}
			third := &caller{b: b, callID: "other", seq: 1, tx: tx}
			lines := third.head("ACK", third.tag())
			lines[2] = "From: <sip:3000@pbx.test>;tag=third"
			b.deliver(lines...)
			time.Sleep(39 * time.Second)
			b.of("goes on", func(r call.Record) bool { return r.State == call.Established })
			time.Sleep(2 * time.Second)
			if r := b.of("came", incoming); r.End == nil || r.End.Reason != "hung up as was asked of the call it replaced" {
				b.t.Errorf("%+v", r)
			}
			b.net.requests("BYE")[1].respond(200, "OK", "third")
		}},
		"a call that is not answered yet, if we placed it": {nil, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "callee")
			tag := invite.req.From().Params.GetOr("tag", "")
			tx := b.replacing(invite.req.CallID().Value()+";from-tag=callee;to-tag="+tag+";early-only", sdpBody(offerPCMU)...)
			if got := tx.codes(); got != "100 200" {
				b.t.Fatalf("answered %s", got)
			}
			b.net.only("CANCEL").respond(200, "OK", "callee")
			invite.respond(487, "Request Terminated", "callee")
			if r := b.of("was placed", outgoing); r.End == nil || r.End.Code != 487 || !strings.HasPrefix(r.End.Reason, "replaced by call ") {
				b.t.Errorf("%+v", r)
			}
		}},
		"without a common codec everything stays": {autoAnswer, func(b *bench) {
			p := b.talking()
			tx := b.replacing(p.named(), sdpBody(strings.ReplaceAll(offerPCMU, "RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000", "RTP/AVP 96\r\na=rtpmap:96 EVRC/8000"))...)
			if got := tx.codes(); got != "100 488" {
				b.t.Errorf("answered %s", got)
			}
			if len(b.net.requests("BYE")) != 0 {
				b.t.Error("the call was ended")
			}
			b.of("goes on", func(r call.Record) bool { return r.State == call.Established && r.CallID == "a" })
		}},
		"the same INVITE by two paths": {autoAnswer, func(b *bench) {
			p := b.talking()
			dialog := p.named()
			b.replacing(dialog, sdpBody(offerPCMU)...)
			if got := b.replacing(dialog, sdpBody(offerPCMU)...).codes(); got != "100 603" && got != "100 482" {
				b.t.Errorf("answered %s", got)
			}
			b.net.only("BYE").respond(200, "OK", "caller")
		}},
		"a call that rings here may not be taken: it was not us who began it": {nil, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			if got := b.replacing(p.named(), sdpBody(offerPCMU)...).codes(); got != "100 481" {
				b.t.Errorf("answered %s", got)
			}
			b.wantState(call.Ringing)
		}},
		"early-only does not take an answered call": {autoAnswer, func(b *bench) {
			p := b.talking()
			if got := b.replacing(p.named()+";early-only", sdpBody(offerPCMU)...).codes(); got != "100 486" {
				b.t.Errorf("answered %s", got)
			}
			b.wantState(call.Established)
		}},
		"a call that is over": {autoAnswer, func(b *bench) {
			p := b.talking()
			_ = b.set.Hangup(b.record().ID)
			if got := b.replacing(p.named(), sdpBody(offerPCMU)...).codes(); got != "100 603" {
				b.t.Errorf("answered %s", got)
			}
			b.net.only("BYE").respond(200, "OK", "caller")
		}},
		"a dialog that is not there, or not with them": {autoAnswer, func(b *bench) {
			p := b.talking()
			for dialog, want := range map[string]string{
				"b;to-tag=" + p.tag() + ";from-tag=caller": "481", "a;to-tag=x;from-tag=caller": "481",
				"a;to-tag=" + p.tag() + ";from-tag=other": "100 481", "a": "400", "a;to-tag=b": "400", "a;to-tag=b;to-tag=c;from-tag=d": "400",
			} {
				if got := b.replacing(dialog, sdpBody(offerPCMU)...).codes(); got != want {
					b.t.Errorf("%s: answered %s, want %s", dialog, got, want)
				}
			}
			if got := b.replacing(p.named(), append([]string{"Replaces: " + p.named()}, sdpBody(offerPCMU)...)...).codes(); got != "400" {
				b.t.Errorf("two of them: answered %s", got)
			}
			b.wantState(call.Established)
		}},
		"a Replaces header where none may be": {autoAnswer, func(b *bench) {
			p := b.talking()
			for _, method := range []string{"INVITE", "UPDATE", "INFO"} {
				if got := p.send(method, "Replaces: "+p.named()).codes(); got != "400" {
					b.t.Errorf("%s answered %s", method, got)
				}
			}
			if got := b.replacing(p.named(), append([]string{"Join: " + p.named()}, sdpBody(offerPCMU)...)...).codes(); got != "400" {
				b.t.Errorf("beside Join: answered %s", got)
			}
			b.wantState(call.Established)
		}},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, c.change, c.play) })
	}
}

// TestAStrangerTakesNoCall: who knows the dialog but is neither its other side nor
// the line's server gets nothing of it.
func TestAStrangerTakesNoCall(t *testing.T) {
	simulate(t, autoAnswer, func(b *bench) {
		p := b.talking()
		lines := (&caller{b: b, callID: "other", seq: 1}).head("INVITE", "")
		req := asRequest(parse(append(append(lines, "Replaces: "+p.named()), sdpBody(offerPCMU)...)...))
		req.SetSource("203.0.113.7:5060")
		tx := newServerTx(t, req)
		b.set.HandleRequest(req, tx)
		if got := tx.codes(); got != "100 403" {
			b.t.Errorf("answered %s", got)
		}
		b.wantState(call.Established)
	})
}
