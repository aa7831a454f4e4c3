package call

import (
	"errors"
	"math/rand/v2"
	"strconv"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// updated answers an UPDATE (RFC 3311): a re-INVITE without ACK, or, without a
// body, a sign of life. It may come before the call is answered, too.
func (c *call) updated(d *dialog, req *sip.Request) *sip.Response {
	early := c.rec.AnsweredAt.IsZero()
	res := c.untimely(req)
	if early {
		res = c.premature(d, req)
	}
	if res != nil {
		return res
	}
	if res := screen(req, supported(c.opts)); res != nil {
		return res
	}
	contact, _, err := c.contact(sourceOf(req))
	if err != nil {
		return reply(req, 500)
	}
	res = reply(req, 200, append(able(c.opts), &sip.ContactHeader{Address: contact})...)
	if offer := sdpOf(req); offer != nil {
		body, err := c.audio.answer(offer)
		if err != nil {
			c.log.Info("UPDATE refused", "error", err)
			if errors.Is(err, sdp.ErrNotAcceptable) {
				return reply(req, 488, warning(err)...)
			}
			return reply(req, 500)
		}
		setSDP(res, body)
	}
	if !early {
		c.grantTimer(req, res)()
	}
	d.refresh(req)
	c.changed()
	return res
}

// premature refuses an UPDATE with an offer before the call is answered, unless offer and
// answer went over already, reliably: 491 while an offer of ours has no answer, 500 with
// Retry-After while one of theirs has none (RFC 3311 §5.2).
func (c *call) premature(d *dialog, req *sip.Request) *sip.Response {
	if sdpOf(req) == nil {
		return nil
	}
	if c.rec.Direction == In {
		switch {
		case c.settled:
			return nil
		case c.audio.pending:
			return reply(req, 491)
		}
		return reply(req, 500, sip.NewHeader("Retry-After", strconv.Itoa(rand.IntN(11))))
	}
	f := c.attempt.early[d.RemoteTag]
	if f == nil || f.theirs == nil || f.rseq == 0 || c.attempt.playing != f {
		return reply(req, 491)
	}
	f.theirs = sdpOf(req)
	return nil
}
