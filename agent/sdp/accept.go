package sdp

import (
	"fmt"
	"slices"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// Accept reads the answer to our offer, following the peer's codec order and packet time.
func Accept(ours, answer *Description) (Negotiated, error) {
	return AcceptWith(ours, answer, Capabilities{HonorTheirs: true})
}

// AcceptWith is Accept with the account's own preferences: our codec order unless c honours theirs, our packet time if c forces it. The
// error wraps ErrNotAcceptable when the answer leaves no audio stream.
func AcceptWith(ours, answer *Description, c Capabilities) (Negotiated, error) {
	i := ours.audio()
	if i < 0 {
		return Negotiated{}, fmt.Errorf("%w: none was offered", ErrNotAcceptable)
	}
	if i >= len(answer.Media) || !answer.Media[i].isAudio() || answer.Media[i].Port == 0 {
		return Negotiated{}, fmt.Errorf("%w: the answer refuses it", ErrNotAcceptable)
	}
	own, m := &ours.Media[i], &answer.Media[i]
	offered, theirs := own.formats(nil), m.formats(own)
	spoken := wished(slices.DeleteFunc(slices.Clone(offered), func(f codec.Format) bool { return f.Name == telephoneEvent || f.Name == comfortNoise }), c.Codecs)
	chosen := common(theirs, spoken, c.HonorTheirs)
	if len(chosen) == 0 {
		return Negotiated{}, fmt.Errorf("%w: the answer has none of the offered codecs but %s", ErrNotAcceptable, list(theirs))
	}
	n := Negotiated{TelephoneEventPT: -1, Codec: chosen[0], Receive: receivable(spoken, chosen)}
	if n.ReceiveEvents = c.events(offered); len(n.ReceiveEvents) > 0 {
		if e, ok := c.eventFor(theirs, n.Codec.Clock); ok {
			n.TelephoneEventPT, n.EventClock = int(e.PT), c.eventClock(e, n.Codec)
		}
		n.ReceiveEvents = receivable(n.ReceiveEvents, c.events(theirs))
	}
	if f, ok := noise(offered, n.Codec.Clock); ok { // a hold repeats what an answer of ours said
		n.NoisePT = int(f.PT)
	}
	_, asked := attribute(own.Attributes, "rtcp-mux")
	_, granted := attribute(m.Attributes, "rtcp-mux")
	n.RTCPMux = asked && granted
	if theirs, _ := answer.ice(m); theirs != nil && c.ICE != nil && n.RTCPMux {
		n.ICE, n.Controlling = theirs, true
	}
	if c.PTime == 0 {
		c.PTime = ours.ptime(own, Capabilities{})
	}
	n.PTime = codec.PacketTime(n.Codec, answer.ptime(m, c))
	n.VoIPMetrics = c.VoIPMetrics && answer.wantsMetrics(m)
	n.Direction = ours.direction(own).Both(answer.direction(m).Reverse())
	var err error
	if n.Protection, err = c.Protect.agreed(own, answer, m); err != nil {
		return n, err
	}
	n.Remote, n.RemoteRTCP, err = answer.remote(m, n.RTCPMux, ours.connection(own).Addr)
	return n, err
}

// wished adds to formats read from a description what the account wishes beyond what descriptions can say.
func wished(list, codecs []codec.Format) []codec.Format {
	for i, f := range list {
		if at := slices.IndexFunc(codecs, f.Same); at >= 0 {
			list[i].Opus = codecs[at].Opus
		}
	}
	return list
}

// receivable are the payload types audio, or events, may come under after our offer: those we announced, and the answerer's own numbers where
// it chose others, for peers that send with the numbers they wrote.
func receivable(announced, chosen []codec.Format) []codec.Format {
	list := slices.Clone(announced)
	for _, f := range chosen {
		if !slices.ContainsFunc(list, func(g codec.Format) bool { return g.PT == f.PT }) {
			list = append(list, f)
		}
	}
	return list
}
