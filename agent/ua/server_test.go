package ua

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Requests of one dialog reach their line in the order they came, however slow
// the line is with some, and a slow dialog holds up no other.
func TestRequestsOfADialogKeepTheirOrder(t *testing.T) {
	e, peer := listen(t), newPeer(t)
	const dialogs, each = 8, 40
	var mu sync.Mutex
	got := map[string][]uint32{}
	line := &testLine{onHandle: func(req *sip.Request, _ sip.ServerTransaction) {
		if req.CSeq().SeqNo%5 == 1 {
			runtime.Gosched()
		}
		mu.Lock()
		defer mu.Unlock()
		got[req.CallID().Value()] = append(got[req.CallID().Value()], req.CSeq().SeqNo)
	}}
	bind(t, e, "k3x", line)
	for n := 1; n <= each; n++ {
		for d := range dialogs {
			text := peer.message("INFO", "sip:k3x@x", "CSeq: 1 ", fmt.Sprintf("CSeq: %d ", n))
			_, rest, _ := strings.Cut(text, "Call-ID: ")
			id, _, _ := strings.Cut(rest, "\r\n")
			peer.send(e, strings.Replace(text, "Call-ID: "+id, fmt.Sprintf("Call-ID: dialog-%d", d), 1))
		}
		eventually(t, "what was sent arrives", func() bool { return e.Stats().Received == uint64(n*dialogs) })
	}
	eventually(t, "all are handed over", func() bool { return len(line.got()) == dialogs*each })
	mu.Lock()
	defer mu.Unlock()
	for id, seqs := range got {
		for i, n := range seqs {
			if n != uint32(i+1) {
				t.Fatalf("%s: request %d came as number %d: %v", id, n, i+1, seqs)
			}
		}
	}
}

func TestASlowLineHoldsUpNobodyElse(t *testing.T) {
	e, slow, quick := listen(t), newPeer(t), newPeer(t)
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	bind(t, e, "slow", &testLine{onHandle: func(*sip.Request, sip.ServerTransaction) { <-hold }})
	bind(t, e, "k3x", &testLine{aorUser: "alice"})
	const heldID = "slow"
	slow.send(e, slow.message("INFO", "sip:slow@x", "call-", heldID+"-"))
	held := e.server.handover.queueOf(heldID + fmt.Sprintf("-%d", branches))
	for answered := 0; answered < 3; {
		request := quick.message("OPTIONS", "sip:k3x@x")
		if e.server.handover.queueOf(fmt.Sprintf("call-%d", branches)) == held {
			continue // by chance in the slow line's queue
		}
		if res := quick.ask(e, request); res.StatusCode != 200 {
			t.Errorf("%d", res.StatusCode)
		}
		answered++
	}
}

// A request that comes again is answered again by what it was answered with, and
// never reaches the line.
func TestRequestsSentAgain(t *testing.T) {
	e, peer := listen(t), newPeer(t)
	line := &testLine{onHandle: func(req *sip.Request, tx sip.ServerTransaction) {
		code := map[sip.RequestMethod]int{sip.INVITE: 486, sip.INFO: 200}[req.Method]
		if code != 0 {
			_ = tx.Respond(sip.NewResponseFromRequest(req, code, "Because", nil))
		}
	}}
	bind(t, e, "k3x", line)
	info, started := peer.message("INFO", "sip:k3x@x"), time.Now()
	first := peer.ask(e, info).String()
	if again := peer.ask(e, info).String(); again != first {
		t.Errorf("the second answer differs:\n%s\n%s", first, again)
	}
	invite := peer.message("INVITE", "sip:k3x@x")
	for range 3 { // timer G: at 0, T1, 3·T1
		if res := peer.ask(e, invite); res.StatusCode != 486 {
			t.Errorf("%d", res.StatusCode)
		}
	}
	if len(line.got()) != 2 {
		t.Errorf("the line got %d requests, want each once", len(line.got()))
	}
	peer.send(e, strings.ReplaceAll(invite, "INVITE", "ACK"))
	eventually(t, "all is forgotten after timers I and J", func() bool { return e.Stats().Open == 0 })
	if passed := time.Since(started); passed < 64*sip.T1 {
		t.Errorf("forgotten after %v, timer J is %v", passed, 64*sip.T1)
	}
}

func TestAnInviteHears100AfterAWhile(t *testing.T) {
	e, peer := listen(t), newPeer(t)
	invited := make(chan sip.ServerTransaction, 1)
	bind(t, e, "k3x", &testLine{onHandle: func(req *sip.Request, tx sip.ServerTransaction) { invited <- tx }})
	if res := peer.ask(e, peer.message("INVITE", "sip:k3x@x")); res.StatusCode != 100 {
		t.Errorf("%d, want 100", res.StatusCode)
	}
	tx := <-invited
	over := make(chan error, 1)
	if !tx.OnTerminate(func(_ string, err error) { over <- err }) {
		t.Error("it has ended")
	}
	tx.Terminate()
	if err := <-over; err != sip.ErrTransactionTerminated {
		t.Error(err)
	}
	if tx.OnCancel(func(*sip.Request) {}) {
		t.Error("what has ended may be cancelled")
	}
	<-tx.Done()
}

func TestResponsesFindTheirWay(t *testing.T) {
	e, here, other := listen(t), newPeer(t), newPeer(t)
	bind(t, e, "k3x", &testLine{aorUser: "alice"})
	via := fmt.Sprintf("Via: SIP/2.0/UDP %s;", here.addr())
	for name, tt := range map[string]struct {
		via  string
		at   *peer
		want string
	}{
		"rport: to where it came from, which is told (RFC 3581 §4)":  {via, here, fmt.Sprintf("rport=%d", here.addr().Port())},
		"a name in sent-by: the source is told (RFC 3261 §18.2.1)":   {fmt.Sprintf("Via: SIP/2.0/UDP host.test:%d;", here.addr().Port()), here, "received=127.0.0.1"},
		"no rport: to the port in sent-by (RFC 3261 §18.2.2)":        {fmt.Sprintf("Via: SIP/2.0/UDP 127.0.0.1:%d;norport;", other.addr().Port()), other, "branch="},
		"maddr sends nothing anywhere else (it names whom it likes)": {fmt.Sprintf("Via: SIP/2.0/UDP 127.0.0.1:%d;maddr=192.0.2.1;", here.addr().Port()), here, "maddr="},
	} {
		t.Run(name, func(t *testing.T) {
			text := here.message("OPTIONS", "sip:k3x@x", via, tt.via)
			if strings.Contains(tt.via, "norport") {
				text = strings.Replace(text, ";rport\r\n", "\r\n", 1)
			}
			tt.at.t, here.t = t, t
			here.send(e, text)
			if res := tt.at.response(); res.StatusCode != 200 || !strings.Contains(res.Via().Value(), tt.want) {
				t.Errorf("%d, Via %s, want %s in it", res.StatusCode, res.Via().Value(), tt.want)
			}
		})
	}
}

// What is more than any SIP element sends is refused without a look at all of it,
// and never reaches a line.
func TestOversizedMessages(t *testing.T) {
	e, peer := listen(t), newPeer(t)
	line := &testLine{aorUser: "alice"}
	bind(t, e, "k3x", line)
	end := "Max-Forwards: 70\r\n"
	for name, more := range map[string]string{
		"headers without end": strings.Repeat("X-Nothing: x\r\n", 2000),
		"a header of 40 kB":   "X-Long: " + strings.Repeat("x", 40_000) + "\r\n",
		"a hundred hops":      strings.Repeat("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKhop\r\n", 100),
		"a hundred hops in one header": "v: " + strings.Repeat("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKhop, ", 99) +
			"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKlast\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			peer.t = t
			if res := peer.ask(e, peer.message("INFO", "sip:k3x@x", end, end+more)); res.StatusCode != 513 {
				t.Errorf("%d %s, want 513", res.StatusCode, res.Reason)
			}
		})
	}
	peer.t = t
	if res := peer.ask(e, peer.message("INFO", "sip:k3x@x", end, end+strings.Repeat("X-Some: x\r\n", 100))); res.StatusCode != 200 {
		t.Errorf("a hundred headers: %d", res.StatusCode)
	}
	if n := len(line.got()); n != 1 {
		t.Errorf("the line got %d", n)
	}
}

// TestATransactionIsSmall holds what a request costs that was answered: it is
// remembered for 32 s, so at 400 calls a second there are 25,600.
func TestATransactionIsSmall(t *testing.T) {
	e, peer := listen(t), newPeer(t)
	e.server.t1 = 10 * time.Second // nothing ends meanwhile
	bind(t, e, "k3x", &testLine{onHandle: func(req *sip.Request, tx sip.ServerTransaction) {
		if !req.IsAck() {
			_ = tx.Respond(sip.NewResponseFromRequest(req, 200, "OK", nil))
		}
	}})
	answered := func(calls int) {
		for range calls {
			for _, method := range []string{"INVITE", "BYE"} {
				peer.ask(e, peer.message(method, "sip:k3x@x"))
			}
			peer.send(e, peer.message("ACK", "sip:k3x@x"))
		}
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc) + int64(m.StackInuse)
	}
	answered(50)
	e.lines.byUser["k3x"].(*testLine).forget()
	before, goroutines := heap(), runtime.NumGoroutine()
	const calls = 1000
	answered(calls)
	e.lines.byUser["k3x"].(*testLine).forget()
	eventually(t, "all is handed over", func() bool { return runtime.NumGoroutine() <= goroutines+1 })
	perCall := (heap() - before) / calls
	t.Logf("%d bytes a call for 64·T1, %d goroutines more", perCall, runtime.NumGoroutine()-goroutines)
	if open := e.Stats().Open; open != 2*(calls+50) {
		t.Errorf("%d transactions, want INVITE and BYE of every call", open)
	}
	if perCall > 4096 {
		t.Errorf("a call leaves %d bytes, 4096 are allowed", perCall)
	}
}

// A response that cannot be written out costs its request, not those of the same
// dialog behind it.
func TestAPanicWhileAnsweringHoldsUpNobody(t *testing.T) {
	e, peer := listen(t), newPeer(t)
	bind(t, e, "k3x", &testLine{onHandle: func(req *sip.Request, tx sip.ServerTransaction) {
		if req.CSeq().SeqNo == 1 {
			_ = tx.Respond(nil)
		}
		_ = tx.Respond(sip.NewResponseFromRequest(req, 200, "OK", nil))
	}})
	if res := peer.ask(e, peer.message("INFO", "sip:k3x@x")); res.StatusCode != 500 {
		t.Errorf("the request that met the panic: %d", res.StatusCode)
	}
	if res := peer.ask(e, peer.message("INFO", "sip:k3x@x", "CSeq: 1 ", "CSeq: 2 ")); res.StatusCode != 200 {
		t.Errorf("the one behind it: %d", res.StatusCode)
	}
	if s := e.Stats(); s.Panics != 1 {
		t.Errorf("%d panics counted", s.Panics)
	}
}
