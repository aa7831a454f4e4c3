package call

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/delivery"
)

const (
	// mostReferrals bounds how often one call may be sent elsewhere, and how long a
	// chain of calls may get of which each was placed for the one before.
	mostReferrals = 8
	// referTime is how long the sender of a REFER may hear of it: as long as the
	// call that is placed for it may take to be answered.
	referTime = setupTime + giveUp
	// placeTime bounds what comes before the INVITE of that call.
	placeTime = 10 * time.Second
	// replacedTime is how long whose call was handed over may take to hang up.
	replacedTime = 2 * time.Second
)

// transfers are what a call has to do with being sent elsewhere.
type transfers struct {
	asked     int       // REFERs that were followed
	following *referral // the one that is
	asking    *asking   // the REFER of ours that goes on
	over      string    // why the call is over once its place was taken
}

// referral is a REFER that we follow, and the subscription that its sender has to
// what becomes of it (RFC 3515 §2.4.4). It may outlive the call's answer and its
// BYE; the dialog stays for it (RFC 5057 §4.1).
type referral struct {
	dialog   *dialog
	event    string // the id of its NOTIFYs; "" for a dialog's first (§2.4.6)
	until    time.Time
	accepted bool
	quiet    bool // nobody wants to hear of it (any more)
	busy     bool // a NOTIFY is under way
	due      bool // there is something to tell
	tries    int  // NOTIFYs that were refused for now
	code     int
	reason   string
}

// follows says whose REFERs a line follows; "" and none = nobody's.
func (o Options) follows() bool {
	return o.Transfers.Accept == delivery.AcceptPlaced || o.Transfers.Accept == delivery.AcceptAny
}

// referred answers a REFER within the call: nil when that comes later.
func (c *call) referred(d *dialog, req *sip.Request, tx sip.ServerTransaction) *sip.Response {
	if !c.opts.follows() {
		return reply(req, 405, list("Allow", allow(c.opts)))
	}
	to, res := c.referable(d, req)
	if res != nil {
		return res
	}
	dial, r := c.errand(to, req), &referral{dialog: d, until: time.Now().Add(referTime), code: 100, reason: phrases[100]}
	r.quiet = strings.EqualFold(valueIn(req, "Refer-Sub", ""), "false")
	if c.transfers.asked > 0 {
		r.event = strconv.FormatUint(uint64(req.CSeq().SeqNo), 10)
	}
	dial.errand.follow = c.follower(r)
	c.transfers.following = r
	place := c.opts.Dial
	if place == nil {
		place = c.set.Dial
	}
	c.open++ // until the sender knows what became of it
	c.beside(func() {
		ctx, cancel := context.WithTimeout(c.ctx, placeTime)
		defer cancel()
		id, err := place(ctx, dial)
		c.box.post(func() { c.placed(r, dial.To, req, tx, id, err) })
	})
	return nil
}

// referable gives where a REFER leads, or why it is not followed.
func (c *call) referable(d *dialog, req *sip.Request) (referTo, *sip.Response) {
	decline := func(code int, why string) (referTo, *sip.Response) {
		c.note("transfer refused: " + why)
		return referTo{}, reply(req, code)
	}
	values := valuesIn(req, "Refer-To", "r")
	switch {
	case len(values) != 1:
		return referTo{}, reply(req, 400) // RFC 3515 §2.4.2
	case c.opts.Transfers.Accept == delivery.AcceptPlaced && c.rec.Direction == In:
		return decline(603, "the fleet lets only those transfer whom the line has called")
	case d != c.dialog || c.rec.AnsweredAt.IsZero() || c.leaving != nil:
		return decline(480, "the call is not up")
	case c.transfers.following != nil || c.transfers.asking != nil:
		return referTo{}, reply(req, 491)
	case c.transfers.asked >= mostReferrals || c.depth() >= mostReferrals:
		return decline(482, fmt.Sprintf("it would be number %d", mostReferrals+1))
	}
	to, err := parseReferTo(values[0])
	switch a := c.opts.Account; {
	case errors.Is(err, errNoCall):
		return decline(603, err.Error())
	case err != nil:
		return referTo{}, reply(req, 400)
	case to.uri.User == a.Username && strings.EqualFold(to.uri.Host, hostOf(a.Host)):
		return decline(482, "it leads to this line itself")
	}
	return to, nil
}

// depth is how many calls were placed for one another before this one.
func (c *call) depth() int {
	if c.attempt == nil || c.attempt.dial.errand == nil {
		return 0
	}
	return c.attempt.dial.errand.depth
}

// follower takes what becomes of the call that was placed for a REFER; that call's
// goroutine calls it.
func (c *call) follower(r *referral) func(Record) {
	told := 100
	return func(rec Record) {
		code, reason := outcomeOf(rec)
		if told >= 200 || code == told {
			return
		}
		told = code
		c.box.post(func() { c.follow(r, code, reason) })
	}
}

// follow takes how far the call is that was placed for a REFER.
func (c *call) follow(r *referral, code int, reason string) {
	r.code, r.reason, r.due = code, reason, true
	c.transferred(func(t *TransferStatus) { t.reached(code, reason) })
	c.notify(r)
}

// placed answers a REFER once the call for it goes out, or cannot.
func (c *call) placed(r *referral, to string, req *sip.Request, tx sip.ServerTransaction, id string, err error) {
	status := &TransferStatus{To: printable(to), By: Remote, State: Proceeding, Call: id, Code: r.code}
	if err != nil {
		res := reply(req, refusalOf(err))
		c.note("transfer refused: " + clip(err.Error()))
		c.log.Info("transfer not followed", "code", res.StatusCode, "error", err)
		c.set.respond(tx, res)
		c.transfers.following = nil
		c.open--
		return
	}
	c.transfers.asked++
	status.reached(r.code, r.reason)
	c.rec.Transfer = status
	c.note("transfer: to " + status.To + " as the other side asks, by call " + id)
	c.dialog.refresh(req)
	res := reply(req, 202, c.capable()...)
	if r.quiet {
		res = reply(req, 200, append(c.capable(), sip.NewHeader("Refer-Sub", "false"))...) // RFC 4488 §4
	}
	if contact, _, err := c.contact(sourceOf(req)); err == nil {
		res.AppendHeader(&sip.ContactHeader{Address: contact})
	}
	c.set.respond(tx, res)
	r.accepted, r.due = true, true // "an immediate NOTIFY" (RFC 3515 §2.4.4)
	c.notify(r)
}

// refusalOf is the response to a REFER whose call may not be placed.
func refusalOf(err error) int {
	switch {
	case errors.Is(err, ErrRefused), errors.Is(err, ErrBudget):
		return 403
	case errors.Is(err, ErrBadTarget):
		return 400
	case errors.Is(err, ErrTooMany):
		return 486
	case errors.Is(err, ErrUnconfirmed), errors.Is(err, ErrDialAction), errors.Is(err, ErrOtherLine):
		return 603
	}
	return 480
}
