package call

import (
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/media"
)

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

// prepare puts into a call what it is placed for.
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
