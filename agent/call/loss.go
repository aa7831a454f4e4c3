package call

import (
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"
)

// A call whose other side has vanished gets no BYE: its machine died, or the way
// to it did. What is left to see is silence, and it may mean nothing: a peer that
// is muted, or saves on silence. So silence makes us ask, within the dialog, and
// only a question without answer ends the call, networkLossCallTimeoutMs after
// the last sign of life. Audio that the network refuses to take (a lost route, a
// closed port) makes us ask at once.
const (
	lossLook    = 2 * time.Second  // between two looks
	mostSilence = 10 * time.Second // before we ask: RTCP comes every 2 to 6 s (RFC 3550 §6.3.1)
	leastLoss   = 5 * time.Second  // below it a late packet, or an answer on its way, would be taken for a loss
)

// vigil is what a call knows of whether its other side is still there.
type vigil struct {
	heard  time.Time // last sign by SIP
	asked  time.Time // last question
	asking bool      // it has no answer yet
	doubt  string    // what became of it; "" when it was answered, or none was needed
	cut    bool      // the network itself failed
	errors uint64    // packets the network had not taken at the last look
}

// lossAfter is how long after the last sign of life the call is given up, and
// after how much silence the other side is asked.
func (c *call) lossAfter() (giveUp, ask time.Duration) {
	giveUp = max(time.Duration(c.opts.Account.NetworkLossCallTimeoutMs)*time.Millisecond, leastLoss)
	return giveUp, min(giveUp/3, mostSilence)
}

// guardLoss begins to look after the other side.
func (c *call) guardLoss() {
	c.vigil = vigil{heard: time.Now()}
	_, ask := c.lossAfter()
	c.alarms.set(alarmLoss, min(ask, lossLook))
}

// lookForLoss is the look that is due.
func (c *call) lookForLoss() {
	if c.rec.State == Ended {
		return
	}
	v, now := &c.vigil, time.Now()
	giveUp, ask := c.lossAfter()
	c.alarms.set(alarmLoss, min(ask, lossLook))
	if c.leaving != nil {
		return // it ends anyway
	}
	if !c.audio.started || !c.audio.agreed.Direction.Receives() || c.audio.held != (held{}) {
		v.heard = now // on hold nothing has to come, and silence says nothing
		return
	}
	s := c.audio.session.Signs()
	refused := s.SendErrors > v.errors
	v.errors = s.SendErrors
	last := latest(v.heard, s.LastPacket, s.LastReport)
	quiet := now.Sub(last)
	if quiet < ask && !refused {
		v.doubt = ""
	}
	switch {
	case v.doubt != "" && quiet >= giveUp:
		c.vanished(quiet)
		return
	case !v.asking && (quiet >= ask || refused) && now.Sub(v.asked) >= ask:
		c.askForLife()
	}
	if left := giveUp - quiet; left > 0 && left < lossLook {
		c.alarms.set(alarmLoss, min(left, ask))
	}
}

// vanished ends a call that nobody is on any more. A BYE is sent all the same:
// it may be that only the way to us is broken (RFC 3261 §12.2.1.2).
func (c *call) vanished(quiet time.Duration) {
	reason := fmt.Sprintf("the other side has vanished: nothing heard for %s, %s", short(quiet.Round(time.Second)), c.vigil.doubt)
	by := Timeout
	if c.vigil.cut {
		by = Network
	}
	c.hangup(goodbye{End: End{Reason: reason, By: by}, header: reasonHeader(408, "nothing heard of you")})
}

// askForLife asks whether the dialog still exists: by OPTIONS (RFC 3261 §11), or
// by an UPDATE without a body where that alone is allowed (RFC 3311 §5.1).
func (c *call) askForLife() {
	d, v := c.dialog, &c.vigil
	method := sip.OPTIONS
	if !d.allows(sip.OPTIONS) && d.allows(sip.UPDATE) {
		method = sip.UPDATE
	}
	v.asked, v.asking, v.cut, v.doubt = time.Now(), true, false, fmt.Sprintf("no answer to %s", method)
	req := d.Request(method)
	for _, h := range c.capable() {
		req.AppendHeader(h)
	}
	if to, err := c.destination(d.Hop(), d.Peer); err == nil {
		if contact, _, err := c.contact(to.Addr); err == nil {
			req.AppendHeader(&sip.ContactHeader{Address: contact})
		}
	}
	if method == sip.UPDATE {
		c.askTimer(req) // it refreshes the session, too, and without a word would end the timer
	}
	c.ask(d, req, c.toldOfLife)
}

// toldOfLife takes the answer. That the dialog is unknown ends it (§12.2.1.2); that
// the other side was not reached is as good as no answer; any other says that it
// is there, whatever it thinks of the question.
func (c *call) toldOfLife(res *sip.Response, err error) {
	v := &c.vigil
	v.asking = false
	switch {
	case c.rec.State == Ended:
	case err != nil:
		v.doubt, v.cut = "asking it failed: "+clip(err.Error()), !isTimeout(err)
	case res.StatusCode == 481:
		why := fmt.Sprintf("the other side does not know the call any more (%s)", status(res))
		c.hangup(goodbye{End: End{Reason: why, By: Timeout}, header: reasonHeader(481, phrases[481])})
	case unreached[res.StatusCode]:
		v.doubt = fmt.Sprintf("and the server said %s of it", status(res))
	default:
		v.heard, v.doubt = time.Now(), ""
		if res.IsSuccess() && res.CSeq().MethodName == sip.UPDATE {
			c.tookTimer(res)
		}
	}
}

// unreached are the answers of servers that could not reach the other side (RFC
// 3261 §16.7, §16.9; 430 is RFC 5626's flow that failed).
var unreached = map[int]bool{408: true, 430: true, 502: true, 503: true, 504: true}

// latest of some moments.
func latest(times ...time.Time) time.Time {
	var last time.Time
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
