package call_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
)

// tell delivers a NOTIFY of a REFER of ours.
func (b *bench) tell(invite *clientTx, seq int, state, line string) string {
	b.t.Helper()
	return b.within(invite, "NOTIFY", seq, "callee", "Event: refer", "Subscription-State: "+state, "Content-Type: message/sipfrag", "", "SIP/2.0 "+line+"\r\n").codes()
}

// sendElsewhere asks the other side of a call to call 3000.
func (b *bench) sendElsewhere(r call.Record) *clientTx {
	b.t.Helper()
	if err := b.set.Transfer(r.ID, call.Transfer{To: "3000"}); err != nil {
		b.t.Fatal(err)
	}
	b.agrees()
	return b.net.only("REFER")
}

// agrees lets the other side agree to whatever it was offered last.
func (b *bench) agrees() {
	b.t.Helper()
	txs := b.reinvites()
	if len(txs) == 0 {
		b.t.Fatal("there is no offer")
	}
	tx := txs[len(txs)-1]
	direction := "recvonly"
	if !strings.Contains(string(tx.req.Body()), "a=sendonly") {
		direction = "sendrecv"
	}
	tx.respond(200, "OK", "callee", reoffer(direction)...)
}

func TestTransfer(t *testing.T) {
	for sentence, play := range map[string]func(*bench){
		"whoever it is answers, and the call is over": func(b *bench) {
			invite := b.talk(call.Dial{})
			refer := b.sendElsewhere(b.record())
			for name, want := range map[string]string{"Refer-To": "<sip:3000@pbx.test>", "Referred-By": "<sip:1000@pbx.test>", "Contact": "<sip:c0ntact@10.0.0.1:5060>"} {
				if h := refer.req.GetHeader(name); h == nil || h.Value() != want {
					b.t.Errorf("%s is %v, want %s", name, h, want)
				}
			}
			if got := transferOf(b.record()); got != "sip:3000@pbx.test asked by local: 0" {
				b.t.Error(got)
			}
			refer.respond(202, "Accepted", "callee")
			for i, step := range []struct{ state, line, want string }{
				{"active;expires=60", "100 Trying", "sip:3000@pbx.test proceeding by local: 100 Trying"},
				{"active", "180 Ringing", "sip:3000@pbx.test proceeding by local: 180 Ringing"},
				{"terminated;reason=noresource", "200 OK", "sip:3000@pbx.test succeeded by local: 200 OK"},
			} {
				if got := b.tell(invite, i+1, step.state, step.line); got != "200" {
					b.t.Errorf("NOTIFY answered %s", got)
				}
				if got := transferOf(b.record()); got != step.want {
					b.t.Errorf("%s, want %s", got, step.want)
				}
			}
			if got := b.tell(invite, 9, "terminated", "200 OK"); got != "200" {
				b.t.Errorf("told once more: %s", got)
			}
			b.net.only("BYE").respond(200, "OK", "callee")
			b.wantEnd(200, call.Local, "transferred to sip:3000@pbx.test")
		},
		"a NOTIFY comes before the answer to the REFER": func(b *bench) {
			invite := b.talk(call.Dial{})
			refer := b.sendElsewhere(b.record())
			b.tell(invite, 1, "terminated", "200 OK")
			refer.respond(202, "Accepted", "callee")
			b.net.only("BYE").respond(200, "OK", "callee")
			if got := transferOf(b.record()); got != "sip:3000@pbx.test succeeded by local: 200 OK" {
				b.t.Error(got)
			}
		},
		"it is refused, and the call goes on": func(b *bench) {
			b.talk(call.Dial{})
			refer := b.sendElsewhere(b.record())
			b.wantHeld("local", "sendonly")
			refer.respond(603, "Decline", "callee")
			b.agrees()
			b.wantHeld("", "sendrecv")
			if got := transferOf(b.record()); got != "sip:3000@pbx.test failed by local: 603 Decline" {
				b.t.Error(got)
			}
			b.wantState(call.Established)
		},
		"whoever it is does not answer, and the call goes on and may be sent elsewhere again": func(b *bench) {
			invite := b.talk(call.Dial{})
			b.sendElsewhere(b.record()).respond(202, "Accepted", "callee")
			b.tell(invite, 1, "terminated", "486 Busy Here")
			if got := transferOf(b.record()); got != "sip:3000@pbx.test failed by local: 486 Busy Here" {
				b.t.Error(got)
			}
			b.wantState(call.Established)
			b.agrees() // to go on
			if err := b.set.Transfer(b.record().ID, call.Transfer{To: "4000"}); err != nil {
				b.t.Fatal(err)
			}
			b.agrees()
			if got := b.within(invite, "NOTIFY", 2, "callee", "Event: refer;id=3", "Subscription-State: active", "Content-Type: message/sipfrag", "", "SIP/2.0 200 OK").codes(); got != "481" {
				b.t.Errorf("a NOTIFY of the first REFER answered %s", got)
			}
			b.net.requests("REFER")[1].respond(202, "Accepted", "callee")
			b.within(invite, "NOTIFY", 3, "callee", "Event: refer;id=6", "Subscription-State: terminated", "Content-Type: message/sipfrag", "", "SIP/2.0 200 OK")
			b.net.only("BYE").respond(200, "OK", "callee")
		},
		"nobody answers the REFER": func(b *bench) {
			b.talk(call.Dial{})
			b.sendElsewhere(b.record()).end(errors.New("no way"))
			if got := transferOf(b.record()); !strings.HasPrefix(got, "sip:3000@pbx.test failed by local: 503 REFER not sent") {
				b.t.Error(got)
			}
			b.wantState(call.Established)
		},
		"who does not want to be held is asked all the same": func(b *bench) {
			b.talk(call.Dial{})
			if err := b.set.Transfer(b.record().ID, call.Transfer{To: "3000"}); err != nil {
				b.t.Fatal(err)
			}
			b.reinvite(1).respond(488, "Not Acceptable Here", "callee")
			b.net.only("REFER").respond(603, "Decline", "callee")
			b.reinvite(1) // there is nothing to resume
			b.wantState(call.Established)
		},
		"a call that is held is asked at once, and stays held": func(b *bench) {
			b.talk(call.Dial{})
			w := b.ask(b.set.Hold)
			b.agrees()
			w.granted(b.t)
			if err := b.set.Transfer(b.record().ID, call.Transfer{To: "3000"}); err != nil {
				b.t.Fatal(err)
			}
			b.net.only("REFER").respond(603, "Decline", "callee")
			b.reinvite(1)
			b.wantHeld("local", "sendonly")
		},
		"the other side hangs up while it is to be held": func(b *bench) {
			invite := b.talk(call.Dial{})
			if err := b.set.Transfer(b.record().ID, call.Transfer{To: "3000"}); err != nil {
				b.t.Fatal(err)
			}
			b.within(invite, "BYE", 1, "callee")
			if n := len(b.net.requests("REFER")); n != 0 {
				b.t.Errorf("%d REFER sent", n)
			}
			b.wantEnd(200, call.Remote, "BYE from the other side")
		},
		"nobody tells the outcome": func(b *bench) {
			b.talk(call.Dial{})
			b.sendElsewhere(b.record()).respond(202, "Accepted", "callee")
			time.Sleep(4 * time.Minute)
			if got := transferOf(b.record()); got != "sip:3000@pbx.test failed by local: 408 the other side never told the outcome" {
				b.t.Error(got)
			}
			b.wantState(call.Established)
		},
		"the telling stops before there is an outcome": func(b *bench) {
			invite := b.talk(call.Dial{})
			b.sendElsewhere(b.record()).respond(202, "Accepted", "callee")
			b.tell(invite, 1, "terminated;reason=timeout", "180 Ringing")
			if got := transferOf(b.record()); got != "sip:3000@pbx.test failed by local: 480 the other side stopped telling before there was an outcome" {
				b.t.Error(got)
			}
		},
		"the other side hangs up meanwhile": func(b *bench) {
			invite := b.talk(call.Dial{})
			b.sendElsewhere(b.record()).respond(202, "Accepted", "callee")
			b.within(invite, "BYE", 1, "callee")
			b.wantEnd(200, call.Remote, "BYE from the other side")
			if got := transferOf(b.record()); got != "sip:3000@pbx.test proceeding by local: 0" {
				b.t.Error(got)
			}
		},
		"NOTIFYs of nothing that was asked for": func(b *bench) {
			invite := b.talk(call.Dial{})
			for i, c := range []struct{ want, headers string }{
				{"481", "Event: refer"}, {"489", "Event: dialog"}, {"489", "Event: message-summary"}, {"489", "X-None: 1"},
			} {
				if got := b.within(invite, "NOTIFY", i+1, "callee", c.headers, "Subscription-State: active").codes(); got != c.want {
					b.t.Errorf("%s answered %s, want %s", c.headers, got, c.want)
				}
			}
			b.sendElsewhere(b.record()).respond(202, "Accepted", "callee")
			if got := b.within(invite, "NOTIFY", 8, "callee", "Event: refer", "Subscription-State: active", "Content-Type: text/plain", "", "hello").codes(); got != "415" {
				b.t.Errorf("text answered %s", got)
			}
			if got := b.within(invite, "NOTIFY", 9, "callee", "Event: refer", "Subscription-State: active").codes(); got != "400" {
				b.t.Errorf("nothing answered %s", got)
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, nil, play) })
	}
}

// TestAttendedTransfer names another call as its other side does: the tags change sides.
func TestAttendedTransfer(t *testing.T) {
	simulate(t, nil, func(b *bench) {
		invite := b.talk(call.Dial{})
		first := b.record().ID
		second := b.dial(call.Dial{To: "3000"})
		consult := b.net.requests("INVITE")[1]
		if err := b.set.Transfer(first, call.Transfer{Replaces: second}); !errors.Is(err, call.ErrNotNow) {
			b.t.Errorf("before the other call is answered: %v", err)
		}
		consult.respond(200, "OK", "target", answered()...)
		if err := b.set.Transfer(first, call.Transfer{Replaces: second}); err != nil {
			b.t.Fatal(err)
		}
		b.agrees()
		tag := consult.req.From().Params.GetOr("tag", "")
		want := "<sip:3000@pbx.test?Replaces=" + consult.req.CallID().Value() + "%3Bto-tag%3Dtarget%3Bfrom-tag%3D" + tag + "&Require=replaces>"
		refer := b.net.only("REFER")
		if got := refer.req.GetHeader("Refer-To").Value(); got != want {
			b.t.Errorf("Refer-To is %s, want %s", got, want)
		}
		refer.respond(202, "Accepted", "callee")
		b.within(consult, "BYE", 1, "target") // the target, whose call is replaced
		b.tell(invite, 1, "terminated", "200 OK")
		b.net.only("BYE").respond(200, "OK", "callee")
		if r, _ := b.set.Record(first); transferOf(r) != "sip:3000@pbx.test succeeded by local: 200 OK" || r.Transfer.Call != second {
			b.t.Errorf("%s %+v", transferOf(r), r.Transfer)
		}
	})
}

// TestAttendedTransferToWhoDoesNotKnowReplaces: the target got a new call instead,
// and nobody but us ends the one that it has with us.
func TestAttendedTransferToWhoDoesNotKnowReplaces(t *testing.T) {
	simulate(t, nil, func(b *bench) {
		invite := b.talk(call.Dial{})
		first := b.record().ID
		second := b.dial(call.Dial{To: "3000"})
		b.net.requests("INVITE")[1].respond(200, "OK", "target", answered()...)
		if err := b.set.Transfer(first, call.Transfer{To: "3001", Replaces: second}); err != nil {
			b.t.Fatal(err)
		}
		b.agrees()
		b.net.only("REFER").respond(202, "Accepted", "callee")
		b.tell(invite, 1, "terminated", "200 OK")
		b.net.only("BYE").respond(200, "OK", "callee")
		time.Sleep(3 * time.Second) // time to hang up itself
		b.net.requests("BYE")[1].respond(200, "OK", "target")
		if r, _ := b.set.Record(second); r.End == nil || r.End.Reason != "handed over to the other side of call "+first {
			b.t.Errorf("%+v", r)
		}
	})
}

func TestTransfersThatAreNotAskedFor(t *testing.T) {
	simulate(t, nil, func(b *bench) {
		invite := b.talk(call.Dial{})
		id := b.record().ID
		for want, tr := range map[error]call.Transfer{
			call.ErrRefused: {To: "112"}, call.ErrBadTarget: {To: "<>"}, call.ErrNoCall: {To: "3000", Replaces: "nobody"}, call.ErrNotNow: {Replaces: id},
		} {
			if err := b.set.Transfer(id, tr); !errors.Is(err, want) {
				b.t.Errorf("%+v: %v, want %v", tr, err, want)
			}
		}
		if err := b.set.Transfer("nobody", call.Transfer{To: "3000"}); !errors.Is(err, call.ErrNoCall) {
			b.t.Errorf("an unknown call: %v", err)
		}
		b.within(invite, "UPDATE", 1, "callee", "Allow: INVITE, ACK, BYE")
		if err := b.set.Transfer(id, call.Transfer{To: "3000"}); !errors.Is(err, call.ErrNotNow) || !strings.Contains(err.Error(), "takes no REFER") {
			b.t.Errorf("the other side takes none: %v", err)
		}
		b.within(invite, "BYE", 2, "callee")
		if err := b.set.Transfer(id, call.Transfer{To: "3000"}); !errors.Is(err, call.ErrNotNow) {
			b.t.Errorf("a call that is over: %v", err)
		}
		if n := len(b.net.requests("REFER")); n != 0 {
			b.t.Errorf("%d REFER sent", n)
		}
	})
}
