// Package check is what a synthetic call is to show, and whether it did: the
// model of a check, its JSON form, and the verdict as a pure function of what was
// measured. It places no call and knows no clock, so that a verdict can be argued
// about with a table, and an operator, an agent and a test mean the same by it.
package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Check is a scheduled call and what is expected of it: the JSON form an agent
// is given.
type Check struct {
	// Version of this format; 1, and absent means 1.
	Version int `json:"version,omitempty"`
	// From is the line that calls.
	From string `json:"from"`
	// To is whom it calls: a number or a SIP URI.
	To string `json:"to"`
	// Account is the line of ours that is called, by name; "" = somebody else's.
	Account string `json:"account,omitempty"`
	// IntervalSeconds between the starts of two runs, JitterPercent of it either way.
	IntervalSeconds int `json:"intervalSeconds"`
	JitterPercent   int `json:"jitterPercent,omitempty"`
	// Suspend stops the schedule; a run that is asked for still happens.
	Suspend bool `json:"suspend,omitempty"`
	// RunAt asks for a run now each time it changes; the text says nothing else.
	RunAt string `json:"runAt,omitempty"`
	// DurationSeconds of the call from its answer; 0 = DefaultDuration.
	DurationSeconds int    `json:"durationSeconds,omitempty"`
	Expect          Expect `json:"expect,omitzero"`
	Limits          Limits `json:"limits,omitzero"`
}

// Expect is what a run must show. A bound that is absent is not looked at.
type Expect struct {
	// Code is the final response; 0 = 200.
	Code int `json:"code,omitempty"`
	// RingWithinMs and AnswerWithinMs from the INVITE.
	RingWithinMs   AtMost `json:"ringWithinMs,omitzero"`
	AnswerWithinMs AtMost `json:"answerWithinMs,omitzero"`
	// Audio that must be heard; "" = both where a line of ours is called, else received.
	Audio Audio `json:"audio,omitempty"`
	// FirstPacketMs is how long after the answer audio may begin.
	FirstPacketMs AtMost `json:"firstPacketMs,omitzero"`
	// MOS of what is heard here (ITU-T G.107), 1 to 4.5.
	MOS AtLeast `json:"mos,omitzero"`
	// LossPercent of packets, in the worse direction that is known.
	LossPercent AtMost `json:"lossPercent,omitzero"`
	JitterMs    AtMost `json:"jitterMs,omitzero"`
	// MouthToEarMs of sound, one way; measured by a probe (Check.Probes).
	MouthToEarMs AtMost `json:"mouthToEarMs,omitzero"`
}

// AtMost warns or fails what is more than a bound; nil = no bound.
type AtMost struct {
	Warn *float64 `json:"warn,omitempty"`
	Fail *float64 `json:"fail,omitempty"`
}

// AtLeast warns or fails what is less than a bound; nil = no bound.
type AtLeast AtMost

// Audio says which directions of a call must carry audio.
type Audio string

// The kinds of audio that may be expected.
const (
	// Both: our tone comes back, so both directions carry audio.
	Both Audio = "both"
	// Received: something is heard.
	Received Audio = "received"
	// NoAudio: nothing is asked of the audio.
	NoAudio Audio = "none"
)

// Limits say when failed runs make the check fail. A run that could not be tried
// counts for neither side.
type Limits struct {
	// Failures among the last Of conclusive runs; 0 = 1 of 1, unless Consecutive is given.
	Failures int `json:"failures,omitempty"`
	Of       int `json:"of,omitempty"`
	// Consecutive failures; 0 = not looked at.
	Consecutive int `json:"consecutive,omitempty"`
}

// Bounds and defaults.
const (
	MinInterval     = 10 * time.Second
	DefaultDuration = 5 * time.Second
	// MaxWindow is the most runs that are kept, and so the most that Limits.Of may look at.
	MaxWindow = 10
	// leastProbed is how long a call must last that a probe is sent in: longer than the
	// tone needs to come back, the probe, its way there and back, and some more of the tone.
	leastProbed = 5 * time.Second
	// minDuration lets a tone be heard for a while on the longest of ways.
	minDuration = 2
	// defaultPatience is how long an answer is waited for where nothing bounds it,
	// morePatience what is waited beyond a bound to tell how late it came.
	defaultPatience = 20 * time.Second
	morePatience    = 5 * time.Second
)

// Parse reads the JSON form and validates it. Fields that are not known are
// mistakes: a bound that is mistyped must not be ignored.
func Parse(content []byte) (Check, error) {
	var c Check
	decoder := json.NewDecoder(strings.NewReader(string(content)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return c, err
	}
	if decoder.More() {
		return c, errors.New("more than one JSON value")
	}
	return c, c.Validate()
}

// Validate tells the first thing wrong, naming the field.
func (c Check) Validate() error {
	if c.Version > 1 {
		return fmt.Errorf("version: %d is newer than this agent understands (1)", c.Version)
	}
	if c.From == "" {
		return errors.New("from: which line shall call?")
	}
	if c.To == "" {
		return errors.New("to: whom shall it call?")
	}
	if least := int(MinInterval / time.Second); c.IntervalSeconds < least || c.IntervalSeconds > 86400 {
		return fmt.Errorf("intervalSeconds: %d is not within %d to 86400", c.IntervalSeconds, least)
	}
	if c.JitterPercent < 0 || c.JitterPercent > 50 {
		return fmt.Errorf("jitterPercent: %d is not within 0 to 50", c.JitterPercent)
	}
	if c.DurationSeconds != 0 && (c.DurationSeconds < minDuration || c.DurationSeconds > 3600) {
		return fmt.Errorf("durationSeconds: %d is not within %d to 3600", c.DurationSeconds, minDuration)
	}
	if err := c.Expect.validate(); err != nil {
		return fmt.Errorf("expect.%w", err)
	}
	if _, given := c.Expect.MouthToEarMs.given(); given && !c.Probes() {
		return fmt.Errorf("expect.mouthToEarMs: it is measured in answered calls of %s and more with audio in both directions", seconds(leastProbed))
	}
	if err := c.Limits.validate(); err != nil {
		return fmt.Errorf("limits.%w", err)
	}
	return nil
}

func (e Expect) validate() error {
	if e.Code != 0 && (e.Code < 200 || e.Code > 699) {
		return fmt.Errorf("code: %d is no final response", e.Code)
	}
	if !slices.Contains([]Audio{"", Both, Received, NoAudio}, e.Audio) {
		return fmt.Errorf("audio: %q is not one of both, received, none", e.Audio)
	}
	for _, b := range []struct {
		field string
		AtMost
		most float64
	}{
		{"ringWithinMs", e.RingWithinMs, 180_000}, {"answerWithinMs", e.AnswerWithinMs, 180_000}, {"firstPacketMs", e.FirstPacketMs, 60_000},
		{"lossPercent", e.LossPercent, 100}, {"jitterMs", e.JitterMs, 10_000}, {"mouthToEarMs", e.MouthToEarMs, 1_000},
	} {
		if err := bounds(b.Warn, b.Fail, 0, b.most); err != nil {
			return fmt.Errorf("%s.%w", b.field, err)
		}
		if b.Warn != nil && b.Fail != nil && *b.Warn > *b.Fail {
			return fmt.Errorf("%s: warn %s is more than fail %s", b.field, figure(*b.Warn), figure(*b.Fail))
		}
	}
	if err := bounds(e.MOS.Warn, e.MOS.Fail, 1, 4.5); err != nil {
		return fmt.Errorf("mos.%w", err)
	}
	if e.MOS.Warn != nil && e.MOS.Fail != nil && *e.MOS.Warn < *e.MOS.Fail {
		return fmt.Errorf("mos: warn %s is less than fail %s", figure(*e.MOS.Warn), figure(*e.MOS.Fail))
	}
	return nil
}

func bounds(warn, fail *float64, least, most float64) error {
	for _, b := range []struct {
		field string
		value *float64
	}{{"warn", warn}, {"fail", fail}} {
		if b.value != nil && !(*b.value >= least && *b.value <= most) {
			return fmt.Errorf("%s: %s is not within %s to %s", b.field, figure(*b.value), figure(least), figure(most))
		}
	}
	return nil
}

func (l Limits) validate() error {
	switch {
	case l.Of < 0 || l.Of > MaxWindow:
		return fmt.Errorf("of: %d is not within 1 to %d", l.Of, MaxWindow)
	case l.Failures < 0 || l.Failures > max(l.Of, 1):
		return fmt.Errorf("failures: %d is not within 1 to %d, the number of runs looked at", l.Failures, max(l.Of, 1))
	case l.Of > 0 && l.Failures == 0:
		return errors.New("failures: how many of these runs may fail?")
	case l.Consecutive < 0 || l.Consecutive > MaxWindow:
		return fmt.Errorf("consecutive: %d is not within 1 to %d", l.Consecutive, MaxWindow)
	}
	return nil
}

// Duration of the call from its answer.
func (c Check) Duration() time.Duration {
	if c.DurationSeconds == 0 {
		return DefaultDuration
	}
	return time.Duration(c.DurationSeconds) * time.Second
}

// Interval between the starts of two runs.
func (c Check) Interval() time.Duration { return time.Duration(c.IntervalSeconds) * time.Second }

// Audio that is expected, the default filled in.
func (c Check) Audio() Audio {
	switch {
	case c.Expect.Audio != "":
		return c.Expect.Audio
	case c.Account != "":
		return Both
	}
	return Received
}

// Code that is expected, the default filled in.
func (c Check) Code() int {
	if c.Expect.Code == 0 {
		return 200
	}
	return c.Expect.Code
}

// Probes tells whether a probe is sent in the call, beside the tone: a known sound that
// measures the way there and back, and what becomes of it.
func (c Check) Probes() bool {
	return c.Audio() == Both && c.Duration() >= leastProbed && c.Code() < 300
}

// Patience is how long an answer is waited for before the call is given up: a
// while more than it may take, so that the verdict can tell how late it came.
func (c Check) Patience() time.Duration {
	if c.Expect.AnswerWithinMs.Fail == nil {
		return defaultPatience
	}
	return time.Duration(*c.Expect.AnswerWithinMs.Fail)*time.Millisecond + morePatience
}
