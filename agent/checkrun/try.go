package checkrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/delivery"
)

const (
	// settle is how long a line may take until its standing is known, and again
	// is how often that is looked at.
	settle = 10 * time.Second
	again  = 200 * time.Millisecond
	// silent is how long a registrar may keep a line waiting until that counts as
	// the registrar's failure.
	silent = 20 * time.Second
	// goodbye is what the end of a call may take beyond its time.
	goodbye = 10 * time.Second
)

// hashable prints every bound of a check, pointers followed.
func hashable(c check.Check) string {
	encoded, err := json.Marshal(c)
	if err != nil {
		return err.Error() // numbers and strings always encode
	}
	return string(encoded)
}

// try makes one run: is there a line to call from, dial, follow the call, judge.
// ok is false when ctx ended first.
func (r *Runner) try(ctx context.Context, d Delivered, run string) (result delivery.CheckRun, ok bool) {
	standing, ok := r.standing(ctx, d.Check.From)
	if !ok {
		return result, false
	}
	if standing != (Standing{}) {
		return judged(d.Check, check.Measured{Untried: standing.Untried, NotRegistered: standing.NotRegistered, Words: standing.Words}, call.Record{}), true
	}
	records, done := r.await(run)
	defer done()
	id, err := r.opts.Phone.Dial(ctx, d.Check.From, call.Dial{
		To: d.Check.To, Seconds: int(d.Check.Duration() / time.Second), ToneHz: call.CheckToneHz, Check: run, Probe: d.Check.Probes(),
	})
	if err != nil {
		return judged(d.Check, refused(err), call.Record{}), ctx.Err() == nil
	}
	return r.follow(ctx, d.Check, id, records)
}

// standing waits a moment for a line that is about to register.
func (r *Runner) standing(ctx context.Context, line string) (Standing, bool) {
	give := time.NewTimer(settle)
	defer give.Stop()
	look := time.NewTicker(again)
	defer look.Stop()
	for {
		s := r.opts.Phone.Standing(line)
		if !s.Waiting {
			return s, true
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return s, false
		case <-give.C:
			if waited := time.Since(s.Since); waited >= silent {
				return Standing{NotRegistered: true, Words: fmt.Sprintf("%s, for %.0f s by now", s.Words, waited.Seconds())}, true
			}
			return Standing{Untried: check.LineNotReady, Words: s.Words}, true
		}
	}
}

// refused says what a refusal to dial means: whose fault it is.
func refused(err error) check.Measured {
	for _, k := range []struct {
		is     error
		reason check.Reason
	}{
		{control.ErrUnknownLine, check.NoLine},
		{control.ErrSuspended, check.LineSuspended},
		{call.ErrDraining, check.LineDraining},
		{call.ErrClosed, check.LineDraining},
		{call.ErrTooMany, check.TooManyCalls},
		{call.ErrRefused, check.DestinationRefused},
		{call.ErrBudget, check.BudgetSpent},
		{call.ErrBadTarget, check.LineMisconfigured},
		{call.ErrUnconfirmed, check.DestinationRefused},
		{call.ErrDialAction, check.LineMisconfigured},
	} {
		if errors.Is(err, k.is) {
			return check.Measured{Untried: k.reason, Words: err.Error()}
		}
	}
	if errors.Is(err, control.ErrNotRegistered) {
		return check.Measured{NotRegistered: true, Words: err.Error()}
	}
	return check.Measured{Untried: check.CannotCall, Words: err.Error()}
}

// follow waits until the call has shown what it can show.
func (r *Runner) follow(ctx context.Context, c check.Check, id string, records <-chan call.Record) (delivery.CheckRun, bool) {
	started := time.Now()
	deadline := time.NewTimer(c.Patience())
	defer deadline.Stop()
	var last call.Record
	for {
		select {
		case <-ctx.Done():
			_ = r.opts.Phone.Hangup(id) // it ends with its line at the latest
			return delivery.CheckRun{}, false
		case record := <-records:
			answered := last.AnsweredAt.IsZero() && !record.AnsweredAt.IsZero()
			last = record
			switch {
			case record.State == call.Ended:
				return judged(c, measure(c, record), record), true
			case answered && c.Code() >= 300:
				_ = r.opts.Phone.Hangup(id)
				deadline.Reset(goodbye)
			case answered:
				deadline.Reset(c.Duration() + goodbye)
			}
		case <-deadline.C:
			_ = r.opts.Phone.Hangup(id)
			m := measure(c, last)
			if last.AnsweredAt.IsZero() {
				m = unanswered(last, time.Since(started))
			}
			return judged(c, m, last), true
		}
	}
}

// unanswered is a call that was given up.
func unanswered(r call.Record, waited time.Duration) check.Measured {
	return check.Measured{Provisional: r.Responded, RingMs: float(r.RingMs), Waited: waited}
}

// measure reads off a call's record what a verdict is made of.
func measure(c check.Check, r call.Record) check.Measured {
	m := check.Measured{RingMs: float(r.RingMs), AnswerMs: float(r.SetupMs), Provisional: r.Responded}
	if m.AnswerMs == nil {
		return unmade(m, r)
	}
	m.Code = 200
	end := r.EndedAt
	if end.IsZero() {
		end = time.Now()
	}
	m.Talked = end.Sub(r.AnsweredAt)
	early := m.Talked < c.Duration()-time.Second && c.Code() < 300
	if early && r.End != nil {
		if r.End.By == call.Local || r.End.By == call.Policy {
			return check.Measured{Untried: check.CannotCall, Words: "our side ended the call: " + r.End.Reason}
		}
		m.CutShort = true
	}
	m.Sent, m.Received = r.RTP.Sent, r.RTP.Received
	if r.RTP.Received > 0 {
		percent := 100 * float64(r.RTP.Lost) / float64(r.RTP.Lost+r.RTP.Received)
		m.LossPercent = &percent
	}
	m.SentLoss, m.JitterMs, m.MOS, m.FirstPacketMs = r.RTP.SentLossPercent, r.RTP.JitterMs, r.MOS, float(r.FirstPacketMs)
	if c.Probes() {
		m.Probed = media.ProbeLength
	}
	if p := r.Probe; p != nil {
		m.MouthToEarMs, m.SegmentalSNRDB, m.SpectralDistanceDB = &p.MouthToEarMs, &p.SegmentalSNRDB, &p.SpectralDistanceDB
	}
	m.Sound, m.Stalled = r.SoundSeconds > 0, time.Duration(r.StalledMs)*time.Millisecond
	for _, t := range r.Tones {
		switch heard := time.Duration(t.Seconds * float64(time.Second)); t.FrequencyHz {
		case call.CheckToneHz:
			m.Echo = heard
		case call.MarkerHz:
			m.Marker = heard
		}
	}
	return m
}

// unmade is a call that ended without an answer.
func unmade(m check.Measured, r call.Record) check.Measured {
	if r.End == nil {
		return m
	}
	switch r.End.By {
	case call.Network:
		m.Unreachable, m.Words = true, r.End.Reason
	case call.Timeout:
		m.Waited = r.EndedAt.Sub(r.StartedAt)
	case call.Local, call.Policy:
		return check.Measured{Untried: check.CannotCall, Words: "our side ended the call: " + r.End.Reason}
	default:
		m.Code, m.Phrase = r.End.Code, r.End.Reason
	}
	return m
}

// judged is the result of a run.
func judged(c check.Check, m check.Measured, r call.Record) delivery.CheckRun {
	v := check.Judge(c, m)
	return delivery.CheckRun{
		Result: v.Result, Reason: v.Reason, Message: v.Message, CallID: r.CallID, Code: m.Code,
		RingMs: m.RingMs, SetupMs: m.AnswerMs, FirstPacketMs: m.FirstPacketMs,
		MOS: m.MOS, LossPercent: m.LossPercent, SentLossPercent: m.SentLoss, JitterMs: m.JitterMs,
		MouthToEarMs: m.MouthToEarMs, SegmentalSNRDB: m.SegmentalSNRDB, SpectralDistanceDB: m.SpectralDistanceDB,
	}
}

func float(v *int64) *float64 {
	if v == nil {
		return nil
	}
	f := float64(*v)
	return &f
}
