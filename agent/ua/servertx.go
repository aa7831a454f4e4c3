package ua

import (
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// txState of RFC 3261 figures 5 to 8, with RFC 6026's Accepted. A client transaction
// that waits for its first response is trying, whatever its method.
type txState uint8

const (
	trying     txState = iota // no response yet
	proceeding                // a provisional one
	accepted                  // INVITE: a 2xx, which whoever answered repeats
	completed                 // another final response
	confirmed                 // of another's INVITE: and acknowledged
	ended
)

// tryingAfter: an INVITE has 100 (Trying) "unless it knows that the TU will generate a
// provisional or final response within 200 ms" (RFC 3261 §17.2.1).
const tryingAfter = 200 * time.Millisecond

// serverTx is a server transaction. Once it is answered it holds the bytes of its
// response and a timer, nothing else: neither the request nor whoever answered it.
// OnTerminate is therefore told of an end without a final response only; after one
// there is nothing to be told.
type serverTx struct {
	server *uas
	key    string
	callID string
	invite bool
	way    way

	mu       sync.Mutex
	state    txState
	closing  bool // the CANCEL is being answered: nothing rings any more before the 487
	canceled bool
	req      *sip.Request // until the final response
	last     []byte       // response to send again
	timer    *time.Timer
	due      time.Time     // when timer means something
	interval time.Duration // of timer G
	until    time.Time     // timer H
	err      error
	done     chan struct{} // made when asked for
	acks     chan *sip.Request
	onCancel []sip.FnTxCancel
	onEnd    []sip.FnTxTerminate
}

// begin starts the timer of a transaction that was handed over.
func (tx *serverTx) begin() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	switch {
	case tx.state != trying:
	case tx.invite:
		tx.after(tryingAfter)
	default:
		// Nobody answers it. RFC 3261 has no timer for this; its other end gave
		// up after 64·T1, and timer J runs when it is answered by then.
		tx.after(2 * 64 * tx.server.t1)
	}
}

// after has fire called; the transaction is locked.
func (tx *serverTx) after(d time.Duration) {
	tx.due = time.Now().Add(d)
	if tx.timer == nil {
		tx.timer = time.AfterFunc(d, tx.fire)
		return
	}
	tx.timer.Reset(d)
}

// fire is what the timer calls. A panic in it, or in who is told of the end, costs
// this transaction.
func (tx *serverTx) fire() {
	tx.server.endpoint.Guard("transaction", func() {
		if next := tx.tick(); next != nil {
			next()
		}
	})
}

// tick gives what is to be done when the timer has run out, once nothing is locked.
func (tx *serverTx) tick() (next func()) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	now := time.Now()
	switch {
	case tx.state == ended, tx.invite && tx.state == proceeding, now.Before(tx.due): // it was stopped or set anew meanwhile
		return nil
	case tx.invite && tx.state == trying:
		// In the line's turn: until then the request is the line's to change.
		return func() { tx.server.handover.run(tx.callID, tx.sayTrying) }
	case tx.invite && tx.state == completed && now.Before(tx.until):
		tx.interval = min(2*tx.interval, tx.server.t2)
		tx.after(min(tx.interval, tx.until.Sub(now)))
		_ = tx.server.write(tx.way, tx.last) // lost, as a datagram may be
		return nil
	case tx.invite && tx.state == completed:
		return func() { tx.end(sip.ErrTransactionTimeout) } // timer H
	}
	return func() { tx.end(sip.ErrTransactionTerminated) }
}

func (tx *serverTx) sayTrying() {
	tx.mu.Lock()
	req := tx.req
	silent := tx.state == trying
	tx.mu.Unlock()
	if silent && req != nil {
		_ = tx.Respond(sip.NewResponseFromRequest(req, 100, "Trying", nil))
	}
}

// Respond sends a response. A final one ends the work of a line with it, except
// that a 2xx to an INVITE is sent again by whoever calls Respond again.
func (tx *serverTx) Respond(res *sip.Response) error {
	gone, err := tx.respond(res)
	if gone {
		tx.end(err)
	}
	return err
}

// respond sends; gone: the transaction is to be ended. It is unlocked whatever
// happens: a response that cannot be written out must not stop the queue behind it.
func (tx *serverTx) respond(res *sip.Response) (gone bool, err error) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	again := tx.state == accepted && res.IsSuccess()
	switch {
	case (tx.closing || tx.canceled) && tx.state != ended:
		return false, sip.ErrTransactionCanceled
	case tx.state == ended:
		return false, tx.err
	case tx.state >= accepted && !again:
		return false, sip.ErrTransactionTerminated // it has its final response
	}
	return tx.send(res, again)
}

// send puts a response on the wire and moves to the state it makes.
func (tx *serverTx) send(res *sip.Response, again bool) (gone bool, err error) {
	raw := []byte(res.String())
	if err := tx.server.write(tx.way, raw); err != nil {
		return !again, err
	}
	switch {
	case again:
	case res.IsProvisional():
		tx.state, tx.last = proceeding, raw
		if tx.invite {
			tx.stop()
		}
	case tx.invite && res.IsSuccess():
		tx.state, tx.last = accepted, nil
		tx.settle(64 * tx.server.t1) // timer L
	case tx.invite:
		tx.state, tx.last, tx.interval, tx.until = completed, raw, tx.server.t1, time.Now().Add(64*tx.server.t1)
		if tx.way.by != nil {
			tx.settle(64 * tx.server.t1) // timer H alone
		} else {
			tx.settle(tx.server.t1) // timer G
		}
	case tx.way.by != nil:
		return true, nil // timer J is zero
	default:
		tx.state, tx.last = completed, raw
		tx.settle(64 * tx.server.t1) // timer J
	}
	return false, nil
}

// settle lets go of everything that only an open request needs.
func (tx *serverTx) settle(d time.Duration) {
	tx.req, tx.onCancel, tx.onEnd = nil, nil, nil
	tx.after(d)
}

func (tx *serverTx) stop() {
	if tx.timer != nil {
		tx.timer.Stop()
	}
}

// repeated answers a request that came again with what was answered before.
func (tx *serverTx) repeated() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.last != nil && (tx.state == proceeding || tx.state == completed) {
		_ = tx.server.write(tx.way, tx.last)
	}
}

// acknowledged takes an ACK with the branch of its INVITE: the one of a refusal
// ends here, the one of a 2xx (from peers that give it no branch of its own) is
// the line's.
func (tx *serverTx) acknowledged(ack *sip.Request) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	switch {
	case tx.state == accepted:
		select {
		case tx.ackChannel() <- ack:
		default: // it has one that it did not look at yet
		}
	case tx.state == completed && tx.invite:
		tx.state, tx.last = confirmed, nil
		if tx.way.by != nil {
			tx.after(0)
		} else {
			tx.after(tx.server.t4) // timer I
		}
	}
}

// cancel answers a CANCEL, and the INVITE it is for with 487 if that is still open
// (§9.2). It is called in the line's turn.
func (tx *serverTx) cancel(req *sip.Request, by *serverTx) {
	ok := sip.NewResponseFromRequest(req, 200, "OK", nil)
	tx.mu.Lock()
	invite := tx.req
	if invite != nil && ok.To() != nil && invite.To() != nil {
		if tag, tagged := invite.To().Params.Get("tag"); tagged {
			ok.To().Params.Add("tag", tag) // the same as the INVITE's (§9.2)
		}
	}
	tx.closing = invite != nil && tx.state < accepted
	tx.mu.Unlock()
	_ = by.Respond(ok)

	hooks, gone, err := tx.giveUp(invite)
	for _, f := range hooks {
		f(req)
	}
	if gone {
		tx.end(err)
	}
}

// giveUp answers the INVITE with 487 and gives those who want to know of it; none
// when it has its answer: "the CANCEL request has no effect".
func (tx *serverTx) giveUp(invite *sip.Request) (hooks []sip.FnTxCancel, gone bool, err error) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.state >= accepted || invite == nil {
		return nil, false, nil
	}
	hooks = tx.onCancel
	gone, err = tx.send(sip.NewResponseFromRequest(invite, 487, "Request Terminated", nil), false)
	tx.canceled = true
	return hooks, gone, err
}

// Terminate ends the transaction without another word.
func (tx *serverTx) Terminate() { tx.end(sip.ErrTransactionTerminated) }

func (tx *serverTx) end(err error) {
	tx.mu.Lock()
	if tx.state == ended {
		tx.mu.Unlock()
		return
	}
	if err == nil {
		err = sip.ErrTransactionTerminated
	}
	tx.state, tx.err = ended, err
	hooks := tx.onEnd
	tx.req, tx.last, tx.onCancel, tx.onEnd = nil, nil, nil, nil
	tx.stop()
	if tx.done != nil {
		close(tx.done)
	}
	tx.mu.Unlock()
	tx.server.forget(tx)
	for _, f := range hooks {
		f(tx.key, err)
	}
}

// Done implements sip.Transaction.
func (tx *serverTx) Done() <-chan struct{} {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.done == nil {
		tx.done = make(chan struct{})
		if tx.state == ended {
			close(tx.done)
		}
	}
	return tx.done
}

// Err implements sip.Transaction.
func (tx *serverTx) Err() error {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.canceled && tx.state != ended {
		return sip.ErrTransactionCanceled
	}
	return tx.err
}

// Acks are the ACKs of a 2xx that name the INVITE's branch.
func (tx *serverTx) Acks() <-chan *sip.Request {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	return tx.ackChannel()
}

func (tx *serverTx) ackChannel() chan *sip.Request {
	if tx.acks == nil {
		tx.acks = make(chan *sip.Request, 1)
	}
	return tx.acks
}

// OnCancel has f called when the INVITE is cancelled; false: it was, or is over.
func (tx *serverTx) OnCancel(f sip.FnTxCancel) bool {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.canceled || tx.state == ended {
		return false
	}
	if tx.state < accepted {
		tx.onCancel = append(tx.onCancel, f)
	}
	return true
}

// OnTerminate has f called when the transaction ends without a final response;
// false: it has ended.
func (tx *serverTx) OnTerminate(f sip.FnTxTerminate) bool {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.state == ended {
		return false
	}
	if tx.state < accepted {
		tx.onEnd = append(tx.onEnd, f)
	}
	return true
}
