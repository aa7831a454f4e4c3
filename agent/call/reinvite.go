package call

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// ErrPeerRefused says that the other side did not agree to what was asked of it. The call
// goes on as it was.
var ErrPeerRefused = errors.New("the other side refused")

// change is a change of a running session that we ask for: a re-INVITE with our
// offer (RFC 3261 §14.1), or, where nothing is to change, an UPDATE without one
// (RFC 3311). "A UAC MUST NOT initiate a new INVITE transaction within a dialog
// while another INVITE transaction is in progress in either direction", so they
// wait for one another in call.changes, of which the first is under way.
type change struct {
	what  string              // for people: "hold"
	offer func(*audio) []byte // puts a new offer into the audio; nil = the description stays as it is
	done  func(error)         // told once what became of it
	tries int                 // requests that were refused for now
	sent  bool                // its request is on its way
	undo  func()              // puts back what offer changed
	body  []byte              // as offered; nil for an UPDATE
	auth  *ua.Authorizer      // of the request
	req   *sip.Request        // as sent last
	ack   *sip.Request        // of its 2xx, to be sent again
	x     *exchange           // of req

	cancelled bool        // CANCEL was sent
	needless  func() bool // the session is so already; nil = never
}

const (
	// changeTime is how long a re-INVITE may be thought about before it is cancelled:
	// no person is asked, as with an INVITE.
	changeTime = time.Minute
	// mostTries bounds how often a change is tried that crosses one of theirs.
	mostTries = 5
	// mostChanges wait for one another.
	mostChanges = 4
	// mostRetryAfter is the longest wait that the other side may ask for, that one of
	// RFC 3261 §14.2.
	mostRetryAfter = 10 * time.Second
)

var errCallOver = fmt.Errorf("%w: the call is over", ErrNotNow)

// apply queues a change and begins it as soon as it may be.
func (c *call) apply(m *change) {
	if len(c.changes) >= mostChanges {
		m.done(fmt.Errorf("%w: %d changes of the call are under way", ErrNotNow, len(c.changes)))
		return
	}
	c.changes = append(c.changes, m)
	c.beginChange()
}

// beginChange sends the change that is due, unless an INVITE of the other side's is
// not over yet: its ACK comes back here.
func (c *call) beginChange() {
	switch {
	case len(c.changes) == 0 || c.rec.State != Established || c.leaving != nil:
	case c.changes[0].sent || c.changes[0].waits(c.alarms):
	case c.invite != nil && c.invite.owed, c.audio.pending:
	default:
		c.sendChange(c.changes[0])
	}
}

// waits says that the change was told to come again later.
func (m *change) waits(a alarms) bool {
	_, ok := a[alarmChange]
	return ok
}

// sendChange builds and sends the request of a change.
func (c *call) sendChange(m *change) {
	m.sent = true
	if m.needless != nil && m.needless() {
		c.changeOver(m, nil)
		return
	}
	contact, err := c.contactTo(c.dialog)
	if err != nil {
		c.changeOver(m, fmt.Errorf("%w: %w", ErrNotNow, err))
		return
	}
	method := sip.INVITE
	if m.offer == nil && c.updates() {
		method, m.undo, m.body = sip.UPDATE, func() {}, nil
	} else {
		m.body, m.undo = c.audio.propose(m.offer)
	}
	c.requestChange(m, method, contact)
}

// updates says whether a refresh may be an UPDATE: only where the other side said so,
// as it may be older than RFC 3311.
func (c *call) updates() bool { return c.dialog.allow != nil && c.dialog.allows(sip.UPDATE) }

// inviting says that a re-INVITE of ours is under way.
func (c *call) inviting() bool {
	return len(c.changes) > 0 && c.changes[0].sent && c.changes[0].req != nil && c.changes[0].req.IsInvite()
}

func (c *call) requestChange(m *change, method sip.RequestMethod, contact sip.Uri) {
	req := c.dialog.Request(method)
	req.AppendHeader(&sip.ContactHeader{Address: contact})
	for _, h := range c.capable() {
		req.AppendHeader(h)
	}
	if req.IsInvite() { // nobody rings now: there is nothing to be told reliably before the answer
		req.ReplaceHeader(list("Supported", slices.DeleteFunc(supported(c.opts), func(tag string) bool { return tag == tagReliable })))
	}
	c.askTimer(req)
	if m.body != nil {
		setSDP(req, m.body)
	}
	addAccountHeaders(req, c.opts.Account)
	m.auth = c.authorizer()
	m.auth.Prepare(req)
	c.carryChange(m, req)
}

// carryChange sends the request of a change, the first or the next after a challenge.
func (c *call) carryChange(m *change, req *sip.Request) {
	m.req, m.ack, m.cancelled = req, nil, false
	m.x = &exchange{
		final: func(res *sip.Response) { c.changeAnswered(m, res) },
		again: func(*sip.Response) {
			if m.ack != nil {
				c.writeACK(m.ack)
			}
		},
		late: func(*sip.Response) { // the call's goroutine is gone, and m its last word
			if m.ack != nil {
				c.writeACK(m.ack)
			}
		},
		failed: func(err error) { c.changeFailed(m, err) },
	}
	if req.IsInvite() {
		c.alarms.set(alarmReply, changeTime)
	}
	c.send(c.dialog, req, m.x)
}

// changeAnswered takes the final response to a change.
func (c *call) changeAnswered(m *change, res *sip.Response) {
	c.alarms.stop(alarmReply)
	switch {
	case res.IsSuccess():
		c.changeTaken(m, res)
		return
	case c.rec.State == Ended:
		return
	case isChallenge(res):
		if next, err := m.auth.Next(m.req, res); err == nil {
			c.dialog.LocalSeq++
			next.CSeq().SeqNo = c.dialog.LocalSeq
			c.carryChange(m, next)
			return
		}
	}
	m.undo() // "the session parameters MUST remain unchanged" (§14.1)
	after, again := c.comeAgain(res)
	switch {
	case res.StatusCode == 481 || res.StatusCode == 408:
		// "… the UAC SHOULD terminate the dialog" (§12.2.1.2).
		c.lostBy(m, fmt.Sprintf("%s was answered %s", m.req.Method, status(res)))
	case c.tooShort(res):
		m.sent = false
		c.beginChange()
	case again && m.tries < mostTries:
		m.tries, m.sent = m.tries+1, false
		c.alarms.set(alarmChange, after)
	case m.req.Method == sip.UPDATE && (res.StatusCode == 405 || res.StatusCode == 501):
		// It said that it takes UPDATE; now it says that it does not.
		c.dialog.allow = slices.DeleteFunc(c.dialog.allow, func(method string) bool { return method == string(sip.UPDATE) })
		m.sent = false
		c.beginChange()
	default:
		c.changeOver(m, fmt.Errorf("%w: %s", ErrPeerRefused, status(res)))
	}
}

// comeAgain says whether a refusal is one for now only, and when to ask again. After
// 491 the owner of the Call-ID waits longer than the other side, so that one of two
// offers that crossed wins (§14.1).
func (c *call) comeAgain(res *sip.Response) (after time.Duration, ok bool) {
	const step = 10 * time.Millisecond
	switch res.StatusCode {
	case 491:
		if c.rec.Direction == Out {
			return 2100*time.Millisecond + time.Duration(rand.IntN(191))*step, true
		}
		return time.Duration(rand.IntN(201)) * step, true
	case 500, 503:
		text, _, _ := strings.Cut(valueIn(res, "Retry-After", ""), ";")
		text, _, _ = strings.Cut(text, "(") // a comment (§20.33)
		seconds, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
		after = time.Duration(seconds) * time.Second
		return after, err == nil && after <= mostRetryAfter
	}
	return 0, false
}

// changeTaken takes a 2xx: ACK it and put what was agreed into force.
func (c *call) changeTaken(m *change, res *sip.Response) {
	if m.req.IsInvite() {
		c.acknowledgeChange(m, res)
	}
	if c.rec.State == Ended {
		return
	}
	c.dialog.refresh(res)
	c.vigil.heard = time.Now()
	c.tookTimer(res)
	switch {
	case m.body == nil:
	case sdpOf(res) != nil:
		if err := c.answered(res); err != nil {
			// It has changed the session to something we cannot follow (§13.2.2.4).
			c.hangup(goodbye{
				End:    End{Reason: "no usable answer to our offer: " + clip(err.Error()), By: Policy},
				header: reasonHeader(488, phrases[488]),
			})
			return
		}
	default:
		m.undo()
		if m.offer != nil {
			c.changeOver(m, fmt.Errorf("%w: it says %s, without an answer to our offer", ErrPeerRefused, status(res)))
			return
		}
	}
	c.changeOver(m, nil)
}

// acknowledgeChange sends the ACK of a re-INVITE, with its credentials (§22.1).
func (c *call) acknowledgeChange(m *change, res *sip.Response) {
	d := c.dialog
	d.refresh(res)
	ack := d.ack(m.req.CSeq().SeqNo)
	sip.CopyHeaders("Authorization", m.req, ack)
	sip.CopyHeaders("Proxy-Authorization", m.req, ack)
	addAccountHeaders(ack, c.opts.Account)
	to, err := c.destination(d.Hop(), d.Peer)
	if err != nil {
		c.log.Info("no way for the ACK", "error", err)
		return
	}
	to.Aim(ack)
	m.ack = ack
	c.writeACK(ack)
}

// changeFailed: there was no final response. Nobody there is as good as 408
// (§8.1.3.1); a request that did not get away may the next time.
func (c *call) changeFailed(m *change, err error) {
	c.alarms.stop(alarmReply)
	if c.rec.State == Ended {
		return
	}
	m.undo()
	if isTimeout(err) {
		c.lostBy(m, fmt.Sprintf("no answer to %s", m.req.Method))
		return
	}
	c.changeOver(m, fmt.Errorf("%w: %s not sent: %w", ErrNotNow, m.req.Method, err))
}

// noReply cancels a re-INVITE that is thought about for too long, and gives it up
// when that brings nothing either (§9.1).
func (c *call) noReply() {
	if len(c.changes) == 0 || !c.changes[0].sent {
		return
	}
	m := c.changes[0]
	if m.x.tx == nil || m.req.GetHeader("Via") == nil {
		return
	}
	if m.cancelled {
		m.x.tx.Terminate()
		return // failed tells the rest
	}
	m.cancelled = true
	c.launch(ua.Cancel(m.req), &exchange{})
	c.alarms.set(alarmReply, giveUp)
}

// lostBy ends a call whose other side does not know it any more, or is not there.
func (c *call) lostBy(m *change, why string) {
	c.hangup(goodbye{End: End{Reason: fmt.Sprintf("%s, to %s", why, m.what), By: Timeout}, header: reasonHeader(408, why)})
}

// changeOver ends a change and begins the next.
func (c *call) changeOver(m *change, err error) {
	if len(c.changes) == 0 || c.changes[0] != m {
		return
	}
	c.changes = c.changes[1:]
	c.alarms.stop(alarmChange, alarmReply)
	c.changed()
	m.done(err)
	c.beginChange()
}

// dropChanges tells everybody who waits for a change that the call is over.
func (c *call) dropChanges() {
	changes := c.changes
	c.changes = nil
	for _, m := range changes {
		m.done(errCallOver)
	}
}

// propose makes an offer within the session, or, where nothing is to change, repeats
// the last description: "the origin line is the same … if the version is, too" the
// other side knows without reading on that nothing changed (RFC 4028 §7.4). undo puts
// back what was there, as if nothing had been offered.
func (a *audio) propose(offer func(*audio) []byte) (body []byte, undo func()) {
	origin, local, direction := a.origin, a.local, a.caps.Direction
	undo = func() { a.origin, a.local, a.caps.Direction, a.pending = origin, local, direction, false }
	if offer != nil {
		return offer(a), undo
	}
	a.pending = true
	return a.local.Marshal(), undo
}
