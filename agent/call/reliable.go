package call

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// pledge is a provisional response of ours that was sent reliably (RFC 3262 §3): it is
// sent again until its PRACK comes. We send them so to callers who require it, and to no
// others: one that merely supports it loses nothing by a lost 180, and every ringing
// call would cost two messages more.
type pledge struct {
	res      *sip.Response
	rseq     uint32
	interval time.Duration
	since    time.Time
	offered  bool // it carries our offer: the PRACK brings the answer
	waiting  bool // the call is to be answered once the PRACK is there
}

// mostRSeq is the largest number a first reliable response may have: "a value between
// 1 and 2**31 - 1" (§3).
const mostRSeq = 1<<31 - 1

// wantsReliable says whether a caller asks for reliable provisional responses.
func wantsReliable(invite *sip.Request) bool { return hasOption(invite, "Require", tagReliable) }

// pledges makes a provisional response a reliable one. To an INVITE without an offer
// it is the first reliable message, and has to carry ours (RFC 3261 §13.2.1).
func (c *call) pledges(res *sip.Response) error {
	p := &pledge{res: res, rseq: 1 + rand.Uint32N(mostRSeq-1), interval: t1, since: time.Now()}
	if sdpOf(c.invite.req) == nil {
		_, local, err := c.contact(sourceOf(c.invite.req))
		if err == nil {
			err = c.audio.bind(local)
		}
		if err != nil {
			return err
		}
		setSDP(res, c.audio.offer())
		p.offered = true
	}
	res.AppendHeader(list("Require", []string{tagReliable}))
	res.AppendHeader(sip.NewHeader("RSeq", strconv.FormatUint(uint64(p.rseq), 10)))
	c.pledge = p
	c.alarms.set(alarmReliable, p.interval)
	return nil
}

// repeatReliable sends the response again, at intervals that double; after 64·T1 "the
// UAS SHOULD reject the original request with a 5xx response" (RFC 3262 §3).
func (c *call) repeatReliable() {
	p := c.pledge
	if p == nil || c.invite.final != 0 || c.rec.State == Ended {
		return
	}
	if time.Since(p.since) >= giveUp {
		c.reject(End{Code: 504, Reason: fmt.Sprintf("no PRACK within %s", short(giveUp)), By: Timeout})
		return
	}
	c.invite.respond(p.res)
	p.interval *= 2
	c.alarms.set(alarmReliable, min(p.interval, giveUp-time.Since(p.since)))
}

// unpledged holds an answer back while the caller owes the PRACK of a response with a
// description: "it MUST NOT send a final response until those provisional responses are
// acknowledged" (§3), if that is a 2xx.
func (c *call) unpledged() bool {
	if c.pledge != nil && c.pledge.offered {
		c.pledge.waiting = true
		return false
	}
	c.alarms.stop(alarmReliable) // a final response says more than what is left to be acknowledged
	return true
}

// pracked answers a PRACK. It is looked for also when the INVITE has its final response
// already (§3).
func (c *call) pracked(req *sip.Request) *sip.Response {
	p := c.pledge
	if p == nil || !p.named(req, c.invite.req.CSeq().SeqNo) {
		return reply(req, 481)
	}
	c.pledge = nil
	c.alarms.stop(alarmReliable)
	if p.offered && c.rec.State != Ended {
		if err := c.answered(req); err != nil {
			c.box.post(func() { c.refuse(488, fmt.Errorf("answer in PRACK: %w", err)) })
			return reply(req, 200)
		}
		c.settled = true
		c.changed()
	}
	if p.waiting {
		c.box.post(c.answer)
	}
	return reply(req, 200)
}

// named says whether a PRACK is for this response: RAck has its number, and number and
// method of the INVITE (§7.2).
func (p *pledge) named(prack *sip.Request, invite uint32) bool {
	h := prack.GetHeader("RAck")
	if h == nil {
		return false
	}
	fields := strings.Fields(h.Value())
	if len(fields) != 3 || !strings.EqualFold(fields[2], string(sip.INVITE)) {
		return false
	}
	rseq, err := strconv.ParseUint(fields[0], 10, 32)
	cseq, err2 := strconv.ParseUint(fields[1], 10, 32)
	return err == nil && err2 == nil && uint32(rseq) == p.rseq && uint32(cseq) == invite
}

// describe gives the description of a 2xx to an INVITE, and whether it is our offer.
// None is left to give where offer and answer went before it (RFC 3262 §5).
func (c *call) describe(i *invitation) (body []byte, offered bool, err error) {
	offer := sdpOf(i.req)
	switch {
	case i.first && c.settled:
		return nil, false, nil
	case offer == nil:
		return c.audio.offer(), true, nil
	}
	body, err = c.audio.answer(offer)
	return body, false, err
}
