package check

import (
	"fmt"
	"time"
)

// What tones must show. A tone is told from its surroundings in windows of 200 ms.
const (
	// leastHeard is what counts as having heard a tone at all.
	leastHeard = 400 * time.Millisecond
	// settle is what the way there and back, jitter buffers included, may take off
	// the time a tone can be heard.
	settle = time.Second
)

// talk judges the audio of an answered call.
func talk(c Check, m Measured) []finding {
	var found []finding
	if f := audio(c, m); f != nil {
		found = append(found, *f)
	}
	e := c.Expect
	if m.FirstPacketMs != nil {
		found = append(found, e.FirstPacketMs.judge(*m.FirstPacketMs, AudioLate, "audio began %s after the answer, more than %s", milliseconds)...)
	}
	if m.Received == 0 && len(found) > 0 {
		return found // there is nothing to measure, and that was said
	}
	found = append(found, loss(e.LossPercent, m)...)
	found = append(found, measured(e.JitterMs, m.JitterMs, Jitter, "jitter", "jitter %s, more than %s", func(v float64) string { return figure(float64(int(v*10+0.5))/10) + " ms" })...)
	found = append(found, measured(e.MouthToEarMs, m.MouthToEarMs, Delay, "delay from mouth to ear", "delay of %s from mouth to ear, more than %s", milliseconds)...)
	return append(found, mos(e.MOS, m)...)
}

// audio judges which directions carried audio.
func audio(c Check, m Measured) *finding {
	fail := func(reason Reason, format string, args ...any) *finding {
		return &finding{Fail, reason, fmt.Sprintf(format, args...)}
	}
	want := c.Audio()
	switch {
	case want == NoAudio:
		return nil
	case m.Received == 0:
		return fail(NoMedia, "no audio packet came from the other side in %s", seconds(m.Talked))
	case !m.Sound:
		if want == Both && c.Account != "" {
			return fail(Silence, "only silence came from the other side, not even its own tone")
		}
		return fail(Silence, "only silence came from the other side")
	case want == Received:
		return nil
	case m.Echo < leastHeard && m.Marker >= leastHeard:
		return fail(OneWay, "one-way audio: %s is heard here, but does not hear us", c.Account)
	case m.Echo < leastHeard:
		return fail(OneWay, "one-way audio: the other side is heard, but our tone did not come back")
	}
	if expected := m.Talked - settle - m.Probed; m.Echo < expected/2 {
		return fail(BrokenAudio, "our tone came back for %s of %s only", seconds(m.Echo), seconds(m.Talked))
	}
	return nil
}

// loss judges the worse direction.
func loss(bound AtMost, m Measured) []finding {
	result, given := bound.given()
	switch {
	case !given:
		return nil
	case m.LossPercent == nil && m.SentLoss == nil:
		return []finding{{result, NotMeasured, "loss could not be measured"}}
	}
	if m.SentLoss != nil && (m.LossPercent == nil || *m.SentLoss > *m.LossPercent) {
		return bound.judge(*m.SentLoss, Loss, "%s of our packets were lost on their way there, more than %s", percent)
	}
	return bound.judge(*m.LossPercent, Loss, "%s of the packets were lost on their way here, more than %s", percent)
}

// measured judges a value that may be missing.
func measured(bound AtMost, v *float64, reason Reason, what, words string, print func(float64) string) []finding {
	result, given := bound.given()
	switch {
	case !given:
		return nil
	case v == nil:
		return []finding{{result, NotMeasured, what + " could not be measured"}}
	}
	return bound.judge(*v, reason, words, print)
}

// mos judges the quality of what was heard. What was not measured is not good.
func mos(bound AtLeast, m Measured) []finding {
	result, given := AtMost(bound).given()
	switch {
	case !given:
		return nil
	case m.MOS == nil:
		return []finding{{result, NotMeasured, "MOS could not be measured"}}
	case bound.Fail != nil && *m.MOS < *bound.Fail:
		return []finding{{Fail, LowMOS, fmt.Sprintf("MOS %s, less than %s", score(*m.MOS), score(*bound.Fail))}}
	case bound.Warn != nil && *m.MOS < *bound.Warn:
		return []finding{{Warn, LowMOS, fmt.Sprintf("MOS %s, less than %s", score(*m.MOS), score(*bound.Warn))}}
	}
	return nil
}
