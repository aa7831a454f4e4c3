package call

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/dtmf"
	"github.com/softphone-operator/softphone-operator/agent/media"
)

// The ways of sending digits, as dtmfOrder names them: telephone-events in RTP (RFC
// 4733), INFO requests (RFC 2976, application/dtmf-relay), tones within the audio.
const (
	byEvents = "rfc2833"
	byINFO   = "info"
	byTones  = "audio"
)

// infoGap lies between the answer to one digit and the next: who turns them into
// tones needs as long for each.
const infoGap = dtmf.DefaultTone + dtmf.DefaultGap

// digitsByINFO are digits on their way, one request at a time.
type digitsByINFO struct {
	left   []rune
	others []string // ways to try when the other side refuses
}

// sendDigits sends the digits of the Dial: by the first way of dtmfOrder that the
// other side takes, or, with dtmfAll, by all of them at once.
func (c *call) sendDigits() {
	digits := c.attempt.dial.DTMF
	switch a := c.opts.Account; {
	case digits == "":
	case a.DTMFAll:
		for _, way := range []string{byEvents, byINFO, byTones} {
			c.sendDigitsBy([]string{way}, digits, true)
		}
	default:
		c.sendDigitsBy(a.DTMFOrder, digits, false)
	}
}

// sendDigitsBy tries ways in their order. One of several at once that the other
// side does not take is nothing to speak of.
func (c *call) sendDigitsBy(ways []string, digits string, quiet bool) {
	var refusals []error
	for i, way := range ways {
		var err error
		switch way {
		case byEvents:
			err = c.audio.session.SendDTMF(digits)
		case byTones:
			err = c.audio.session.SendTones(digits)
		case byINFO:
			if err = errNoINFO; c.dialog.allows(sip.INFO) {
				c.digits = digitsByINFO{left: []rune(digits), others: ways[i+1:]}
				c.nextINFO()
				return
			}
		}
		if err == nil {
			return
		}
		if errors.Is(err, media.ErrNoTelephoneEvent) {
			err = errNoEvents
		}
		refusals = append(refusals, err)
	}
	if !quiet {
		c.note("digits not sent: " + clip(errors.Join(refusals...).Error()))
	}
}

var (
	errNoEvents = errors.New("the other side takes no telephone-event (RFC 4733)")
	errNoINFO   = errors.New("the other side takes no INFO")
)

// nextINFO sends the next digit.
func (c *call) nextINFO() {
	out := &c.digits
	if c.rec.State == Ended || len(out.left) == 0 {
		return
	}
	if out.left[0] == ',' {
		out.left = out.left[1:]
		c.alarms.set(alarmDigit, dtmf.CommaPause)
		return
	}
	req := c.dialog.Request(sip.INFO)
	contentType := sip.ContentTypeHeader(mediaDTMFRelay)
	req.AppendHeader(&contentType)
	req.SetBody(fmt.Appendf(nil, "Signal=%c\r\nDuration=%d\r\n", unicode.ToUpper(out.left[0]), dtmf.DefaultTone/time.Millisecond))
	c.ask(c.dialog, req, c.tookINFO)
}

// tookINFO goes on after an answer. Digits that INFO does not bring over go another way.
func (c *call) tookINFO(res *sip.Response, err error) {
	out := &c.digits
	if c.rec.State == Ended || len(out.left) == 0 {
		return
	}
	if err == nil && res.IsSuccess() {
		c.vigil.heard = time.Now()
		out.left = out.left[1:]
		c.alarms.set(alarmDigit, infoGap)
		return
	}
	why := "no answer to INFO"
	if err == nil {
		why = "INFO was answered " + status(res)
	}
	left, others := string(out.left), slices.Clone(out.others)
	c.digits = digitsByINFO{}
	if len(others) == 0 {
		c.note(fmt.Sprintf("digits %s not sent: %s", left, why))
		return
	}
	c.sendDigitsBy(others, left, false)
}
