package sdp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// Answer answers an offer: the first audio stream with a common codec is taken, every other line is refused. The error wraps
// ErrNotAcceptable when none can be taken.
func Answer(offer *Description, c Capabilities, o Origin) (*Description, Negotiated, error) {
	taken := offer.choose(c)
	if taken < 0 {
		return nil, Negotiated{}, fmt.Errorf("%w: %w", ErrNotAcceptable, offer.complaint(c))
	}
	n, err := offer.negotiate(&offer.Media[taken], c)
	if err != nil {
		return nil, Negotiated{}, err
	}
	d := &Description{Origin: o, Connection: at(c.Addr)}
	for i := range offer.Media {
		if m := &offer.Media[i]; i == taken {
			answer := answerAudio(m, n, c, offer.knowsXR(m))
			if _, mismatch := offer.ice(m); mismatch && c.ICE != nil {
				answer.Attributes = append(answer.Attributes, Attribute{Key: keyMismatch})
			}
			d.Media = append(d.Media, answer)
		} else {
			d.Media = append(d.Media, refuse(m))
		}
	}
	return d, n, nil
}

// choose is the first audio stream that can be taken, a protected one before one that is not; -1 when there is none.
func (d *Description) choose(c Capabilities) int {
	plain := -1
	for i := range d.Media {
		m := &d.Media[i]
		if !m.isAudio() || m.Port == 0 || len(common(m.formats(nil), c.Codecs, false)) == 0 {
			continue
		}
		switch p, ok := c.Protect.choose(d, m); {
		case ok && p.Way != "":
			return i
		case ok && plain < 0:
			plain = i
		}
	}
	return plain
}

// negotiate settles an offered stream against what we can do.
func (d *Description) negotiate(m *Media, c Capabilities) (Negotiated, error) {
	theirs := m.formats(nil)
	n := Negotiated{TelephoneEventPT: -1, Receive: common(theirs, c.Codecs, c.HonorTheirs)}
	n.Codec = n.Receive[0]
	if e, ok := c.eventFor(theirs, n.Codec.Clock); ok && c.TelephoneEvent {
		n.TelephoneEventPT, n.EventClock, n.ReceiveEvents = int(e.PT), c.eventClock(e, n.Codec), c.eventsBeside(n.Receive, theirs)
	}
	if f, ok := noise(theirs, n.Codec.Clock); ok {
		n.NoisePT = int(f.PT)
	}
	_, mux := attribute(m.Attributes, "rtcp-mux")
	n.RTCPMux = mux && c.RTCPMux
	n.VoIPMetrics = c.VoIPMetrics && d.wantsMetrics(m)
	n.PTime = codec.PacketTime(n.Codec, d.ptime(m, c))
	n.Direction = c.Direction.Both(d.direction(m).Reverse())
	n.Protection, _ = c.Protect.choose(d, m)
	if theirs, _ := d.ice(m); theirs != nil && c.ICE != nil && n.RTCPMux {
		n.ICE, n.Controlling = theirs, theirs.Lite
	}
	var err error
	n.Remote, n.RemoteRTCP, err = d.remote(m, n.RTCPMux, c.Addr)
	return n, err
}

func answerAudio(offer *Media, n Negotiated, c Capabilities, knowsXR bool) Media {
	m := Media{Kind: offer.Kind, Port: c.Port, Proto: offer.Proto}
	list := slices.Clone(n.Receive)
	for i, f := range list {
		list[i] = codec.Answer(f, c.Codecs[slices.IndexFunc(c.Codecs, f.Same)])
	}
	for _, e := range n.ReceiveEvents {
		e.Name, e.Params = telephoneEvent, allDTMF
		list = append(list, e)
	}
	if n.NoisePT > 0 {
		list = append(list, codec.Format{Name: comfortNoise, PT: uint8(n.NoisePT), Clock: n.Codec.Clock, Channels: 1})
	}
	m.setFormats(list)
	m.Attributes = append(m.Attributes, n.Protection.answer(c.Protect)...)
	if n.ICE != nil {
		m.Attributes = append(m.Attributes, c.ICE.attributes()...)
	}
	if c.VoIPMetrics && knowsXR {
		m.Attributes = append(m.Attributes, askMetrics())
	}
	return m.finish(c, n.PTime, n.RTCPMux, n.Direction)
}

// refuse is a media line that declines another (RFC 3264 §6).
func refuse(m *Media) Media {
	return Media{Kind: m.Kind, Proto: m.Proto, Formats: slices.Clone(m.Formats)}
}

// complaint says in one line why nothing in an offer can be taken.
func (d *Description) complaint(c Capabilities) unacceptable {
	i := d.audio()
	if i < 0 {
		return unacceptable{warnNoMedia, "no audio is offered"}
	}
	if len(common(d.Media[i].formats(nil), c.Codecs, false)) > 0 {
		return unacceptable{warnTransport, c.Protect.complaint(&d.Media[i])}
	}
	return unacceptable{warnFormat, fmt.Sprintf("codecs %s are offered, %s are spoken", list(d.Media[i].formats(nil)), list(c.Codecs))}
}

func list(formats []codec.Format) string {
	names := make([]string, 0, len(formats))
	for _, f := range formats {
		names = append(names, f.String())
	}
	if len(names) == 0 {
		return "none known"
	}
	return strings.Join(names, ", ")
}
