package call

import (
	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// goodbye is how we want a call to end, and what to tell the other side.
type goodbye struct {
	End
	header sip.Header // a Reason header; nil = none
}

// hangup ends the call from our side, with what its state asks for (RFC 3261
// §15): a final response, CANCEL or BYE.
func (c *call) hangup(g goodbye) {
	switch {
	case c.rec.State == Ended:
	case !c.rec.AnsweredAt.IsZero():
		c.bye(g)
	case c.rec.Direction == In:
		if g.Code == 0 {
			g.Code = 480
		}
		c.reject(g.End)
	default:
		c.cancelAttempt(g)
	}
}

// bye ends an answered call. "The callee's UA MUST NOT send a BYE on a
// confirmed dialog until it has received an ACK for its 2xx response or until
// the server transaction times out" (§15), so it may have to wait.
func (c *call) bye(g goodbye) {
	if c.invite != nil && c.invite.owed {
		c.leaving = &g
		return
	}
	c.farewell(c.dialog, g.header)
	c.end(g.End)
}

// farewell sends a BYE within d. What comes back changes nothing: "the UAC MUST
// consider the session terminated … once the BYE request is passed to the
// client transaction" (§15.1.1); only a challenge is answered.
func (c *call) farewell(d *dialog, header sip.Header) {
	req := d.Request(sip.BYE)
	if header != nil {
		req.AppendHeader(header)
	}
	c.ask(d, req, func(*sip.Response, error) {})
}

// lastWord says goodbye outside any transaction: better than nothing when the
// line is closed or the call is broken.
func (c *call) lastWord(e End) {
	var req *sip.Request
	switch t := c.attempt; {
	case c.dialog != nil && !c.rec.AnsweredAt.IsZero():
		req = c.dialog.Request(sip.BYE)
		to, err := c.destination(c.dialog.Hop(), c.dialog.Peer)
		if err != nil {
			return
		}
		to.Aim(req)
	case c.invite != nil:
		c.invite.respond(reply(c.invite.req, e.Code))
		return
	case t != nil && t.proceeding:
		req = ua.Cancel(t.invite)
	default:
		return
	}
	req.AppendHeader(reasonHeader(e.Code, e.Reason))
	if err := c.opts.Endpoint.Write(req); err != nil {
		c.log.Debug("last word not sent", "method", req.Method, "error", err)
	}
}

func isChallenge(res *sip.Response) bool {
	return res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired
}

// authorizer of one request of the line.
func (c *call) authorizer() *ua.Authorizer {
	a := c.opts.Account
	return ua.Credentials{Username: a.DigestUsername(), Password: ua.Secret(a.Password)}.Session(c.opts.Nonces)
}
