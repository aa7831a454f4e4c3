package call

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account/rewrite"
	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// Route decides what becomes of a call before it is placed: which number is
// dialled, from which line, or why it is not (treatment.Place). Errors wrap
// ErrBadTarget, ErrBadValue, ErrUnconfirmed or ErrDialAction; a call that a rule
// drops is none: it ends at once, with a record that says why.
func (s *Set) Route(d Dial) (*treatment.Placement, error) { return s.options().route(d) }

func (o Options) route(d Dial) (*treatment.Placement, error) {
	if err := d.validate(); err != nil {
		return nil, err
	}
	if err := dialable(d.To); err != nil {
		return nil, err
	}
	p := treatment.Place(treatment.Wanted{
		To: strings.TrimSpace(d.To), DialAction: d.DialAction, Confirmed: d.Confirm, Account: o.Account, Network: o.network(),
	})
	switch p.Outcome {
	case treatment.NoTarget:
		return nil, fmt.Errorf("%w: %s", ErrBadTarget, p.Why)
	case treatment.Unconfirmed:
		return nil, fmt.Errorf("%w: %s", ErrUnconfirmed, p.Why)
	case treatment.Impossible:
		return nil, fmt.Errorf("%w: %s", ErrDialAction, p.Why)
	}
	if p.Line == o.Line {
		p.Line = ""
	}
	return &p, nil
}

// network is where the line is, for rules.
func (o Options) network() rewrite.Network {
	return rewrite.Network{Type: string(o.Network), SSID: o.SSID}
}

// Dial places a call and returns its id at once; its record tells what became
// of it. Errors wrap ErrBadTarget, ErrBadHeader, ErrBadDigits, ErrBadValue,
// ErrTooMany, ErrRefused, ErrBudget, ErrUnconfirmed, ErrDialAction, ErrOtherLine,
// ErrDraining or ErrClosed. The end of ctx ends no call.
func (s *Set) Dial(ctx context.Context, d Dial) (id string, err error) {
	if d.Placement == nil {
		if d.Placement, err = s.Route(d); err != nil {
			return "", err
		}
		if d.Placement.Line != "" {
			return "", fmt.Errorf("%w: %s", ErrOtherLine, d.Placement.Line)
		}
	}
	if d.Placement.Outcome != treatment.Placed {
		return s.notDialled(d), nil
	}
	if d.prompt, err = s.options().prompt(d.Play); err != nil {
		return "", fmt.Errorf("%w: play: %w", ErrBadValue, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	target, err := s.opts.target(d)
	if err != nil {
		return "", err
	}
	switch most := s.opts.Caps.Concurrent; {
	case s.closed:
		return "", ErrClosed
	case !s.refuse.IsZero():
		return "", ErrDraining
	case most > 0 && len(s.running) >= most:
		return "", fmt.Errorf("%w: %d are up, %d allowed", ErrTooMany, len(s.running), most)
	}
	c := newCall(s, s.opts, Out, target)
	d.DTMF = d.Placement.Digits + d.DTMF
	c.dial(d, target)
	s.reserve(context.WithoutCancel(ctx), c)
	id = c.rec.ID
	s.launch(c)
	return id, nil
}

// target is where a call goes, after the rules and behind the guard.
func (o Options) target(d Dial) (sip.Uri, error) {
	target, err := targetOf(d.Placement.To, o.Account.Host, o.Link)
	if err != nil {
		return target, err
	}
	if err := d.validate(); err != nil {
		return target, err
	}
	if err := o.guard(target); err != nil {
		return target, err
	}
	if reaches := d.Placement.Reaches; reaches != "" { // an access number hides nothing
		if why := o.Destinations.Refuse(reaches); why != "" {
			return target, fmt.Errorf("%w: %s", ErrRefused, why)
		}
	}
	return o.Link.Secure(target), nil
}

// notDialled remembers a call that is over before it began.
func (s *Set) notDialled(d Dial) string {
	p := d.Placement
	end := End{Code: 403, Reason: "not dialled: " + p.Why, By: Policy}
	if p.Outcome == treatment.Opened {
		end.Code = 380 // Alternative Service (RFC 3261 §21.3.5)
	}
	o := s.options()
	remote, err := targetOf(d.To, o.Account.Host, o.Link)
	c := newCall(s, o, Out, remote)
	if err != nil {
		c.rec.Remote = printable(clip(d.To))
	}
	c.rec.State, c.rec.EndedAt, c.rec.End = Ended, time.Now(), &end
	c.rec.URL, c.rec.RecordCall, c.rec.Treatment, c.rec.Check = p.URL, p.Record, append(c.rec.Treatment, p.Steps...), d.Check
	s.mu.Lock()
	s.ended.add(c.rec)
	s.mu.Unlock()
	c.changed()
	d.errand.tell(c.rec)
	return c.rec.ID
}
