package call

import (
	"context"

	"github.com/emiago/sipgo/sip"
)

// afterwards takes a 2xx to the INVITE that comes when the call is over and its
// goroutine gone: the same again, or that of a branch that nobody talks to. Either has
// to be acknowledged, for 64·T1 (RFC 3261 §13.2.2.4), or a phone would ring on as
// answered. Nothing else happens to the call any more; one such response is looked at
// after the other.
func (c *call) afterwards(res *sip.Response) {
	go c.opts.Endpoint.Guard(c.opts.Line, func() {
		t := c.attempt
		t.late.Lock()
		defer t.late.Unlock()
		tag := tagOf(res.To().Params)
		if ack := t.acks[tag]; ack != nil {
			c.writeACK(ack)
			return
		}
		if len(t.acks) >= mostForks {
			return
		}
		c.conclude(c.acknowledge(t.invite, t.loser(res), res, c.refusalOf(res)))
	})
}

// conclude sends a BYE when nobody is left to look after it.
func (c *call) conclude(d *dialog) {
	req := d.Request(sip.BYE)
	addAccountHeaders(req, c.opts.Account)
	to, err := c.destination(d.Hop(), d.Peer)
	if err != nil {
		return
	}
	to.Aim(req)
	auth := c.authorizer()
	auth.Prepare(req)
	for req != nil {
		tx, err := c.opts.Endpoint.Request(context.Background(), req)
		if err != nil {
			return
		}
		res := finalOf(tx)
		tx.Terminate()
		if res == nil || !isChallenge(res) {
			return
		}
		if req, err = auth.Next(req, res); err != nil {
			return
		}
	}
}

// finalOf waits for a final response; nil = there is none.
func finalOf(tx sip.ClientTransaction) *sip.Response {
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res
			}
		case <-tx.Done():
			return nil
		}
	}
}

// refusalOf is the answer to the offer that a 2xx may carry and nobody wants; nil =
// it carries none.
func (c *call) refusalOf(res *sip.Response) []byte {
	if offer := sdpOf(res); offer != nil && !c.attempt.offered {
		return (&audio{origin: c.attempt.origin}).refusal(offer)
	}
	return nil
}
