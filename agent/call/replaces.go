package call

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/treatment"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// replaced names the dialog that an INVITE takes the place of (RFC 3891 §6.1), as
// who is invited sees it: toTag is theirs.
type replaced struct {
	callID, toTag, fromTag string
	earlyOnly              bool // only while it is not answered
}

// mostReplaces bounds the length of Replaces.
const mostReplaces = 512

var errReplaces = errors.New("not a Replaces header")

// parseReplaces reads a Replaces header.
func parseReplaces(value string) (replaced, error) {
	parts := strings.Split(value, ";")
	r := replaced{callID: strings.TrimSpace(parts[0])}
	for _, p := range parts[1:] {
		k, v, _ := strings.Cut(p, "=")
		k, v = strings.ToLower(strings.TrimSpace(k)), strings.TrimSpace(v)
		switch {
		case k == "early-only":
			r.earlyOnly = true
		case k == "to-tag" && r.toTag == "":
			r.toTag = v
		case k == "from-tag" && r.fromTag == "":
			r.fromTag = v
		case k == "to-tag" || k == "from-tag":
			return r, errReplaces
		}
	}
	if len(value) > mostReplaces || strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' && c != ' ' || c == 0x7f || c == ',' }) ||
		r.callID == "" || strings.Contains(r.callID, " ") || r.toTag == "" || r.fromTag == "" {
		return r, errReplaces
	}
	return r, nil
}

// String is the header's value.
func (r replaced) String() string {
	s := r.callID + ";to-tag=" + r.toTag + ";from-tag=" + r.fromTag
	if r.earlyOnly {
		s += ";early-only"
	}
	return s
}

// escaped is the value as a header of a URI has it (RFC 3261 §19.1.1).
func (r replaced) escaped() string {
	return strings.ReplaceAll(url.QueryEscape(r.String()), "+", "%20")
}

// remoteTagIs compares with what a Replaces header says of a tag: "a tag parameter
// of zero is to match tags of zero and no tag" (RFC 3891 §3).
func (d *dialog) remoteTagIs(tag string) bool {
	return d.RemoteTag == tag || d.RemoteTag == "" && tag == "0"
}

// replace takes an INVITE that is to take the place of a call (RFC 3891 §3). It is
// that call's to decide.
func (s *Set) replace(req *sip.Request, tx sip.ServerTransaction) {
	values := valuesIn(req, "Replaces", "")
	r, err := parseReplaces(values[0])
	if err != nil || len(values) > 1 {
		s.respond(tx, reply(req, 400))
		return
	}
	s.mu.Lock()
	old := s.dialogs[dialogKey{r.callID, r.toTag}]
	s.mu.Unlock()
	if old == nil {
		s.respond(tx, reply(req, 481))
		return
	}
	tag := ua.NewTag()
	withTag(req, tag)
	s.respond(tx, reply(req, 100)) // at once: it stops the transaction from reading req
	if !old.box.offer(func() { old.replaceWith(r, req, tx, tag) }) {
		s.respond(tx, reply(req, 481))
	}
}

// replaceWith decides on an INVITE that names one of this call's dialogs.
func (c *call) replaceWith(r replaced, req *sip.Request, tx sip.ServerTransaction, tag string) {
	code := c.replaceable(r, req)
	if code == 0 {
		code = c.set.takeOver(c, req, tx, tag)
	}
	if code != 0 {
		c.log.Info("call not replaced", "code", code, "from", req.Source())
		c.set.respond(tx, reply(req, code))
	}
}

// replaceable gives the code to refuse to be replaced with; 0 = it may be.
func (c *call) replaceable(r replaced, req *sip.Request) int {
	d := c.dialog
	if d == nil && c.attempt != nil {
		d = c.attempt.earlyDialog(r.fromTag)
	}
	answered := !c.rec.AnsweredAt.IsZero()
	switch {
	case d == nil || !d.remoteTagIs(r.fromTag):
		return 481
	case !c.knows(d, req):
		return 403
	case c.rec.State == Ended || c.leaving != nil:
		return 603
	case answered && r.earlyOnly:
		return 486
	case !answered && c.rec.Direction == In:
		return 481 // "an early dialog that was not initiated by this UA"
	}
	return 0
}

// knows says whether a request comes from where it may end a dialog: the dialog's
// other side, as far as we see it, or the line's server, which demands who it is.
func (c *call) knows(d *dialog, req *sip.Request) bool {
	from := sourceOf(req).Addr()
	at, _ := netip.ParseAddrPort(d.Peer)
	if from.IsValid() && from == at.Addr().Unmap() {
		return true
	}
	return c.opts.Servers != nil && slices.ContainsFunc(c.opts.Servers(), func(a netip.AddrPort) bool { return a.Addr().Unmap() == from })
}

// misplaced says that a request has a Replaces header which it must not have: only
// an INVITE outside any dialog may (RFC 3891 §3), and none that has Join, too.
func misplaced(req *sip.Request) bool {
	if req.GetHeader("Replaces") == nil || req.IsAck() || req.IsCancel() {
		return false
	}
	return !req.IsInvite() || tagOf(req.To().Params) != "" || req.GetHeader("Join") != nil
}

// heir is what a call takes over from the one it replaces.
type heir struct {
	of     *call
	source media.Source
	listen []float64
	until  time.Time // when the other was to hang up; zero = unsaid
}

// takeOver answers an INVITE in the place of a call, which it ends once it is
// answered. It gives a code when that cannot be.
func (s *Set) takeOver(old *call, req *sip.Request, tx sip.ServerTransaction, tag string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := inviteKey{req.CallID().Value(), tagOf(req.From().Params), req.CSeq().SeqNo}
	switch {
	case s.closed:
		return 480
	case s.invites[key] != nil:
		return 482
	}
	caller := callerOf(req, s.opts.Account.RemoteContact)
	c := newCall(s, s.opts, In, caller.uri)
	c.tag, c.inviteKey = tag, key
	c.heir = &heir{of: old, source: old.audio.source, listen: old.audio.config.Listen, until: old.asksToEnd()}
	c.rec.CallID, c.rec.Replaces = key.callID, old.rec.ID
	c.rec.Remote, c.rec.RemoteName, c.rec.Anonymous = caller.shown(""), caller.name, caller.anonymous
	c.rec.Treatment = []string{fmt.Sprintf("replaces: takes the place of call %s with %s, answered at once", old.rec.ID, old.rec.Remote)}
	c.invite = &invitation{req: req, tx: tx, first: true}
	s.reserve(context.Background(), c)
	c.box.post(c.inherit)
	s.launch(c)
	return 0
}

// asksToEnd is when the call is to hang up because whoever placed it said so.
func (c *call) asksToEnd() time.Time {
	if at, ok := c.alarms[alarmHangup]; ok {
		return at
	}
	if c.attempt != nil && c.rec.AnsweredAt.IsZero() && c.attempt.dial.lasts() > 0 {
		return time.Now().Add(c.attempt.dial.lasts())
	}
	return time.Time{}
}

// inherit answers for the call that is replaced; if that fails, it stays as it is.
func (c *call) inherit() { c.invited(treatment.Decision{Action: treatment.Answer}) }

// takePlace ends the call that this one replaces, now that it is answered.
func (c *call) takePlace() {
	h := c.heir
	if h == nil {
		return
	}
	c.heir = nil
	if !h.until.IsZero() {
		c.alarms.set(alarmHangup, time.Until(h.until))
	}
	why := "replaced by call " + c.rec.ID
	h.of.box.post(func() {
		h.of.hangup(goodbye{End: End{Code: 487, Reason: why, By: Remote}, header: reasonHeader(200, "Replaced")})
	})
}

// incomingSource is what an incoming call sends: what the line plays, else what it
// hears, unless it goes on where another call was.
func (c *call) incomingSource() (media.Source, []float64) {
	if c.heir == nil {
		return c.answering(), nil
	}
	return c.heir.source, c.heir.listen
}
