package call_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func texting(o *call.Options) { o.Account.AllowMessage = true }

func TestTextsThatCome(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*call.Options)
		headers []string
		body    string
		code    string
		header  string // of the answer
		text    string
	}{
		"plain":                    {texting, []string{"Content-Type: text/plain"}, "hello", "200", "", "hello"},
		"UTF-8":                    {texting, []string{"Content-Type: text/plain;charset=UTF-8"}, "ahoj světe", "200", "", "ahoj světe"},
		"the alphabet of the west": {texting, []string{`Content-Type: text/plain; charset="ISO-8859-1"`}, "gr\xfc\xdfe", "200", "", "grüße"},
		"broken UTF-8":             {texting, []string{"Content-Type: text/plain"}, "a\xffb", "200", "", "a\uFFFDb"},
		"nothing":                  {texting, nil, "", "200", "", ""},
		"not allowed":              {nil, []string{"Content-Type: text/plain"}, "hello", "405", "Allow", ""},
		"a picture":                {texting, []string{"Content-Type: image/png"}, "x", "415", "Accept", ""},
		"somebody types":           {texting, []string{"Content-Type: application/im-iscomposing+xml"}, "<x/>", "415", "Accept", ""},
		"an encoding of old":       {texting, []string{"Content-Type: text/plain;charset=KOI8-R"}, "x", "415", "Accept", ""},
		"compressed":               {texting, []string{"Content-Type: text/plain", "Content-Encoding: gzip"}, "x", "415", "Accept-Encoding", ""},
		"too long": {func(o *call.Options) { texting(o); o.Account.MaxMessageBodySize = 10 }, []string{"Content-Type: text/plain"},
			"0123456789a", "413", "", ""},
		"as long as it may be": {func(o *call.Options) { texting(o); o.Account.MaxMessageBodySize = 10 }, []string{"Content-Type: text/plain"},
			"0123456789", "200", "", "0123456789"},
	} {
		t.Run(name, func(t *testing.T) {
			told := 0
			simulate(t, func(o *call.Options) {
				if c.change != nil {
					c.change(o)
				}
				o.OnText = func(call.Text) { told++ }
			}, func(b *bench) {
				p := &caller{b: b, callID: "text", seq: 1}
				lines := append(p.head("MESSAGE", ""), c.headers...)
				if c.body != "" {
					lines = append(lines, "", c.body)
				}
				tx := b.deliver(lines...)
				if got := tx.codes(); got != c.code {
					t.Fatalf("answered %s, want %s", got, c.code)
				}
				if c.header != "" && tx.last().GetHeader(c.header) == nil {
					t.Errorf("no %s in\n%s", c.header, tx.last())
				}
				all := b.set.Texts()
				if c.code != "200" {
					if len(all)+told != 0 {
						t.Errorf("remembered %+v", all)
					}
					return
				}
				if len(all) != 1 || told != 1 || all[0].Text != c.text || all[0].Remote != "sip:2000@pbx.test" || all[0].Code != 200 || all[0].Direction != call.In {
					t.Errorf("remembered %+v, told %d times", all, told)
				}
				if got := b.deliver(lines...).codes(); got != "482" || len(b.set.Texts()) != 1 {
					t.Errorf("the same by another path: %s", got)
				}
				if strings.Contains(b.logs.String(), c.text) && c.text != "" {
					t.Error("the text is in the log")
				}
			})
		})
	}
}

func TestATextWithinACall(t *testing.T) {
	simulate(t, func(o *call.Options) { autoAnswer(o); texting(o); o.Account.MaxMessageBodySize = 10 }, func(b *bench) {
		p := b.talking()
		if got := p.send("MESSAGE", "Content-Type: text/plain", "", "hi").codes(); got != "200" {
			t.Errorf("answered %s", got)
		}
		if got := p.send("MESSAGE", "Content-Type: text/plain", "", "hi, how are you").codes(); got != "413" {
			t.Errorf("a long one answered %s", got)
		}
		all := b.set.Texts()
		if len(all) != 1 || all[0].Text != "hi" || all[0].Call != b.set.Records()[0].ID {
			t.Errorf("%+v", all)
		}
	})
}

func TestALineRemembersTheLastTexts(t *testing.T) {
	simulate(t, texting, func(b *bench) {
		send := func(n int, text string) {
			p := &caller{b: b, callID: fmt.Sprint("text", n), seq: 1}
			if got := b.deliver(append(p.head("MESSAGE", ""), "Content-Type: text/plain", "", text)...).codes(); got != "200" {
				t.Fatalf("answered %s", got)
			}
		}
		for i := range 60 {
			send(i, fmt.Sprint(i))
		}
		if all := b.set.Texts(); len(all) != 50 || all[0].Text != "10" || all[49].Text != "59" {
			t.Errorf("%d remembered", len(all))
		}
		for i := range 3 {
			send(100+i, strings.Repeat("x", 30000))
		}
		if all := b.set.Texts(); len(all) != 2 {
			t.Errorf("%d remembered of three that are large", len(all))
		}
	})
}

// sent sends a text and gives its id and the request that left.
func (b *bench) sent(m call.Message) (string, *clientTx) {
	b.t.Helper()
	id, err := b.set.Send(m)
	if err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
	return id, b.net.only(sip.MESSAGE)
}

func (b *bench) wantText(id string, code int, reason string) {
	b.t.Helper()
	synctest.Wait()
	if m, ok := b.set.Text(id); !ok || m.Code != code || !strings.Contains(m.Reason, reason) || m.Direction != call.Out || m.EndedAt.IsZero() {
		b.t.Errorf("%+v, want %d %s", m, code, reason)
	}
}

func TestATextIsSent(t *testing.T) {
	told := 0
	simulate(t, func(o *call.Options) {
		o.OnText = func(call.Text) { told++ }
		o.Account.Rewriting = []account.Rule{{
			Conditions: []account.Clause{{Type: "startsWith", Param: "0"}}, Actions: []account.Clause{{Type: "replace", Param: "+420"}},
		}}
	}, func(b *bench) {
		id, tx := b.sent(call.Message{To: "0123", Text: "ahoj světe", Headers: map[string]string{"X-A": "b"}})
		for name, want := range map[string]string{"To": "<sip:+420123@pbx.test>", "Content-Type": "text/plain;charset=UTF-8", "X-A": "b", "CSeq": "1 MESSAGE"} {
			if h := tx.req.GetHeader(name); h == nil || h.Value() != want {
				t.Errorf("%s: %v, want %s", name, h, want)
			}
		}
		if from := tx.req.From().Address.String(); from != "sip:1000@pbx.test" || string(tx.req.Body()) != "ahoj světe" || tx.req.Contact() != nil {
			t.Errorf("sent\n%s", tx.req)
		}
		if m, _ := b.set.Text(id); m.Code != 0 || !m.EndedAt.IsZero() || m.Remote != "sip:+420123@pbx.test" || len(m.Treatment) == 0 {
			t.Errorf("before the answer: %+v", m)
		}
		tx.respond(202, "Accepted", "them")
		b.wantText(id, 202, "202 Accepted")
		if told != 1 {
			t.Errorf("told %d times", told)
		}
	})
}

func TestATextIsChallenged(t *testing.T) {
	simulate(t, nil, func(b *bench) {
		id, err := b.set.Send(call.Message{To: "2000", Text: "hi"})
		if err != nil {
			t.Fatal(err)
		}
		b.net.only(sip.MESSAGE).respond(407, "Proxy Authentication Required", "p", `Proxy-Authenticate: Digest realm="pbx.test", nonce="n", qop="auth"`)
		txs := b.net.requests(sip.MESSAGE)
		if len(txs) != 2 || txs[1].req.GetHeader("Proxy-Authorization") == nil || txs[1].req.CSeq().SeqNo != 2 {
			t.Fatalf("%d sent", len(txs))
		}
		txs[1].respond(404, "Not Found", "p")
		b.wantText(id, 404, "404 Not Found")
	})
}

func TestATextThatNobodyAnswers(t *testing.T) {
	simulate(t, nil, func(b *bench) {
		id, tx := b.sent(call.Message{To: "2000", Text: "hi"})
		tx.end(ua.ErrTimeout)
		b.wantText(id, 0, "no answer from 192.0.2.1:5060")
	})
}

func TestTextsThatAreNotSent(t *testing.T) {
	rule := func(action account.Clause) func(*call.Options) {
		return func(o *call.Options) {
			o.Account.Rewriting = []account.Rule{{Conditions: []account.Clause{{Type: "startsWith", Param: "2"}}, Actions: []account.Clause{action}}}
		}
	}
	for name, c := range map[string]struct {
		change func(*call.Options)
		m      call.Message
		is     error
	}{
		"no text":                     {nil, call.Message{To: "2000"}, call.ErrBadValue},
		"no UTF-8":                    {nil, call.Message{To: "2000", Text: "\xff"}, call.ErrBadValue},
		"too long":                    {func(o *call.Options) { o.Account.MaxMessageBodySize = 3 }, call.Message{To: "2000", Text: "long"}, call.ErrTooLong},
		"nobody":                      {nil, call.Message{To: "<", Text: "hi"}, call.ErrBadTarget},
		"a header of ours":            {nil, call.Message{To: "2000", Text: "hi", Headers: map[string]string{"Via": "x"}}, call.ErrBadHeader},
		"a rule that drops":           {rule(account.Clause{Type: "drop"}), call.Message{To: "2000", Text: "hi"}, call.ErrRefused},
		"a rule that asks":            {rule(account.Clause{Type: "confirm"}), call.Message{To: "2000", Text: "hi"}, call.ErrUnconfirmed},
		"another line's":              {rule(account.Clause{Type: "dialOut", Param: "carol"}), call.Message{To: "2000", Text: "hi"}, call.ErrOtherLine},
		"not with this fleet":         {func(o *call.Options) { o.Destinations = delivery.Destinations{Deny: []string{"2"}} }, call.Message{To: "2000", Text: "hi"}, call.ErrRefused},
		"a line that is draining":     {nil, call.Message{To: "drain", Text: "hi"}, call.ErrDraining},
		"more than may be sent":       {nil, call.Message{To: "many", Text: "hi"}, call.ErrTooMany},
		"a line that has been closed": {nil, call.Message{To: "closed", Text: "hi"}, call.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, c.change, func(b *bench) {
				before := 0
				switch c.m.To {
				case "drain":
					b.set.Drain(time.Now())
				case "closed":
					b.set.Close("test")
				case "many":
					for range 32 {
						if _, err := b.set.Send(c.m); err != nil {
							t.Fatal(err)
						}
						before++
					}
				}
				if _, err := b.set.Send(c.m); !errors.Is(err, c.is) {
					t.Errorf("%v, want %v", err, c.is)
				}
				if n := len(b.net.requests(sip.MESSAGE)); n != before {
					t.Errorf("%d were sent", n)
				}
			})
		})
	}
}
