package check

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Result of one run.
type Result string

// The results.
const (
	Pass Result = "pass"
	// Warn: a bound for warnings was crossed; the run counts as passed.
	Warn Result = "warn"
	Fail Result = "fail"
	// Inconclusive: our side could not try. It says nothing of the service.
	Inconclusive Result = "inconclusive"
)

// Results lists every Result.
var Results = []Result{Pass, Warn, Fail, Inconclusive}

// Reason is why, as one word a program can act on.
type Reason string

// Reasons of runs that passed or failed.
const (
	Passed        Reason = "Passed"
	WrongCode     Reason = "WrongCode"     // a final response other than the expected one
	NoResponse    Reason = "NoResponse"    // the server said nothing at all
	NoAnswer      Reason = "NoAnswer"      // it was tried, and nobody answered in time
	NotReachable  Reason = "NotReachable"  // the network, or the DNS, did not let the INVITE out
	NotRegistered Reason = "NotRegistered" // the registrar refuses the line, or is not there
	RangLate      Reason = "RangLate"
	AnsweredLate  Reason = "AnsweredLate"
	CutShort      Reason = "CutShort" // the other side hung up before the time was over
	NoMedia       Reason = "NoMedia"  // not one packet of audio came
	Silence       Reason = "Silence"  // packets came with silence in them
	OneWay        Reason = "OneWay"   // they are heard, we are not
	BrokenAudio   Reason = "BrokenAudio"
	AudioLate     Reason = "AudioLate"
	Loss          Reason = "Loss"
	Jitter        Reason = "Jitter"
	LowMOS        Reason = "LowMOS"
	Delay         Reason = "Delay"       // from mouth to ear
	NotMeasured   Reason = "NotMeasured" // a bound was given for what could not be measured
)

// Reasons of runs that could not be tried. Each is about our side.
const (
	NoLine             Reason = "NoLine"
	LineSuspended      Reason = "LineSuspended"
	LineDraining       Reason = "LineDraining"
	LineNotReady       Reason = "LineNotReady" // it has not tried to register yet, or is held back by us
	LineMisconfigured  Reason = "LineMisconfigured"
	TooManyCalls       Reason = "TooManyCalls"
	DestinationRefused Reason = "DestinationRefused"
	BudgetSpent        Reason = "BudgetSpent"
	AgentBusy          Reason = "AgentBusy"  // the machine was too busy for audio, and the audio was bad
	CannotCall         Reason = "CannotCall" // anything else that stopped the call on our side
)

// Measured is what one run brought.
type Measured struct {
	// Untried is why our side could not try; Words say it. Everything else is absent then.
	Untried Reason
	Words   string
	// NotRegistered: the registrar does not have the line; Words say why.
	NotRegistered bool

	// Code and Phrase of the final response; 0 = there was none.
	Code   int
	Phrase string
	// Provisional: something was heard of the server before the end.
	Provisional bool
	// Unreachable: the network refused the request; Words say how.
	Unreachable bool
	// Waited for an answer until the call was given up.
	Waited time.Duration

	// RingMs and AnswerMs from the INVITE; nil = never.
	RingMs, AnswerMs *float64
	// Talked from the answer to the end, and CutShort: the other side ended it.
	Talked   time.Duration
	CutShort bool

	// Sent and Received packets, and how much of the other side's was lost;
	// SentLoss is what the other side says of ours. nil = nobody knows.
	Sent, Received        uint64
	LossPercent, SentLoss *float64
	FirstPacketMs         *float64
	JitterMs, MOS         *float64
	// MouthToEarMs of sound, one way, and how alike what came back was to what was sent;
	// Probed is how long a probe took the place of our tone to find that out.
	MouthToEarMs, SegmentalSNRDB, SpectralDistanceDB *float64
	Probed                                           time.Duration
	// Sound: something else than silence was heard.
	Sound bool
	// Stalled is how long our own process stood still while audio was due.
	Stalled time.Duration
	// Echo and Marker are how long our own tone, and that of the line of ours that answered, were heard.
	Echo, Marker time.Duration
}

// Verdict on a run.
type Verdict struct {
	Result Result
	Reason Reason
	// Message in words, every finding in it; empty for a plain pass.
	Message string
}

// finding is one thing that is not as expected.
type finding struct {
	result Result
	reason Reason
	words  string
}

// Judge holds what was measured against what is expected.
func Judge(c Check, m Measured) Verdict {
	if m.Untried != "" {
		return Verdict{Inconclusive, m.Untried, m.Words}
	}
	var found []finding
	if f := signalling(c, m); f != nil {
		found = append(found, *f)
	}
	found = append(found, timing(c.Expect, m)...)
	if m.AnswerMs != nil && len(found) == 0 || m.AnswerMs != nil && found[0].reason != WrongCode {
		if c.Code() < 300 {
			audio := talk(c, m)
			if sum(found).Result != Fail && sum(audio).Result == Fail && m.Stalled*10 >= m.Talked {
				return Verdict{Inconclusive, AgentBusy, fmt.Sprintf("our agent had no time for the audio: it stood still for %s of %s", seconds(m.Stalled), seconds(m.Talked))}
			}
			found = append(found, audio...)
		}
	}
	return sum(found)
}

// sum makes one verdict of all findings: the first of the worst gives the
// reason, and all are said, the worst first.
func sum(found []finding) Verdict {
	if len(found) == 0 {
		return Verdict{Pass, Passed, ""}
	}
	v := Verdict{Result: Warn}
	var words []string
	for _, result := range []Result{Fail, Warn} {
		for _, f := range found {
			if f.result != result {
				continue
			}
			if len(words) == 0 {
				v.Result, v.Reason = result, f.reason
			}
			words = append(words, f.words)
		}
	}
	v.Message = strings.Join(words, "; ")
	return v
}

// signalling judges how the INVITE ended.
func signalling(c Check, m Measured) *finding {
	fail := func(reason Reason, format string, args ...any) *finding {
		return &finding{Fail, reason, fmt.Sprintf(format, args...)}
	}
	want := c.Code()
	switch {
	case m.NotRegistered:
		return fail(NotRegistered, "%s", m.Words)
	case m.AnswerMs != nil && want >= 300:
		return fail(WrongCode, "answered, expected %d", want)
	case m.AnswerMs != nil:
		if m.CutShort {
			return fail(CutShort, "the other side hung up after %s, expected %s", seconds(m.Talked), seconds(c.Duration()))
		}
		return nil
	case m.Unreachable:
		return fail(NotReachable, "%s", m.Words)
	case m.Code == want:
		return nil
	case m.Code != 0:
		return fail(WrongCode, "%s, expected %d", status(m.Code, m.Phrase), want)
	case m.Provisional || m.RingMs != nil:
		rang := ", it rang"
		if m.RingMs == nil {
			rang = ", nothing rang"
		}
		return fail(NoAnswer, "no answer within %s%s", seconds(m.Waited), rang)
	}
	return fail(NoResponse, "the server sent no response within %s", seconds(m.Waited))
}

func status(code int, phrase string) string {
	text := strconv.Itoa(code)
	if strings.HasPrefix(phrase, text) {
		return phrase
	}
	return strings.TrimSpace(text + " " + phrase)
}

// timing judges how long ringing and answer took. What never came is no news
// here: the signalling says so, unless the call was answered without ringing.
func timing(e Expect, m Measured) []finding {
	ring := m.RingMs
	if ring == nil {
		ring = m.AnswerMs // an answer is as good as ringing
	}
	var found []finding
	if ring != nil {
		found = append(found, e.RingWithinMs.judge(*ring, RangLate, "rang after %s, more than %s", milliseconds)...)
	}
	if m.AnswerMs != nil {
		found = append(found, e.AnswerWithinMs.judge(*m.AnswerMs, AnsweredLate, "answered after %s, more than %s", milliseconds)...)
	}
	return found
}

// judge gives a finding for a value over a bound; words take value and bound.
func (b AtMost) judge(v float64, reason Reason, words string, print func(float64) string) []finding {
	switch {
	case b.Fail != nil && v > *b.Fail:
		return []finding{{Fail, reason, fmt.Sprintf(words, print(v), print(*b.Fail))}}
	case b.Warn != nil && v > *b.Warn:
		return []finding{{Warn, reason, fmt.Sprintf(words, print(v), print(*b.Warn))}}
	}
	return nil
}

// given tells whether there is a bound, and what crossing the stronger one means.
func (b AtMost) given() (Result, bool) {
	switch {
	case b.Fail != nil:
		return Fail, true
	case b.Warn != nil:
		return Warn, true
	}
	return "", false
}

func seconds(d time.Duration) string { return figure(math.Round(d.Seconds()*10)/10) + " s" }

// milliseconds prints what is long in seconds, the rest in milliseconds.
func milliseconds(ms float64) string {
	if ms >= 1000 {
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
	}
	return figure(math.Round(ms)) + " ms"
}

func percent(v float64) string { return figure(math.Round(v*10)/10) + " %" }

func score(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

// figure prints a number without needless digits.
func figure(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
