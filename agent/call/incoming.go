package call

import (
	"errors"
	"fmt"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// invited begins an incoming call as its treatment said: ring, or answer.
func (c *call) invited(d treatment.Decision) {
	req := c.invite.req
	c.acks = c.invite.tx.Acks()
	c.watch(c.invite)
	c.dialog = newUASDialog(req, c.tag)
	source, listen := c.incomingSource()
	c.audio = c.newAudio(source)
	c.audio.config.Listen = listen
	c.recogniseCheck(req)
	c.respondWith = d.Headers
	if offer := sdpOf(req); offer != nil {
		if err := c.audio.acceptable(offer); err != nil {
			c.refuse(488, err)
			return
		}
	}
	_, local, err := c.contact(sourceOf(req))
	if err != nil {
		c.refuse(500, err)
		return
	}
	if c.opts.NAT == nil {
		c.greet(d) // ports are taken when they are needed
		return
	}
	c.reach(local, func(err error) {
		if err != nil {
			c.refuse(500, err)
			return
		}
		c.greet(d)
	})
}

// greet answers a call or lets it ring.
func (c *call) greet(d treatment.Decision) {
	if d.Action == treatment.Answer && d.AnswerAfter == 0 {
		c.answer()
		return
	}
	if !c.ringing() {
		return
	}
	if d.Action == treatment.Answer {
		c.alarms.set(alarmAnswer, d.AnswerAfter)
	} else {
		c.alarms.set(alarmNoAnswer, d.RingFor)
	}
}

// heardDigit is told of digits by the audio session.
func (c *call) heardDigit(d rune) { c.box.post(func() { c.digit(d) }) }

// watch follows what becomes of an INVITE's transaction.
func (c *call) watch(i *invitation) {
	i.watch(
		func() { c.box.post(func() { c.cancelled(i) }) },
		func() { c.box.post(func() { c.lost(i) }) },
	)
}

// ringing sends 180.
func (c *call) ringing() bool {
	contact, _, err := c.contact(sourceOf(c.invite.req))
	if err != nil {
		c.refuse(500, err)
		return false
	}
	res := reply(c.invite.req, 180, &sip.ContactHeader{Address: contact}, list("Allow", allow(c.opts)))
	c.addRuleHeaders(res, c.respondWith)
	if wantsReliable(c.invite.req) {
		if err := c.pledges(res); err != nil {
			c.refuse(500, err)
			return false
		}
	}
	if !c.invite.respond(res) {
		return false // what stopped it is in the mailbox
	}
	c.state(Ringing)
	return true
}

// answer sends 200 with our description: an answer, or our offer when the
// INVITE had none.
func (c *call) answer() {
	c.alarms.stop(alarmAnswer, alarmNoAnswer)
	if c.invite.cancelled.Load() || c.rec.State == Ended || !c.unpledged() {
		return
	}
	contact, local, err := c.contact(sourceOf(c.invite.req))
	if err == nil {
		err = c.audio.bind(local)
	}
	if err != nil {
		c.refuse(500, err)
		return
	}
	if code, err := c.accept(c.invite, contact); err != nil {
		c.refuse(code, err)
		return
	}
	if c.invite.owed {
		c.established()
	}
}

// accept answers an INVITE, the first or a later one. An error comes with the
// code to refuse it with.
func (c *call) accept(i *invitation, contact sip.Uri) (int, error) {
	body, offered, err := c.describe(i)
	if err != nil {
		if errors.Is(err, sdp.ErrNotAcceptable) {
			return 488, err
		}
		return 500, err
	}
	res := reply(i.req, 200, append(able(c.opts), &sip.ContactHeader{Address: contact})...)
	if i.first {
		c.addRuleHeaders(res, c.respondWith)
	}
	startTimer := c.grantTimer(i.req, res)
	if body != nil {
		setSDP(res, body)
	}
	if !i.accept(res, offered) {
		c.audio.pending = false // nobody will answer an offer that did not go out
		return 0, nil
	}
	startTimer()
	c.alarms.set(alarmRetransmit, i.interval)
	c.alarms.set(alarmACK, giveUp)
	return 0, nil
}

// capable are the headers that tell what the line can do.
func (c *call) capable() []sip.Header {
	return []sip.Header{list("Allow", allow(c.opts)), list("Supported", supported(c.opts))}
}

// refuse ends a call that was not answered with a response of ours.
func (c *call) refuse(code int, why error) {
	c.log.Info("call refused", "code", code, "error", why)
	c.note(fmt.Sprintf("refused: %s", clip(why.Error())))
	by := Local
	if code == 488 {
		by = Policy
	}
	var headers []sip.Header
	if code == 488 {
		headers = warning(why)
	}
	c.reject(End{Code: code, Reason: statusLine(code, ""), By: by}, headers...)
}

// reject answers the INVITE with the end's code and ends the call.
func (c *call) reject(e End, headers ...sip.Header) {
	if !c.invite.respond(reply(c.invite.req, e.Code, headers...)) && c.invite.cancelled.Load() {
		return // what cancelled ends the call
	}
	c.end(e)
}

// noAnswer gives up ringing.
func (c *call) noAnswer() {
	c.reject(End{Code: 480, Reason: fmt.Sprintf("no answer within %v", short(c.opts.NoAnswer)), By: Timeout})
}

// cancelled: the other side gave an INVITE up; the transaction answered 487.
func (c *call) cancelled(i *invitation) {
	if i.final != 0 {
		return // too late: "the CANCEL request has no effect" (RFC 3261 §9.2)
	}
	i.final = 487
	if i.first {
		reason := "cancelled by the caller"
		if why := i.why.Load(); why != nil {
			reason += " (" + *why + ")"
		}
		c.end(End{Code: 487, Reason: reason, By: Remote})
	}
}

// lost: an INVITE's transaction is gone. That is nothing once it was answered.
func (c *call) lost(i *invitation) {
	if i.final == 0 && i.first {
		c.end(End{Code: 503, Reason: "the caller cannot be reached", By: Network})
	}
}

// retransmit sends the 2xx again.
func (c *call) retransmit() {
	if c.invite != nil && c.invite.owed {
		c.alarms.set(alarmRetransmit, c.invite.again())
	}
}

// handleACK takes the ACK of our 2xx, and with it the answer to our offer.
func (c *call) handleACK(ack *sip.Request) {
	i := c.invite
	if i == nil || c.rec.State == Ended || !i.acknowledged(ack) {
		return
	}
	c.alarms.stop(alarmRetransmit, alarmACK)
	if i.offered {
		if err := c.answered(ack); err != nil {
			c.log.Info("no answer to our offer", "error", err)
			c.hangup(goodbye{End: End{Reason: "no usable answer to our offer in the ACK", By: Policy}, header: reasonHeader(488, phrases[488])})
			return
		}
		c.changed()
	}
	if c.leaving != nil {
		c.hangup(*c.leaving)
	}
	c.beginChange()
}

// answered takes the answer to our offer from a message.
func (c *call) answered(m interface {
	Body() []byte
	ContentType() *sip.ContentTypeHeader
}) error {
	answer := sdpOf(m)
	if answer == nil {
		return errors.New("there is no description")
	}
	return c.audio.accept(answer)
}

// noACK gives a 2xx up: "if the server retransmits the 2xx response for 64*T1
// seconds without receiving an ACK, the dialog is confirmed, but the session
// SHOULD be terminated … with a BYE" (RFC 3261 §13.3.1.4).
func (c *call) noACK() {
	c.invite.owed = false
	c.alarms.stop(alarmRetransmit)
	why := fmt.Sprintf("no ACK within %v", short(giveUp))
	g := goodbye{End: End{Reason: why, By: Timeout}, header: reasonHeader(408, why)}
	if c.leaving != nil {
		g = *c.leaving
	}
	c.hangup(g)
}
