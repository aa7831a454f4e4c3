package call

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/media"
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

// referTo is where a REFER leads.
type referTo struct {
	uri      sip.Uri // without headers and method
	replaces *replaced
}

// errNoCall says that a REFER asks for something else than a call.
var errNoCall = errors.New("it asks for something else than a call")

// parseReferTo reads Refer-To. Of the headers that its URI names only Replaces
// counts: the others would add to our request whatever they say.
func parseReferTo(value string) (referTo, error) {
	var to referTo
	params := sip.NewParams()
	if _, err := sip.ParseAddressValue(value, &to.uri, &params); err != nil {
		return to, err
	}
	u := &to.uri
	if strings.EqualFold(u.Scheme, "tel") {
		return to, nil
	}
	if !isSIP(*u) || u.Wildcard {
		return to, fmt.Errorf("%w: %s:", errNoCall, clip(u.Scheme))
	}
	for _, method := range []string{param(u.UriParams, "method"), param(params, "method")} {
		if method != "" && !strings.EqualFold(method, string(sip.INVITE)) {
			return to, fmt.Errorf("%w: %s", errNoCall, clip(method))
		}
	}
	for _, h := range u.Headers {
		if !strings.EqualFold(h.K, "Replaces") {
			continue
		}
		text, err := url.PathUnescape(h.V)
		if err != nil {
			return to, errReplaces
		}
		r, err := parseReplaces(text)
		if err != nil || to.replaces != nil {
			return to, errReplaces
		}
		to.replaces = &r
	}
	u.Headers, u.Password = nil, ""
	u.UriParams = slices.DeleteFunc(u.UriParams, func(p sip.HeaderKV) bool { return strings.EqualFold(p.K, "method") })
	return to, nil
}

// errand is what a call is placed for: somebody else's REFER.
type errand struct {
	call       string // whose other side asked
	referredBy string // who that says to be; "" = it does not
	replaces   *replaced
	depth      int
	source     media.Source
	follow     func(Record)
}

// errand makes a REFER a call to place. It sends what this one does, and is to last
// as long; whether it may be placed is for the rules of every call.
func (c *call) errand(to referTo, req *sip.Request) Dial {
	e := &errand{call: c.rec.ID, replaces: to.replaces, depth: c.depth() + 1, source: c.audio.source}
	if by := valuesIn(req, "Referred-By", "b"); len(by) == 1 && checkHeader("Referred-By", by[0]) == nil {
		e.referredBy = by[0]
	}
	d := Dial{To: to.uri.String(), errand: e}
	if c.attempt != nil {
		d.Seconds = c.attempt.dial.Seconds
	}
	return d
}

// run puts into a call what it is placed for.
func (e *errand) prepare(c *call) {
	if e == nil {
		return
	}
	c.audio.source = e.source
	c.rec.ReferredBy = e.call
	step := "referred: the other side of call " + e.call + " asks for it"
	if e.replaces != nil {
		step += ", in the place of another call there"
	}
	c.rec.Treatment = append(c.rec.Treatment, step)
}

// head adds to the INVITE what the REFER said of it.
func (e *errand) head(req *sip.Request) {
	if e == nil {
		return
	}
	if e.referredBy != "" {
		setHeader(req, "Referred-By", e.referredBy)
	}
	if e.replaces != nil {
		setHeader(req, "Replaces", e.replaces.String())
		setHeader(req, "Require", "replaces") // or it would ring beside the call it is for (RFC 3891 §6.1)
	}
}

// tell passes on what became of the call.
func (e *errand) tell(r Record) {
	if e != nil && e.follow != nil {
		e.follow(r)
	}
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

// outcomeOf is how far a call is, as the response to its INVITE says it.
func outcomeOf(r Record) (code int, reason string) {
	switch {
	case !r.AnsweredAt.IsZero():
		code = 200
	case r.State == Early:
		code = 183
	case r.State == Ringing:
		code = 180
	case r.State != Ended:
		code = 100
	case r.End.Code < 300:
		code = 488 // answered, but with nothing we could use
	default:
		code = r.End.Code
		if said, ok := strings.CutPrefix(r.End.Reason, strconv.Itoa(code)+" "); ok && r.End.By == Remote {
			return code, said
		}
	}
	return code, phraseOf(code)
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
	code, left := r.code, int(time.Until(r.until)/time.Second)
	state := fmt.Sprintf("active;expires=%d", max(left, 0))
	if code >= 200 {
		state = "terminated;reason=noresource"
	}
	r.due, r.busy = false, true
	c.inform(r, state, fragment(code, r.reason), func(res *sip.Response, _ error) {
		r.busy = false
		// "If the NOTIFY request fails … the notifier MUST remove the subscription"
		// (RFC 6665 §4.2.2).
		r.quiet = r.quiet || code >= 200 || res == nil || !res.IsSuccess()
		c.notify(r)
	})
}

// inform sends a NOTIFY.
func (c *call) inform(r *referral, state string, body []byte, done func(*sip.Response, error)) {
	req := r.dialog.request(sip.NOTIFY)
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
	to, err := c.destination(d.hop(), d.peer)
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
