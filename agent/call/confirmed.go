package call

import (
	"fmt"

	"github.com/emiago/sipgo/sip"
)

// accepted takes the first 2xx: ACK it, agree on audio, and the call is up.
func (c *call) accepted(res *sip.Response) {
	t := c.attempt
	c.alarms.stop(alarmSetup, alarmCancel)
	d := c.acknowledge(res)
	clear(t.early) // the other branches' dialogs end with the INVITE (RFC 3261 §13.2.2.4)
	if t.leaving != nil || c.rec.State == Ended {
		// The answer crossed our CANCEL: the session is there, and takes a BYE to
		// end (RFC 3261 §15).
		c.farewell(d, nil)
		if t.leaving != nil {
			t.leaving.Code = 200
			c.end(t.leaving.End)
		}
		return
	}
	c.dialog = d
	if err := c.agree(res); err != nil {
		c.log.Info("no usable answer", "error", err)
		c.farewell(d, reasonHeader(488, phrases[488]))
		c.end(End{Code: 200, Reason: "no usable answer to our offer: " + clip(err.Error()), By: Policy})
		return
	}
	if s := t.dial.lasts(); s > 0 {
		c.alarms.set(alarmHangup, s)
	}
	c.established()
	c.sendDigits()
}

// agree takes the answer of a 2xx. Without one the answer of an earlier
// response of the same INVITE holds (§13.2.1).
func (c *call) agree(res *sip.Response) error {
	if err := c.answered(res); err != nil && (!c.audio.started || sdpOf(res) != nil) {
		return err
	}
	c.audio.pending = false
	return nil
}

// acknowledge sends the ACK of a 2xx and gives the dialog it made. The ACK
// carries the INVITE's credentials (§22.1); it is kept, as every repeated 2xx
// means that it was lost (§13.2.2.4).
func (c *call) acknowledge(res *sip.Response) *dialog {
	t := c.attempt
	tag := tagOf(res.To().Params)
	d := t.early[tag]
	if d == nil {
		d = newUACDialog(t.invite, res)
	}
	d.confirm(res)
	ack := d.ack(t.invite.CSeq().SeqNo)
	sip.CopyHeaders("Authorization", t.invite, ack)
	sip.CopyHeaders("Proxy-Authorization", t.invite, ack)
	addAccountHeaders(ack, c.opts.Account)
	to, err := c.destination(d.hop(), d.peer)
	if err != nil {
		c.log.Info("no way for the ACK", "error", err)
		return d
	}
	to.Aim(ack)
	t.acks[tag] = ack
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
	tag := tagOf(res.To().Params)
	if ack := t.acks[tag]; ack != nil {
		c.writeACK(ack)
		return
	}
	if len(t.acks) >= mostForks {
		return
	}
	c.note(fmt.Sprintf("answered %d times; only the first answer counts", len(t.acks)+1))
	c.farewell(c.acknowledge(res), nil)
}
