package render

import (
	"encoding/json"
	"strconv"

	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/check"
)

// Check is a CallCheck as its agent is given it. The address of record is that of
// the account that is called, where there is one.
func Check(c *v1.CallCheck, address string) check.Check {
	s := &c.Spec
	schedule, limits := ptr.Deref(s.Schedule, v1.CheckSchedule{}), ptr.Deref(s.Limits, v1.CheckLimits{})
	return check.Check{
		Version:         1,
		From:            s.From,
		To:              Target(s.To, address),
		Account:         ptr.Deref(s.To.Account, ""),
		IntervalSeconds: number(schedule.IntervalSeconds, 60),
		JitterPercent:   number(schedule.JitterPercent, 5),
		Suspend:         c.Suspended(),
		RunAt:           c.Annotations[v1.AnnotationRunAt],
		DurationSeconds: number(s.DurationSeconds, 5),
		Expect:          expectations(ptr.Deref(s.Expect, v1.CheckExpectations{})),
		Limits:          check.Limits{Failures: number(limits.Failures, 0), Of: number(limits.Of, 0), Consecutive: number(limits.Consecutive, 0)},
	}
}

// Target is what is dialled.
func Target(t v1.CheckTarget, address string) string {
	switch {
	case t.Account != nil && address != "":
		return "sip:" + address
	case t.Number != nil:
		return *t.Number
	}
	return ptr.Deref(t.URI, "")
}

// CheckFile is the file of a check.
func CheckFile(c check.Check) []byte {
	out, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return append(out, '\n')
}

func expectations(e v1.CheckExpectations) check.Expect {
	return check.Expect{
		Code:           number(e.Code, 0),
		RingWithinMs:   milliseconds(e.RingWithinMs),
		AnswerWithinMs: milliseconds(e.AnswerWithinMs),
		Audio:          check.Audio(ptr.Deref(e.Audio, "")),
		FirstPacketMs:  milliseconds(e.FirstPacketMs),
		MOS:            check.AtLeast(decimals(e.MOS)),
		LossPercent:    decimals(e.LossPercent),
		JitterMs:       milliseconds(e.JitterMs),
		MouthToEarMs:   milliseconds(e.MouthToEarMs),
	}
}

func milliseconds(b *v1.MillisecondBounds) check.AtMost {
	if b == nil {
		return check.AtMost{}
	}
	float := func(v *int32) *float64 {
		if v == nil {
			return nil
		}
		return ptr.To(float64(*v))
	}
	return check.AtMost{Warn: float(b.Warn), Fail: float(b.Fail)}
}

func decimals(b *v1.DecimalBounds) check.AtMost {
	if b == nil {
		return check.AtMost{}
	}
	float := func(d *v1.Decimal) *float64 {
		if d == nil {
			return nil
		}
		v, err := strconv.ParseFloat(string(*d), 64)
		if err != nil {
			return nil // the API server took it for a number
		}
		return &v
	}
	return check.AtMost{Warn: float(b.Warn), Fail: float(b.Fail)}
}
