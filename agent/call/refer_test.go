package call_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// followAny answers calls and lets whoever calls transfer them.
func followAny(o *call.Options) {
	autoAnswer(o)
	o.Transfers.Accept = delivery.AcceptAny
}

// of gives the record of a call that fits.
func (b *bench) of(says string, fits func(call.Record) bool) call.Record {
	b.t.Helper()
	synctest.Wait()
	for _, r := range b.set.Records() {
		if fits(r) {
			return r
		}
	}
	b.t.Fatalf("no call that %s: %+v", says, b.set.Records())
	return call.Record{}
}

func incoming(r call.Record) bool { return r.Direction == call.In }
func outgoing(r call.Record) bool { return r.Direction == call.Out }

// transferOf writes what a record says of a transfer.
func transferOf(r call.Record) string {
	t := r.Transfer
	if t == nil {
		return "none"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s by %s: %d %s", t.To, t.State, t.By, t.Code, t.Reason))
}

// notified are the NOTIFYs sent so far: state and status line of each; those that
// wait are answered.
func (b *bench) notified(code int) string {
	var all []string
	for seen := 0; ; seen = len(all) {
		txs := b.net.requests("NOTIFY")
		for _, tx := range txs[seen:] {
			state, _, _ := strings.Cut(tx.req.GetHeader("Subscription-State").Value(), ";")
			event := strings.TrimPrefix(tx.req.GetHeader("Event").Value(), "refer")
			all = append(all, state+event+" "+strings.TrimPrefix(strings.TrimSpace(string(tx.req.Body())), "SIP/2.0 "))
			if !tx.answered() {
				tx.deliver(sip.NewResponseFromRequest(tx.req, code, "", nil))
			}
		}
		if len(txs) == seen {
			return strings.Join(all, ", ")
		}
	}
}

const referTo3000 = "Refer-To: <sip:3000@pbx.test>"

func TestREFERIsFollowed(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		play   func(*bench)
	}{
		"the call is placed and its caller told of it": {followAny, func(b *bench) {
			p := b.talking()
			refer := p.send("REFER", referTo3000, "Referred-By: <sip:2000@pbx.test>")
			if got := refer.codes(); got != "202" || refer.last().GetHeader("Contact") == nil {
				b.t.Fatalf("answered\n%s", refer.last())
			}
			invite := b.net.only("INVITE")
			for name, want := range map[string]string{"To": "<sip:3000@pbx.test>", "Referred-By": "<sip:2000@pbx.test>"} {
				if h := invite.req.GetHeader(name); h == nil || h.Value() != want {
					b.t.Errorf("%s is %v, want %s", name, h, want)
				}
			}
			notify := b.net.only("NOTIFY").req
			for name, want := range map[string]string{"Event": "refer", "Subscription-State": "active;expires=212", "Content-Type": "message/sipfrag;version=2.0",
				"Contact": "<sip:c0ntact@10.0.0.1:5060>"} {
				if h := notify.GetHeader(name); h == nil || h.Value() != want {
					b.t.Errorf("%s is %v, want %s", name, h, want)
				}
			}
			invite.respond(180, "Ringing", "target")
			if n := len(b.net.requests("NOTIFY")); n != 1 {
				b.t.Errorf("%d NOTIFY before the first is answered", n)
			}
			if got := b.notified(200); got != "active 100 Trying, active 180 Ringing" {
				b.t.Errorf("told %s", got)
			}
			invite.respond(200, "OK", "target", answered()...)
			if got := b.notified(200); got != "active 100 Trying, active 180 Ringing, terminated 200 OK" {
				b.t.Errorf("told %s", got)
			}
			first, second := b.of("came", incoming), b.of("was placed", outgoing)
			if transferOf(first) != "sip:3000@pbx.test succeeded by remote: 200 OK" || first.Transfer.Call != second.ID || second.ReferredBy != first.ID {
				b.t.Errorf("%s; %+v", transferOf(first), second)
			}
			if second.State != call.Established || b.audio[1].has().source != (media.Echo{}) {
				b.t.Errorf("the new call is %+v, sends %+v", second, b.audio[1].has().source)
			}
			p.send("BYE")
			if r := b.of("came", incoming); r.End == nil || r.End.By != call.Remote {
				b.t.Errorf("%+v", r)
			}
		}},
		"whom the line has called may transfer where only they may": {func(o *call.Options) { o.Transfers.Accept = delivery.AcceptPlaced }, func(b *bench) {
			invite := b.talk(call.Dial{ToneHz: 440, Seconds: 30})
			if got := b.within(invite, "REFER", 5, "callee", referTo3000).codes(); got != "202" {
				b.t.Fatalf("answered %s", got)
			}
			b.notified(200)
			b.net.requests("INVITE")[1].respond(200, "OK", "target", answered()...)
			if got := b.notified(200); got != "active 100 Trying, terminated 200 OK" {
				b.t.Errorf("told %s", got)
			}
			if got := b.audio[1].has().source; got != (media.Tone{Hz: 440, LevelDBm0: -10}) {
				b.t.Errorf("the new call sends %+v", got)
			}
			time.Sleep(31 * time.Second)
			b.net.requests("BYE")[1].respond(200, "OK", "target")
			if r := b.of("was placed for it", func(r call.Record) bool { return r.ReferredBy != "" }); r.End == nil || r.End.Reason != "hung up after 30 s as asked" {
				b.t.Errorf("%+v", r)
			}
		}},
		"who calls may not then": {func(o *call.Options) { autoAnswer(o); o.Transfers.Accept = delivery.AcceptPlaced }, func(b *bench) {
			p := b.talking()
			if got := p.send("REFER", referTo3000).codes(); got != "603" || len(b.net.requests("INVITE")) != 0 {
				b.t.Errorf("answered %s", got)
			}
			b.wantState(call.Established)
		}},
		"the target is busy": {followAny, func(b *bench) {
			p := b.talking()
			p.send("REFER", referTo3000)
			b.notified(200)
			b.net.only("INVITE").respond(486, "Busy Here", "target")
			if got := b.notified(200); got != "active 100 Trying, terminated 486 Busy Here" {
				b.t.Errorf("told %s", got)
			}
			if got := transferOf(b.of("came", incoming)); got != "sip:3000@pbx.test failed by remote: 486 Busy Here" {
				b.t.Error(got)
			}
		}},
		"who hangs up after the REFER is still told": {followAny, func(b *bench) {
			p := b.talking()
			p.send("REFER", referTo3000)
			if got := p.send("BYE").codes(); got != "200" {
				b.t.Errorf("BYE answered %s", got)
			}
			b.net.only("INVITE").respond(200, "OK", "target", answered()...)
			if got := b.notified(200); got != "active 100 Trying, terminated 200 OK" {
				b.t.Errorf("told %s", got)
			}
			if r := b.of("was placed", outgoing); r.State != call.Established {
				b.t.Errorf("%+v", r)
			}
		}},
		"nobody is told who does not want to be": {followAny, func(b *bench) {
			p := b.talking()
			refer := p.send("REFER", referTo3000, "Refer-Sub: false", "Require: norefersub")
			if h := refer.last().GetHeader("Refer-Sub"); refer.codes() != "200" || h == nil || h.Value() != "false" {
				b.t.Errorf("answered\n%s", refer.last())
			}
			b.net.only("INVITE").respond(200, "OK", "target", answered()...)
			if got := b.notified(200); got != "" {
				b.t.Errorf("told %s", got)
			}
			if got := transferOf(b.of("came", incoming)); got != "sip:3000@pbx.test succeeded by remote: 200 OK" {
				b.t.Error(got)
			}
			if got := p.send("REFER", referTo3000).codes(); got != "202" {
				b.t.Errorf("the next REFER answered %s", got)
			}
			b.notified(200)
			b.net.requests("INVITE")[1].respond(404, "Not Found", "target")
			b.notified(200)
		}},
		"only Replaces of the headers that a target names is taken over": {followAny, func(b *bench) {
			p := b.talking()
			p.send("REFER", "Refer-To: <sip:3000@pbx.test;method=INVITE?Replaces=abc%40h%3Bto-tag%3Dx%3Bfrom-tag%3Dy&Subject=a&Route=%3Csip:evil.test;lr%3E>")
			req := b.net.only("INVITE").req
			if h := req.GetHeader("Replaces"); h == nil || h.Value() != "abc@h;to-tag=x;from-tag=y" || req.GetHeader("Require").Value() != "replaces" {
				b.t.Errorf("INVITE is\n%s", req)
			}
			if req.GetHeader("Subject") != nil || req.Route() != nil || req.Recipient.String() != "sip:3000@pbx.test" {
				b.t.Errorf("INVITE is\n%s", req)
			}
			b.net.only("INVITE").respond(481, "Gone", "target")
			b.notified(200)
		}},
		"a second REFER waits for the first, and its NOTIFYs name it": {followAny, func(b *bench) {
			p := b.talking()
			p.send("REFER", referTo3000)
			if got := p.send("REFER", referTo3000).codes(); got != "491" {
				b.t.Errorf("answered %s, want 491", got)
			}
			b.net.only("INVITE").respond(486, "Busy Here", "target")
			b.notified(200)
			p.send("REFER", referTo3000)
			b.net.requests("INVITE")[1].respond(486, "Busy Here", "target")
			want := "active 100 Trying, terminated 486 Busy Here, active;id=4 100 Trying, terminated;id=4 486 Busy Here"
			if got := b.notified(200); got != want {
				b.t.Errorf("told %s, want %s", got, want)
			}
		}},
		"who does not know of the subscription is not told again": {followAny, func(b *bench) {
			p := b.talking()
			p.send("REFER", referTo3000)
			b.notified(481)
			b.net.only("INVITE").respond(200, "OK", "target", answered()...)
			if got := b.notified(200); got != "active 100 Trying" {
				b.t.Errorf("told %s", got)
			}
			b.of("was placed", outgoing)
		}},
		"a NOTIFY that crosses a change of theirs comes again": {followAny, func(b *bench) {
			p := b.talking()
			p.send("REFER", referTo3000)
			b.notified(491)
			b.net.only("INVITE").respond(486, "Busy Here", "target")
			b.notified(491)
			time.Sleep(4 * time.Second)
			want := "active 100 Trying, terminated 486 Busy Here, terminated 486 Busy Here"
			if got := b.notified(200); got != want {
				b.t.Errorf("told %s, want %s", got, want)
			}
			p.send("BYE")
		}},
		"it comes again after the BYE, too, and not for ever": {followAny, func(b *bench) {
			p := b.talking()
			p.send("REFER", referTo3000)
			b.notified(200)
			b.net.only("INVITE").respond(486, "Busy Here", "target")
			b.notified(491)
			p.send("BYE")
			for range 8 {
				time.Sleep(5 * time.Second)
				b.notified(491)
			}
			if n := len(b.net.requests("NOTIFY")); n != 2+5 {
				b.t.Errorf("%d NOTIFYs", n)
			}
		}},
		"the subscription may be looked at and ended": {followAny, func(b *bench) {
			p := b.talking()
			p.send("REFER", referTo3000)
			b.notified(200)
			sub := p.send("SUBSCRIBE", "Event: refer", "Expires: 60")
			if sub.codes() != "200" || sub.last().GetHeader("Expires").Value() != "60" {
				b.t.Errorf("answered\n%s", sub.last())
			}
			b.notified(200)
			p.send("SUBSCRIBE", "Event: refer", "Expires: 0")
			if got := b.notified(200); got != "active 100 Trying, active 100 Trying, terminated 100 Trying" {
				b.t.Errorf("told %s", got)
			}
			if got := p.send("SUBSCRIBE", "Event: refer").codes(); got != "403" {
				b.t.Errorf("SUBSCRIBE to nothing answered %s", got)
			}
			if got := p.send("SUBSCRIBE", "Event: dialog").codes(); got != "489" {
				b.t.Errorf("SUBSCRIBE to something else answered %s", got)
			}
			b.net.only("INVITE").respond(486, "Busy Here", "target")
			if got := p.send("REFER", referTo3000).codes(); got != "202" {
				b.t.Errorf("the next REFER answered %s", got)
			}
			b.net.requests("INVITE")[1].respond(486, "Busy Here", "target")
			b.notified(200)
		}},
		"a rule that drops the call is told as a refusal": {func(o *call.Options) {
			followAny(o)
			o.Account.Rewriting = []account.Rule{{Conditions: []account.Clause{{Type: "startsWith", Param: "3"}}, Actions: []account.Clause{{Type: "drop"}}}}
		}, func(b *bench) {
			p := b.talking()
			p.send("REFER", referTo3000)
			if got := b.notified(200); got != "terminated 403 Forbidden" {
				b.t.Errorf("told %s", got)
			}
		}},
		"a call that would be one too many is not placed": {func(o *call.Options) { followAny(o); o.Caps.Concurrent = 1 }, func(b *bench) {
			p := b.talking()
			if got := p.send("REFER", referTo3000).codes(); got != "486" {
				b.t.Errorf("answered %s", got)
			}
			b.wantState(call.Established)
		}},
		"no chain of transfers goes on for good": {followAny, func(b *bench) {
			p := b.talking()
			var codes []string
			for range 9 {
				codes = append(codes, p.send("REFER", referTo3000, "Refer-Sub: false").codes())
				invites := b.net.requests("INVITE")
				if tx := invites[len(invites)-1]; codes[len(codes)-1] == "200" {
					tx.respond(486, "Busy Here", "target")
				}
			}
			if got := strings.Join(codes, " "); got != "200 200 200 200 200 200 200 200 482" {
				b.t.Errorf("answered %s", got)
			}
		}},
		"outside a call nobody may": {followAny, func(b *bench) {
			p := &caller{b: b, callID: "x", seq: 1}
			if got := b.deliver(append(p.head("REFER", ""), referTo3000)...).codes(); got != "403" {
				b.t.Errorf("answered %s", got)
			}
		}},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, c.change, c.play) })
	}
}

func TestREFERIsRefused(t *testing.T) {
	for sentence, c := range map[string]struct {
		headers []string
		want    string
	}{
		"without a target":             {nil, "400"},
		"with two targets":             {[]string{referTo3000, "r: <sip:3001@pbx.test>"}, "400"},
		"with two targets in one line": {[]string{"Refer-To: <sip:3000@pbx.test>, <sip:3001@pbx.test>"}, "400"},
		"for another method":           {[]string{"Refer-To: <sip:3000@pbx.test;method=BYE>"}, "603"},
		"for a page of the web":        {[]string{"Refer-To: <http://pbx.test/>"}, "603"},
		"to an emergency number":       {[]string{"Refer-To: <sip:112@pbx.test>"}, "403"},
		"to a premium number by tel":   {[]string{"Refer-To: <tel:+19005550100>"}, "403"},
		"to a hidden premium number":   {[]string{"Refer-To: <sip:%2b1900@pbx.test>"}, "403"},
		"to the line itself":           {[]string{"Refer-To: <sip:1000@pbx.test>"}, "482"},
		"with Replaces that is none":   {[]string{"Refer-To: <sip:3000@pbx.test?Replaces=abc>"}, "400"},
	} {
		t.Run(sentence, func(t *testing.T) {
			simulate(t, followAny, func(b *bench) {
				p := b.talking()
				if got := p.send("REFER", c.headers...).codes(); got != c.want {
					b.t.Errorf("answered %s, want %s", got, c.want)
				}
				if n := len(b.net.requests("INVITE")); n != 0 {
					b.t.Errorf("%d calls were placed", n)
				}
				b.wantState(call.Established)
				if got := transferOf(b.record()); got != "none" {
					b.t.Error(got)
				}
			})
		})
	}
}

func TestREFERBeforeTheAnswer(t *testing.T) {
	simulate(t, func(o *call.Options) { o.Transfers.Accept = delivery.AcceptAny }, func(b *bench) {
		p := b.invite("a", sdpBody(offerPCMU)...)
		if got := p.send("REFER", referTo3000).codes(); got != "480" {
			b.t.Errorf("answered %s", got)
		}
		b.wantState(call.Ringing)
	})
}

// TestWhatALineAllowsIsWhatItDoes: REFER is in Allow only where one is followed.
func TestWhatALineAllowsIsWhatItDoes(t *testing.T) {
	simulate(t, autoAnswer, func(b *bench) {
		said := b.talking().tx.last()
		if allow := said.GetHeader("Allow").Value(); strings.Contains(allow, "REFER") || !strings.Contains(allow, "NOTIFY") {
			b.t.Errorf("Allow: %s", allow)
		}
		if got := said.GetHeader("Supported").Value(); !strings.Contains(got, "replaces") || strings.Contains(got, "norefersub") {
			b.t.Errorf("Supported: %s", got)
		}
	})
	simulate(t, followAny, func(b *bench) {
		said := b.talking().tx.last()
		if allow := said.GetHeader("Allow").Value(); !strings.Contains(allow, "REFER, SUBSCRIBE") {
			b.t.Errorf("Allow: %s", allow)
		}
		if got := said.GetHeader("Supported").Value(); !strings.Contains(got, "norefersub") {
			b.t.Errorf("Supported: %s", got)
		}
	})
}
