package ua

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// clientTx is a client transaction (RFC 3261 §17.1, figures 5 and 6, with RFC 6026's
// Accepted). Once it has its final response it holds a key, a timer and, of an
// INVITE that was refused, the bytes of its ACK: neither request nor response nor
// whoever waited for it.
type clientTx struct {
	client *uac
	key    string
	method sip.RequestMethod
	way    way
	to     Candidate
	sent   time.Time

	mu       sync.Mutex
	state    txState
	user     user
	req      *sip.Request // until the final response
	raw      []byte       // to send again: the request, then the ACK of a refusal
	timer    *time.Timer
	due      time.Time     // when timer means something
	interval time.Duration // of timers A and E
	until    time.Time     // timers B and F
	err      error         // of the end
}

// user of a transaction. It is told in order, while the transaction is locked: it must
// neither block nor call back.
type user interface {
	response(*sip.Response) // all but repeated final ones
	repeated(*sip.Response) // every 2xx to an INVITE after the first
	ended(error)            // the last word
}

func (tx *clientTx) invite() bool { return tx.method == sip.INVITE }

// large tells a request that went over TCP for its size alone.
func (tx *clientTx) large() bool { return tx.way.by != nil && !tx.to.transport().stream() }

// taken tells an INVITE that had a provisional response.
func (tx *clientTx) taken() bool {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	return tx.invite() && tx.state == proceeding
}

// start sends the request. Responses wait until it is done.
func (tx *clientTx) start() error {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.state == ended {
		return tx.err // the endpoint was closed, or the connection lost, meanwhile
	}
	if err := tx.client.write(tx.way, tx.raw); err != nil {
		tx.end(err)
		return err
	}
	tx.until = time.Now().Add(64 * tx.client.t1)
	if tx.way.by != nil {
		tx.after(64 * tx.client.t1) // timer B or F alone
		return nil
	}
	tx.interval = tx.client.t1
	tx.after(tx.interval)
	return nil
}

// after has tick called; the transaction is locked.
func (tx *clientTx) after(d time.Duration) {
	tx.due = time.Now().Add(d)
	if tx.timer == nil {
		tx.timer = time.AfterFunc(d, func() { tx.client.endpoint.Guard("transaction", tx.tick) })
		return
	}
	tx.timer.Reset(d)
}

// tick is what the timer does when it has run out.
func (tx *clientTx) tick() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	now := time.Now()
	switch {
	case tx.state == ended, tx.state == proceeding && tx.invite(), now.Before(tx.due): // it was stopped or set anew meanwhile
	case tx.state >= accepted:
		tx.end(sip.ErrTransactionTerminated) // timers D, K and M
	case !now.Before(tx.until):
		tx.end(fmt.Errorf("%s to %s: %w: %w", tx.method, tx.to.Addr, ErrTimeout, sip.ErrTransactionTimeout)) // timers B and F
	default:
		tx.again(now)
	}
}

// again sends the request once more (timers A and E): "For INVITE requests, there is
// no upper bound on the interval"; of others it is T2, at once after a provisional
// response (§17.1.2.2).
func (tx *clientTx) again(now time.Time) {
	tx.interval *= 2
	if !tx.invite() && (tx.interval > tx.client.t2 || tx.state == proceeding) {
		tx.interval = tx.client.t2
	}
	tx.after(min(tx.interval, tx.until.Sub(now)))
	if tx.way.by != nil {
		return
	}
	if err := tx.client.write(tx.way, tx.raw); err != nil {
		tx.end(err)
	}
}

// receive takes a response of this transaction. Those that it has no use for any more
// are dropped: none but a 2xx is anybody's after a 2xx (RFC 6026 §7.2).
func (tx *clientTx) receive(res *sip.Response) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	switch {
	case tx.state == ended:
		tx.client.endpoint.count.stray.Add(1)
	case tx.state == accepted:
		if res.IsSuccess() {
			tx.user.repeated(res)
		}
	case tx.state == completed:
		if tx.invite() && res.StatusCode >= 300 {
			_ = tx.client.write(tx.way, tx.raw) // its ACK was lost
		}
	case res.IsProvisional():
		tx.proceeds(res)
	default:
		tx.decided(res)
	}
}

// proceeds: somebody is there. An INVITE is sent no more, and waits as long as it takes.
func (tx *clientTx) proceeds(res *sip.Response) {
	tx.client.pending.remove(tx)
	if tx.state = proceeding; tx.invite() {
		tx.raw = nil
		tx.timer.Stop()
	}
	tx.user.response(res)
}

// decided takes the final response and lets go of what only an open request needs.
func (tx *clientTx) decided(res *sip.Response) {
	tx.client.pending.remove(tx)
	tx.heard(res)
	who, req := tx.user, tx.req
	tx.user, tx.req, tx.raw = nobody{}, nil, nil
	switch {
	case tx.invite() && res.IsSuccess():
		tx.user, tx.state = who, accepted
		tx.after(64 * tx.client.t1) // timer M
		who.response(res)
		return
	case tx.invite():
		// "The ACK MUST be sent to the same address, port, and transport to which the
		// original request was sent" (§17.1.1.2).
		tx.state, tx.raw = completed, []byte(ackOf(req, res).String())
		who.response(res)                   // first: who gets the ACK may send a request at once, and that must find the refusal known
		_ = tx.client.write(tx.way, tx.raw) // a lost one is asked for again
		tx.after(64 * tx.client.t1)         // timer D
	default:
		tx.state = completed
		tx.after(tx.client.t4) // timer K
		who.response(res)
	}
	who.ended(sip.ErrTransactionTerminated)
	if tx.way.by != nil {
		tx.end(sip.ErrTransactionTerminated) // timers D and K are zero
	}
}

// end ends it, for good. The transaction is locked.
func (tx *clientTx) end(err error) {
	if tx.state == ended {
		return
	}
	who := tx.user
	tx.state, tx.err, tx.user, tx.req, tx.raw = ended, err, nobody{}, nil, nil
	if tx.timer != nil {
		tx.timer.Stop()
	}
	tx.client.forget(tx)
	if !tx.large() {
		tx.client.health().vain(tx.to, tx.sent, err) // the end of a connection says nothing of UDP
	}
	who.ended(err)
}

// fail ends it from outside; answered ones have nothing to lose.
func (tx *clientTx) fail(err error) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.state < accepted {
		tx.end(err)
	}
}

// Terminate ends the transaction without another word.
func (tx *clientTx) Terminate() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	tx.end(sip.ErrTransactionCanceled)
}

// nobody is the user of a transaction that has nothing to say any more.
type nobody struct{}

func (nobody) response(*sip.Response) {}
func (nobody) repeated(*sip.Response) {}
func (nobody) ended(error)            {}

// ackOf builds the ACK of a refusal (§17.1.1.3).
func ackOf(invite *sip.Request, res *sip.Response) *sip.Request {
	ack := sip.NewRequest(sip.ACK, *invite.Recipient.Clone())
	if via := invite.Via(); via != nil {
		ack.AppendHeader(via.Clone())
	}
	sip.CopyHeaders("Route", invite, ack)
	sip.CopyHeaders("Max-Forwards", invite, ack)
	sip.CopyHeaders("From", invite, ack)
	if to := res.To(); to != nil {
		ack.AppendHeader(sip.HeaderClone(to))
	}
	sip.CopyHeaders("Call-ID", invite, ack)
	if cseq := invite.CSeq(); cseq != nil {
		ack.AppendHeader(&sip.CSeqHeader{SeqNo: cseq.SeqNo, MethodName: sip.ACK})
	}
	ack.SetBody(nil)
	return ack
}

// pending are the transactions without any response yet, by destination: those that
// ICMP errors can end. To one that was answered they say no more than that a
// datagram was lost.
type pending struct {
	mu   sync.Mutex
	byTo map[netip.AddrPort]map[*clientTx]struct{}
}

func (p *pending) add(tx *clientTx) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byTo == nil {
		p.byTo = make(map[netip.AddrPort]map[*clientTx]struct{})
	}
	if p.byTo[tx.to.Addr] == nil {
		p.byTo[tx.to.Addr] = make(map[*clientTx]struct{})
	}
	p.byTo[tx.to.Addr][tx] = struct{}{}
}

func (p *pending) remove(tx *clientTx) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byTo[tx.to.Addr], tx)
	if len(p.byTo[tx.to.Addr]) == 0 {
		delete(p.byTo, tx.to.Addr)
	}
}

// take gives the transactions waiting for this address and forgets them.
func (p *pending) take(to netip.AddrPort) []*clientTx {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := make([]*clientTx, 0, len(p.byTo[to]))
	for tx := range p.byTo[to] {
		waiting = append(waiting, tx)
	}
	delete(p.byTo, to)
	return waiting
}
