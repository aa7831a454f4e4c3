package ua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

// wire is what a client transaction writes to, under fake time.
type wire struct {
	began time.Time

	mu    sync.Mutex
	sent  []string // "METHOD at 1.5s"
	broke error
}

func (w *wire) breaks(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broke = err
}

func (w *wire) write(_ way, raw []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	method, _, _ := strings.Cut(string(raw), " ")
	w.sent = append(w.sent, fmt.Sprintf("%s at %v", method, time.Since(w.began)))
	return w.broke
}

// heardBy is what a transaction's user was told.
type heardBy struct {
	events []string
	on     func()
}

func (u *heardBy) response(res *sip.Response) {
	u.events = append(u.events, fmt.Sprint(res.StatusCode))
	if u.on != nil {
		u.on()
	}
}
func (u *heardBy) repeated(res *sip.Response) {
	u.events = append(u.events, fmt.Sprintf("again %d", res.StatusCode))
}

func (u *heardBy) ended(err error) {
	word := "other"
	for _, known := range []error{ErrTimeout, ErrUnreachable, sip.ErrTransactionTerminated, sip.ErrTransactionCanceled} {
		if errors.Is(err, known) {
			word = known.Error()
			break
		}
	}
	u.events = append(u.events, word)
}

// TestClientTransactions walks the machines of RFC 3261 §17.1 with its own timers: T1 is
// 500 ms, T2 4 s, T4 5 s.
func TestClientTransactions(t *testing.T) {
	type move struct {
		after time.Duration
		code  int // of a response; 0 = none
	}
	for sentence, tt := range map[string]struct {
		method sip.RequestMethod
		tcp    bool
		moves  []move
		wait   time.Duration // in the end
		sent   []string
		told   []string
		left   int // transactions remembered in the end
	}{
		"an INVITE without answer is sent at doubling intervals, and given up after 64·T1 (timers A and B)": {
			sip.INVITE, false, nil, 32 * time.Second,
			[]string{"INVITE at 0s", "INVITE at 500ms", "INVITE at 1.5s", "INVITE at 3.5s", "INVITE at 7.5s", "INVITE at 15.5s", "INVITE at 31.5s"},
			[]string{"no answer"}, 0,
		},
		"another request is sent every T2 at least, and given up after 64·T1 (timers E and F)": {
			sip.BYE, false, nil, 32 * time.Second,
			[]string{"BYE at 0s", "BYE at 500ms", "BYE at 1.5s", "BYE at 3.5s", "BYE at 7.5s", "BYE at 11.5s", "BYE at 15.5s", "BYE at 19.5s", "BYE at 23.5s", "BYE at 27.5s", "BYE at 31.5s"},
			[]string{"no answer"}, 0,
		},
		"over TCP nothing is sent again, and given up all the same": {
			sip.INVITE, true, nil, 32 * time.Second, []string{"INVITE at 0s"}, []string{"no answer"}, 0,
		},
		"a provisional response stops the INVITE, which then waits as long as it takes": {
			sip.INVITE, false, []move{{time.Second, 100}, {time.Hour, 180}}, time.Hour,
			[]string{"INVITE at 0s", "INVITE at 500ms"}, []string{"100", "180"}, 1,
		},
		"a provisional response has another request sent every T2, and timer F runs on": {
			sip.BYE, false, []move{{600 * time.Millisecond, 100}}, 40 * time.Second,
			[]string{"BYE at 0s", "BYE at 500ms", "BYE at 1.5s", "BYE at 5.5s", "BYE at 9.5s", "BYE at 13.5s", "BYE at 17.5s", "BYE at 21.5s", "BYE at 25.5s", "BYE at 29.5s"},
			[]string{"100", "no answer"}, 0,
		},
		"a refusal is acknowledged here, as often as it comes, for 32 s (timer D)": {
			sip.INVITE, false, []move{{0, 100}, {time.Second, 486}, {time.Second, 486}, {29 * time.Second, 486}, {2 * time.Second, 486}}, 0,
			[]string{"INVITE at 0s", "ACK at 1s", "ACK at 2s", "ACK at 31s"}, []string{"100", "486", "transaction terminated"}, 0,
		},
		"over TCP a refusal is acknowledged, and all is over": {
			sip.INVITE, true, []move{{0, 486}}, 0, []string{"INVITE at 0s", "ACK at 0s"}, []string{"486", "transaction terminated"}, 0,
		},
		"every 2xx after the first is told apart, for 64·T1, whatever else comes (RFC 6026, timer M)": {
			sip.INVITE, false, []move{{0, 180}, {time.Second, 200}, {time.Second, 200}, {0, 180}, {0, 486}, {30 * time.Second, 202}, {2 * time.Second, 200}}, 0,
			[]string{"INVITE at 0s"}, []string{"180", "200", "again 200", "again 202", "transaction terminated"}, 0,
		},
		"another request's repeated answer is absorbed for T4 (timer K)": {
			sip.BYE, false, []move{{0, 200}, {4 * time.Second, 200}}, 999 * time.Millisecond,
			[]string{"BYE at 0s"}, []string{"200", "transaction terminated"}, 1,
		},
		"and then it is forgotten": {
			sip.BYE, false, []move{{0, 200}}, 5 * time.Second, []string{"BYE at 0s"}, []string{"200", "transaction terminated"}, 0,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, who := &wire{began: time.Now()}, &heardBy{}
				c := newClient(w)
				tx := c.begin(t, tt.method, tt.tcp, who)
				for _, m := range tt.moves {
					time.Sleep(m.after)
					synctest.Wait()
					if m.code > 0 {
						tx.receive(responseTo(tt.method, m.code))
					}
				}
				time.Sleep(tt.wait)
				synctest.Wait()
				tx.mu.Lock()
				defer tx.mu.Unlock()
				if !slices.Equal(w.sent, tt.sent) {
					t.Errorf("sent %q, want %q", w.sent, tt.sent)
				}
				if !slices.Equal(who.events, tt.told) {
					t.Errorf("told %q, want %q", who.events, tt.told)
				}
				if c.len() != tt.left {
					t.Errorf("%d transactions are remembered, want %d", c.len(), tt.left)
				}
			})
		})
	}
}

func newClient(w *wire) *uac {
	e := &Endpoint{cfg: Config{Locator: &Locator{}}, log: slog.New(slog.DiscardHandler)}
	return &uac{endpoint: e, parser: sip.NewParser(), write: w.write, t1: 500 * time.Millisecond, t2: 4 * time.Second, t4: 5 * time.Second}
}

var somewhere = netip.MustParseAddrPort("192.0.2.1:5060")

// begin opens a transaction as Request does.
func (c *uac) begin(t *testing.T, method sip.RequestMethod, tcp bool, who user) *clientTx {
	t.Helper()
	out := outgoing{to: Candidate{Transport: UDP, Addr: somewhere}, way: way{to: somewhere}}
	if tcp {
		out.to.Transport, out.way.by = TCP, &stream{}
	}
	req := sentRequest(method)
	out.raw = []byte(req.String())
	tx, err := c.open(req, out, who)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// sentRequest is one with a Via.
func sentRequest(method sip.RequestMethod) *sip.Request {
	req := request(method, somewhere)
	req.PrependHeader((&Endpoint{branches: "z9hG4bK"}).via(UDP, netip.MustParseAddrPort("10.0.0.1:5060")))
	return req
}

func responseTo(method sip.RequestMethod, code int) *sip.Response {
	return sip.NewResponseFromRequest(sentRequest(method), code, "", nil)
}

// A server that is silent is one to avoid before its transaction has timed out; one
// that said something is not.
func TestSilentServersAreAvoided(t *testing.T) {
	for _, answered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newClient(&wire{began: time.Now()})
			tx := c.begin(t, sip.INVITE, false, &heardBy{})
			if answered {
				tx.receive(responseTo(sip.INVITE, 100))
			}
			(&transaction{tx: tx}).Silent()
			found := []Candidate{{Transport: UDP, Addr: somewhere}}
			c.health().order(found, time.Now())
			if found[0].Avoided() == answered {
				t.Errorf("answered: %t, avoided: %t", answered, found[0].Avoided())
			}
			tx.Terminate()
		})
	}
}

// The end of a connection ends what waits for responses by it, but not an INVITE that
// was only too large for a datagram, once somebody has it.
func TestALostConnection(t *testing.T) {
	for sentence, tt := range map[string]struct {
		over   Transport
		method sip.RequestMethod
		taken  bool
		ends   bool
	}{
		"a request over TCP":                         {TCP, sip.BYE, false, true},
		"an INVITE over TCP that was taken":          {TCP, sip.INVITE, true, true},
		"a large INVITE that nobody has yet":         {UDP, sip.INVITE, false, true},
		"a large INVITE that was taken":              {UDP, sip.INVITE, true, false},
		"another large request, with a 100 for once": {UDP, sip.MESSAGE, true, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, who := newClient(&wire{began: time.Now()}), &heardBy{}
			by := &stream{ended: true, cause: fmt.Errorf("%w: gone", ErrUnreachable)}
			req := sentRequest(tt.method)
			tx, err := c.open(req, outgoing{to: Candidate{Transport: tt.over, Addr: somewhere}, way: way{by: by}, raw: []byte("x")}, who)
			if err != nil {
				t.Fatal(err)
			}
			if tt.taken {
				tx.receive(responseTo(tt.method, 100))
			}
			c.lost(by)
			if over := c.len() == 0; over != tt.ends {
				t.Errorf("%s: over: %t, told %q", sentence, over, who.events)
			}
			if spots := len(c.health().spots); (spots > 0) != (tt.ends && tt.over == TCP) {
				t.Errorf("%s: %d servers are avoided", sentence, spots)
			}
			tx.Terminate()
		})
	}
}

// The ACK of a refusal is the INVITE's hop, with the To of the refusal (§17.1.1.3).
func TestTheACKOfARefusal(t *testing.T) {
	invite := sentRequest(sip.INVITE)
	invite.AppendHeader(&sip.RouteHeader{Address: URI("", "proxy.test")})
	invite.SetBody([]byte("v=0"))
	res := sip.NewResponseFromRequest(invite, 486, "Busy Here", nil)
	ack := ackOf(invite, res)
	for header, want := range map[string]string{
		"Via": invite.Via().Value(), "From": invite.From().Value(), "To": res.To().Value(), "Call-ID": invite.CallID().Value(),
		"CSeq": "1 ACK", "Route": "<sip:proxy.test>", "Content-Length": "0",
	} {
		if h := ack.GetHeader(header); h == nil || h.Value() != want {
			t.Errorf("%s is %v, want %s", header, h, want)
		}
	}
	if ack.Recipient.String() != invite.Recipient.String() || len(ack.Body()) > 0 {
		t.Errorf("it is\n%s", ack)
	}
}

// Who gets the ACK may send a request at once, which must find the refusal known.
func TestARefusalIsToldBeforeItsACKIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{began: time.Now()}
		var before []string
		who := &heardBy{on: func() { before = slices.Clone(w.sent) }}
		newClient(w).begin(t, sip.INVITE, false, who).receive(responseTo(sip.INVITE, 491))
		if !slices.Equal(before, []string{"INVITE at 0s"}) || !slices.Equal(w.sent, []string{"INVITE at 0s", "ACK at 0s"}) {
			t.Errorf("%q was sent before, %q in the end", before, w.sent)
		}
	})
}

// A write that fails is the end, at once and of the one it happened to.
func TestARequestThatIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, who := &wire{broke: fmt.Errorf("%w: no route", ErrUnreachable)}, &heardBy{}
		c := newClient(w)
		req := sentRequest(sip.BYE)
		if _, err := c.open(req, outgoing{to: Candidate{Addr: somewhere}, raw: []byte(req.String())}, who); !errors.Is(err, ErrUnreachable) {
			t.Error(err)
		}
		w.breaks(nil)
		tx := c.begin(t, sip.BYE, false, who)
		w.breaks(fmt.Errorf("%w: no route", ErrUnreachable))
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		tx.mu.Lock()
		defer tx.mu.Unlock()
		if !slices.Equal(who.events, []string{"unreachable", "unreachable"}) || c.len() != 0 {
			t.Errorf("told %q, %d transactions left", who.events, c.len())
		}
	})
}

// A reader that is away while a queue repeats 180, as queues do for minutes,
// holds up nothing and misses nothing that counts; nor does one that comes late.
func TestSlowReaderMissesNoFinalResponse(t *testing.T) {
	e, p := listen(t), newPeer(t)
	tx, err := e.Request(t.Context(), request(sip.INVITE, p.addr()))
	if err != nil {
		t.Fatal(err)
	}
	invite, from := p.fresh()
	const ringing = 3 * mostProvisional
	for range ringing {
		p.answer(invite, from, 180)
	}
	p.answer(invite, from, 486)
	if ack, _ := p.fresh(); !ack.IsAck() {
		t.Errorf("%s came, want the ACK at once", ack.StartLine())
	}
	n := 0
	for res := range tx.Responses() {
		if res.StatusCode == 486 {
			break
		}
		n++
	}
	if n < mostProvisional || n >= ringing {
		t.Errorf("%d times 180, want %d", n, mostProvisional)
	}
	<-tx.Done()
	if errors.Is(tx.Err(), ErrTimeout) || errors.Is(tx.Err(), ErrUnreachable) {
		t.Errorf("ended by %v", tx.Err())
	}
}

// Responses are read in the order they came, which says what a fork did.
func TestResponsesKeepTheirOrder(t *testing.T) {
	e, p := listen(t), newPeer(t)
	for range 20 {
		tx, err := e.Request(t.Context(), request(sip.INVITE, p.addr()))
		if err != nil {
			t.Fatal(err)
		}
		invite, from := p.fresh()
		codes := []int{100, 180, 181, 182, 183, 199, 200}
		for _, code := range codes {
			p.answer(invite, from, code)
		}
		for _, want := range codes {
			if got := next(t, tx).StatusCode; got != want {
				t.Fatalf("%d came before %d", got, want)
			}
		}
		tx.Terminate()
	}
}

// TestAClientTransactionIsSmall holds what a call leaves that was answered or refused: at
// 400 calls a second there are 12,800 of each.
func TestAClientTransactionIsSmall(t *testing.T) {
	for code, most := range map[int]int64{200: 2500, 486: 2500} {
		e, p := listen(t), newPeer(t)
		e.client.t1 = 10 * time.Second // nothing ends meanwhile
		calls := func(n int) {
			for range n {
				tx, err := e.Request(t.Context(), request(sip.INVITE, p.addr()))
				if err != nil {
					t.Fatal(err)
				}
				tx.OnRetransmission(func(*sip.Response) {})
				invite, from := p.fresh()
				p.answer(invite, from, code)
				next(t, tx)
				if code != 200 {
					p.fresh()
				}
			}
			clear(p.seen)
		}
		heap := func() int64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc) + int64(m.StackInuse)
		}
		calls(50)
		before, goroutines := heap(), runtime.NumGoroutine()
		const n = 1000
		calls(n)
		eventually(t, "all is handed over", func() bool { return runtime.NumGoroutine() <= goroutines+1 })
		each := (heap() - before) / n
		t.Logf("a call that ended with %d leaves %d bytes", code, each)
		if each > most || e.client.len() < n {
			t.Errorf("a call that ended with %d leaves %d bytes, want at most %d; %d transactions", code, each, most, e.client.len())
		}
	}
}

// What is too large for a datagram goes over TCP, with a Via that says so; and over UDP
// where TCP is refused, without trying that again each time (RFC 3261 §18.1.1).
func TestLargeRequestsGoOverTCP(t *testing.T) {
	e, s := listen(t), newServer(t, nil)
	invite := request(sip.INVITE, s.addr())
	invite.AppendHeader(&sip.ContactHeader{Address: URI("k3x", fmt.Sprintf("127.0.0.1:%d", e.Port()))})
	invite.SetBody([]byte(strings.Repeat("a", mostOverUDP)))
	invite.AppendHeader(sip.NewHeader("X-Length", "see below"))
	got := make(chan *sip.Request, 2)
	go func() {
		defer close(got)
		l := s.accept()
		for range 2 {
			text := l.headers()
			if strings.HasPrefix(text, "INVITE") {
				body := make([]byte, mostOverUDP)
				for n := 0; n < len(body); {
					more, err := l.Read(body[n:])
					if err != nil {
						t.Error(err)
						return
					}
					n += more
				}
				text += string(body)
			}
			msg, err := sip.ParseMessage([]byte(text))
			if err != nil {
				t.Errorf("%v in\n%s", err, text)
				return
			}
			req := msg.(*sip.Request)
			got <- req
			l.send(sip.NewResponseFromRequest(req, 180, "Ringing", nil).String())
		}
	}()
	tx, err := e.Request(t.Context(), invite)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Terminate()
	req := <-got
	if via := req.Via(); via.Transport != "TCP" || via.Port != e.Port() {
		t.Errorf("Via is %s", via.Value())
	}
	if contact := req.Contact().Value(); strings.Contains(contact, "transport") {
		t.Errorf("Contact is %s, which is not only there over TCP", contact)
	}
	next(t, tx)
	cancelled, err := e.Request(t.Context(), Cancel(invite))
	if err != nil {
		t.Fatal(err)
	}
	defer cancelled.Terminate()
	if cancel := <-got; !cancel.IsCancel() || cancel.Via().Value() != req.Via().Value() {
		t.Errorf("beside it came\n%s", cancel)
	}
	<-got // the other end is done
}

func TestLargeRequestsGoOverUDPWhereTCPIsRefused(t *testing.T) {
	e, p := listen(t), newPeer(t)
	for range 2 {
		info := request(sip.INFO, p.addr())
		info.SetBody([]byte(strings.Repeat("a", 4000)))
		go func() {
			req, from := p.fresh()
			if via := req.Via(); via.Transport != "UDP" || len(req.Body()) != 4000 {
				t.Errorf("Via is %s, %d bytes", via.Value(), len(req.Body()))
			}
			p.answer(req, from, 200)
		}()
		if res, err := e.Do(t.Context(), info); err != nil || res.StatusCode != 200 {
			t.Fatal(res, err)
		}
		if e.large.worthwhile(p.addr()) {
			t.Error("TCP is tried again at once")
		}
	}
}

func TestSmallRequestsStayWithUDP(t *testing.T) {
	e := listen(t)
	for size, want := range map[int]bool{500: false, 1080: false, 1300: false, 1301: true} {
		refusing := Candidate{Addr: closedPort(t)}.Addr
		e.large.over(context.Background(), e, sentRequest(sip.INFO), size, refusing)
		if tried := !e.large.worthwhile(refusing); tried != want {
			t.Errorf("%d bytes: TCP was tried: %t", size, tried)
		}
	}
}
