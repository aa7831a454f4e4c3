package sdp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

const (
	comfortNoise     = "CN"
	telephoneEvent   = "telephone-event"
	telephoneEventPT = 101 // what nearly everybody uses
	allDTMF          = "0-15"
	legacyClock      = 8000
	dynamicFirst     = 96
	dynamicLast      = 127
)

// formats reads the format list of an RTP stream, in the order of the m= line: rtpmap, else the static meaning of the number.
// fallback, when not nil, explains numbers that have neither.
func (m *Media) formats(fallback *Media) []codec.Format {
	var list []codec.Format
	for _, text := range m.Formats {
		pt, err := strconv.ParseUint(text, 10, 7)
		if err != nil {
			continue
		}
		f, ok := m.mapped(text)
		if !ok {
			f, ok = codec.Static(uint8(pt))
		}
		if !ok && pt == codec.NoisePT {
			f, ok = codec.Format{Name: comfortNoise, Clock: 8000, Channels: 1}, true
		}
		if !ok && fallback != nil {
			f, ok = fallback.mapped(text)
		}
		if !ok {
			continue
		}
		f.PT = uint8(pt)
		if params, ok := numbered(m.Attributes, "fmtp", text); ok {
			f.Params = params
		}
		list = append(list, f)
	}
	return list
}

// mapped reads the rtpmap of a payload type: "name/clock" or "name/clock/channels".
func (m *Media) mapped(pt string) (codec.Format, bool) {
	text, ok := numbered(m.Attributes, "rtpmap", pt)
	if !ok {
		return codec.Format{}, false
	}
	part := strings.Split(text, "/")
	if len(part) < 2 {
		return codec.Format{}, false
	}
	clock, err := strconv.ParseUint(strings.TrimSpace(part[1]), 10, 20)
	if err != nil || clock == 0 {
		return codec.Format{}, false
	}
	f := codec.Format{Name: strings.TrimSpace(part[0]), Clock: int(clock), Channels: 1}
	if len(part) > 2 {
		if n, err := strconv.ParseUint(strings.TrimSpace(part[2]), 10, 8); err == nil && n > 0 {
			f.Channels = int(n)
		}
	}
	return f, true
}

// numbered finds "a=key:PT rest".
func numbered(attributes []Attribute, key, pt string) (string, bool) {
	for _, a := range attributes {
		if !strings.EqualFold(a.Key, key) {
			continue
		}
		number, rest, ok := strings.Cut(a.Value, " ")
		if ok && number == pt {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// common are the formats of theirs that are also ours, with their payload types, in our order or theirs.
func common(theirs, ours []codec.Format, honorTheirs bool) []codec.Format {
	var list []codec.Format
	if honorTheirs {
		for _, f := range theirs {
			if i := slices.IndexFunc(ours, f.Same); i >= 0 && !slices.ContainsFunc(list, f.Same) {
				list = append(list, codec.Agree(f, ours[i]))
			}
		}
		return list
	}
	for _, own := range ours {
		if i := slices.IndexFunc(theirs, own.Same); i >= 0 && !slices.ContainsFunc(list, own.Same) {
			list = append(list, codec.Agree(theirs[i], own))
		}
	}
	return list
}

// event finds the telephone-event format for a codec: of the same clock (RFC 4733 §2.1), else the 8 kHz one many send with every codec.
func event(formats []codec.Format, clock int) (codec.Format, bool) {
	found := -1
	for i, f := range formats {
		if !strings.EqualFold(f.Name, telephoneEvent) {
			continue
		}
		if f.Clock == clock {
			return f, true
		}
		if found < 0 || f.Clock == 8000 {
			found = i
		}
	}
	if found < 0 {
		return codec.Format{}, false
	}
	return formats[found], true
}

// noise finds the comfort noise of a codec's clock (RFC 3389 §4).
func noise(formats []codec.Format, clock int) (codec.Format, bool) {
	i := slices.IndexFunc(formats, func(f codec.Format) bool { return strings.EqualFold(f.Name, comfortNoise) && f.Clock == clock })
	if i < 0 {
		return codec.Format{}, false
	}
	return formats[i], true
}

// eventFor is event, as the account wants events.
func (c Capabilities) eventFor(formats []codec.Format, clock int) (codec.Format, bool) {
	if c.EventsAt8k {
		clock = legacyClock
	}
	e, ok := event(formats, clock)
	return e, ok && (!c.EventsAt8k || e.Clock == legacyClock)
}

// events are the telephone-events among formats, as the account wants them.
func (c Capabilities) events(formats []codec.Format) []codec.Format {
	var list []codec.Format
	for _, f := range formats {
		if strings.EqualFold(f.Name, telephoneEvent) && (!c.EventsAt8k || f.Clock == legacyClock) {
			list = append(list, f)
		}
	}
	return list
}

// eventsBeside are the telephone-events for codecs, each once.
func (c Capabilities) eventsBeside(codecs, formats []codec.Format) []codec.Format {
	var list []codec.Format
	for _, f := range codecs {
		if e, ok := c.eventFor(formats, f.Clock); ok && !slices.Contains(list, e) {
			list = append(list, e)
		}
	}
	return list
}

// eventClock is the unit of the durations of events sent as e beside a codec: 0 is that of the codec. Timestamps keep the codec's in
// any case, one stream having one clock.
func (c Capabilities) eventClock(e, spoken codec.Format) int {
	switch {
	case e.Clock == spoken.Clock, c.EventsAt8k && !c.DurationsAt8k:
		return 0
	default:
		return e.Clock
	}
}

// offered are the formats of an offer: the codecs, each under the payload type it has in before, then one telephone-event for each
// clock. No number gets a second meaning in a session (RFC 3264 §8.3.2).
func offered(c Capabilities, before []codec.Format) []codec.Format {
	var list []codec.Format
	taken := func(pt uint8, f codec.Format) bool {
		clash := func(g codec.Format) bool { return g.PT == pt && !g.Same(f) }
		return slices.ContainsFunc(before, clash) || slices.ContainsFunc(list, clash)
	}
	add := func(f codec.Format) {
		if i := slices.IndexFunc(before, f.Same); i >= 0 {
			f.PT = before[i].PT
		}
		for pt := dynamicFirst; taken(f.PT, f) && pt <= dynamicLast; pt++ {
			f.PT = uint8(pt)
		}
		if !slices.ContainsFunc(list, f.Same) && !taken(f.PT, f) {
			list = append(list, f)
		}
	}
	for _, f := range c.Codecs {
		add(f)
	}
	if c.TelephoneEvent {
		for _, f := range slices.Clone(list) {
			if c.EventsAt8k {
				f.Clock = legacyClock
			}
			add(codec.Format{Name: telephoneEvent, PT: telephoneEventPT, Clock: f.Clock, Channels: 1, Params: allDTMF})
		}
	}
	return list
}

// setFormats writes the format list with its rtpmap and fmtp lines.
func (m *Media) setFormats(list []codec.Format) {
	for _, f := range list {
		pt := strconv.Itoa(int(f.PT))
		m.Formats = append(m.Formats, pt)
		m.Attributes = append(m.Attributes, Attribute{"rtpmap", pt + " " + f.String()})
		if f.Params != "" {
			m.Attributes = append(m.Attributes, Attribute{"fmtp", pt + " " + f.Params})
		}
	}
}
