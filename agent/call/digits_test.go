package call_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// Which way digits go: by the nodes, and by what the other side takes.
func TestDigitsGoByTheWayTheNodesSay(t *testing.T) {
	const (
		events = "m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
		plain  = "m=audio 4000 RTP/AVP 8\r\n"
		every  = "Allow: INVITE, ACK, BYE, INFO"
		noINFO = "Allow: INVITE, ACK, BYE"
	)
	for sentence, c := range map[string]struct {
		nodes, media, allow string
		answer              int // to INFO
		want                string
	}{
		"telephone-events are the first choice":       {"", events, every, 200, "events 4,2#"},
		"INFO is the next":                            {"", plain, every, 200, "info 42#"},
		"who never said what it takes is sent INFO":   {"", plain, "X-Nothing: 1", 200, "info 42#"},
		"tones are the last":                          {"", plain, noINFO, 200, "tones 4,2#"},
		"INFO first when asked for":                   {"<dtmfOrder>info,rfc2833</dtmfOrder>", events, every, 200, "info 42#"},
		"INFO refused goes on by the next way":        {"<dtmfOrder>info,rfc2833</dtmfOrder>", events, every, 415, "events 4,2# info 4"},
		"INFO without answer goes on by the next way": {"<dtmfOrder>info,audio</dtmfOrder>", events, every, 0, "tones 4,2# info 4"},
		"tones first when asked for":                  {"<dtmfOrder>audio</dtmfOrder>", events, every, 200, "tones 4,2#"},
		"no way is left":                              {"<dtmfOrder>rfc2833</dtmfOrder>", plain, every, 200, "digits not sent: the other side takes no telephone-event (RFC 4733)"},
		"no way is left after INFO":                   {"<dtmfOrder>info</dtmfOrder>", events, every, 501, "info 4 digits 4,2# not sent: INFO was answered 501 Why"},
		"all at once":                                 {"<dtmfAll>1</dtmfAll>", events, every, 200, "events 4,2# tones 4,2# info 42#"},
		"all at once, to who takes only one":          {"<dtmfAll>1</dtmfAll>", plain, noINFO, 200, "tones 4,2#"},
		"all at once that are listed":                 {"<dtmfAll>1</dtmfAll><dtmfOrder>info,rfc2833</dtmfOrder>", events, every, 200, "events 4,2# info 42#"},
		"all at once that are listed, and none is taken": {"<dtmfAll>1</dtmfAll><dtmfOrder>info,rfc2833</dtmfOrder>", plain, noINFO, 200,
			"digits not sent: the other side takes no INFO; the other side takes no telephone-event (RFC 4733)"},
		"a list of one is kept to though it is refused": {"<dtmfOrder>info</dtmfOrder>", events, noINFO, 200, "digits not sent: the other side takes no INFO"},
	} {
		t.Run(sentence, func(t *testing.T) {
			simulate(t, func(o *call.Options) { o.Account = accountOf(t, c.nodes+"<codecOrder>8</codecOrder>") }, func(b *bench) {
				b.dial(call.Dial{DTMF: "4,2#"})
				b.net.only("INVITE").respond(200, "OK", "callee", append([]string{contactCallee, c.allow},
					sdpBody("v=0\r\no=- 5 5 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"+c.media)...)...)
				if got := b.digitsSent(c.answer); got != c.want {
					b.t.Errorf("sent %q, want %q", got, c.want)
				}
			})
		})
	}
}

// digitsSent tells by what ways digits went, answering INFO with a code; 0 = never.
func (b *bench) digitsSent(code int) string {
	b.t.Helper()
	info := ""
	for done := 0; ; done++ {
		from := time.Now()
		time.Sleep(3 * time.Second)
		txs := b.net.requests("INFO")
		if len(txs) <= done {
			break
		}
		tx := txs[done]
		body := string(tx.req.Body())
		var key rune
		if _, err := fmt.Sscanf(body, "Signal=%c\r\nDuration=100\r\n", &key); err != nil || tx.req.ContentType().Value() != "application/dtmf-relay" {
			b.t.Errorf("after %v an INFO of %v with %q", time.Since(from), tx.req.ContentType(), body)
		}
		info += string(key)
		if code == 0 {
			tx.end(ua.ErrTimeout)
			synctest.Wait()
			continue
		}
		tx.respond(code, "Why", "callee")
	}
	var ways []string
	m := b.session().has()
	for _, w := range []struct{ name, digits string }{{"events", m.sent}, {"tones", m.tones}, {"info", info}} {
		if w.digits != "" {
			ways = append(ways, w.name+" "+w.digits)
		}
	}
	return strings.Join(append(ways, b.record().Treatment...), " ")
}

// Digits by INFO go one at a time: the next when the one before was taken, a tone
// and a gap later, and a comma is two seconds.
func TestDigitsByINFOKeepTheirOrderAndTime(t *testing.T) {
	simulate(t, func(o *call.Options) { o.Account = accountOf(t, "<dtmfOrder>info</dtmfOrder>") }, func(b *bench) {
		b.talk(call.Dial{DTMF: "1,2"})
		time.Sleep(time.Second)
		first := b.net.only("INFO")
		answered := time.Now()
		first.respond(200, "OK", "callee")
		for len(b.net.requests("INFO")) < 2 {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(answered); took != 2200*time.Millisecond {
			b.t.Errorf("the next digit came %v after the answer, want 2.2 s", took)
		}
		second := b.net.requests("INFO")[1]
		if first.req.CSeq().SeqNo >= second.req.CSeq().SeqNo {
			b.t.Error("numbers do not count on")
		}
		second.respond(200, "OK", "callee")
	})
}

// Both ends by the real thing: what one line sends the other notes.
func TestDigitsByINFOBetweenTwoLines(t *testing.T) {
	p := newProxy(t)
	alice := newPhone(t, p, "alice", func(o *call.Options) { o.Account.DTMFOrder = []string{"info"} })
	bob := newPhone(t, p, "bob", autoAnswer)
	alice.dial(call.Dial{To: "bob", DTMF: "42#"})
	bob.wait("the digits", func(r call.Record) bool { return r.DTMF == "42#" })
}
