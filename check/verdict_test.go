package check

import (
	"strings"
	"testing"
	"time"
)

func ptr[T any](v T) *T { return &v }

// good is what a call to an echoing line of ours brings.
func good() Measured {
	return Measured{
		Code: 200, Provisional: true, RingMs: ptr(40.0), AnswerMs: ptr(150.0), Talked: 5 * time.Second,
		Sent: 250, Received: 248, LossPercent: ptr(0.0), SentLoss: ptr(0.0), FirstPacketMs: ptr(12.0), JitterMs: ptr(0.4), MOS: ptr(4.38),
		Sound: true, Echo: 4600 * time.Millisecond, Marker: 4800 * time.Millisecond,
	}
}

var strict = Check{
	From: "alice", To: "sip:bob@pbx", Account: "bob", IntervalSeconds: 10,
	Expect: Expect{
		RingWithinMs: AtMost{ptr(500.0), ptr(1000.0)}, AnswerWithinMs: AtMost{ptr(1000.0), ptr(2000.0)}, FirstPacketMs: AtMost{ptr(200.0), nil},
		MOS: AtLeast{ptr(4.0), ptr(3.5)}, LossPercent: AtMost{ptr(1.0), ptr(3.0)}, JitterMs: AtMost{ptr(20.0), ptr(50.0)},
	},
}

var demanding = Check{Account: "bob", Expect: Expect{MouthToEarMs: AtMost{ptr(150.0), ptr(400.0)}}}

func TestJudge(t *testing.T) {
	for says, c := range map[string]struct {
		check  Check
		change func(*Measured)
		want   Verdict
	}{
		"as it should be": {strict, func(*Measured) {}, Verdict{Pass, Passed, ""}},
		"busy": {strict, func(m *Measured) { *m = Measured{Code: 486, Phrase: "486 Busy Here", Provisional: true} },
			Verdict{Fail, WrongCode, "486 Busy Here, expected 200"}},
		"nobody answers": {strict, func(m *Measured) { *m = Measured{RingMs: ptr(50.0), Provisional: true, Waited: 7 * time.Second} },
			Verdict{Fail, NoAnswer, "no answer within 7 s, it rang"}},
		"it never rings": {strict, func(m *Measured) { *m = Measured{Provisional: true, Waited: 7 * time.Second} },
			Verdict{Fail, NoAnswer, "no answer within 7 s, nothing rang"}},
		"the server is dead": {strict, func(m *Measured) { *m = Measured{Waited: 7 * time.Second} },
			Verdict{Fail, NoResponse, "the server sent no response within 7 s"}},
		"the network refuses": {strict, func(m *Measured) { *m = Measured{Unreachable: true, Words: "no way to the server: connection refused"} },
			Verdict{Fail, NotReachable, "no way to the server: connection refused"}},
		"not registered": {strict, func(m *Measured) { *m = Measured{NotRegistered: true, Words: "alice is not registered: 403 Forbidden"} },
			Verdict{Fail, NotRegistered, "alice is not registered: 403 Forbidden"}},
		"our side could not try": {strict, func(m *Measured) { *m = Measured{Untried: LineSuspended, Words: "line alice is suspended"} },
			Verdict{Inconclusive, LineSuspended, "line alice is suspended"}},
		"answers late": {strict, func(m *Measured) { m.AnswerMs = ptr(3040.0) },
			Verdict{Fail, AnsweredLate, "answered after 3.0 s, more than 2.0 s"}},
		"answers a little late": {strict, func(m *Measured) { m.AnswerMs = ptr(1500.0) },
			Verdict{Warn, AnsweredLate, "answered after 1.5 s, more than 1.0 s"}},
		"rings late, and answers at once": {strict, func(m *Measured) { m.RingMs, m.AnswerMs = nil, ptr(1200.0) },
			Verdict{Fail, RangLate, "rang after 1.2 s, more than 1.0 s; answered after 1.2 s, more than 1.0 s"}},
		"no packet": {strict, func(m *Measured) {
			m.Received, m.LossPercent, m.FirstPacketMs, m.JitterMs, m.MOS, m.Sound, m.Echo, m.Marker = 0, nil, nil, nil, nil, false, 0, 0
		}, Verdict{Fail, NoMedia, "no audio packet came from the other side in 5 s"}},
		"silence": {strict, func(m *Measured) { m.Sound, m.Echo, m.Marker = false, 0, 0 },
			Verdict{Fail, Silence, "only silence came from the other side, not even its own tone"}},
		"one way": {strict, func(m *Measured) { m.Echo = 200 * time.Millisecond },
			Verdict{Fail, OneWay, "one-way audio: bob is heard here, but does not hear us"}},
		"one way, somebody else's line": {Check{Expect: Expect{Audio: Both}}, func(m *Measured) { m.Echo, m.Marker = 0, 0 },
			Verdict{Fail, OneWay, "one-way audio: the other side is heard, but our tone did not come back"}},
		"audio breaks off": {strict, func(m *Measured) { m.Echo = 1400 * time.Millisecond },
			Verdict{Fail, BrokenAudio, "our tone came back for 1.4 s of 5 s only"}},
		"audio begins late": {strict, func(m *Measured) { m.FirstPacketMs = ptr(800.0) },
			Verdict{Warn, AudioLate, "audio began 800 ms after the answer, more than 200 ms"}},
		"silence where something must be heard": {Check{}, func(m *Measured) { m.Sound, m.Echo, m.Marker = false, 0, 0 },
			Verdict{Fail, Silence, "only silence came from the other side"}},
		"an announcement where something must be heard": {Check{}, func(m *Measured) { m.Echo, m.Marker = 0, 0 }, Verdict{Pass, Passed, ""}},
		"no audio where none is asked for":              {Check{Expect: Expect{Audio: NoAudio}}, func(m *Measured) { m.Received = 0 }, Verdict{Pass, Passed, ""}},
		"lossy on the way here": {strict, func(m *Measured) { m.LossPercent, m.MOS = ptr(5.04), ptr(3.87) },
			Verdict{Fail, Loss, "5 % of the packets were lost on their way here, more than 3 %; MOS 3.87, less than 4.00"}},
		"lossy on the way there": {strict, func(m *Measured) { m.SentLoss = ptr(5.2) },
			Verdict{Fail, Loss, "5.2 % of our packets were lost on their way there, more than 3 %"}},
		"bad and worse": {strict, func(m *Measured) { m.AnswerMs, m.MOS = ptr(1500.0), ptr(2.1) },
			Verdict{Fail, LowMOS, "MOS 2.10, less than 3.50; answered after 1.5 s, more than 1.0 s"}},
		"bad audio while our own machine stood still": {strict, func(m *Measured) { m.Echo, m.Stalled = time.Second, 600*time.Millisecond },
			Verdict{Inconclusive, AgentBusy, "our agent had no time for the audio: it stood still for 0.6 s of 5 s"}},
		"good audio though our own machine stood still": {strict, func(m *Measured) { m.Stalled = 600 * time.Millisecond }, Verdict{Pass, Passed, ""}},
		"an answer too late is not the machine's fault": {strict, func(m *Measured) { m.AnswerMs, m.Echo, m.Stalled = ptr(3000.0), time.Second, 600*time.Millisecond },
			Verdict{Fail, AnsweredLate, "answered after 3.0 s, more than 2.0 s; our tone came back for 1 s of 5 s only"}},
		"jitter": {strict, func(m *Measured) { m.JitterMs = ptr(61.27) },
			Verdict{Fail, Jitter, "jitter 61.3 ms, more than 50 ms"}},
		"slow from mouth to ear": {demanding, func(m *Measured) { m.MouthToEarMs = ptr(212.4) },
			Verdict{Warn, Delay, "delay of 212 ms from mouth to ear, more than 150 ms"}},
		"too slow to talk": {demanding, func(m *Measured) { m.MouthToEarMs = ptr(1230.0) },
			Verdict{Fail, Delay, "delay of 1.2 s from mouth to ear, more than 400 ms"}},
		"a probe that did not come back": {demanding, func(*Measured) {}, Verdict{Fail, NotMeasured, "delay from mouth to ear could not be measured"}},
		"quick enough":                   {demanding, func(m *Measured) { m.MouthToEarMs = ptr(90.0) }, Verdict{Pass, Passed, ""}},
		"a probe took the place of the tone": {strict, func(m *Measured) { m.Echo, m.Probed = 1200*time.Millisecond, 2*time.Second },
			Verdict{Pass, Passed, ""}},
		"audio breaks off before the probe": {strict, func(m *Measured) { m.Echo, m.Probed = 800*time.Millisecond, 2*time.Second },
			Verdict{Fail, BrokenAudio, "our tone came back for 0.8 s of 5 s only"}},
		"a MOS that nobody measured is not a good one": {strict, func(m *Measured) { m.MOS = nil },
			Verdict{Fail, NotMeasured, "MOS could not be measured"}},
		"hung up on": {strict, func(m *Measured) { m.Talked, m.CutShort, m.Echo = 2*time.Second, true, 1800*time.Millisecond },
			Verdict{Fail, CutShort, "the other side hung up after 2 s, expected 5 s"}},
		"a refusal that is expected":             {Check{Expect: Expect{Code: 404}}, func(m *Measured) { *m = Measured{Code: 404} }, Verdict{Pass, Passed, ""}},
		"an answer where a refusal was expected": {Check{Expect: Expect{Code: 403}}, func(*Measured) {}, Verdict{Fail, WrongCode, "answered, expected 403"}},
		"another refusal than expected": {Check{Expect: Expect{Code: 403}}, func(m *Measured) { *m = Measured{Code: 404, Phrase: "Not Found"} },
			Verdict{Fail, WrongCode, "404 Not Found, expected 403"}},
	} {
		m := good()
		c.change(&m)
		if got := Judge(c.check, m); got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", says, got, c.want)
		}
	}
}

func TestWindow(t *testing.T) {
	run := map[byte]Verdict{
		'p': {Pass, Passed, ""}, 'w': {Warn, Jitter, "jitter"}, 'f': {Fail, NoMedia, "no audio"}, 'i': {Inconclusive, LineDraining, "draining"},
	}
	for says, c := range map[string]struct {
		limits Limits
		runs   string // newest first
		want   Passing
		why    Verdict
	}{
		"nothing was run":                         {Limits{}, "", Unknown, Verdict{}},
		"one failure fails":                       {Limits{}, "fppp", NotPassing, run['f']},
		"one pass mends":                          {Limits{}, "pfff", IsPassing, run['p']},
		"a warning passes":                        {Limits{}, "wf", IsPassing, run['w']},
		"nobody looks":                            {Limits{}, "ippp", Unknown, run['i']},
		"nobody looked for a while":               {Limits{Failures: 2, Of: 3}, "fif", NotPassing, Verdict{Fail, NoMedia, "no audio (2 of the last 2 runs failed)"}},
		"one of two that may":                     {Limits{Failures: 2, Of: 3}, "fpp", IsPassing, Verdict{Warn, NoMedia, "within its limits: no audio"}},
		"two of three":                            {Limits{Failures: 2, Of: 3}, "fpf", NotPassing, Verdict{Fail, NoMedia, "no audio (2 of the last 3 runs failed)"}},
		"still two of three, though one was good": {Limits{Failures: 2, Of: 3}, "pff", NotPassing, Verdict{Fail, NoMedia, "no audio (2 of the last 3 runs failed)"}},
		"the window moves on":                     {Limits{Failures: 2, Of: 3}, "ppff", IsPassing, run['p']},
		"two in a row where three may not":        {Limits{Consecutive: 3}, "ffpf", IsPassing, Verdict{Warn, NoMedia, "within its limits: no audio"}},
		"three in a row":                          {Limits{Consecutive: 3}, "ffif", NotPassing, Verdict{Fail, NoMedia, "no audio (3 runs failed in a row)"}},
		"either limit fails":                      {Limits{Failures: 3, Of: 5, Consecutive: 2}, "ffp", NotPassing, Verdict{Fail, NoMedia, "no audio (2 runs failed in a row)"}},
	} {
		var runs []Verdict
		for i := range c.runs {
			runs = append(runs, run[c.runs[i]])
		}
		passing, why := c.limits.Window(runs)
		if passing != c.want || why != c.why {
			t.Errorf("%s: %s %+v, want %s %+v", says, passing, why, c.want, c.why)
		}
	}
}

func TestParse(t *testing.T) {
	const sound = `{"from":"alice","to":"+4989123","intervalSeconds":60,"expect":{"answerWithinMs":{"fail":2000}},"limits":{"failures":2,"of":3}}`
	c, err := Parse([]byte(sound))
	if err != nil || c.Patience() != 7*time.Second || c.Duration() != DefaultDuration || c.Audio() != Received || c.Code() != 200 || c.Interval() != time.Minute {
		t.Errorf("%+v: %v", c, err)
	}
	for want, text := range map[string]string{
		"unknown field":                    `{"from":"a","to":"b","intervalSeconds":60,"timeout":3}`,
		"version: 2 is newer":              `{"version":2}`,
		"from: which line":                 `{"to":"b","intervalSeconds":60}`,
		"to: whom":                         `{"from":"a","intervalSeconds":60}`,
		"intervalSeconds: 9 is not within": `{"from":"a","to":"b","intervalSeconds":9}`,
		"jitterPercent: 51":                `{"from":"a","to":"b","intervalSeconds":60,"jitterPercent":51}`,
		"durationSeconds: -1":              `{"from":"a","to":"b","intervalSeconds":60,"durationSeconds":-1}`,
		"expect.code: 180":                 `{"from":"a","to":"b","intervalSeconds":60,"expect":{"code":180}}`,
		`expect.audio: "loud"`:             `{"from":"a","to":"b","intervalSeconds":60,"expect":{"audio":"loud"}}`,
		"expect.mos.fail: 5 is not within": `{"from":"a","to":"b","intervalSeconds":60,"expect":{"mos":{"fail":5}}}`,
		"expect.mos: warn 3 is less":       `{"from":"a","to":"b","intervalSeconds":60,"expect":{"mos":{"warn":3,"fail":4}}}`,
		"expect.jitterMs: warn 3 is more":  `{"from":"a","to":"b","intervalSeconds":60,"expect":{"jitterMs":{"warn":3,"fail":2}}}`,
		"expect.mouthToEarMs: it is measured in answered calls of 5 s": `{"from":"a","to":"b","intervalSeconds":60,"expect":{"mouthToEarMs":{"fail":300}}}`,
		"expect.mouthToEarMs: it is":                                   `{"from":"a","to":"b","account":"b","durationSeconds":4,"intervalSeconds":60,"expect":{"mouthToEarMs":{"fail":300}}}`,
		"expect.mouthToEarMs.fail: 2000":                               `{"from":"a","to":"b","account":"b","intervalSeconds":60,"expect":{"mouthToEarMs":{"fail":2000}}}`,
		"limits.of: 11":                                                `{"from":"a","to":"b","intervalSeconds":60,"limits":{"of":11}}`,
		"limits.failures: 4 is not within":                             `{"from":"a","to":"b","intervalSeconds":60,"limits":{"failures":4,"of":3}}`,
		"limits.failures: how many":                                    `{"from":"a","to":"b","intervalSeconds":60,"limits":{"of":3}}`,
		"more than one":                                                sound + sound,
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestWhichCallsAreProbed(t *testing.T) {
	for says, c := range map[string]struct {
		check Check
		want  bool
	}{
		"a line of ours":              {Check{Account: "bob"}, true},
		"somebody else's echo":        {Check{Expect: Expect{Audio: Both}}, true},
		"a long call":                 {Check{Account: "bob", DurationSeconds: 60}, true},
		"a call too short":            {Check{Account: "bob", DurationSeconds: 4}, false},
		"a call that need not echo":   {Check{}, false},
		"a call that must be refused": {Check{Account: "bob", Expect: Expect{Code: 403}}, false},
	} {
		if got := c.check.Probes(); got != c.want {
			t.Errorf("%s: %v", says, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"from":"alice","to":"b","intervalSeconds":60,"expect":{"mos":{"fail":3.5}}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := Parse(content)
		if err != nil {
			return
		}
		if c.Patience() <= 0 || c.Duration() <= 0 || c.Interval() < MinInterval {
			t.Errorf("%s: %+v makes no sense", content, c)
		}
		if v := Judge(c, good()); v.Result == "" || v.Reason == "" || v.Result != Pass && v.Message == "" {
			t.Errorf("%s: %+v", content, v)
		}
	})
}
