package subscription

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// phrases of the codes that a NOTIFY is answered with.
var phrases = map[int]string{
	200: "OK", 400: "Bad Request", 413: "Request Entity Too Large", 415: "Unsupported Media Type", 481: "Subscription Does Not Exist",
	489: "Bad Event", 500: "Server Internal Error",
}

func reply(req *sip.Request, code int, headers ...sip.Header) *sip.Response {
	res := sip.NewResponseFromRequest(req, code, phrases[code], nil)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	return res
}

func (s *Set) respond(req *sip.Request, tx sip.ServerTransaction, res *sip.Response) {
	if err := tx.Respond(res); err != nil {
		s.cfg.Log.Debug("NOTIFY not answered", "line", s.cfg.Name, "code", res.StatusCode, "error", err)
	}
}

// content is what a NOTIFY tells.
type content struct {
	notice  notice
	summary *Summary
	info    *DialogInfo
}

// take answers a NOTIFY within a subscription of ours.
func (w *watch) take(req *sip.Request, tx sip.ServerTransaction, key dialogKey) {
	l, fork := w.find(req, key)
	if l == nil {
		w.set.respond(req, tx, reply(req, 481))
		return
	}
	res, told := w.read(req)
	switch {
	case res == nil && !l.usage.InOrder(req):
		res = reply(req, 500) // RFC 3261 §12.2.2
	case res == nil:
		res = reply(req, 200)
	case res.StatusCode != 481 && res.StatusCode != 489 && !fork:
		// Whoever is told so ends the subscription (RFC 6665 §4.2.2).
		told.notice = notice{state: "terminated", reason: "we cannot read its NOTIFY: " + res.Reason}
		defer l.step(event{kind: notified, notice: told.notice})
	}
	w.set.respond(req, tx, res)
	if !res.IsSuccess() {
		return
	}
	w.set.cfg.OnNotify(w.event)
	w.set.dirty = true
	l.usage.notified(req)
	if fork {
		w.legs = append(w.legs, l)
		l.step(event{kind: forked, notice: told.notice})
	}
	missing := false
	switch {
	case told.summary != nil:
		l.mailbox = mailbox{at: time.Now(), summary: *told.summary}
	case told.info != nil:
		missing = l.calls.take(*told.info)
		w.told()
	}
	l.step(event{kind: notified, notice: told.notice})
	if missing {
		l.step(event{kind: gap})
	}
}

// read gives what a NOTIFY tells, or the response it gets otherwise.
func (w *watch) read(req *sip.Request) (*sip.Response, content) {
	var c content
	if res := screenEvent(req); res != nil {
		return res, c
	}
	if eventOf(req) != w.event {
		return reply(req, 481), c
	}
	state := req.GetHeader("Subscription-State")
	if state == nil {
		return because(reply(req, 400), "Missing Subscription-State"), c
	}
	c.notice = parseState(state.Value())
	res := c.body(req, w.event)
	return res, c
}

// body reads the body of a NOTIFY; none is no mistake (RFC 6665 §4.2.2).
func (c *content) body(req *sip.Request, event string) *sip.Response {
	body := req.Body()
	if len(body) == 0 {
		return nil
	}
	mediaType := ""
	if h := req.ContentType(); h != nil {
		mediaType, _, _ = strings.Cut(strings.ToLower(h.Value()), ";")
	}
	if h := req.GetHeader("Content-Encoding"); h != nil && !strings.EqualFold(strings.TrimSpace(h.Value()), "identity") {
		return reply(req, 415, sip.NewHeader("Accept-Encoding", "identity"))
	}
	if strings.TrimSpace(mediaType) != accepts[event] {
		return reply(req, 415, sip.NewHeader("Accept", accepts[event]))
	}
	if len(body) > mostDialogInfo {
		return reply(req, 413)
	}
	if event == MessageSummary {
		summary, err := ParseSummary(body)
		if err != nil {
			return because(reply(req, 400), clip(err.Error()))
		}
		c.summary = &summary
		return nil
	}
	info, err := ParseDialogInfo(body)
	if err != nil {
		return because(reply(req, 400), clip(err.Error()))
	}
	c.info = &info
	return nil
}

func because(res *sip.Response, why string) *sip.Response {
	res.Reason = why
	return res
}

// screenEvent refuses events that nobody here knows (RFC 6665 §7.2).
func screenEvent(req *sip.Request) *sip.Response {
	if slices.Contains(Events, eventOf(req)) {
		return nil
	}
	return reply(req, 489, sip.NewHeader("Allow-Events", strings.Join(Events, ", ")))
}

// eventOf is the package of a NOTIFY, without parameters.
func eventOf(req *sip.Request) string {
	h := req.GetHeader("Event")
	if h == nil {
		h = req.GetHeader("o") // its compact form (RFC 6665 §8.4)
	}
	if h == nil {
		return ""
	}
	name, _, _ := strings.Cut(h.Value(), ";")
	return strings.ToLower(strings.TrimSpace(name))
}

// parseState reads "terminated;reason=deactivated;retry-after=5". A state that nobody
// knows is one of a subscription that is there.
func parseState(value string) notice {
	var n notice
	for part := range treatment.Split(value, ";") {
		if n.state == "" {
			n.state = strings.ToLower(strings.TrimSpace(part))
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "expires":
			n.expires = deltaSeconds(value)
		case "reason":
			n.reason = strings.ToLower(value)
		case "retry-after":
			n.retryAfter = deltaSeconds(value)
		}
	}
	return n
}

// unsolicited answers a NOTIFY of no dialog. Some servers tell of messages so, without
// having been asked (RFC 3842 does not, but field practice does): from the line's own
// server it is taken, from nobody else.
func (s *Set) unsolicited(req *sip.Request, tx sip.ServerTransaction) {
	if res := screenEvent(req); res != nil {
		s.respond(req, tx, res)
		return
	}
	var c content
	if eventOf(req) != MessageSummary || !s.fromServer(req) {
		s.respond(req, tx, reply(req, 481))
		return
	}
	if res := c.body(req, MessageSummary); res != nil {
		s.respond(req, tx, res)
		return
	}
	s.respond(req, tx, reply(req, 200))
	s.cfg.OnNotify(MessageSummary)
	if c.summary != nil {
		s.dirty = true
		s.untold = mailbox{at: time.Now(), summary: *c.summary}
	}
}

// fromServer tells whether a request came from an address of the line's server.
func (s *Set) fromServer(req *sip.Request) bool {
	from, err := netip.ParseAddrPort(req.Source())
	if err != nil || s.cfg.Servers == nil {
		return false
	}
	return slices.ContainsFunc(s.cfg.Servers(), func(a netip.AddrPort) bool { return a.Addr().Unmap() == from.Addr().Unmap() })
}

// farewell answers a NOTIFY of a subscription that we have ended: the last one is
// expected, others are to be none.
func (s *Set) farewell(req *sip.Request, tx sip.ServerTransaction) {
	code := 481
	if h := req.GetHeader("Subscription-State"); h != nil && parseState(h.Value()).state == "terminated" {
		code = 200
	}
	s.respond(req, tx, reply(req, code))
}
