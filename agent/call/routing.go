package call

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// HandleRequest takes a request of the network, any method; it answers what
// belongs to no call, too. It does not block. See ua.Line.
func (s *Set) HandleRequest(req *sip.Request, tx sip.ServerTransaction) {
	tag := tagOf(req.To().Params)
	switch {
	case misplaced(req):
		s.respond(tx, reply(req, 400))
	case tag != "":
		s.within(req, tx, tag)
	case req.IsInvite():
		s.invited(req, tx)
	case req.IsAck():
		// An ACK to nothing has no answer.
	case req.Method == sip.OPTIONS:
		s.respond(tx, s.queried(req))
	case req.Method == sip.MESSAGE:
		s.respond(tx, s.texted(req, s.options(), ""))
	case slices.Contains([]sip.RequestMethod{sip.BYE, sip.CANCEL, sip.INFO, sip.UPDATE, sip.PRACK}, req.Method):
		s.respond(tx, reply(req, 481))
	case req.Method == sip.REFER && s.options().follows():
		s.respond(tx, reply(req, 403)) // outside a call nobody has paid for one yet
	case req.Method == sip.SUBSCRIBE && s.options().follows():
		s.respond(tx, reply(req, 489, sip.NewHeader("Allow-Events", eventRefer)))
	case req.Method == sip.NOTIFY:
		s.respond(tx, reply(req, 481))
	default:
		s.respond(tx, reply(req, 405, list("Allow", s.Allow())))
	}
}

// within gives a request to the call whose dialog it names.
func (s *Set) within(req *sip.Request, tx sip.ServerTransaction, tag string) {
	s.mu.Lock()
	c := s.dialogs[dialogKey{req.CallID().Value(), tag}]
	s.mu.Unlock()
	switch {
	case c != nil && c.box.offer(func() { c.handle(req, tx) }):
	case req.IsAck():
	default:
		s.respond(tx, reply(req, 481))
	}
}

// invited takes a new call, or refuses it.
func (s *Set) invited(req *sip.Request, tx sip.ServerTransaction) {
	if res := screen(req, s.Supported()); res != nil {
		s.respond(tx, res)
		return
	}
	if len(req.GetHeaders("Replaces")) > 0 {
		s.replace(req, tx)
		return
	}
	c, decision := s.admit(req)
	switch {
	case c == nil:
		// The same INVITE by another path: one of them is enough (RFC 3261 §8.2.2.2).
		s.respond(tx, reply(req, 482))
	case decision.Action == treatment.Reject || decision.Action == treatment.Redirect:
		s.turnAway(c, req, tx, decision)
	default:
		// At once: it stops the transaction from reading req for a 100 of its own.
		c.invite = &invitation{req: req, tx: tx, first: true}
		c.invite.respond(reply(req, 100))
		c.box.post(func() { c.invited(decision) })
		s.launch(c)
	}
}

// admit decides on a call, and reserves it unless it is to be turned away. It
// gives no call for an INVITE that is here already.
func (s *Set) admit(req *sip.Request) (*call, treatment.Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := inviteKey{req.CallID().Value(), tagOf(req.From().Params), req.CSeq().SeqNo}
	if s.invites[key] != nil {
		return nil, treatment.Decision{}
	}
	caller := callerOf(req, s.opts.Account.RemoteContact)
	c := newCall(s, s.opts, In, caller.uri)
	decision := treatment.Decide(s.gather(req, caller, s.arrived()))
	c.rec.CallID, c.rec.Treatment, c.inviteKey = key.callID, decision.Steps, key
	c.rec.Remote, c.rec.RemoteName, c.rec.Anonymous = caller.shown(decision.Caller), caller.name, caller.anonymous
	c.rec.RecordCall = decision.Record
	withTag(req, c.tag)
	if decision.Action == treatment.Ring || decision.Action == treatment.Answer {
		s.reserve(context.Background(), c)
	}
	return c, decision
}

// arrived counts the calls of the last second, and a new one. The set is locked.
func (s *Set) arrived() int {
	now := time.Now()
	s.arrivals = slices.DeleteFunc(s.arrivals, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	newCalls := len(s.arrivals) + 1
	if newCalls <= s.opts.Caps.NewPerSecond {
		s.arrivals = append(s.arrivals, now) // refused ones do not count, or a flood would keep everybody out
	}
	return newCalls
}

// gather collects what a decision on a new call looks at. The set is locked.
func (s *Set) gather(req *sip.Request, caller identity, newCalls int) treatment.Input {
	o, a, now := s.opts, s.opts.Account, time.Now()
	in := treatment.Input{
		Draining:    s.closed || !s.refuse.IsZero() && !now.Before(s.refuse),
		IncomingOff: a.ICM == "off" || (a.ICM == "auto" || a.ICM == "") && o.IncomingMode == "off",
		NewCalls:    newCalls, MaxNewCalls: o.Caps.NewPerSecond,
		Caller: caller.user(), CallerBy: caller.by, Now: now, Network: o.network(),
		DoNotDisturb: a.DoNotDisturb, IncomingRewriting: a.IncomingRewriting, DivertedBefore: divertedBy(req, a),
		AnswerMode: valueOf(req, "Answer-Mode"), PrivAnswerMode: valueOf(req, "Priv-Answer-Mode"),
		ForwardingEnabled: a.ForwardingEnabled, ForwardingNumber: a.ForwardingNumber, Self: a.Username,
		ActiveCalls: len(s.running), MaxCalls: o.Caps.Concurrent, CallWaiting: a.CallWaiting,
		AutoAnswer: a.AutoAnswerEnabled, AutoAnswerAfter: time.Duration(a.AutoAnswerTimeoutInSeconds) * time.Second,
		NoAnswer: o.NoAnswer,
	}
	for _, name := range []string{"Call-Info", "Alert-Info"} {
		for _, h := range req.GetHeaders(name) {
			in.AlertHeaders = append(in.AlertHeaders, h.Value())
		}
	}
	return in
}

// turnAway answers a call that is not taken, and remembers it, unless there are
// so many that they would push everything else out of memory.
func (s *Set) turnAway(c *call, req *sip.Request, tx sip.ServerTransaction, d treatment.Decision) {
	end := End{Code: d.Code, Reason: statusLine(d.Code, d.Reason), By: Policy}
	var headers []sip.Header
	if d.RetryAfter > 0 {
		seconds := max(1, int(d.RetryAfter.Round(time.Second)/time.Second))
		headers = append(headers, sip.NewHeader("Retry-After", strconv.Itoa(seconds)))
	}
	if d.Action == treatment.Redirect {
		headers, end = redirect(c.opts, req, d, end)
		if end.Code != d.Code {
			c.rec.Treatment = append(c.rec.Treatment, "not forwarded: "+end.Reason)
		}
	}
	res := reply(req, end.Code, headers...)
	if end.Code == 403 && d.Reason != "" {
		res.Reason = d.Reason
	}
	c.addRuleHeaders(res, d.Headers)
	s.respond(tx, res)
	c.rec.State, c.rec.EndedAt, c.rec.End = Ended, time.Now(), &end
	if d.RetryAfter == 0 {
		s.mu.Lock()
		s.ended.add(c.rec)
		s.mu.Unlock()
	}
	c.changed()
}

func (s *Set) respond(tx sip.ServerTransaction, res *sip.Response) {
	if err := tx.Respond(res); err != nil {
		o := s.options()
		o.Log.Debug("response not sent", "line", o.Line, "code", res.StatusCode, "error", err)
	}
}

// sourceOf is where a message came from; invalid when nobody knows.
func sourceOf(m sip.Message) netip.AddrPort {
	addr, _ := netip.ParseAddrPort(m.Source())
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}
