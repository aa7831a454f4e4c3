package call_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/call"
)

// long calls last a week.
func long(o *call.Options) { o.Caps.MaxDuration = 7 * 24 * time.Hour }

func longAnswer(o *call.Options) { long(o); autoAnswer(o) }

// wantHeader checks one header of a message; "" = there is none.
func wantHeader(t *testing.T, m sip.Message, name, want string) {
	t.Helper()
	var got []string
	for _, h := range m.GetHeaders(name) {
		got = append(got, h.Value())
	}
	if strings.Join(got, " and ") != want {
		t.Errorf("%s is %q, want %q", name, got, want)
	}
}

// wantTimer checks what the record says of the timer.
func (b *bench) wantTimer(seconds int, refresher call.By) {
	b.t.Helper()
	switch timer := b.record().SessionTimer; {
	case seconds == 0 && timer != nil, seconds > 0 && (timer == nil || *timer != call.SessionTimer{Seconds: seconds, Refresher: refresher}):
		b.t.Errorf("timer is %+v, want %d s by %s", timer, seconds, refresher)
	}
}

// agreed places a call whose 200 says this of the timer.
func (b *bench) agreed(more ...string) {
	b.t.Helper()
	b.dial(call.Dial{})
	b.net.only("INVITE").respond(200, "OK", "callee", answered(more...)...)
}

const takesUpdate = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE, OPTIONS"

func TestSessionTimer(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		play   func(*bench)
	}{
		"we ask for one, and leave open who refreshes (§7.1)": {long, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			wantHeader(b.t, invite.req, "Session-Expires", "1800")
			wantHeader(b.t, invite.req, "Min-SE", "90")
			if h := invite.req.GetHeader("Supported"); h == nil || !strings.Contains(h.Value(), "timer") {
				b.t.Errorf("Supported is %v", h)
			}
			invite.respond(486, "Busy Here", "callee")
		}},
		"who knows nothing of timers is left alone": {long, func(b *bench) {
			b.agreed()
			b.wantTimer(0, "")
			time.Sleep(48 * time.Hour)
			b.wantState(call.Established)
			if n := len(b.reinvites()) + len(b.net.requests("UPDATE")); n != 0 {
				b.t.Errorf("%d refreshes", n)
			}
		}},
		"we refresh by UPDATE at half of the interval, for hours": {long, func(b *bench) {
			b.agreed("Session-Expires: 600;refresher=uac", "Require: timer", takesUpdate)
			b.wantTimer(600, call.Local)
			for i := range 50 {
				time.Sleep(299 * time.Second)
				if n := len(b.net.requests("UPDATE")); n != i {
					b.t.Fatalf("%d refreshes before half of interval %d", n, i)
				}
				time.Sleep(time.Second)
				updates := b.net.requests("UPDATE")
				if len(updates) != i+1 {
					b.t.Fatalf("%d refreshes at half of interval %d", len(updates), i)
				}
				tx := updates[i]
				wantHeader(b.t, tx.req, "Session-Expires", "600;refresher=uac")
				wantHeader(b.t, tx.req, "Min-SE", "90")
				wantHeader(b.t, tx.req, "Contact", "<sip:c0ntact@10.0.0.1:5060>")
				if len(tx.req.Body()) != 0 {
					b.t.Errorf("the UPDATE has a body:\n%s", tx.req)
				}
				tx.respond(200, "OK", "callee", "Session-Expires: 600;refresher=uac", takesUpdate)
			}
			b.wantState(call.Established)
		}},
		"without UPDATE by a re-INVITE with the same description": {long, func(b *bench) {
			b.agreed("Session-Expires: 90;refresher=uac", "Require: timer")
			first := string(b.net.only("INVITE").req.Body())
			for i := range 20 {
				time.Sleep(45 * time.Second)
				tx := b.reinvite(i + 1)
				wantHeader(b.t, tx.req, "Session-Expires", "90;refresher=uac")
				if string(tx.req.Body()) != first {
					b.t.Fatalf("description has changed from\n%s\nto\n%s", first, tx.req.Body())
				}
				tx.respond(200, "OK", "callee", answered("Session-Expires: 90;refresher=uac")...)
			}
			b.wantState(call.Established)
		}},
		"an UPDATE that is refused for good becomes a re-INVITE": {long, func(b *bench) {
			b.agreed("Session-Expires: 90;refresher=uac", takesUpdate)
			time.Sleep(45 * time.Second)
			b.net.only("UPDATE").respond(405, "Method Not Allowed", "callee")
			b.reinvite(1).respond(200, "OK", "callee", answered("Session-Expires: 90;refresher=uac")...)
			time.Sleep(45 * time.Second)
			b.net.only("UPDATE")
			b.reinvite(2)
		}},
		"a hold is a refresh, too": {long, func(b *bench) {
			b.agreed("Session-Expires: 90;refresher=uac", takesUpdate)
			time.Sleep(40 * time.Second)
			w := b.ask(b.set.Hold)
			wantHeader(b.t, b.reinvite(1).req, "Session-Expires", "90;refresher=uac")
			b.reinvite(1).respond(200, "OK", "callee", append([]string{"Session-Expires: 90;refresher=uac"}, reoffer("recvonly")...)...)
			w.granted(b.t)
			time.Sleep(44 * time.Second)
			if n := len(b.net.requests("UPDATE")); n != 0 {
				b.t.Error("refreshed too soon")
			}
			time.Sleep(time.Second)
			b.net.only("UPDATE")
		}},
		"a refresh that meets 481 ends the call": {long, func(b *bench) {
			b.agreed("Session-Expires: 90;refresher=uac", takesUpdate)
			time.Sleep(45 * time.Second)
			b.net.only("UPDATE").respond(481, "Call/Transaction Does Not Exist", "callee")
			b.net.only("BYE")
			b.wantEnd(200, call.Timeout, "UPDATE was answered 481 Call/Transaction Does Not Exist, to refresh the session")
		}},
		"a refresh that fails is tried again, and the call ended before the interval is over": {long, func(b *bench) {
			b.agreed("Session-Expires: 90;refresher=uac", takesUpdate)
			time.Sleep(45 * time.Second)
			b.net.only("UPDATE").respond(503, "Service Unavailable", "callee")
			time.Sleep(14 * time.Second)
			updates := b.net.requests("UPDATE")
			if len(updates) < 2 {
				b.t.Error("nobody tried again")
			}
			updates[1].respond(500, "Server Internal Error", "callee")
			b.wantState(call.Established)
			time.Sleep(time.Second) // 90 - 90/3
			wantHeader(b.t, b.net.only("BYE").req, "Reason", `SIP;cause=408;text="session timer expired"`)
			b.wantEnd(200, call.Timeout, "session timer: the session of 90 s could not be refreshed")
		}},
		"they refresh: it goes on; they stop: it ends 32 s before the interval does": {long, func(b *bench) {
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(200, "OK", "callee", answered("Session-Expires: 1800;refresher=uas", takesUpdate)...)
			b.wantTimer(1800, call.Remote)
			for i := range 10 {
				time.Sleep(900 * time.Second)
				tx := b.within(invite, "UPDATE", 100+i, "callee", "Supported: timer", "Session-Expires: 1800;refresher=uac")
				wantHeader(b.t, tx.last(), "Session-Expires", "1800;refresher=uac")
				wantHeader(b.t, tx.last(), "Require", "timer")
			}
			b.wantTimer(1800, call.Remote)
			time.Sleep(1767 * time.Second)
			b.wantState(call.Established)
			time.Sleep(time.Second)
			b.net.only("BYE")
			b.wantEnd(200, call.Timeout, "session timer: the other side did not refresh the session of 1800 s")
		}},
		"a longer interval that a proxy wants is asked for (422, §7.3)": {long, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(422, "Session Interval Too Small", "proxy", "Min-SE: 3600")
			invites := b.net.requests("INVITE")
			if len(invites) != 2 {
				b.t.Fatalf("%d INVITEs", len(invites))
			}
			second := invites[1]
			wantHeader(b.t, second.req, "Session-Expires", "3600")
			wantHeader(b.t, second.req, "Min-SE", "3600")
			wantHeader(b.t, second.req, "CSeq", "2 INVITE")
			if second.req.CallID().Value() != invites[0].req.CallID().Value() {
				b.t.Error("another Call-ID")
			}
			second.respond(422, "Session Interval Too Small", "proxy", "Min-SE: 3600") // it wants no more than it has
			b.wantEnd(422, call.Remote, "422 Session Interval Too Small")
		}},
		"a refresh may be too short, too": {long, func(b *bench) {
			b.agreed("Session-Expires: 90;refresher=uac", takesUpdate)
			time.Sleep(45 * time.Second)
			b.net.only("UPDATE").respond(422, "Session Interval Too Small", "callee", "Min-SE: 300")
			second := b.net.requests("UPDATE")[1]
			wantHeader(b.t, second.req, "Session-Expires", "300;refresher=uac")
			wantHeader(b.t, second.req, "Min-SE", "300")
			second.respond(200, "OK", "callee", "Session-Expires: 300;refresher=uac")
			b.wantTimer(300, call.Local)
		}},
		"a 2xx without the header ends the timer (§7.2)": {long, func(b *bench) {
			b.agreed("Session-Expires: 90;refresher=uac", takesUpdate)
			time.Sleep(45 * time.Second)
			b.net.only("UPDATE").respond(200, "OK", "callee")
			b.wantTimer(0, "")
			time.Sleep(time.Hour)
			b.wantState(call.Established)
		}},
		"an interval of nothing is none": {long, func(b *bench) {
			b.agreed("Session-Expires: 1;refresher=uac")
			b.wantTimer(0, "")
		}},
		"of a call that comes we refresh when asked to": {longAnswer, func(b *bench) {
			p := b.invite("a", append([]string{"Supported: timer", takesUpdate, "Session-Expires: 120;refresher=uas"}, sdpBody(offerPCMU)...)...)
			p.ack()
			b.wantTimer(120, call.Local)
			time.Sleep(time.Minute)
			b.net.only("UPDATE").respond(200, "OK", "caller", "Session-Expires: 120;refresher=uac")
			time.Sleep(time.Minute)
			updates := b.net.requests("UPDATE")
			wantHeader(b.t, updates[1].req, "Session-Expires", "120;refresher=uac")
			updates[1].respond(200, "OK", "caller", "Session-Expires: 120;refresher=uas") // from now on they do
			b.wantTimer(120, call.Remote)
			time.Sleep(88 * time.Second) // 120 - 32
			b.net.only("BYE")
			b.wantEnd(200, call.Timeout, "session timer: the other side did not refresh the session of 120 s")
		}},
		"their re-INVITE without the header ends the timer": {longAnswer, func(b *bench) {
			p := b.invite("a", append([]string{"Supported: timer", "Session-Expires: 120;refresher=uac"}, sdpBody(offerPCMU)...)...)
			p.ack()
			b.wantTimer(120, call.Remote)
			p.send("INVITE", sdpBody(offerPCMU)...)
			p.ack()
			b.wantTimer(0, "")
			time.Sleep(time.Hour)
			b.wantState(call.Established)
		}},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, c.change, c.play) })
	}
}

// TestSessionTimerIsGranted walks RFC 4028's table 2, and what stands around it.
func TestSessionTimerIsGranted(t *testing.T) {
	const timer = "Supported: timer"
	for sentence, c := range map[string]struct {
		asked   []string
		code    int
		expires string
		require string
		other   string // a header beside
	}{
		"nobody wants one":    {nil, 200, "", "", ""},
		"able, not asked":     {[]string{timer}, 200, "", "", ""},
		"able, no part named": {[]string{timer, "Session-Expires: 90"}, 200, "90;refresher=uac", "timer", ""},
		"able, uac":           {[]string{timer, "Session-Expires: 1800;refresher=uac"}, 200, "1800;refresher=uac", "timer", ""},
		"able, uas":           {[]string{timer, "Session-Expires: 1800;refresher=uas"}, 200, "1800;refresher=uas", "timer", ""},
		"a proxy wants it, the caller is not able":  {[]string{"Session-Expires: 1800"}, 200, "1800;refresher=uas", "", ""},
		"a proxy wants it too short: 422 tells who": {[]string{"Session-Expires: 60"}, 200, "", "", ""},
		"compact forms":       {[]string{"k: 100rel, Timer", "x: 100;refresher=UAS;other=1"}, 200, "100;refresher=uas", "timer", ""},
		"too short":           {[]string{timer, "Session-Expires: 89", "Min-SE: 30"}, 422, "", "", "Min-SE: 90"},
		"required":            {[]string{"Require: timer", timer, "Session-Expires: 90"}, 200, "90;refresher=uac", "timer", ""},
		"no number":           {[]string{timer, "Session-Expires: soon"}, 400, "", "", ""},
		"a part that is none": {[]string{timer, "Session-Expires: 90;refresher=proxy"}, 400, "", "", ""},
		"for ever":            {[]string{timer, "Session-Expires: 99999999999999999999"}, 200, "4294967295;refresher=uac", "timer", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			simulate(t, autoAnswer, func(b *bench) {
				p := b.invite("a", append(c.asked, sdpBody(offerPCMU)...)...)
				res := p.tx.last()
				if res.StatusCode != c.code {
					b.t.Fatalf("answered %d %s, want %d", res.StatusCode, res.Reason, c.code)
				}
				wantHeader(b.t, res, "Session-Expires", c.expires)
				wantHeader(b.t, res, "Require", c.require)
				if name, value, ok := strings.Cut(c.other, ": "); ok {
					wantHeader(b.t, res, name, value)
				}
				if res.StatusCode == 400 && res.Reason != "Malformed Session-Expires" {
					b.t.Error(res.Reason)
				}
				if res.IsSuccess() {
					p.ack()
				}
			})
		})
	}
}

func FuzzSessionExpires(f *testing.F) {
	for _, s := range []string{"", "90", "1800;refresher=uac", "1800 ; refresher = UAS ;x=y", "4294967296", "-1", ";refresher=uac", "90;refresher"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		seconds, refresher, err := call.ParseExpires(s)
		if err != nil {
			return
		}
		if seconds < 0 || refresher != "" && refresher != "uac" && refresher != "uas" {
			t.Errorf("%q is %d by %q", s, seconds, refresher)
		}
		again, part, err := call.ParseExpires(fmt.Sprintf("%d;refresher=%s", seconds, max(refresher, "uac")))
		if err != nil || again != seconds || refresher != "" && part != refresher {
			t.Errorf("%q is %d by %q, read again %d by %q: %v", s, seconds, refresher, again, part, err)
		}
	})
}
