package sdp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// Offer makes a first offer: one audio stream.
func Offer(c Capabilities, o Origin) *Description {
	return &Description{Origin: o, Connection: at(c.Addr), Media: []Media{offerAudio(c, nil).tacit(nil)}}
}

// tacit leaves out of an offer that audio goes both ways, as long as nothing else was said before: that is what silence means
// (RFC 8866 §6.7), and an INVITE with all codecs just fits a datagram.
func (m Media) tacit(before *Media) Media {
	if before != nil && slices.ContainsFunc(before.Attributes, Attribute.directs) {
		return m
	}
	m.Attributes = slices.DeleteFunc(m.Attributes, func(a Attribute) bool { return a.Key == SendRecv.String() })
	return m
}

// Reoffer makes a new offer within a session whose last description from us, offer or answer, is previous: its media lines stay in
// number and order, and no payload type changes its meaning (RFC 3264 §8).
func Reoffer(previous *Description, c Capabilities, o Origin) *Description {
	if previous == nil {
		return Offer(c, o)
	}
	d := &Description{Origin: o, Connection: at(c.Addr)}
	audio := previous.audio()
	for i := range previous.Media {
		if m := &previous.Media[i]; i == audio {
			d.Media = append(d.Media, offerAudio(c, m.formats(nil)).tacit(m))
		} else {
			d.Media = append(d.Media, refuse(m))
		}
	}
	if audio < 0 {
		d.Media = append(d.Media, offerAudio(c, nil).tacit(nil))
	}
	return d
}

func offerAudio(c Capabilities, before []codec.Format) Media {
	m := Media{Kind: "audio", Port: c.Port, Proto: c.Protect.profile()}
	m.setFormats(offered(c, before))
	m.Attributes = slices.DeleteFunc(m.Attributes, wellKnown)
	m.Attributes = append(m.Attributes, c.Protect.offer()...)
	m.Attributes = append(m.Attributes, c.ICE.attributes()...)
	if c.VoIPMetrics {
		m.Attributes = append(m.Attributes, askMetrics())
	}
	return m.finish(c, c.ptime(), c.RTCPMux, c.Direction)
}

// wellKnown says that an attribute maps a number to what it means anyhow (RFC 3551 §6, RFC 8866 §6.6): another thing that an INVITE with
// all codecs has no room for.
func wellKnown(a Attribute) bool {
	number, meaning, _ := strings.Cut(a.Value, " ")
	pt, err := strconv.ParseUint(number, 10, 7)
	if a.Key != "rtpmap" || err != nil {
		return false
	}
	f, ok := codec.Static(uint8(pt))
	return ok && meaning == f.String()
}

// finish adds what follows the formats in every stream of ours.
func (m Media) finish(c Capabilities, ptime int, mux bool, dir Direction) Media {
	m.Attributes = append(m.Attributes, value("ptime", ptime))
	if c.RTCPPort != 0 && c.RTCPPort != c.Port+1 {
		m.Attributes = append(m.Attributes, value("rtcp", c.RTCPPort)) // RFC 3605
	}
	if mux {
		m.Attributes = append(m.Attributes, Attribute{Key: "rtcp-mux"})
	}
	m.Attributes = append(m.Attributes, Attribute{Key: dir.String()})
	return m
}
