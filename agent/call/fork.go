package call

import (
	"errors"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// fork is a branch of an INVITE of ours, as it shows itself: an early dialog (RFC 3261
// §12.1), what it described, and how far its reliable responses have counted.
type fork struct {
	*dialog
	theirs []byte // the description it sent last; nil = none
	said   int    // which of all descriptions that was
	rseq   uint32 // of its last reliable response; 0 = none (RFC 3262 §3 begins at 1)
}

// fork gives the branch a response is of; nil for one that names none, or of more
// branches than are followed.
func (t *attempt) fork(res *sip.Response) *fork {
	tag := tagOf(res.To().Params)
	f := t.early[tag]
	if f == nil && tag != "" && len(t.early) < mostForks {
		f = &fork{dialog: newUACDialog(t.invite, res)}
		t.early[tag] = f
	}
	return f
}

// earlyDialog is a branch's; nil = there is no such branch.
func (t *attempt) earlyDialog(tag string) *dialog {
	if f := t.early[tag]; f != nil {
		return f.dialog
	}
	return nil
}

// proceeds takes a provisional response, however many there are.
func (c *call) proceeds(res *sip.Response) {
	t := c.attempt
	t.proceeding, c.rec.Responded = true, true
	c.alarms.stop(alarmSilence)
	if res.StatusCode == sip.StatusTrying {
		if c.rec.State == Trying {
			c.changed()
		}
		if t.leaving != nil {
			c.cancelInvite()
		}
		return
	}
	if c.rec.State == Ended {
		return
	}
	f := t.fork(res)
	news := c.pracks(f, res)
	switch {
	case t.leaving != nil:
		c.cancelInvite()
	case !news:
	case res.StatusCode == statusTerminated:
		c.forkEnded(f)
	default:
		c.preview(f, res)
		if res.StatusCode == sip.StatusRinging {
			c.state(Ringing)
		}
	}
}

// statusTerminated is the response of a proxy about a branch that has ended (RFC 6228).
const statusTerminated = 199

// preview plays early media (RFC 3261 §13.2.1: a preview of the answer). Of several
// branches the one that described itself last is heard: of those that were tried one
// after the other it is the one that is left. A description we cannot use is no reason
// to give the call up.
func (c *call) preview(f *fork, res *sip.Response) {
	t, body := c.attempt, sdpOf(res)
	if body == nil || !t.offered {
		return // of an offer the PRACK takes care
	}
	if f != nil {
		t.described++
		f.theirs, f.said = body, t.described
	}
	c.play(f, body)
}

func (c *call) play(f *fork, body []byte) {
	if err := c.audio.accept(body); err != nil {
		c.log.Debug("early media not usable", "error", err)
		return
	}
	c.attempt.playing = f
	c.audio.pending = true // the answer proper is still to come
	c.state(Early)
	c.changed() // the codec may be another one's
}

// forkEnded: one branch is gone. What is heard next is the branch that described
// itself last of those that are left.
func (c *call) forkEnded(f *fork) {
	t := c.attempt
	if f == nil {
		return
	}
	delete(t.early, f.RemoteTag)
	if t.playing != f {
		return
	}
	t.playing = nil
	var last *fork
	for _, other := range t.early {
		if other.theirs != nil && (last == nil || other.said > last.said) {
			last = other
		}
	}
	if last != nil && t.offered {
		c.play(last, last.theirs)
	}
}

// agree takes what a 2xx says of audio: the answer to our offer; without one, that of
// an earlier response of the same branch (§13.2.1), whoever was heard meanwhile. When
// the offer was left to the other side it gives the answer for the ACK, unless a
// PRACK brought it already.
func (c *call) agree(f *fork, res *sip.Response) (answer []byte, err error) {
	t, body := c.attempt, sdpOf(res)
	switch {
	case !t.offered && f.theirs != nil:
		if t.playing != f {
			_, err = c.audio.answer(f.theirs)
		}
		return nil, err
	case !t.offered && body == nil:
		return nil, errors.New("there is no offer")
	case !t.offered:
		if answer, err = c.audio.answer(body); err != nil {
			answer = c.audio.refusal(body)
		}
		return answer, err
	case body == nil && f.theirs != nil && t.playing != f:
		body = f.theirs
	case body == nil && c.audio.started:
		c.audio.pending = false
		return nil, nil
	case body == nil:
		return nil, errNoDescription
	}
	return nil, c.audio.accept(body)
}

var errNoDescription = errors.New("there is no description")

// refusal answers an offer with every stream refused (RFC 3264 §6: port zero); nil
// where that is not possible either.
func (a *audio) refusal(offer []byte) []byte {
	theirs, err := sdp.Parse(offer)
	if err != nil {
		return nil
	}
	return sdp.Refuse(theirs, a.origin).Marshal()
}
