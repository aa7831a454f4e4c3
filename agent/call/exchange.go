package call

import (
	"errors"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// exchange is a request of ours and what to do with what comes back. All of it
// happens in the call's goroutine; nil = nothing to do.
type exchange struct {
	provisional func(*sip.Response)
	final       func(*sip.Response)
	again       func(*sip.Response) // another 2xx to an INVITE: a repeated one, or another fork's
	late        func(*sip.Response) // as again, once the call's goroutine has ended; from any
	failed      func(error)         // no final response; see ua's errors

	tx sip.ClientTransaction // nil until sent
}

// send sends a request within a dialog.
func (c *call) send(d *dialog, req *sip.Request, x *exchange) {
	to, err := c.destination(d.Hop(), d.Peer)
	if err != nil {
		c.log.Debug("no way to the next hop", "method", req.Method, "error", err)
		if x.failed != nil {
			x.failed(err)
		}
		return
	}
	to.Aim(req)
	c.launch(req, x)
}

// ask sends a request within a dialog, with the account's headers for it, and again
// with credentials where they are asked for. done is told the final response, or
// why there is none.
func (c *call) ask(d *dialog, req *sip.Request, done func(*sip.Response, error)) {
	addAccountHeaders(req, c.opts.Account)
	auth := c.authorizer()
	auth.Prepare(req)
	c.askWith(d, auth, req, done)
}

func (c *call) askWith(d *dialog, auth *ua.Authorizer, req *sip.Request, done func(*sip.Response, error)) {
	c.send(d, req, &exchange{
		final: func(res *sip.Response) {
			if !isChallenge(res) {
				done(res, nil)
				return
			}
			next, err := auth.Next(req, res)
			if err != nil {
				c.log.Debug("request within the dialog refused", "method", req.Method, "error", err)
				done(res, nil)
				return
			}
			d.LocalSeq++ // counted on from where the dialog is by now, not from req
			next.CSeq().SeqNo = d.LocalSeq
			c.askWith(d, auth, next, done)
		},
		failed: func(err error) { done(nil, err) },
	})
}

// launch sends a request to its destination, after the ACK of what was refused before: the call is told of a refusal first, so that
// what the other side sends when it has the ACK finds the call as the refusal left it. The call stays until it is over.
func (c *call) launch(req *sip.Request, x *exchange) {
	c.open++
	again, acked := c.repeats(x), c.acked
	c.beside(func() {
		if acked != nil {
			select {
			case <-acked:
			case <-c.ctx.Done():
			}
		}
		c.carry(req, x, again)
	})
}

// repeats is what takes further 2xx of an exchange, from whatever goroutine; nil =
// nobody wants them.
func (c *call) repeats(x *exchange) sip.FnTxResponse {
	if x.again == nil {
		return nil
	}
	late := x.late
	return func(res *sip.Response) {
		if !c.box.post(func() { x.take(x.again, res) }) && late != nil {
			late(res)
		}
	}
}

// carry runs a client transaction until its final response and turns what it
// says into events.
func (c *call) carry(req *sip.Request, x *exchange, again sip.FnTxResponse) {
	failed := func(err error) {
		c.box.post(func() {
			c.open--
			if x.failed != nil {
				x.failed(err)
			}
		})
	}
	refused, decided := false, make(chan struct{})
	method, acked := req.Method, make(chan struct{})
	defer close(acked)
	// Told as they arrive: a request that follows a response must find the call as
	// the response left it.
	ctx := ua.OnResponse(c.ctx, func(res *sip.Response) {
		if res.IsProvisional() {
			c.box.post(func() { x.take(x.provisional, res) })
			return
		}
		refused = method == sip.INVITE && !res.IsSuccess()
		c.box.post(func() {
			c.open--
			if refused {
				c.acked = acked
			}
			x.take(x.final, res)
		})
		close(decided)
	})
	tx, err := c.opts.Endpoint.Request(ctx, req)
	if err != nil {
		failed(err)
		return
	}
	c.box.post(func() { x.tx = tx })
	if again != nil {
		tx.OnRetransmission(again)
	}
	select {
	case <-decided:
		if refused {
			select {
			case <-tx.Done(): // once the ACK has left
			case <-c.ctx.Done():
			}
		}
	case <-tx.Done():
		select {
		case <-decided: // an answer is an end, too
		default:
			failed(tx.Err())
		}
		return
	case <-c.ctx.Done():
		tx.Terminate()
		return
	}
	if method != sip.INVITE {
		tx.Terminate() // it would only absorb repeated responses
	}
}

func (x *exchange) take(f func(*sip.Response), res *sip.Response) {
	if f != nil {
		f(res)
	}
}

// isTimeout tells a request that nobody answered from one that did not get away.
func isTimeout(err error) bool { return errors.Is(err, ua.ErrTimeout) }
