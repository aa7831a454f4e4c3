package call

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"
)

// handle takes a request within one of the call's dialogs (RFC 3261 §12.2.2).
func (c *call) handle(req *sip.Request, tx sip.ServerTransaction) {
	d := c.dialogOf(req)
	if req.IsAck() {
		if d != nil {
			c.handleACK(req)
		}
		return
	}
	if d != nil && d == c.dialog {
		c.vigil.heard = time.Now()
	}
	if res := c.within(d, req, tx); res != nil {
		c.set.respond(tx, res)
	}
}

// within gives the response to a request, nil when it was given already.
func (c *call) within(d *dialog, req *sip.Request, tx sip.ServerTransaction) *sip.Response {
	switch {
	case d == nil:
		return reply(req, 481)
	case !d.inOrder(req):
		return reply(req, 500)
	case req.Method == sip.BYE:
		c.byed(d, req, tx)
		return nil
	case req.Method == sip.NOTIFY:
		return c.notified(req) // subscriptions outlive the BYE (RFC 5057)
	case req.Method == sip.SUBSCRIBE && c.opts.follows():
		return c.resubscribed(req)
	case req.Method == sip.PRACK:
		return c.pracked(req)
	case c.rec.State == Ended:
		return reply(req, 481)
	}
	switch req.Method {
	case sip.INVITE:
		return c.reinvited(req, tx)
	case sip.UPDATE:
		return c.updated(d, req)
	case sip.REFER:
		return c.referred(d, req, tx)
	case sip.INFO:
		return c.informed(req)
	case sip.OPTIONS:
		return reply(req, 200, append(able(c.opts), sip.NewHeader("Accept-Language", "en"))...)
	case sip.MESSAGE:
		return c.set.texted(req, c.opts, c.rec.ID)
	}
	return reply(req, 405, list("Allow", allow(c.opts)))
}

// dialogOf gives the dialog a request names with its From tag; our own tag
// brought it here.
func (c *call) dialogOf(req *sip.Request) *dialog {
	tag := tagOf(req.From().Params)
	if c.dialog != nil && c.dialog.RemoteTag == tag {
		return c.dialog
	}
	if c.attempt != nil {
		return c.attempt.earlyDialog(tag)
	}
	return nil
}

// byed: the other side hangs up. It may do so before an answer, too (§15).
func (c *call) byed(d *dialog, req *sip.Request, tx sip.ServerTransaction) {
	if d.gone {
		c.set.respond(tx, reply(req, 481)) // its dialog ended with the first (§15.1.2)
		return
	}
	d.gone = true
	c.set.respond(tx, reply(req, 200))
	reason := "BYE from the other side"
	if h := req.GetHeader("Reason"); h != nil {
		reason += " (" + clip(printable(h.Value())) + ")"
	}
	end := End{Code: 487, Reason: reason, By: Remote}
	if d == c.dialog {
		if c.invite != nil {
			c.invite.respond(reply(c.invite.req, 487)) // pending requests still get their answer (§15.1.2)
		}
		c.end(end)
		return
	}
	// One branch of a forked INVITE has gone; the others may still answer.
	c.forkEnded(c.attempt.early[d.RemoteTag])
	if len(c.attempt.early) == 0 && c.rec.State != Ended {
		c.cancelAttempt(goodbye{End: end})
	}
}

// reinvited answers a re-INVITE (§14.2): with our description for an offer, and
// with an offer of ours when there is none.
func (c *call) reinvited(req *sip.Request, tx sip.ServerTransaction) *sip.Response {
	if res := c.untimely(req); res != nil {
		return res
	}
	if res := screen(req, supported(c.opts)); res != nil {
		return res
	}
	contact, _, err := c.contact(sourceOf(req))
	if err != nil {
		return reply(req, 500)
	}
	i := &invitation{req: req, tx: tx}
	c.watch(i)
	if code, err := c.accept(i, contact); err != nil {
		c.log.Info("re-INVITE refused", "code", code, "error", err)
		res := reply(req, code) // "the session parameters MUST remain unchanged" (§14.1)
		if code == 488 {
			res = reply(req, code, warning(err)...)
		}
		i.respond(res)
		return nil
	}
	if !i.owed {
		return nil // cancelled meanwhile; the 2xx before it may still be unacknowledged
	}
	// An INVITE that counts on says that the 2xx before it arrived, too.
	c.invite, c.acks = i, tx.Acks()
	c.dialog.refresh(req)
	c.changed()
	return nil
}

// untimely refuses an offer that comes while another is open: 500 with
// Retry-After when the other side has not waited for our answer, 491 when it
// crossed an offer of ours (§14.2, RFC 3311 §5.2).
func (c *call) untimely(req *sip.Request) *sip.Response {
	switch {
	case c.rec.AnsweredAt.IsZero():
		return reply(req, 500, sip.NewHeader("Retry-After", strconv.Itoa(rand.IntN(11))))
	case c.leaving != nil:
		return reply(req, 480) // we only wait for an ACK to say goodbye
	case c.audio.pending && (req.IsInvite() || sdpOf(req) != nil), req.IsInvite() && c.inviting():
		return reply(req, 491)
	}
	return nil
}

// Bodies of INFO that carry a digit.
const (
	mediaDTMFRelay = "application/dtmf-relay"
	mediaDTMF      = "application/dtmf"
)

// informed answers an INFO; digits in it are noted.
func (c *call) informed(req *sip.Request) *sip.Response {
	if req.GetHeader("Info-Package") != nil {
		return reply(req, 469, sip.NewHeader("Recv-Info", "")) // we know of none (RFC 6086 §4.2.2)
	}
	if res := screenBody(req, mediaDTMFRelay, mediaDTMF); res != nil {
		return res
	}
	body, mediaType := bodyOf(req)
	if d, ok := infoDigit(mediaType, body); ok {
		c.digit(d)
	}
	return reply(req, 200)
}
