package subscription

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/registration"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

var serverAddr = netip.MustParseAddrPort("192.0.2.1:5060")

// bench is a Set and the server it subscribes at, under fake time.
type bench struct {
	*testing.T
	set    *Set
	cfg    Config
	server *server
	logs   *bytes.Buffer
}

// server answers SUBSCRIBE as a test says, and notes all.
type server struct {
	mu sync.Mutex
	// answer gives the response; nil = none.
	answer   func(req *sip.Request) *sip.Response
	seen     []*sip.Request
	attempts []string
	notes    int
	changes  int
}

func (s *server) Resolve(context.Context, string, ua.Transport) ([]ua.Candidate, error) {
	return []ua.Candidate{{Addr: serverAddr}}, nil
}

func (s *server) LocalAddrFor(context.Context, netip.AddrPort) (netip.Addr, error) {
	return netip.MustParseAddr("192.0.2.9"), nil
}

func (s *server) Port() int { return 5070 }

func (s *server) Guard(_ string, f func()) bool { f(); return false }

func (s *server) Do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	ua.TellSent(ctx)
	s.mu.Lock()
	s.seen = append(s.seen, req)
	answer := s.answer
	s.mu.Unlock()
	res := answer(req)
	if res != nil {
		return res, nil
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(32 * time.Second):
		return nil, fmt.Errorf("%w", ua.ErrTimeout)
	}
}

// requests so far.
func (s *server) requests() []*sip.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *server) is(answer func(*sip.Request) *sip.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// says gives that answer to everything; headers are "Name: value".
func says(code int, headers ...string) func(*sip.Request) *sip.Response {
	return func(req *sip.Request) *sip.Response {
		res := sip.NewResponseFromRequest(req, code, "Said", nil)
		res.To().Params.Remove("tag")
		res.To().Params.Add("tag", "server")
		if code == 200 {
			res.AppendHeader(&sip.ContactHeader{Address: ua.URI("notifier", "192.0.2.1:5060")})
			if len(headers) == 0 {
				res.AppendHeader(sip.NewHeader("Expires", req.GetHeader("Expires").Value()))
			}
		}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			res.AppendHeader(sip.NewHeader(name, value))
		}
		return res
	}
}

func silent(*sip.Request) *sip.Response { return nil }

var up = Footing{Up: true, Since: time.Unix(1, 0), Server: "192.0.2.1:5060/udp", Contact: "sip:c0ntact@192.0.2.9:5070"}

func simulate(t *testing.T, change func(*Config), f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, server: &server{answer: says(200)}, logs: &bytes.Buffer{}}
		b.cfg = Config{
			Name: "alice", AOR: registration.AOR{User: "alice", Host: "pbx.test", Display: `Al "x"`}, ContactUser: "c0ntact",
			Credentials: ua.Credentials{Username: "alice", Password: "top-secret"},
			Server:      func(context.Context) (ua.Candidate, error) { return ua.Candidate{Addr: serverAddr}, nil },
			Servers:     func() []netip.AddrPort { return []netip.AddrPort{serverAddr} },
			OnChange:    func() { b.server.changes++ },
			OnAttempt: func(event string, code int) {
				b.server.attempts = append(b.server.attempts, fmt.Sprint(event, " ", code))
			},
			OnNotify: func(string) { b.server.notes++ },
			Log:      slog.New(slog.NewTextHandler(b.logs, nil)),
		}
		change(&b.cfg)
		b.set = New(b.cfg, b.server)
		defer func() {
			b.set.Close()
			if strings.Contains(b.logs.String(), "top-secret") {
				t.Error("the password is in the log")
			}
		}()
		f(b)
	})
}

func mailboxOnly(c *Config) { c.Mailbox = true }

func watching(who ...string) func(*Config) { return func(c *Config) { c.Watch = who } }

// last SUBSCRIBE that was sent, of so many.
func (b *bench) last(of int) *sip.Request {
	b.Helper()
	synctest.Wait()
	all := b.server.requests()
	if len(all) != of {
		b.Fatalf("%d SUBSCRIBEs, want %d:\n%v", len(all), of, all)
	}
	if of == 0 {
		return nil
	}
	return all[of-1]
}

// await is last, as soon as so many were sent.
func (b *bench) await(n int, within time.Duration) *sip.Request {
	b.Helper()
	for end := time.Now().Add(within); len(b.server.requests()) < n && time.Now().Before(end); {
		time.Sleep(time.Second)
	}
	return b.last(n)
}

// told is the transaction of a NOTIFY.
type told struct {
	sip.ServerTransaction
	res *sip.Response
}

func (x *told) Respond(res *sip.Response) error {
	if x.res != nil {
		return errors.New("answered twice")
	}
	x.res = res
	return nil
}

// notify sends a NOTIFY for a SUBSCRIBE and gives the code of the answer, 0 = the set
// did not want it. The notifier's tag, if it is another than server, stands before the
// state: "other|active;expires=60".
func (b *bench) notify(of *sip.Request, seq uint32, state, body string) int {
	b.Helper()
	tag, rest, named := strings.Cut(state, "|")
	if !named {
		tag, rest = "server", state
	}
	req := sip.NewRequest(sip.NOTIFY, ua.URI("c0ntact", "192.0.2.9:5070"))
	from := of.To().AsFrom()
	from.Params = sip.NewParams()
	from.Params.Add("tag", tag)
	to := of.From().AsTo()
	req.AppendHeader(&from)
	req.AppendHeader(&to)
	callID := sip.CallIDHeader(of.CallID().Value())
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: sip.NOTIFY})
	req.AppendHeader(&sip.ContactHeader{Address: ua.URI(tag, "192.0.2.1:5060")})
	req.AppendHeader(sip.NewHeader("Event", of.GetHeader("Event").Value()))
	if rest != "" {
		req.AppendHeader(sip.NewHeader("Subscription-State", rest))
	}
	return b.send(req, accepts[of.GetHeader("Event").Value()], body)
}

func (b *bench) send(req *sip.Request, mediaType, body string) int {
	b.Helper()
	if body != "" {
		contentType := sip.ContentTypeHeader(mediaType)
		req.AppendHeader(&contentType)
		req.SetBody([]byte(body))
	}
	req.AppendHeader(&sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: "192.0.2.1", Port: 5060, Params: sip.NewParams()})
	if req.Source() == "" {
		req.SetSource(serverAddr.String())
	}
	tx := &told{}
	if !b.set.HandleRequest(req, tx) {
		return 0
	}
	synctest.Wait()
	if tx.res == nil {
		b.Fatalf("no answer to\n%s", req)
	}
	return tx.res.StatusCode
}

func (b *bench) want(what string, got, want any) {
	b.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.Errorf("%s: %v, want %v", what, got, want)
	}
}

const lit = "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vm.test\r\nVoice-Message: 2/1 (1/0)\r\n"

func document(version int, state, dialogs string) string {
	return fmt.Sprintf(`<dialog-info%s version="%d" state="%s" entity="sip:bob@pbx.test">%s</dialog-info>`, ns, version, state, dialogs)
}

func oneCall(state string) string {
	return `<dialog id="1" direction="recipient"><state>` + state + `</state></dialog>`
}

func TestTheLampIsLitAndGoesOut(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		b.set.Follow(up)
		req := b.last(1)
		for name, want := range map[string]string{
			"Event": "message-summary", "Accept": "application/simple-message-summary", "Expires": "3600",
			"Contact": "<sip:c0ntact@192.0.2.9:5070>", "From": `"Al \"x\"" <sip:alice@pbx.test>;tag=` + req.From().Params.GetOr("tag", ""),
		} {
			b.want(name, req.GetHeader(name).Value(), want)
		}
		b.want("Request-URI", req.Recipient.String(), "sip:alice@pbx.test")
		b.want("state before NOTIFY", b.set.Status().MWI.Subscription.State, Subscribing)
		b.want("NOTIFY", b.notify(req, 1, "active;expires=3600", lit), 200)
		m := b.set.Status().MWI
		b.want("mailbox", fmt.Sprint(m.Waiting, m.NewMessages, m.OldMessages, m.UrgentNew, m.Account), "true 2 1 1sip:alice@vm.test")
		b.want("state", m.Subscription.State, Active)
		since := m.Since
		time.Sleep(time.Minute)
		b.want("the same again", b.notify(req, 2, "active;expires=3540", lit), 200)
		b.want("since", b.set.Status().MWI.Since.Equal(since), true)
		b.want("out", b.notify(req, 3, "active", "Messages-Waiting: no\r\n"), 200)
		b.want("lamp", b.set.Status().MWI.Waiting, false)
		b.want("an older NOTIFY", b.notify(req, 2, "active", lit), 500)
		b.want("lamp after it", b.set.Status().MWI.Waiting, false)
		b.want("attempts", b.server.attempts, []string{"message-summary 200"})
		b.want("NOTIFYs", b.server.notes, 3)
	})
}

func TestRefreshBeforeExpiryInTheSameDialog(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		b.server.is(says(200, "Expires: 600", "Record-Route: <sip:192.0.2.1;lr>"))
		b.set.Follow(up)
		first := b.last(1)
		b.notify(first, 1, "active;expires=600", lit)
		second := b.await(2, 9*time.Minute+time.Second)
		b.want("Call-ID", second.CallID().Value(), first.CallID().Value())
		b.want("CSeq", second.CSeq().SeqNo, 2)
		b.want("To", second.To().Params.GetOr("tag", ""), "server")
		b.want("Request-URI", second.Recipient.String(), "sip:server@192.0.2.1:5060") // as the NOTIFY's Contact has it
		b.want("NOTIFY", b.notify(second, 2, "active;expires=600", lit), 200)
		b.want("state", b.set.Status().MWI.Subscription.State, Active)
	})
}

func TestNotifyBeforeTheAnswer(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		b.server.is(silent)
		b.set.Follow(up)
		req := b.last(1)
		b.want("NOTIFY", b.notify(req, 1, "active;expires=600", lit), 200)
		b.want("lamp", b.set.Status().MWI.Waiting, true)
		time.Sleep(33 * time.Second) // the 200 never comes
		b.want("state", b.set.Status().MWI.Subscription.State, Active)
	})
}

func TestNoNotify(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		b.set.Follow(up)
		b.last(1)
		time.Sleep(timerN - time.Millisecond)
		synctest.Wait()
		b.want("state until then", b.set.Status().MWI.Subscription.State, Subscribing)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		b.want("state after timer N", b.set.Status().MWI.Subscription.State, Waiting)
		if s := b.set.Status().MWI.Subscription; !strings.Contains(s.LastReason, "no NOTIFY") || s.RetryAt.IsZero() {
			b.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Second)
		b.last(2)
	})
}

func TestAnswersThatAreNoSuccess(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(*sip.Request) *sip.Response
		state  State
		says   string
	}{
		"an unknown event package": {says(489), Refused, "does not know the event package message-summary"},
		"no SUBSCRIBE at all":      {says(405), Refused, "knows no SUBSCRIBE"},
		"nobody there":             {says(404), Waiting, "404"},
		"refused credentials":      {says(407, `Proxy-Authenticate: Digest realm="r", nonce="n"`), Waiting, "refused the line's password"},
		"a digest of the future":   {says(401, `WWW-Authenticate: Digest realm="r", nonce="n", algorithm=XYZ`), Waiting, "not supported"},
		"nobody answers":           {silent, Waiting, "no answer from 192.0.2.1:5060"},
		"no time granted":          {says(200, "Expires: 0"), Waiting, "no time"},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, mailboxOnly, func(b *bench) {
				b.server.is(c.answer)
				b.set.Follow(up)
				time.Sleep(33 * time.Second)
				synctest.Wait()
				s := b.set.Status().MWI.Subscription
				if s.State != c.state && s.State != Subscribing || !strings.Contains(s.LastReason, c.says) {
					b.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestIntervalTooBrief(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		b.server.is(func(req *sip.Request) *sip.Response {
			if req.GetHeader("Expires").Value() == "3600" {
				return says(423, "Min-Expires: 7200")(req)
			}
			return says(200)(req)
		})
		b.set.Follow(up)
		req := b.last(2)
		b.want("Call-ID", req.CallID().Value(), b.server.requests()[0].CallID().Value())
		b.want("CSeq", req.CSeq().SeqNo, 2)
		b.want("Expires", req.GetHeader("Expires").Value(), "7200")
		b.want("NOTIFY", b.notify(req, 1, "active", lit), 200)
	})
}

func TestTheServerForgets(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		b.server.is(says(200, "Expires: 600"))
		b.set.Follow(up)
		first := b.last(1)
		b.notify(first, 1, "active;expires=600", lit)
		b.server.is(func(req *sip.Request) *sip.Response {
			if req.To().Params.Has("tag") {
				return says(481)(req)
			}
			return says(200)(req)
		})
		again := b.await(3, 9*time.Minute+time.Second)
		if again.CallID().Value() == first.CallID().Value() || again.To().Params.Has("tag") {
			b.Errorf("not a new subscription:\n%s", again)
		}
		b.want("NOTIFY of the old one", b.notify(first, 9, "active", lit), 0)
		b.want("NOTIFY", b.notify(again, 1, "active", "Messages-Waiting: no"), 200)
		b.want("lamp", b.set.Status().MWI.Waiting, false)
	})
}

func TestTheServerEndsTheSubscription(t *testing.T) {
	for name, c := range map[string]struct {
		state string
		after time.Duration // when another SUBSCRIBE has come; 0 = never
		shown State
	}{
		"deactivated": {"terminated;reason=deactivated", time.Millisecond, Subscribing},
		"probation":   {"terminated;reason=probation;retry-after=5", 7 * time.Second, Subscribing},
		"a word":      {`terminated;reason="giveup";retry-after=60`, 67 * time.Second, Subscribing},
		"rejected":    {"terminated;reason=rejected", 0, Refused},
		"no such":     {"terminated;reason=noresource", 0, Refused},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, mailboxOnly, func(b *bench) {
				b.set.Follow(up)
				req := b.last(1)
				b.notify(req, 1, "active", lit)
				time.Sleep(2 * settled)
				b.want("NOTIFY", b.notify(req, 2, c.state, ""), 200)
				time.Sleep(cmp.Or(c.after, 40*time.Minute))
				n := 1
				if c.after > 0 {
					n = 2
				}
				b.last(n)
				b.want("state", b.set.Status().MWI.Subscription.State, c.shown)
			})
		})
	}
}

func TestNotifiesThatAreNotTaken(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		b.set.Follow(up)
		req := b.last(1)
		stranger := req.Clone()
		stranger.From().Params.Remove("tag")
		stranger.From().Params.Add("tag", "guessed")
		b.want("a tag that is not ours", b.notify(stranger, 1, "active", lit), 0)
		b.want("no Subscription-State", b.notify(req, 1, "", lit), 400)
	})
	for name, c := range map[string]struct {
		mediaType, body string
		code            int
	}{
		"another body": {"text/plain", "hello", 415},
		"nonsense":     {accepts[MessageSummary], "hello", 400},
		"too large":    {accepts[MessageSummary], strings.Repeat("x", mostDialogInfo+1), 413},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, mailboxOnly, func(b *bench) {
				b.set.Follow(up)
				req := b.last(1)
				other := b.build(req, 1, "active", MessageSummary)
				b.want("answer", b.send(other, c.mediaType, c.body), c.code)
				if s := b.set.Status().MWI.Subscription; s.State != Waiting || !strings.Contains(s.LastReason, "cannot read") {
					b.Errorf("%+v", s)
				}
			})
		})
	}
}

// build makes a NOTIFY without a body.
func (b *bench) build(of *sip.Request, seq uint32, state, event string) *sip.Request {
	req := sip.NewRequest(sip.NOTIFY, ua.URI("c0ntact", "192.0.2.9:5070"))
	from, to := of.To().AsFrom(), of.From().AsTo()
	from.Params = sip.NewParams()
	from.Params.Add("tag", "server")
	callID := sip.CallIDHeader(of.CallID().Value())
	req.AppendHeader(&from)
	req.AppendHeader(&to)
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: sip.NOTIFY})
	req.AppendHeader(sip.NewHeader("Event", event))
	req.AppendHeader(sip.NewHeader("Subscription-State", state))
	return req
}

func TestUnsolicited(t *testing.T) {
	simulate(t, func(*Config) {}, func(b *bench) {
		b.set.Follow(up)
		of := sip.NewRequest(sip.SUBSCRIBE, ua.URI("alice", "pbx.test"))
		from := &sip.FromHeader{Address: ua.URI("alice", "pbx.test"), Params: sip.NewParams()}
		of.AppendHeader(from)
		of.AppendHeader(&sip.ToHeader{Address: ua.URI("alice", "pbx.test")})
		id := sip.CallIDHeader("unasked")
		of.AppendHeader(&id)
		send := func(event, source string) int {
			req := b.build(of, 1, "terminated", event)
			req.SetSource(source)
			return b.send(req, accepts[MessageSummary], lit)
		}
		b.want("from a stranger", send(MessageSummary, "203.0.113.7:5060"), 481)
		b.want("lamp", b.set.Status().MWI == nil, true)
		b.want("from the server, another port", send(MessageSummary, "192.0.2.1:9999"), 200)
		m := b.set.Status().MWI
		b.want("lamp", m.Waiting && m.Unsolicited && m.Subscription == nil, true)
		b.want("calls unasked", send(DialogEvent, serverAddr.String()), 481)
		b.want("a keepalive", send("keep-alive", serverAddr.String()), 489)
	})
}

func TestStatesOfACallInOrder(t *testing.T) {
	simulate(t, watching("bob", "sip:carol@other.test", "<bad>"), func(b *bench) {
		b.set.Follow(up)
		synctest.Wait()
		all := b.server.requests()
		if len(all) != 2 {
			b.Fatalf("%d SUBSCRIBEs", len(all))
		}
		slices.SortFunc(all, func(x, y *sip.Request) int { return strings.Compare(x.Recipient.String(), y.Recipient.String()) })
		b.want("targets", all[0].Recipient.String()+" "+all[1].Recipient.String(), "sip:bob@pbx.test sip:carol@other.test")
		bob := all[0]
		for i, d := range []string{
			document(0, "full", ""), document(1, "full", oneCall("trying")), document(2, "partial", oneCall("early")),
			document(3, "partial", oneCall("confirmed")), document(4, "partial", oneCall("terminated")), document(5, "full", ""),
		} {
			time.Sleep(time.Second)
			b.want("NOTIFY", b.notify(bob, uint32(i+1), "active", d), 200)
		}
		w := b.set.Status().Watched
		var states []DialogState
		for i, c := range w[0].History {
			states = append(states, c.State)
			if i > 0 && !c.At.After(w[0].History[i-1].At) {
				b.Errorf("%v", w[0].History)
			}
		}
		b.want("states", states, []DialogState{Idle, Trying, Early, Confirmed, Terminated})
		b.want("now", fmt.Sprint(w[0].URI, w[0].State, w[0].Calls), fmt.Sprint("bob", Terminated, 0))
		b.want("carol", w[1].State, Unknown)
		if bad := w[2].Subscription; bad.State != Refused || !strings.Contains(bad.LastReason, "neither a number nor a SIP URI") {
			b.Errorf("%+v", bad)
		}
	})
}

func TestAMissingChangeIsAskedFor(t *testing.T) {
	simulate(t, watching("bob"), func(b *bench) {
		b.set.Follow(up)
		req := b.last(1)
		b.notify(req, 1, "active", document(0, "full", ""))
		b.notify(req, 2, "active", document(2, "partial", oneCall("confirmed")))
		again := b.last(2)
		b.want("Call-ID", again.CallID().Value(), req.CallID().Value())
		b.want("NOTIFY", b.notify(req, 3, "active", document(3, "full", oneCall("confirmed"))), 200)
		b.want("state", b.set.Status().Watched[0].State, Confirmed)
		b.last(2)
	})
}

func TestForks(t *testing.T) {
	simulate(t, watching("bob"), func(b *bench) {
		b.server.is(says(200, "Expires: 600"))
		b.set.Follow(up)
		req := b.last(1)
		b.want("the first phone", b.notify(req, 1, "active;expires=600", document(0, "full", "")), 200)
		b.want("the second phone", b.notify(req, 1, "desk|active;expires=600", document(0, "full", oneCall("confirmed"))), 200)
		w := b.set.Status().Watched[0]
		b.want("busy on one of two", fmt.Sprint(w.State, w.Subscription.Forks), fmt.Sprint(Confirmed, 1))
		b.want("on the other as well", b.notify(req, 2, "active", document(1, "full", oneCall("early"))), 200)
		b.want("still busy", b.set.Status().Watched[0].State, Confirmed)
		b.want("the second goes", b.notify(req, 2, "desk|terminated;reason=noresource", document(1, "full", "")), 200)
		w = b.set.Status().Watched[0]
		b.want("ringing", fmt.Sprint(w.State, w.Subscription.Forks), fmt.Sprint(Early, 0))
		time.Sleep(timerN + time.Second)
		b.want("a phone that comes too late", b.notify(req, 1, "late|active", document(0, "full", "")), 481)
		b.set.Stop(b.Context())
	})
}

func TestStopUnsubscribes(t *testing.T) {
	simulate(t, func(c *Config) { mailboxOnly(c); c.Watch = []string{"bob"} }, func(b *bench) {
		b.set.Follow(up)
		synctest.Wait()
		for _, req := range b.server.requests() {
			b.want("NOTIFY", b.notify(req, 1, "active", ""), 200)
		}
		began := time.Now()
		b.set.Stop(b.Context())
		if took := time.Since(began); took > StopTimeout {
			b.Errorf("took %s", took)
		}
		all := b.server.requests()
		b.want("SUBSCRIBEs", len(all), 4)
		for _, req := range all[2:] {
			b.want("Expires", req.GetHeader("Expires").Value(), "0")
			b.want("To tag", req.To().Params.Has("tag"), true)
			b.want("the last NOTIFY", b.notify(req, 2, "terminated;reason=timeout", ""), 200)
			b.want("one that goes on", b.notify(req, 3, "active", ""), 481)
		}
		b.want("state", b.set.Status().MWI.Subscription.State, Off)
		time.Sleep(time.Hour)
		b.last(4)
		b.set.Follow(up)
		b.last(6)
	})
}

func TestStopIsBounded(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		b.set.Follow(up)
		b.notify(b.last(1), 1, "active", lit)
		b.server.is(silent)
		began := time.Now()
		b.set.Stop(b.Context())
		b.want("took", time.Since(began), StopTimeout)
	})
}

func TestTheLineFollows(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		time.Sleep(time.Hour)
		b.last(0) // not registered
		b.set.Follow(up)
		first := b.last(1)
		b.notify(first, 1, "active", lit)
		b.set.Follow(up)
		b.set.Follow(Footing{})
		b.last(1)
		back := up
		back.Since = time.Now()
		b.set.Follow(back)
		time.Sleep(mostRenewWait)
		renewed := b.last(2)
		b.want("registered again: the same dialog", renewed.CallID().Value(), first.CallID().Value())
		b.notify(first, 2, "active", lit)
		elsewhere := back
		elsewhere.Server = "192.0.2.2:5060/udp"
		b.set.Follow(elsewhere)
		moved := b.last(3)
		if moved.CallID().Value() == first.CallID().Value() {
			b.Error("another server was asked within the old dialog")
		}
		b.want("the lamp stays", b.set.Status().MWI.Waiting, true)
	})
}

func TestARefreshWaitsForTheRegistration(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		b.server.is(says(200, "Expires: 600"))
		b.set.Follow(up)
		b.notify(b.last(1), 1, "active;expires=600", lit)
		b.set.Follow(Footing{})
		time.Sleep(9*time.Minute + 30*time.Second)
		b.last(1)
		b.want("state", b.set.Status().MWI.Subscription.State, Active)
		time.Sleep(10 * time.Minute)
		b.last(1)
		b.want("state after its end", b.set.Status().MWI.Subscription.State, Waiting)
		back := up
		back.Since = time.Now()
		b.set.Follow(back)
		b.last(2)
	})
}

// TestAServerThatForgotWhileItWasAway: what could not be sent meanwhile is no failure;
// the first answer that there is no such subscription leads to another at once.
func TestAServerThatForgotWhileItWasAway(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		b.server.is(says(200, "Expires: 600"))
		b.set.Follow(up)
		b.notify(b.last(1), 1, "active;expires=600", lit)
		b.set.Follow(Footing{})
		time.Sleep(9*time.Minute + 30*time.Second) // a refresh was due, and is due again
		b.last(1)
		b.server.is(func(req *sip.Request) *sip.Response {
			if req.To().Params.Has("tag") {
				return says(481)(req)
			}
			return says(200)(req)
		})
		back := up
		back.Since = time.Now()
		b.set.Follow(back)
		time.Sleep(mostRenewWait)
		b.notify(b.last(3), 1, "active", lit)
		b.want("state", b.set.Status().MWI.Subscription.State, Active)
	})
}

func TestUpdate(t *testing.T) {
	simulate(t, watching("bob"), func(b *bench) {
		b.set.Follow(up)
		bob := b.last(1)
		b.notify(bob, 1, "active", document(0, "full", ""))
		cfg := b.cfg
		cfg.Watch, cfg.Mailbox = []string{"carol", "bob"}, true
		b.set.Update(cfg)
		b.last(3)
		b.want("in the new order", b.set.Status().Watched[0].URI+" "+b.set.Status().Watched[1].URI, "carol bob")
		b.want("bob stays", b.set.Status().Watched[1].State, Idle)
		cfg.Watch, cfg.Mailbox = nil, false
		b.set.Update(cfg)
		synctest.Wait()
		bye := 0
		for _, req := range b.server.requests() {
			if req.GetHeader("Expires").Value() == "0" {
				bye++
			}
		}
		// Bob's, and the two that were taken without a NOTIFY yet.
		b.want("unsubscribed", bye, 3)
		b.want("nothing is shown", fmt.Sprint(b.set.Status().MWI, b.set.Status().Watched), "<nil> []")
	})
}

func TestANewPasswordEndsTheWait(t *testing.T) {
	simulate(t, mailboxOnly, func(b *bench) {
		b.server.is(says(407, `Proxy-Authenticate: Digest realm="r", nonce="n"`))
		b.set.Follow(up)
		b.last(2) // without and with credentials
		b.server.is(says(200))
		cfg := b.cfg
		cfg.Credentials.Password = "another"
		b.set.Update(cfg)
		b.last(3)
	})
}

// TestACrowdIsPaced renews the subscriptions of many lines in one moment.
func TestACrowdIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: says(200)}
		gate := registration.NewGate(perSecond(10))
		var sets []*Set
		for i := range 50 {
			sets = append(sets, New(Config{
				Name: fmt.Sprint(i), AOR: registration.AOR{User: fmt.Sprint(i), Host: "pbx.test"}, Mailbox: true, ContactUser: "c", Gate: gate,
				Server: func(context.Context) (ua.Candidate, error) { return ua.Candidate{Addr: serverAddr}, nil },
			}, s))
		}
		for _, set := range sets {
			set.Follow(up)
		}
		before := 0
		for second := range 10 {
			time.Sleep(time.Second)
			synctest.Wait()
			now := len(s.requests())
			if now-before > 11 {
				t.Errorf("%d SUBSCRIBEs in second %d", now-before, second)
			}
			before = now
		}
		if before != 50 {
			t.Errorf("%d of 50 after ten seconds", before)
		}
		for _, set := range sets {
			set.Close()
		}
	})
}

func perSecond(n int) delivery.Registrar { return delivery.Registrar{RequestsPerSecond: n} }

// TestALineThatWatchesMany: all of them pick up in one moment.
func TestALineThatWatchesMany(t *testing.T) {
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprint(1000+i))
	}
	simulate(t, func(c *Config) { c.Watch = many; c.Gate = registration.NewGate(perSecond(10000)) }, func(b *bench) {
		b.set.Follow(up)
		time.Sleep(time.Second)
		synctest.Wait()
		all := b.server.requests()
		if len(all) != len(many) {
			b.Fatalf("%d SUBSCRIBEs", len(all))
		}
		for _, of := range all {
			req := b.build(of, 1, "active", DialogEvent)
			req.SetSource(serverAddr.String())
			req.AppendHeader(&sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: "192.0.2.1", Params: sip.NewParams()})
			contentType := sip.ContentTypeHeader(accepts[DialogEvent])
			req.AppendHeader(&contentType)
			req.SetBody([]byte(document(0, "full", oneCall("confirmed"))))
			if !b.set.HandleRequest(req, &told{}) {
				b.Fatalf("not wanted: %s", req)
			}
		}
		synctest.Wait()
		busy := 0
		for _, w := range b.set.Status().Watched {
			if w.State == Confirmed && w.Subscription.State == Active {
				busy++
			}
		}
		if n := b.server.notes; n != len(many) || busy != n {
			b.Errorf("%d NOTIFYs taken, %d busy", n, busy)
		}
	})
}
