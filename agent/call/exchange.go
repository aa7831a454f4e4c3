package call

import (
	"github.com/emiago/sipgo/sip"
)

// exchange is a request of ours and what to do with what comes back. All of it
// happens in the call's goroutine; nil = nothing to do.
type exchange struct {
	provisional func(*sip.Response)
	final       func(*sip.Response)
	again       func(*sip.Response) // another 2xx to an INVITE: a repeated one, or another fork's
	failed      func(error)         // no final response; see ua's errors

	tx sip.ClientTransaction // nil until sent
}

// send sends a request within a dialog.
func (c *call) send(d *dialog, req *sip.Request, x *exchange) {
	to, err := c.destination(d.hop(), d.peer)
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

// launch sends a request to its destination. The call stays until it is over.
func (c *call) launch(req *sip.Request, x *exchange) {
	c.open++
	c.set.calls.Go(func() { c.carry(req, x) })
}

// carry runs a client transaction until its final response and turns what it
// says into events.
func (c *call) carry(req *sip.Request, x *exchange) {
	failed := func(err error) {
		c.box.post(func() {
			c.open--
			if x.failed != nil {
				x.failed(err)
			}
		})
	}
	tx, err := c.opts.Endpoint.Request(c.ctx, req)
	if err != nil {
		failed(err)
		return
	}
	c.box.post(func() { x.tx = tx })
	if x.again != nil {
		tx.OnRetransmission(func(res *sip.Response) { c.box.post(func() { x.again(res) }) })
	}
	for {
		select {
		case res := <-tx.Responses():
			if res.IsProvisional() {
				c.box.post(func() { x.take(x.provisional, res) })
				continue
			}
			c.box.post(func() {
				c.open--
				x.take(x.final, res)
			})
			if !req.IsInvite() {
				tx.Terminate() // it would only absorb repeated responses
			}
			return
		case <-tx.Done():
			failed(tx.Err())
			return
		case <-c.ctx.Done():
			tx.Terminate()
			return
		}
	}
}

func (x *exchange) take(f func(*sip.Response), res *sip.Response) {
	if f != nil {
		f(res)
	}
}
