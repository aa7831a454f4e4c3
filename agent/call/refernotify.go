package call

import (
	"fmt"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"
)

// notify tells the sender of a REFER how far it is, one NOTIFY at a time; the last
// says that it was.
func (c *call) notify(r *referral) {
	switch {
	case !r.accepted || r.busy:
		return
	case r.quiet && r.code >= 200:
		c.followed(r)
		return
	case r.quiet || !r.due:
		return
	}
	c.alarms.stop(alarmNotify)
	code, left := r.code, int(time.Until(r.until)/time.Second)
	state := fmt.Sprintf("active;expires=%d", max(left, 0))
	if code >= 200 {
		state = "terminated;reason=noresource"
	}
	r.due, r.busy = false, true
	c.inform(r, state, fragment(code, r.reason), func(res *sip.Response, _ error) {
		r.busy = false
		if after, ok := c.notifyAgain(r, res); ok {
			r.tries, r.due = r.tries+1, true
			c.alarms.set(alarmNotify, after)
			return
		}
		// "If the NOTIFY request fails … the notifier MUST remove the subscription"
		// (RFC 6665 §4.2.2).
		r.quiet = r.quiet || code >= 200 || res == nil || !res.IsSuccess()
		c.notify(r)
	})
}

// mostNotifies bounds how often NOTIFYs of a REFER are refused for now.
const mostNotifies = 5

// notifyAgain says whether a NOTIFY was refused for now only, and when to try again:
// some say 491 while a re-INVITE of theirs is not over.
func (c *call) notifyAgain(r *referral, res *sip.Response) (after time.Duration, ok bool) {
	if res == nil || r.quiet || r.tries >= mostNotifies {
		return 0, false
	}
	return c.comeAgain(res)
}

// inform sends a NOTIFY.
func (c *call) inform(r *referral, state string, body []byte, done func(*sip.Response, error)) {
	req := r.dialog.Request(sip.NOTIFY)
	if contact, err := c.contactTo(r.dialog); err == nil {
		req.AppendHeader(&sip.ContactHeader{Address: contact})
	}
	req.AppendHeader(eventNamed(eventRefer, r.event))
	req.AppendHeader(sip.NewHeader("Subscription-State", state))
	contentType := sip.ContentTypeHeader(mediaSIPFrag + ";version=2.0")
	req.AppendHeader(&contentType)
	req.SetBody(body)
	c.ask(r.dialog, req, done)
}

// contactTo is our Contact in requests within a dialog.
func (c *call) contactTo(d *dialog) (sip.Uri, error) {
	to, err := c.destination(d.Hop(), d.Peer)
	if err != nil {
		return sip.Uri{}, err
	}
	contact, _, err := c.contact(to.Addr)
	return contact, err
}

// followed is the end of a REFER: its sender knows, or does not want to.
func (c *call) followed(r *referral) {
	if c.transfers.following == r {
		c.transfers.following = nil
		c.open--
	}
}

// resubscribed answers a SUBSCRIBE within the dialog: the sender of a REFER may ask
// for its NOTIFYs for longer, or for none (RFC 3515 §2.4.4). There are no other
// subscriptions within calls.
func (c *call) resubscribed(req *sip.Request) *sip.Response {
	name, id := eventOf(req)
	r := c.transfers.following
	switch {
	case name != eventRefer:
		return reply(req, 489, sip.NewHeader("Allow-Events", eventRefer))
	case r == nil || !r.accepted || r.quiet || id != r.event && id != "":
		return reply(req, 403) // "a SUBSCRIBE … that would create one SHOULD be refused"
	}
	left := int(time.Until(r.until) / time.Second)
	if seconds, err := strconv.Atoi(valueIn(req, "Expires", "")); err == nil && seconds >= 0 {
		left = min(left, seconds)
	}
	res := reply(req, 200, sip.NewHeader("Expires", strconv.Itoa(max(left, 0))))
	if contact, _, err := c.contact(sourceOf(req)); err == nil {
		res.AppendHeader(&sip.ContactHeader{Address: contact})
	}
	if left > 0 {
		r.due = true
		c.box.post(func() { c.notify(r) })
		return res
	}
	r.quiet = true
	c.box.post(func() {
		c.inform(r, "terminated;reason=timeout", fragment(r.code, r.reason), func(*sip.Response, error) { c.notify(r) })
	})
	return res
}
