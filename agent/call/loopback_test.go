package call_test

import (
	"context"
	"log/slog"
	"math"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// phone is a line on an endpoint of its own: the real thing, on loopback.
type phone struct {
	t       *testing.T
	user    string
	set     *call.Set
	ep      *ua.Endpoint
	proxy   *proxy
	changes chan call.Record
}

func (p *phone) HandleRequest(req *sip.Request, tx sip.ServerTransaction) {
	p.set.HandleRequest(req, tx)
}
func (p *phone) ServerAddrs() []netip.AddrPort { return []netip.AddrPort{p.proxy.addr()} }
func (p *phone) AOR() (user, host string)      { return p.user, "pbx.test" }
func (p *phone) Allow() []sip.RequestMethod    { return p.set.Allow() }
func (p *phone) Supported() []string           { return p.set.Supported() }

func newPhone(t *testing.T, p *proxy, user string, change func(*call.Options)) *phone {
	t.Helper()
	return newPhoneAt(t, p, netip.MustParseAddr("127.0.0.1"), user, change)
}

func newPhoneAt(t *testing.T, p *proxy, local netip.Addr, user string, change func(*call.Options)) *phone {
	t.Helper()
	log := slog.New(slog.NewTextHandler(&testWriter{t: t}, &slog.HandlerOptions{Level: slog.LevelDebug})).With("phone", user)
	ep, err := ua.Listen(ua.Config{Bind: netip.AddrPortFrom(local, 0), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ph := &phone{t: t, user: user, ep: ep, proxy: p, changes: make(chan call.Record, 256)}
	account := newAccount()
	account.Username, account.Password = user, "secret-"+user
	account.RTPPortRangeStart, account.RTPPortRangeEnd = 0, 0
	contact := ua.NewContactUser()
	opts := call.Options{
		Line: user, Account: account, ContactUser: contact, Endpoint: ep,
		Server:   func(context.Context) (ua.Candidate, error) { return ua.Candidate{Addr: p.addr()}, nil },
		OnChange: func(r call.Record) { ph.changes <- r },
		Log:      log,
	}
	if change != nil {
		change(&opts)
	}
	ph.set = call.NewSet(opts)
	unbind, err := ep.Bind(contact, ph)
	if err != nil {
		t.Fatal(err)
	}
	p.register(user, "secret-"+user, contact, netip.AddrPortFrom(local, uint16(ep.Port())))
	t.Cleanup(func() {
		ph.set.Close("test over")
		unbind()
		if err := ep.Close(); err != nil {
			t.Errorf("close endpoint of %s: %v", user, err)
		}
	})
	return ph
}

// testWriter logs into the test until it is over.
type testWriter struct {
	mu sync.Mutex
	t  *testing.T
}

func (w *testWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// wait gives the first record told that f accepts.
func (p *phone) wait(what string, f func(call.Record) bool) call.Record {
	p.t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case r := <-p.changes:
			if f(r) {
				return r
			}
		case <-deadline:
			p.t.Fatalf("%s: no %s; records %+v", p.user, what, p.set.Records())
		}
	}
}

func (p *phone) waitState(s call.State) call.Record {
	p.t.Helper()
	return p.wait(string(s), func(r call.Record) bool { return r.State == s })
}

func (p *phone) dial(d call.Dial) string {
	p.t.Helper()
	id, err := p.set.Dial(p.t.Context(), d)
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func pair(t *testing.T, change func(*call.Options)) (*proxy, *phone, *phone) {
	p := newProxy(t)
	return p, newPhone(t, p, "alice", nil), newPhone(t, p, "bob", change)
}

func TestTwoLinesTalkThroughAProxyWithDigest(t *testing.T) {
	_, alice, bob := pair(t, autoAnswer)
	alice.dial(call.Dial{To: "bob", ToneHz: 440, Seconds: 3, DTMF: "42#"})
	alice.waitState(call.Established)
	a, b := alice.waitState(call.Ended), bob.waitState(call.Ended)
	if a.End.Reason != "hung up after 3 s as asked" || a.End.By != call.Local || b.End.By != call.Remote || b.End.Reason != "BYE from the other side" {
		t.Errorf("ended %+v and %+v", a.End, b.End)
	}
	// 150 packets, of which a few may be on their way at the end. While the process stands still none is sent: it says so itself. None of
	// those sent is lost.
	packets := uint64(max(120-(a.StalledMs+b.StalledMs)/20, 1))
	for _, r := range []call.Record{a, b} {
		if r.RTP.Sent < packets || r.RTP.Received < packets || r.RTP.Lost != 0 || r.Codec != "PCMU/8000" || r.RTP.JitterMs == nil || r.MOS == nil || *r.MOS < 3.5 {
			t.Errorf("%s: want %d packets and a MOS of 3.5: %+v", r.Line, packets, r)
		}
		if q := r.Quality; q == nil || q.Received == nil || q.Received.Packets != r.RTP.Received || *q.Received.LossPercent != 0 || q.Received.MOSCQ == nil || *q.Received.MOSCQ != *r.MOS {
			t.Errorf("%s: quality %+v", r.Line, q)
		}
		if r.Heard == nil || math.Abs(r.Heard.FrequencyHz-440) > 5 {
			t.Errorf("%s heard %+v, want 440 Hz", r.Line, r.Heard)
		}
	}
	if b.DTMF != "42#" {
		t.Errorf("bob got the digits %q", b.DTMF)
	}
	if b.Remote != "sip:alice@pbx.test" || a.Remote != "sip:bob@pbx.test" || a.CallID != b.CallID {
		t.Errorf("remotes are %s and %s", a.Remote, b.Remote)
	}
}

func TestTheCalledLineHangsUp(t *testing.T) {
	_, alice, bob := pair(t, autoAnswer)
	alice.dial(call.Dial{To: "bob"})
	alice.waitState(call.Established)
	r := bob.waitState(call.Established)
	if err := bob.set.Hangup(r.ID); err != nil {
		t.Fatal(err)
	}
	a, b := alice.waitState(call.Ended), bob.waitState(call.Ended)
	if a.End.By != call.Remote || b.End.By != call.Local || a.End.Code != 200 || b.End.Code != 200 {
		t.Errorf("ended %+v and %+v", a.End, b.End)
	}
}

func TestTheCallerGivesUp(t *testing.T) {
	_, alice, bob := pair(t, nil)
	id := alice.dial(call.Dial{To: "bob"})
	alice.waitState(call.Ringing)
	if err := alice.set.Hangup(id); err != nil {
		t.Fatal(err)
	}
	a, b := alice.waitState(call.Ended), bob.waitState(call.Ended)
	if a.End.Code != 487 || a.End.By != call.Local || b.End.Code != 487 || b.End.By != call.Remote || b.End.Reason != "cancelled by the caller" {
		t.Errorf("ended %+v and %+v", a.End, b.End)
	}
}

func TestRefusalsArriveAsWhatTheyAre(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		to     string
		want   string
	}{
		"nobody answers": {func(o *call.Options) { o.NoAnswer = 300 * time.Millisecond }, "bob", "480 Temporarily Unavailable"},
		"forwarded":      {func(o *call.Options) { o.Account.ForwardingEnabled, o.Account.ForwardingNumber = true, "carol" }, "bob", "302 Moved Temporarily"},
		"off":            {func(o *call.Options) { o.Account.ICM = "off" }, "bob", "480 Temporarily Unavailable"},
		"no common codec": {func(o *call.Options) { o.Account.CodecOrder = nil }, "bob",
			`488 Not Acceptable Here (warning: 305 softphone "codecs PCMU/8000, PCMA/8000, telephone-event/8000…)`},
		"unknown": {nil, "nobody", "404 Not Found"},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, alice, _ := pair(t, c.change)
			alice.dial(call.Dial{To: c.to})
			if r := alice.waitState(call.Ended); r.End.Reason != c.want || r.End.By != call.Remote {
				t.Errorf("ended %+v, want %s", r.End, c.want)
			}
		})
	}
}

func TestAWrongPasswordOnTheWire(t *testing.T) {
	p := newProxy(t)
	alice := newPhone(t, p, "alice", func(o *call.Options) { o.Account.Password = "wrong" })
	newPhone(t, p, "bob", autoAnswer)
	alice.dial(call.Dial{To: "bob"})
	r := alice.waitState(call.Ended)
	if r.End.Code != 407 || r.End.Reason != "407 Proxy Authentication Required: credentials refused" {
		t.Errorf("ended %+v", r.End)
	}
}

// TestLostDatagrams: what the transport loses the dialog repeats.
func TestLostDatagrams(t *testing.T) {
	for sentence, lost := range map[string]func(sip.Message) bool{
		"the first INVITE": func(m sip.Message) bool { r, ok := m.(*sip.Request); return ok && r.IsInvite() },
		"the first ACK of the 200": func(m sip.Message) bool {
			r, ok := m.(*sip.Request)
			return ok && r.IsAck() && r.Route() != nil
		},
		"the first 200": func(m sip.Message) bool {
			r, ok := m.(*sip.Response)
			return ok && r.StatusCode == sip.StatusOK && r.CSeq().MethodName == sip.INVITE
		},
		"the first BYE": func(m sip.Message) bool { r, ok := m.(*sip.Request); return ok && r.Method == sip.BYE },
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			p, alice, bob := pair(t, autoAnswer)
			was := false
			p.mu.Lock()
			p.lose = func(m sip.Message) bool {
				if was || !lost(m) {
					return false
				}
				was = true
				return true
			}
			p.mu.Unlock()
			alice.dial(call.Dial{To: "bob", Seconds: 2})
			a, b := alice.waitState(call.Ended), bob.waitState(call.Ended)
			if a.End.Code != 200 || a.End.By != call.Local || b.End.Code != 200 || b.End.By != call.Remote {
				t.Errorf("ended %+v and %+v", a.End, b.End)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if !was {
				t.Errorf("nothing was lost: %q", p.log)
			}
		})
	}
}

// TestManyCallsAtOnce: no call gets another's messages, and nothing is left.
func TestManyCallsAtOnce(t *testing.T) {
	const calls = 40
	_, alice, bob := pair(t, autoAnswer)
	for range calls {
		alice.dial(call.Dial{To: "bob", Seconds: 1})
	}
	for _, p := range []*phone{alice, bob} {
		for range calls {
			r := p.waitState(call.Ended)
			if r.End.Code != 200 {
				t.Errorf("%s: ended %+v", p.user, r.End)
			}
		}
		if n := p.set.Active(); n != 0 {
			t.Errorf("%s: %d calls left", p.user, n)
		}
	}
}
