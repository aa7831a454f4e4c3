package call_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// three servers, the best first.
func three(o *call.Options) {
	o.Candidates = func(context.Context) ([]ua.Candidate, error) {
		var all []ua.Candidate
		for i := range 3 {
			all = append(all, ua.Candidate{Transport: ua.UDP, Addr: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:5060", 101+i))})
		}
		return all, nil
	}
}

// treated looks for a step in the only call's record.
func (b *bench) treated(want string) {
	b.t.Helper()
	if steps := strings.Join(b.record().Treatment, "\n"); !strings.Contains(steps, want) {
		b.t.Errorf("treatment is %q, without %q", steps, want)
	}
}

func TestServersInTurn(t *testing.T) {
	unreachable := fmt.Errorf("INVITE to 192.0.2.101:5060: %w: connection refused", ua.ErrUnreachable)
	play(t, map[string]scene{
		"what is not there is passed over at once, by the same request in a new transaction": {three, func(b *bench) {
			b.dial(call.Dial{})
			first := b.net.only("INVITE")
			first.end(unreachable)
			second := b.net.requests("INVITE")[1]
			if got := second.req.Destination(); got != "192.0.2.102:5060" {
				b.t.Errorf("the second goes to %s", got)
			}
			if a, z := first.req.Via().Params.GetOr("branch", ""), second.req.Via().Params.GetOr("branch", "z"); a == z {
				b.t.Errorf("both have the branch %s", a)
			}
			for _, name := range []string{"From", "To", "Call-ID", "CSeq", "Contact"} {
				if a, z := first.req.GetHeader(name).Value(), second.req.GetHeader(name).Value(); a != z {
					b.t.Errorf("%s was %s and is %s", name, a, z)
				}
			}
			if string(first.req.Body()) != string(second.req.Body()) {
				b.t.Error("the offer has changed")
			}
			b.treated("server 192.0.2.101:5060/udp: INVITE to 192.0.2.101:5060: unreachable: connection refused; trying 192.0.2.102:5060/udp")
			second.respond(200, "OK", "callee", answered()...)
			b.wantState(call.Established)
		}},
		"503 is passed over, also after 100, and the last one's is the end": {three, func(b *bench) {
			b.dial(call.Dial{})
			for i := range 3 {
				tx := b.net.requests("INVITE")[i]
				tx.respond(100, "Trying", "")
				tx.respond(503, "Service Unavailable", "x", "Retry-After: 30")
			}
			b.treated("server 192.0.2.101:5060/udp: 503 Service Unavailable (retry after 30 s); trying 192.0.2.102:5060/udp")
			b.treated("server 192.0.2.102:5060/udp: 503 Service Unavailable (retry after 30 s); trying 192.0.2.103:5060/udp")
			b.wantEnd(503, call.Remote, "503 Service Unavailable (retry after 30 s)")
		}},
		"where somebody rings already there is no other try": {three, func(b *bench) {
			b.dial(call.Dial{})
			tx := b.net.only("INVITE")
			tx.respond(180, "Ringing", "callee")
			tx.respond(503, "Service Unavailable", "callee")
			b.wantEnd(503, call.Remote, "503 Service Unavailable")
		}},
		"any other refusal is a refusal": {three, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(500, "Server Internal Error", "x")
			b.wantEnd(500, call.Remote, "500 Server Internal Error")
		}},
		"the next server's challenge says nothing of the password": {three, func(b *bench) {
			b.dial(call.Dial{})
			challenge := `WWW-Authenticate: Digest realm="pbx.test", nonce="n%d", algorithm=MD5, qop="auth"`
			b.net.only("INVITE").respond(401, "Unauthorized", "x", fmt.Sprintf(challenge, 1))
			b.net.requests("INVITE")[1].end(unreachable)
			third := b.net.requests("INVITE")[2]
			third.respond(401, "Unauthorized", "x", fmt.Sprintf(challenge, 2))
			fourth := b.net.requests("INVITE")[3]
			if got := fourth.req.Destination(); got != "192.0.2.102:5060" || len(fourth.req.GetHeaders("Authorization")) != 1 {
				b.t.Errorf("to %s:\n%s", got, fourth.req)
			}
			fourth.respond(200, "OK", "callee", answered()...)
			b.wantState(call.Established)
		}},
		"a server that says nothing for 8 s is passed over; should it wake up it is cancelled": {three, func(b *bench) {
			b.dial(call.Dial{})
			silent := b.net.only("INVITE")
			time.Sleep(8*time.Second - 1)
			b.net.only("INVITE")
			time.Sleep(time.Nanosecond)
			second := b.net.requests("INVITE")[1]
			b.treated("server 192.0.2.101:5060/udp: no answer within 8 s; trying 192.0.2.102:5060/udp")
			second.respond(100, "Trying", "")
			silent.respond(100, "Trying", "")
			silent.respond(180, "Ringing", "sleepy")
			cancel := b.net.only("CANCEL")
			if cancel.req.Via().Value() != silent.req.Via().Value() {
				b.t.Errorf("CANCEL is\n%s", cancel.req)
			}
			cancel.respond(200, "OK", "sleepy")
			b.wantState(call.Trying)
			second.respond(200, "OK", "callee", answered()...)
			silent.respond(200, "OK", "sleepy", branch(1)...)
			bye := b.net.only("BYE")
			if bye.req.Recipient.String() != "sip:fork1@192.0.2.11" {
				b.t.Errorf("BYE is\n%s", bye.req)
			}
			bye.respond(200, "OK", "sleepy")
			b.wantState(call.Established)
		}},
		"one that said 100 has all the time it needs": {three, func(b *bench) {
			b.dial(call.Dial{})
			tx := b.net.only("INVITE")
			tx.respond(100, "Trying", "")
			time.Sleep(time.Minute)
			b.net.only("INVITE")
			tx.respond(486, "Busy Here", "x")
		}},
		"the last server has 64·T1": {three, func(b *bench) {
			b.dial(call.Dial{})
			time.Sleep(30 * time.Second)
			all := b.net.requests("INVITE")
			if len(all) != 3 {
				b.t.Fatalf("%d INVITEs, want 3", len(all))
			}
			all[0].end(fmt.Errorf("INVITE: %w", ua.ErrTimeout))
			all[1].end(fmt.Errorf("INVITE: %w", ua.ErrTimeout))
			b.wantState(call.Trying)
			all[2].end(fmt.Errorf("INVITE: %w", ua.ErrTimeout))
			b.wantEnd(408, call.Timeout, "no answer from the server")
		}},
		"who has hung up tries no other": {three, func(b *bench) {
			_ = b.set.Hangup(b.dial(call.Dial{}))
			b.net.only("INVITE").end(unreachable)
			b.wantEnd(487, call.Local, "hung up")
		}},
	})
}

// Texts try the servers in turn, too.
func TestTextsTryServersInTurn(t *testing.T) {
	simulate(t, func(o *call.Options) {
		three(o)
		o.Account.AllowMessage, o.Account.MaxMessageBodySize = true, 1000
	}, func(b *bench) {
		id, err := b.set.Send(call.Message{To: "2000", Text: "hi"})
		if err != nil {
			b.t.Fatal(err)
		}
		first := b.net.only("MESSAGE")
		first.respond(401, "Unauthorized", "x", `WWW-Authenticate: Digest realm="pbx.test", nonce="n1", algorithm=MD5, qop="auth"`)
		b.net.requests("MESSAGE")[1].respond(503, "Service Unavailable", "x")
		third := b.net.requests("MESSAGE")[2]
		if got := third.req.Destination(); got != "192.0.2.102:5060" || third.req.CallID().Value() != first.req.CallID().Value() {
			b.t.Errorf("to %s:\n%s", got, third.req)
		}
		third.end(fmt.Errorf("MESSAGE: %w", ua.ErrUnreachable))
		b.net.requests("MESSAGE")[3].respond(202, "Accepted", "x")
		got, _ := b.set.Text(id)
		if steps := strings.Join(got.Treatment, "\n"); got.Code != 202 || !strings.Contains(steps, "server 192.0.2.101:5060/udp: 503 Service Unavailable; trying 192.0.2.102:5060/udp") ||
			!strings.Contains(steps, "MESSAGE not sent: MESSAGE: unreachable; trying 192.0.2.103:5060/udp") {
			b.t.Errorf("the text is %+v", got)
		}
	})
}

// TestRefusals is what a caller makes of final responses, beside those of TestOutgoing.
func TestRefusals(t *testing.T) {
	challenge := func(kind string, n int) string {
		return fmt.Sprintf(`%s: Digest realm="r%d.test", nonce="n%d", algorithm=MD5, qop="auth"`, kind, n, n)
	}
	play(t, map[string]scene{
		"a proxy and then a server ask for credentials, and have both": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(407, "Proxy Authentication Required", "x", challenge("Proxy-Authenticate", 1))
			b.net.requests("INVITE")[1].respond(401, "Unauthorized", "x", challenge("WWW-Authenticate", 2))
			third := b.net.requests("INVITE")[2]
			if len(third.req.GetHeaders("Proxy-Authorization")) != 1 || len(third.req.GetHeaders("Authorization")) != 1 || third.req.CSeq().SeqNo != 3 {
				b.t.Errorf("the third is\n%s", third.req)
			}
			third.respond(200, "OK", "callee", answered()...)
			b.wantState(call.Established)
		}},
		"420 has the INVITE sent without what it names": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(420, "Bad Extension", "x", "Unsupported: 100rel, 199")
			second := b.net.requests("INVITE")[1]
			if got := second.req.GetHeader("Supported").Value(); strings.Contains(got, "100rel") || strings.Contains(got, "199") || !strings.Contains(got, "replaces") {
				b.t.Errorf("Supported is %s", got)
			}
			b.treated("420: without [100rel 199]")
			second.respond(420, "Bad Extension", "x", "Unsupported: 100rel")
			b.wantEnd(420, call.Remote, "420 Bad Extension")
		}},
		"420 about nothing that was asked is the end": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(420, "Bad Extension", "x", "Unsupported: other")
			b.wantEnd(420, call.Remote, "420 Bad Extension")
		}},
		"413 tells when to come again": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(413, "Request Entity Too Large", "x", "Retry-After: 5 (maintenance)")
			b.wantEnd(413, call.Remote, "413 Request Entity Too Large (retry after 5 (maintenance) s)")
		}},
		"415, 416, 488 and 491 are told as they are, with their warning": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(488, "Not Acceptable Here", "x", `Warning: 305 pbx.test "Incompatible media format"`)
			b.wantEnd(488, call.Remote, `488 Not Acceptable Here (warning: 305 pbx.test "Incompatible media format")`)
		}},
		"487 to a call that nobody cancelled is the other side's doing": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(487, "Request Terminated", "x")
			b.wantEnd(487, call.Remote, "487 Request Terminated")
		}},
		"503 of the only server is the end": {nil, func(b *bench) {
			b.dial(call.Dial{})
			b.net.only("INVITE").respond(503, "", "x")
			b.wantEnd(503, call.Remote, "503 Service Unavailable")
		}},
		"an answer that crosses our CANCEL, of a fork that had rung reliably, is ended by its count": {nil, func(b *bench) {
			id := b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			invite.respond(180, "Ringing", "one", pledged(1, silentBranch(1)...)...)
			b.net.only("PRACK").respond(200, "OK", "one")
			_ = b.set.Hangup(id)
			b.net.only("CANCEL").respond(200, "OK", "one")
			invite.respond(200, "OK", "one", branch(1)...)
			if bye := b.net.only("BYE"); bye.req.CSeq().SeqNo != 3 || b.net.ackCount() != 1 {
				b.t.Errorf("%d ACK; BYE is\n%s", b.net.ackCount(), bye.req)
			} else {
				bye.respond(200, "OK", "one")
			}
			b.wantEnd(200, call.Local, "hung up")
		}},
	})
}
