package call

import (
	"fmt"

	"github.com/emiago/sipgo/sip"
)

// accepted takes the first 2xx: ACK it, agree on audio, and the call is up.
func (c *call) accepted(res *sip.Response) {
	t := c.attempt
	t.answered = true
	defer c.takeFurther()
	c.alarms.stop(alarmSetup, alarmCancel)
	f := t.early[tagOf(res.To().Params)]
	if f == nil {
		f = &fork{dialog: newUACDialog(t.invite, res)}
	}
	// The other branches' dialogs end with the INVITE (RFC 3261 §13.2.2.4), unless they
	// answer, too: then they go on counting where they are.
	t.losing, t.early = t.early, nil
	if t.leaving != nil || c.rec.State == Ended {
		// The answer crossed our CANCEL: the session is there, and takes a BYE to
		// end (RFC 3261 §15).
		c.farewell(c.acknowledge(t.invite, f.dialog, res, c.refusalOf(res)), nil)
		if t.leaving != nil {
			t.leaving.Code = 200
			c.end(t.leaving.End)
		}
		return
	}
	answer, err := c.agree(f, res)
	c.dialog = c.acknowledge(t.invite, f.dialog, res, answer)
	if err != nil {
		what := "answer to our offer"
		if !t.offered {
			what = "offer"
		}
		c.log.Info("audio not agreed on", "error", err)
		c.farewell(c.dialog, reasonHeader(488, phrases[488]))
		c.end(End{Code: 200, Reason: fmt.Sprintf("no usable %s: %s", what, clip(err.Error())), By: Policy})
		return
	}
	if s := t.dial.lasts(); s > 0 {
		c.alarms.set(alarmHangup, s)
	}
	c.tookTimer(res)
	c.established()
	c.sendDigits()
}

// acknowledge sends the ACK of a 2xx, with the answer to its offer if it has one, and
// gives the dialog it made. The ACK carries the INVITE's credentials (§22.1); it is
// kept, as every repeated 2xx means that it was lost (§13.2.2.4).
func (c *call) acknowledge(invite *sip.Request, d *dialog, res *sip.Response, answer []byte) *dialog {
	d.confirm(res)
	ack := d.ack(invite.CSeq().SeqNo)
	sip.CopyHeaders("Authorization", invite, ack)
	sip.CopyHeaders("Proxy-Authorization", invite, ack)
	addAccountHeaders(ack, c.opts.Account)
	if answer != nil {
		setSDP(ack, answer)
	}
	to, err := c.destination(d.Hop(), d.Peer)
	if err != nil {
		c.log.Info("no way for the ACK", "error", err)
		return d
	}
	to.Aim(ack)
	c.attempt.acks[d.RemoteTag] = ack
	c.writeACK(ack)
	return d
}

func (c *call) writeACK(ack *sip.Request) {
	if err := c.opts.Endpoint.Write(ack.Clone()); err != nil {
		c.log.Debug("ACK not sent", "error", err)
	}
}

// repeated takes every 2xx after the first: the same again, whose ACK was lost,
// or another fork's, which is one answer too many: ACK it and hang up
// (§13.2.2.4).
func (c *call) repeated(res *sip.Response) {
	t := c.attempt
	if !t.answered {
		if len(t.further) < mostForks {
			t.further = append(t.further, res)
		}
		return
	}
	tag := tagOf(res.To().Params)
	if ack := t.acks[tag]; ack != nil {
		c.writeACK(ack)
		return
	}
	if len(t.acks) >= mostForks {
		return
	}
	c.note(fmt.Sprintf("answered %d times; only the first answer counts", len(t.acks)+1))
	c.farewell(c.acknowledge(t.invite, t.loser(res), res, c.refusalOf(res)), nil)
}

// loser is the dialog of a branch that answered after another.
func (t *attempt) loser(res *sip.Response) *dialog {
	if f := t.losing[tagOf(res.To().Params)]; f != nil {
		return f.dialog
	}
	return newUACDialog(t.invite, res)
}

// takeFurther takes the 2xx that came on the heels of the first.
func (c *call) takeFurther() {
	further := c.attempt.further
	c.attempt.further = nil
	for _, res := range further {
		c.repeated(res)
	}
}
