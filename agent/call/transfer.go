package call

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// ErrNotNow says that what is asked of a call does not fit the state it is in.
var ErrNotNow = errors.New("not possible now")

// Transfer asks the other side of a call to call somebody else instead (REFER,
// RFC 3515): whoever is named, or, with Replaces, the other side of another call
// of ours, which then is over for us, too (RFC 5589 §7).
type Transfer struct {
	// To is a number or a URI, as in Dial; the account's rewriting rules and the
	// fleet's destinations apply. With Replaces it may be absent: the other side of
	// that call, as it is known.
	To string `json:"to"`
	// Replaces is the id of the call whose place is taken; "" = none.
	Replaces string `json:"replaces,omitempty"`
	// Counterpart is that call where it is another line's; nil = it is of this Set.
	Counterpart *Counterpart `json:"-"`
}

// Counterpart is an answered call as others have to name it to take its place.
type Counterpart struct {
	id       string
	uri      string // of its other side
	replaced replaced
	over     func(why string) // ends it, should it still be up
}

// TransferState is how far a transfer is.
type TransferState string

// The states of a transfer.
const (
	Asked      TransferState = "asked"      // the REFER is on its way
	Proceeding TransferState = "proceeding" // it was accepted; Code is how far the call is
	Succeeded  TransferState = "succeeded"  // who was called has answered
	Failed     TransferState = "failed"     // refused, or not answered; the call goes on
)

// TransferStatus is what became of sending a call elsewhere.
type TransferStatus struct {
	// To is where the call is sent to.
	To string `json:"to"`
	// By is who asked for it: local, by POST /calls/{id}/transfer, or remote, whose
	// REFER the line follows.
	By    By            `json:"by"`
	State TransferState `json:"state"`
	// Code and Reason of the latest response that is known: to the REFER when that
	// was refused, else to the INVITE that was sent for it.
	Code   int    `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Call is the id of the call that was placed for it (by remote), or of the one
	// whose place is taken (by local).
	Call string `json:"call,omitempty"`
}

// reached takes over how far the new call is.
func (t *TransferStatus) reached(code int, reason string) {
	t.Code, t.Reason = code, reason
	switch {
	case code >= 300:
		t.State = Failed
	case code >= 200:
		t.State = Succeeded
	default:
		t.State = Proceeding
	}
}

// asking is a REFER of ours and what we hear of it.
type asking struct {
	first   uint32       // the CSeq it was sent with; NOTIFYs may name a later one
	instead *Counterpart // the call whose place is taken; nil = none
	held    bool         // the call is held for it, and resumed when it fails
}

// Transfer asks the other side of a call to call somebody else; the call's record
// tells what became of it. Errors wrap ErrNoCall, ErrNotNow, or those of Dial about
// the target.
func (s *Set) Transfer(id string, t Transfer) error {
	if t.Replaces != "" && t.Counterpart == nil {
		var err error
		if t.Counterpart, err = s.Counterpart(t.Replaces); err != nil {
			return fmt.Errorf("replaces: %w", err)
		}
	}
	target, err := s.options().transferTarget(t)
	if err != nil {
		return err
	}
	return s.inCall(id, func(c *call) error { return c.transfer(target, t.Counterpart) })
}

// inCall does something within a running call and waits for it.
func (s *Set) inCall(id string, do func(*call) error) error {
	s.mu.Lock()
	c := s.running[id]
	_, over := s.ended.find(id)
	s.mu.Unlock()
	switch {
	case c == nil && over:
		return fmt.Errorf("%w: the call is over", ErrNotNow)
	case c == nil:
		return fmt.Errorf("%w: %q", ErrNoCall, clip(id))
	}
	done := make(chan error, 1)
	if c.box.post(func() { done <- do(c) }) {
		select {
		case err := <-done:
			return err
		case <-c.ctx.Done():
		}
	}
	return fmt.Errorf("%w: the call is over", ErrNotNow)
}

// Counterpart gives an answered call for others to take its place. Errors wrap
// ErrNoCall or ErrNotNow.
func (s *Set) Counterpart(id string) (p *Counterpart, err error) {
	err = s.inCall(id, func(c *call) error {
		if c.rec.State != Established || c.leaving != nil {
			return fmt.Errorf("%w: the call is %s", ErrNotNow, c.rec.State)
		}
		p = c.counterpart()
		return nil
	})
	return p, err
}

// counterpart names the call as its other side does, whose tag is its "to".
func (c *call) counterpart() *Counterpart {
	d := c.dialog
	uri := *d.Remote.Address.Clone()
	if c.rec.Anonymous || strings.EqualFold(uri.Host, anonymousHost) {
		uri = *d.Target.Clone() // nobody finds it by its name
	}
	uri.Headers = nil
	tag := d.RemoteTag
	if tag == "" {
		tag = "0"
	}
	return &Counterpart{
		id: c.rec.ID, uri: uri.String(), replaced: replaced{callID: d.CallID, toTag: tag, fromTag: d.LocalTag},
		over: func(why string) { c.box.post(func() { c.handOver(why) }) },
	}
}

// handOver ends a call whose place was taken, unless whoever is there does so first.
func (c *call) handOver(why string) {
	if c.rec.State != Ended {
		c.transfers.over = why
		c.alarms.set(alarmReplaced, replacedTime)
	}
}

// transferTarget is where the other side is sent, after the rules and behind the
// guard: whoever calls, it is because this line says so.
func (o Options) transferTarget(t Transfer) (sip.Uri, error) {
	if p := t.Counterpart; p != nil && strings.TrimSpace(t.To) == "" {
		target, err := targetOf(p.uri, o.Account.Host, o.Link)
		if err == nil {
			err = o.guardTransfer(target)
		}
		return target, err
	}
	d := Dial{To: t.To}
	p, err := o.route(d)
	switch {
	case err != nil:
		return sip.Uri{}, err
	case p.Outcome != treatment.Placed:
		return sip.Uri{}, fmt.Errorf("%w: %s", ErrRefused, p.Why)
	case p.Digits != "":
		return sip.Uri{}, fmt.Errorf("%w: a transfer sends no digits", ErrDialAction)
	}
	target, err := targetOf(p.To, o.Account.Host, o.Link)
	if err != nil {
		return target, err
	}
	return o.Link.Secure(target), o.guardTransfer(target)
}

// guardTransfer refuses destinations; minutes are those of who calls.
func (o Options) guardTransfer(target sip.Uri) error {
	if why := o.Destinations.Refuse(target.User); why != "" {
		return fmt.Errorf("%w: %s", ErrRefused, why)
	}
	return nil
}

// transfer holds the call, if it is not yet, so that nobody talks to who is about to
// go (RFC 5589 §5), and asks.
func (c *call) transfer(target sip.Uri, p *Counterpart) error {
	switch {
	case c.rec.State != Established || c.leaving != nil:
		return fmt.Errorf("%w: the call is %s", ErrNotNow, c.rec.State)
	case c.transfers.asking != nil || c.transfers.following != nil:
		return fmt.Errorf("%w: the call is being transferred", ErrNotNow)
	case !c.dialog.allows(sip.REFER):
		return fmt.Errorf("%w: the other side takes no REFER", ErrNotNow)
	case p != nil && p.id == c.rec.ID:
		return fmt.Errorf("%w: a call cannot take its own place", ErrNotNow)
	}
	asking := &asking{instead: p}
	c.transfers.asking = asking
	c.rec.Transfer = &TransferStatus{To: printable(target.String()), By: Local, State: Asked}
	if p != nil {
		c.rec.Transfer.Call = p.id
	}
	c.note("transfer: the other side is asked to call " + c.rec.Transfer.To)
	if c.audio.held.here {
		c.refer(asking, target)
		return nil
	}
	return c.hold(true, func(err error) {
		asking.held = err == nil
		c.refer(asking, target)
	})
}

// refer sends the REFER.
func (c *call) refer(asking *asking, target sip.Uri) {
	if c.transfers.asking != asking || c.rec.State != Established || c.leaving != nil {
		return
	}
	contact, err := c.contactTo(c.dialog)
	if err != nil {
		c.transferOver(503, "REFER not sent: "+err.Error())
		return
	}
	a, uri := c.opts.Account, target.String()
	if p := asking.instead; p != nil {
		uri += "?Replaces=" + p.replaced.escaped() + "&Require=replaces" // RFC 5589 §7.1
	}
	req := c.dialog.Request(sip.REFER)
	req.AppendHeader(&sip.ContactHeader{Address: contact})
	for _, h := range c.capable() {
		req.AppendHeader(h)
	}
	self := c.opts.Link.URI(a.Username, a.Host)
	req.AppendHeader(sip.NewHeader("Refer-To", "<"+uri+">"))
	req.AppendHeader(sip.NewHeader("Referred-By", "<"+self.String()+">"))
	asking.first = req.CSeq().SeqNo
	c.alarms.set(alarmTransfer, referTime)
	c.ask(c.dialog, req, func(res *sip.Response, err error) { c.askedToCall(asking, res, err) })
}

// askedToCall takes the answer to our REFER. That it was accepted says nothing of
// the call yet.
func (c *call) askedToCall(asking *asking, res *sip.Response, err error) {
	switch {
	case asking != c.transfers.asking || c.rec.State == Ended: // a NOTIFY was quicker and told all
	case isTimeout(err):
		c.transferOver(408, "no answer to REFER")
	case res == nil:
		c.transferOver(503, fmt.Sprintf("REFER not sent: %v", err))
	case !res.IsSuccess():
		c.transferOver(res.StatusCode, strings.TrimPrefix(status(res), strconv.Itoa(res.StatusCode)+" "))
	case strings.EqualFold(valueIn(res, "Refer-Sub", ""), "false"):
		// Accepted, and nothing more will be told (RFC 4488): the rest is theirs.
		c.transferOver(res.StatusCode, "accepted; the other side does not tell the outcome")
	default:
		c.transferred(func(t *TransferStatus) {
			if t.State == Asked {
				t.State = Proceeding
			}
		})
	}
}

// notified answers a NOTIFY within the call: what became of a REFER of ours. Other
// events have no subscription here.
func (c *call) notified(req *sip.Request) *sip.Response {
	name, id := eventOf(req)
	if name != eventRefer {
		return reply(req, 489, sip.NewHeader("Allow-Events", eventRefer))
	}
	asking := c.transfers.asking
	if asking == nil {
		if t := c.rec.Transfer; t != nil && t.By == Local && t.State != Failed {
			return reply(req, 200) // told once more
		}
		return reply(req, 481)
	}
	if seq, err := strconv.ParseUint(id, 10, 32); id != "" && (err != nil || uint32(seq) < asking.first) {
		return reply(req, 481)
	}
	body, is := bodyOf(req)
	if len(body) > 0 && is != mediaSIPFrag {
		return reply(req, 415, sip.NewHeader("Accept", mediaSIPFrag))
	}
	code, reason, ok := readFragment(body)
	last := terminated(req)
	if !ok && !last {
		return reply(req, 400)
	}
	c.box.post(func() { c.heardOf(code, reason, last) })
	return reply(req, 200)
}

// heardOf takes what a NOTIFY told; code 0 = nothing.
func (c *call) heardOf(code int, reason string, last bool) {
	switch {
	case c.transfers.asking == nil:
	case code >= 200:
		c.transferOver(code, reason)
	case last:
		c.transferOver(480, "the other side stopped telling before there was an outcome")
	default:
		c.transferred(func(t *TransferStatus) { t.reached(code, reason) })
	}
}

// transferOver is the end of a transfer. When it succeeded the other side talks to
// somebody else, and the call is over; else it goes on.
//
// The call whose place was to be taken is over then, too: whoever is there hangs up
// about now, unless one of the two does not know Replaces.
func (c *call) transferOver(code int, reason string) {
	asking := c.transfers.asking
	c.transfers.asking = nil
	c.alarms.stop(alarmTransfer)
	c.transferred(func(t *TransferStatus) { t.reached(code, reason) })
	if t := c.rec.Transfer; t.State == Succeeded {
		if asking.instead != nil {
			asking.instead.over("handed over to the other side of call " + c.rec.ID)
		}
		c.hangup(goodbye{End: End{Reason: "transferred to " + clip(t.To), By: Local}})
		return
	}
	c.note(fmt.Sprintf("transfer failed: %d %s", code, clip(printable(reason))))
	if asking.held {
		_ = c.hold(false, func(error) {}) // what becomes of it is in the record
	}
}

// transferred changes what the record says of the transfer; records that others
// have stay as they are.
func (c *call) transferred(change func(*TransferStatus)) {
	if c.rec.Transfer == nil || c.rec.State == Ended {
		return
	}
	t := *c.rec.Transfer
	change(&t)
	t.Reason = clip(printable(t.Reason))
	if t != *c.rec.Transfer {
		c.rec.Transfer = &t
		c.changed()
	}
}
