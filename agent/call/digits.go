package call

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
// other side takes, or, with dtmfAll, by all of dtmfOrder at once.
func (c *call) sendDigits() {
	digits := c.attempt.dial.DTMF
	if digits == "" {
		return
	}
	together := [][]string{c.opts.Account.DTMFOrder}
	if c.opts.Account.DTMFAll {
		together = slices.Collect(slices.Chunk(c.opts.Account.DTMFOrder, 1))
	}
	var refusals []error
	for _, ways := range together {
		if err := c.sendDigitsBy(ways, digits); err != nil {
			refusals = append(refusals, err)
		}
	}
	if len(refusals) == len(together) {
		c.digitsRefused(refusals)
	}
}

// digitsRefused notes that no way is left.
func (c *call) digitsRefused(why []error) {
	c.note("digits not sent: " + strings.ReplaceAll(errors.Join(why...).Error(), "\n", "; "))
}

// sendDigitsBy takes the first of ways that the other side takes. The error says why it takes none.
func (c *call) sendDigitsBy(ways []string, digits string) error {
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
				return nil
			}
		}
		if err == nil {
			return nil
		}
		if errors.Is(err, media.ErrNoTelephoneEvent) {
			err = errNoEvents
		}
		refusals = append(refusals, err)
	}
	return errors.Join(refusals...)
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
	if err := c.sendDigitsBy(others, left); err != nil {
		c.digitsRefused([]error{err})
	}
}
