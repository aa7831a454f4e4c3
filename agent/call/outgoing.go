package call

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// attempt is the INVITE of a call we place, through challenges, provisional
// responses and forks, until its final response.
type attempt struct {
	dial       Dial
	target     sip.Uri
	invite     *sip.Request // as sent last; nil before
	auth       *ua.Authorizer
	x          *exchange
	proceeding bool                    // a provisional response came: CANCEL may be sent (RFC 3261 §9.1)
	leaving    *goodbye                // the call is to end before it is answered
	cancelled  bool                    // CANCEL was sent
	acks       map[string]*sip.Request // of 2xx, by remote tag, to be sent again
	sdes       sdp.Policy              // set aside while DTLS alone is offered

	early     map[string]*fork // by remote tag (§12.1)
	losing    map[string]*fork // those that were left when another answered
	playing   *fork            // whose early media is heard
	described int              // descriptions of forks so far
	offered   bool             // the INVITE has our offer
	origin    sdp.Origin       // of our descriptions
	answered  bool             // a 2xx was taken
	further   []*sip.Response  // 2xx that came before the first was taken
	late      sync.Mutex       // held by what happens after the call

	servers []ua.Candidate // the one in use, and those to try after it
	without []string       // option tags that a 420 named
}

// mostForks bounds how many branches of one INVITE are followed.
const mostForks = 16

// toneLevel is how loud a test tone is sent, dBm0.
const toneLevel = -10

// lasts is how long the call is to last after its answer; 0 = unsaid.
func (d Dial) lasts() time.Duration { return time.Duration(d.Seconds) * time.Second }

// dial prepares an outgoing call; its goroutine does the rest.
func (c *call) dial(d Dial, target sip.Uri) {
	c.rec.CallID = ua.NewCallID()
	c.rec.Treatment, c.rec.RecordCall = append(c.rec.Treatment, d.Placement.Steps...), d.Placement.Record || d.Record
	var source media.Source = media.Silence{}
	if d.ToneHz > 0 {
		source = media.Tone{Hz: d.ToneHz, LevelDBm0: toneLevel}
	}
	if d.prompt != nil {
		source = d.prompt
	}
	if d.ToneHz > 0 && d.Probe {
		source = media.Probe{Hz: d.ToneHz, LevelDBm0: toneLevel, BesideHz: MarkerHz}
	}
	c.audio = c.newAudio(source)
	if d.Check != "" {
		c.rec.Check, c.audio.config.Listen = d.Check, checkTones
	}
	c.attempt = &attempt{
		dial: d, target: target, auth: c.authorizer(),
		acks: make(map[string]*sip.Request), offered: !d.LateOffer,
	}
	d.errand.prepare(c)
	c.box.post(c.locate)
}

// locate looks the servers up, without stopping the call meanwhile.
func (c *call) locate() {
	c.open++
	c.alarms.set(alarmSetup, setupTime)
	c.beside(func() {
		ctx, cancel := context.WithTimeout(c.ctx, 2*lookupTime)
		defer cancel()
		servers, err := c.opts.candidates(ctx)
		c.box.post(func() {
			c.open--
			c.located(servers, err)
		})
	})
}

// located sends the INVITE to the first server to which there is a way.
func (c *call) located(servers []ua.Candidate, err error) {
	if c.rec.State == Ended {
		return
	}
	t := c.attempt
	t.servers = servers
	var contact sip.Uri
	var local netip.Addr
	for err == nil {
		if contact, local, err = c.contact(t.servers[0].Addr); err == nil || len(t.servers) < 2 {
			break
		}
		c.nextServer(err.Error())
		err = nil
	}
	if err != nil {
		c.end(End{Code: 503, Reason: "no way to the server: " + err.Error(), By: Network})
		return
	}
	c.reach(local, func(err error) { c.reachable(contact, err) })
}

// reachable sends the INVITE, once it is known where the audio is to come to.
func (c *call) reachable(contact sip.Uri, err error) {
	t := c.attempt
	if err != nil {
		end := End{Code: 500, Reason: err.Error(), By: Local}
		switch {
		case errors.Is(err, errUnprotectable):
			end.Code, end.By = 488, Policy
		case errors.Is(err, media.ErrNoRelay):
			end.Code, end.By = 503, Network
		}
		c.end(end)
		return
	}
	if t.leaving != nil {
		c.end(t.leaving.End)
		return
	}
	t.origin = c.audio.origin
	told := len(c.rec.Treatment)
	req := c.newInvite(contact)
	if len(c.rec.Treatment) > told {
		c.changed()
	}
	t.servers[0].Aim(req)
	t.auth.Prepare(req)
	c.inviteWith(req)
}

// newInvite builds the first INVITE (§8.1.1).
func (c *call) newInvite(contact sip.Uri) *sip.Request {
	a := c.opts.Account
	t := c.attempt
	req := sip.NewRequest(sip.INVITE, t.target)
	for _, route := range c.opts.Link.Routes(c.opts.Route) {
		req.AppendHeader(&sip.RouteHeader{Address: route})
	}
	callID := sip.CallIDHeader(c.rec.CallID)
	req.AppendHeader(&sip.FromHeader{}) // sayWhoCalls knows it once the other headers are there
	req.AppendHeader(&sip.ToHeader{Address: *t.target.Clone()})
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: sip.INVITE})
	req.AppendHeader(&sip.ContactHeader{Address: contact})
	for _, h := range c.capable() {
		if h.Name() != "Supported" {
			req.AppendHeader(h)
		}
	}
	req.AppendHeader(list("Supported", c.inviteOptions()))
	c.askTimer(req)
	addAccountHeaders(req, a)
	c.addRuleHeaders(req, t.dial.Placement.Headers)
	addHeaders(req, t.dial.Headers)
	c.rec.Treatment = append(c.rec.Treatment, sayWhoCalls(req, a, c.opts.Link, c.tag)...)
	addCheck(req, t.dial.Check)
	t.dial.errand.head(req)
	if t.offered {
		setSDP(req, c.audio.offer())
	}
	return req
}

// inviteWith sends an INVITE, the first or the next after a challenge.
func (c *call) inviteWith(req *sip.Request) {
	t := c.attempt
	t.invite, t.proceeding, t.playing = req, false, nil
	t.early = make(map[string]*fork) // those of the INVITE before ended with it
	t.x = &exchange{provisional: c.proceeds, final: c.decided, again: c.repeated, late: c.afterwards, failed: c.failed}
	if c.alarms.stop(alarmSilence); len(t.servers) > 1 {
		c.alarms.set(alarmSilence, silence)
	}
	c.launch(req, t.x)
}

// decided takes the final response.
func (c *call) decided(res *sip.Response) {
	t := c.attempt
	c.alarms.stop(alarmSilence)
	switch {
	case res.IsSuccess():
		c.reached(res)
		c.accepted(res)
	case c.rec.State == Ended:
	case t.leaving != nil && (res.StatusCode == 487 || isChallenge(res)):
		c.end(t.leaving.End)
	case isChallenge(res):
		next, err := t.auth.Next(t.invite, res)
		if err != nil {
			c.end(End{Code: res.StatusCode, Reason: status(res) + ": " + err.Error(), By: Remote})
			return
		}
		c.inviteWith(next)
	case t.leaving == nil && res.StatusCode == sip.StatusServiceUnavailable && c.nextServer(refused(res)):
	case t.leaving == nil && res.StatusCode == sip.StatusBadExtension && c.without420(res):
	default:
		if next := c.askLonger(res); next != nil {
			c.inviteWith(next)
			return
		}
		if t.leaving == nil && t.offered {
			if next := c.insist(res); next != nil {
				c.inviteWith(next)
				return
			}
		}
		c.end(End{Code: res.StatusCode, Reason: refused(res), By: Remote, Contacts: contacts(res)})
	}
}

// contacts are where a redirecting response points.
func contacts(res *sip.Response) []string {
	if !res.IsRedirection() {
		return nil
	}
	var uris []string
	for _, h := range res.GetHeaders("Contact") {
		if contact, ok := h.(*sip.ContactHeader); ok && len(uris) < mostForks {
			uris = append(uris, clip(printable(contact.Address.String())))
		}
	}
	return uris
}

// failed: the INVITE got no final response.
func (c *call) failed(err error) {
	c.alarms.stop(alarmSilence)
	switch {
	case c.attempt.leaving != nil:
		c.end(c.attempt.leaving.End)
	case unserved(err) && c.nextServer(err.Error()):
	case errors.Is(err, ua.ErrTimeout):
		c.end(End{Code: 408, Reason: "no answer from the server", By: Timeout})
	default:
		c.end(End{Code: 503, Reason: fmt.Sprintf("INVITE not sent: %v", err), By: Network})
	}
}

// cancelAttempt wants the call to end before it is answered.
func (c *call) cancelAttempt(g goodbye) {
	t := c.attempt
	if t.leaving != nil {
		return
	}
	if g.Code != 408 {
		g.Code = 487
	}
	t.leaving = &g
	c.alarms.stop(alarmSetup)
	switch {
	case t.x == nil:
		c.end(g.End) // nothing was sent yet
	case t.proceeding:
		c.cancelInvite()
	}
	// Otherwise: "If no provisional response has been received, the CANCEL
	// request MUST NOT be sent; rather, the client MUST wait" (§9.1), for the
	// first response or for the transaction to time out.
}

// cancelInvite sends the CANCEL, once. No final response within 64·T1 is as
// good as one (§9.1).
func (c *call) cancelInvite() {
	t := c.attempt
	if t.cancelled {
		return
	}
	t.cancelled = true
	req := ua.Cancel(t.invite)
	if t.leaving.header != nil {
		req.AppendHeader(t.leaving.header)
	}
	c.launch(req, &exchange{})
	c.alarms.set(alarmCancel, giveUp)
}

// giveUpInvite ends an INVITE whose CANCEL brought nothing.
func (c *call) giveUpInvite() {
	if x := c.attempt.x; x.tx != nil {
		x.tx.Terminate()
	}
	c.end(c.attempt.leaving.End)
}
