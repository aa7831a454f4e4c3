package call_test

import (
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// talking is an incoming call that is answered and acknowledged.
func (b *bench) talking() *caller {
	p := b.invite("a", sdpBody(offerPCMU)...)
	p.ack()
	b.wantState(call.Established)
	return p
}

func reoffer(direction string) []string {
	return sdpBody(strings.NewReplacer("a=sendrecv", "a="+direction, "o=- 1 1", "o=- 1 2", "4000", "4002").Replace(offerPCMU))
}

// describes parses the description of a message.
func describes(t *testing.T, body []byte) *sdp.Description {
	t.Helper()
	d, err := sdp.Parse(body)
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return d
}

func TestInDialog(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		play   func(*bench)
	}{
		"hold and resume are answered with the direction that fits": {autoAnswer, func(b *bench) {
			p := b.talking()
			first := describes(b.t, p.tx.last().Body())
			for i, step := range []struct{ offered, answered, hold string }{
				{"sendonly", "recvonly", "recvonly"}, {"inactive", "inactive", "inactive"}, {"sendrecv", "sendrecv", ""},
			} {
				tx := p.send("INVITE", reoffer(step.offered)...)
				if got := tx.codes(); got != "200" {
					b.t.Fatalf("%s answered %s", step.offered, got)
				}
				if body := string(tx.last().Body()); step.answered != "sendrecv" && !strings.Contains(body, "a="+step.answered) {
					b.t.Errorf("%s answered with\n%s", step.offered, body)
				}
				p.ack()
				if r := b.record(); r.Hold != step.hold {
					b.t.Errorf("hold is %q after %s", r.Hold, step.offered)
				}
				answer := describes(b.t, tx.last().Body())
				if answer.Origin.SessionID != first.Origin.SessionID || answer.Origin.Version < first.Origin.Version {
					b.t.Errorf("answer %d has origin %+v, the first had %+v", i, answer.Origin, first.Origin)
				}
			}
			if n := b.session().last(b.t); n.Remote.String() != "192.0.2.9:4002" {
				b.t.Errorf("audio goes to %s", n.Remote)
			}
			if b.sessions() != 1 {
				b.t.Errorf("%d audio sessions", b.sessions())
			}
		}},
		"a changed answer has the next version, an unchanged one the same": {autoAnswer, func(b *bench) {
			p := b.talking()
			v := func(tx *serverTx) uint64 { return describes(b.t, tx.last().Body()).Origin.Version }
			was := v(p.tx)
			same := p.send("INVITE", sdpBody(offerPCMU)...)
			p.ack()
			if v(same) != was {
				b.t.Errorf("version went from %d to %d for the same description", was, v(same))
			}
			held := p.send("INVITE", reoffer("sendonly")...)
			p.ack()
			if v(held) != was+1 {
				b.t.Errorf("version went from %d to %d for another description", was, v(held))
			}
		}},
		"a re-INVITE without an offer gets ours": {autoAnswer, func(b *bench) {
			p := b.talking()
			tx := p.send("INVITE")
			d := describes(b.t, tx.last().Body())
			if tx.codes() != "200" || d.Media[0].Port != 20000 {
				b.t.Fatalf("answered %s with %+v", tx.codes(), d)
			}
			p.ack(reoffer("sendrecv")...)
			if n := b.session().last(b.t); n.Remote.String() != "192.0.2.9:4002" {
				b.t.Errorf("audio goes to %s", n.Remote)
			}
			b.wantState(call.Established)
		}},
		"an offer that crosses ours is told to wait": {autoAnswer, func(b *bench) {
			p := b.talking()
			p.send("INVITE")
			if got := p.send("INVITE", reoffer("sendrecv")...).codes(); got != "491" {
				b.t.Errorf("INVITE answered %s, want 491", got)
			}
			if got := p.send("UPDATE", reoffer("sendrecv")...).codes(); got != "491" {
				b.t.Errorf("UPDATE answered %s, want 491", got)
			}
			p.seq = 2
			p.ack(reoffer("sendrecv")...)
			b.wantState(call.Established)
		}},
		"a re-INVITE says that the 2xx before it arrived": {autoAnswer, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			p.send("INVITE", reoffer("sendrecv")...)
			p.ack()
			time.Sleep(time.Minute)
			if got := p.tx.codes(); got != "100 200" {
				b.t.Errorf("the first INVITE was answered %s", got)
			}
			b.wantState(call.Established)
		}},
		"a re-INVITE's 200 is sent again, too, and without ACK ends the call": {autoAnswer, func(b *bench) {
			p := b.talking()
			tx := p.send("INVITE", reoffer("sendrecv")...)
			time.Sleep(2 * time.Second)
			if got := tx.codes(); got != "200 200 200" {
				b.t.Errorf("answered %s", got)
			}
			time.Sleep(30 * time.Second)
			b.net.only("BYE").respond(200, "OK", "caller")
			b.wantEnd(200, call.Timeout, "no ACK within 32 s")
		}},
		"a re-INVITE before the answer comes too early": {nil, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			tx := p.send("INVITE", reoffer("sendrecv")...)
			if got := tx.codes(); got != "500" || tx.last().GetHeader("Retry-After") == nil {
				b.t.Errorf("answered %s", tx.last())
			}
			b.wantState(call.Ringing)
		}},
		"a re-INVITE without common codec changes nothing": {autoAnswer, func(b *bench) {
			p := b.talking()
			body := strings.ReplaceAll(offerPCMU, "RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000", "RTP/AVP 96\r\na=rtpmap:96 EVRC/8000")
			if got := p.send("INVITE", sdpBody(body)...).codes(); got != "488" {
				b.t.Errorf("answered %s, want 488", got)
			}
			b.wantState(call.Established)
			if r := b.record(); r.Codec != "PCMU/8000" {
				b.t.Errorf("codec is %q", r.Codec)
			}
			b.wantTarget("sip:2000@192.0.2.9:5070")
		}},
		"UPDATE with an offer is answered like a re-INVITE, without one it is a sign of life": {autoAnswer, func(b *bench) {
			p := b.talking()
			if tx := p.send("UPDATE"); tx.codes() != "200" || len(tx.last().Body()) != 0 {
				b.t.Errorf("answered %s", tx.last())
			}
			tx := p.send("UPDATE", reoffer("sendonly")...)
			if tx.codes() != "200" || !strings.Contains(string(tx.last().Body()), "recvonly") {
				b.t.Errorf("answered %s", tx.last())
			}
			if r := b.record(); r.Hold != "recvonly" {
				b.t.Errorf("hold is %q", r.Hold)
			}
			time.Sleep(time.Minute)
			if got := tx.codes(); got != "200" {
				b.t.Errorf("UPDATE's 200 was sent again: %s", got)
			}
		}},
		"a new Contact moves the target": {autoAnswer, func(b *bench) {
			p := b.talking()
			lines := append(p.headAt("UPDATE", 2), "")
			lines[6] = "Contact: <sip:2000@192.0.2.77:5099>"
			if got := b.deliver(lines...).codes(); got != "200" {
				b.t.Fatalf("UPDATE answered %s", got)
			}
			b.wantTarget("sip:2000@192.0.2.77:5099")
		}},
		"a request that counts back is refused": {autoAnswer, func(b *bench) {
			p := b.talking()
			p.seq = 10
			p.send("INFO")
			p.seq = 4
			if got := p.send("INFO").codes(); got != "500" {
				b.t.Errorf("answered %s, want 500", got)
			}
		}},
		"a BYE counts, however it counts": {autoAnswer, func(b *bench) {
			p := b.talking()
			p.seq = 10
			p.send("INFO")
			p.seq = 4
			if got := p.send("BYE").codes(); got != "200" {
				b.t.Errorf("answered %s, want 200", got)
			}
			b.wantEnd(200, call.Remote, "BYE from the other side")
		}},
		"methods are answered for what they are": {autoAnswer, func(b *bench) {
			p := b.talking()
			for method, want := range map[string]string{"OPTIONS": "200", "INFO": "200", "MESSAGE": "405", "REFER": "405", "PRACK": "481", "SUBSCRIBE": "405", "FOO": "405"} {
				tx := p.send(method)
				if got := tx.codes(); got != want {
					b.t.Errorf("%s answered %s, want %s", method, got, want)
				}
				if want == "405" && tx.last().GetHeader("Allow") == nil {
					b.t.Errorf("405 to %s has no Allow", method)
				}
			}
			if got := p.send("INFO", "Content-Type: application/media_control+xml", "", "<x/>"); got.codes() != "415" || got.last().GetHeader("Accept") == nil {
				b.t.Errorf("INFO answered %s", got.last())
			}
			b.wantState(call.Established)
		}},
		"MESSAGE is taken when the account allows it": {func(o *call.Options) { autoAnswer(o); o.Account.AllowMessage = true }, func(b *bench) {
			p := b.talking()
			if got := p.send("MESSAGE", "Content-Type: text/plain", "", "hi").codes(); got != "200" {
				b.t.Errorf("answered %s, want 200", got)
			}
		}},
		"another tag is another dialog": {autoAnswer, func(b *bench) {
			p := b.talking()
			lines := p.headAt("BYE", 2)
			lines[2] = "From: <sip:2000@pbx.test>;tag=somebody"
			if got := b.deliver(lines...).codes(); got != "481" {
				b.t.Errorf("answered %s, want 481", got)
			}
			b.wantState(call.Established)
		}},
		"an ACK of a stranger acknowledges nothing": {autoAnswer, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			lines := p.headAt("ACK", 1)
			lines[2] = "From: <sip:2000@pbx.test>;tag=somebody"
			b.deliver(lines...)
			time.Sleep(600 * time.Millisecond)
			if got := p.tx.codes(); got != "100 200 200" {
				b.t.Errorf("answered %s, want the 200 sent again", got)
			}
		}},
		"the called side may change an outgoing call, too": {nil, func(b *bench) {
			invite := b.talk(call.Dial{})
			tx := b.within(invite, "INVITE", 7, "callee", reoffer("sendonly")...)
			if got := tx.codes(); got != "200" {
				b.t.Fatalf("answered %s", got)
			}
			b.within(invite, "ACK", 7, "callee")
			if r := b.record(); r.Hold != "recvonly" || r.Codec != "PCMU/8000" {
				b.t.Errorf("record is %+v", r)
			}
			time.Sleep(time.Minute)
			b.wantState(call.Established)
		}},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, c.change, c.play) })
	}
}

// headAt are the lines of a request within the dialog.
func (p *caller) headAt(method string, seq int) []string {
	p.seq = seq
	return p.head(method, p.tag())
}

// wantTarget hangs up to see where the BYE goes.
func (b *bench) wantTarget(want string) {
	b.t.Helper()
	_ = b.set.Hangup(b.record().ID)
	bye := b.net.only("BYE")
	if got := bye.req.Recipient.String(); got != want {
		b.t.Errorf("BYE goes to %s, want %s", got, want)
	}
	bye.respond(200, "OK", "caller")
}
