package call

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/codec"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// errNoPorts says that a call could not get an RTP port.
var errNoPorts = errors.New("no RTP port")

// audio is the media half of a call: what was offered and agreed on (RFC 3264),
// and the session that carries it. It belongs to the call's goroutine.
type audio struct {
	open    func(media.Config) (Media, error)
	config  media.Config
	caps    sdp.Capabilities
	source  media.Source
	onDigit func(rune)
	begun   func() // audio is about to be opened

	session Media
	tape    tape
	origin  sdp.Origin
	local   *sdp.Description // our last description
	pending bool             // local is an offer without an answer
	agreed  sdp.Negotiated
	held    held // as agreed
	seeking bool // the path was lost, and another is looked for
	started bool

	impossible error // the protection that the line requires cannot be had
}

// newAudio prepares a call's audio by the account; nothing is opened yet.
func (c *call) newAudio(source media.Source) *audio {
	o, a := c.opts, c.opts.Account
	open := o.OpenMedia
	if open == nil {
		open = func(c media.Config) (Media, error) { return media.Open(c) }
	}
	audio := &audio{
		open: open,
		config: media.Config{
			Ports:        media.PortRange{First: a.RTPPortRangeStart, Last: a.RTPPortRangeEnd},
			SymmetricRTP: a.SendAudioBack, EventVolume: uint8(a.RFC2833Volume), Log: o.Log, Guard: c.guarded, Clock: o.Clock,
		},
		caps: capabilities(a, o.Network), source: source, onDigit: c.heardDigit,
	}
	c.protect(audio)
	audio.begun = c.recorded
	return audio
}

// capabilities are what the account lets a call offer on this kind of network.
func capabilities(a *account.Account, network delivery.NetworkType) sdp.Capabilities {
	c := sdp.Capabilities{
		Codecs: codec.Formats(a.CodecOrder, codec.Options{PTime: a.Ptime, Opus: opus(a.OpusOptions)}), PTime: a.Ptime, ForcePTime: a.ForcePtime, HonorTheirs: a.HonorTheirCodecListWiFi,
		TelephoneEvent: slices.Contains(a.DTMFOrder, "rfc2833"),
		VoIPMetrics:    true,
		EventsAt8k:     a.RFC2833NegotiateOnly8kHzClockRate, DurationsAt8k: a.RFC2833AdjustDurationTo8kHz,
	}
	if network == delivery.Cellular {
		c.Codecs = codec.Formats(a.CodecOrder3G, codec.Options{PTime: a.Ptime3G, Opus: opus(a.OpusOptions3G)})
		c.PTime, c.ForcePTime, c.HonorTheirs = a.Ptime3G, a.ForcePtime3G, a.HonorTheirCodecList3G
	}
	return c
}

// opus is how an account wants Opus.
func opus(o account.Opus) codec.Opus {
	c := codec.Opus{
		Bandwidth: map[string]int{"nb": 8000, "fb": 48000}[o.Bandwidth], Complexity: -1,
		FEC: o.FEC, DTX: o.DTX, VBR: o.VBR, ExpectedLoss: o.ExpectedPacketLoss,
	}
	if c.Bandwidth == 0 {
		c.Bandwidth = 16000 // wb, and whatever else is said
	}
	if o.Complexity != nil {
		c.Complexity = *o.Complexity
	}
	if o.Bitrate != nil {
		c.Bitrate = *o.Bitrate
	}
	return c
}

// acceptable says whether an offer can be answered, before ports are taken for it.
func (a *audio) acceptable(offer []byte) error {
	d, err := sdp.Parse(offer)
	if err != nil {
		return fmt.Errorf("%w: %w", sdp.ErrNotAcceptable, err)
	}
	caps := a.caps
	caps.Addr, caps.Port = netip.IPv4Unspecified(), 9 // the discard port stands for any
	_, _, err = sdp.Answer(d, caps, sdp.NewOrigin(caps.Addr))
	return err
}

// bind takes ports on the address that audio is to come to.
func (a *audio) bind(local netip.Addr) error {
	switch {
	case a.session != nil:
		return nil
	case a.impossible != nil:
		return a.impossible
	}
	a.config.Local = local
	a.begun()
	s, err := a.open(a.config)
	if err != nil {
		a.tape.stop()
		return fmt.Errorf("%w: %w", errNoPorts, err)
	}
	s.SetOnDTMF(a.onDigit)
	a.session = s
	a.caps.Addr, a.caps.Port = local, int(s.LocalRTP().Port())
	a.origin = sdp.NewOrigin(local)
	return nil
}

// offer makes our offer.
func (a *audio) offer() []byte {
	if a.local == nil {
		a.local = sdp.Offer(a.caps, a.origin)
	} else {
		a.origin = a.origin.Next()
		a.local = sdp.Reoffer(a.local, a.caps, a.origin)
	}
	a.pending = true
	return a.local.Marshal()
}

// answer answers an offer and puts what was agreed into force.
func (a *audio) answer(offer []byte) ([]byte, error) {
	theirs, err := sdp.Parse(offer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sdp.ErrNotAcceptable, err)
	}
	if err := a.restart(theirs); err != nil {
		return nil, err
	}
	ours, agreed, err := sdp.Answer(theirs, a.caps, a.origin)
	if err != nil {
		return nil, err
	}
	body := ours.Marshal()
	if a.local != nil && !bytes.Equal(body, a.local.Marshal()) {
		// "the version … MUST increment by one" when anything changed (RFC 3264 §8).
		a.origin = a.origin.Next()
		ours.Origin = a.origin
		body = ours.Marshal()
	}
	if err := a.run(agreed); err != nil {
		return nil, err
	}
	a.local, a.pending = ours, false
	return body, nil
}

// accept takes the answer to our offer.
func (a *audio) accept(answer []byte) error {
	theirs, err := sdp.Parse(answer)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	agreed, err := sdp.AcceptWith(a.local, theirs, a.caps)
	if err != nil {
		return err
	}
	if err := a.run(agreed); err != nil {
		return err
	}
	a.pending = false
	return nil
}

// run starts the session, or changes the running one.
func (a *audio) run(n sdp.Negotiated) error {
	start := a.session.Start
	if a.started {
		start = a.session.Update
	}
	if err := start(n, a.source); err != nil {
		return fmt.Errorf("audio: %w", err)
	}
	a.agreed, a.started = n, true
	if n.ICE == nil {
		a.caps.ICE = nil // not spoken in this call
	}
	if n.Protection.Way == sdp.DTLS {
		a.caps.Protect.Active = &n.Protection.Active // our part stays ours
	}
	a.held = held{here: !a.caps.Direction.Receives(), there: !n.Direction.Sends()}
	return nil
}

// codecName of what is sent; "" before anything was agreed.
func (a *audio) codecName() string {
	if !a.started {
		return ""
	}
	return a.agreed.Codec.String()
}

// hold is our direction while it is not both ways.
func (a *audio) hold() string {
	if !a.started || a.agreed.Direction == sdp.SendRecv {
		return ""
	}
	return a.agreed.Direction.String()
}

// close frees the ports and gives the last statistics.
func (a *audio) close() (media.Stats, error) {
	if a.session == nil {
		return media.Stats{}, nil
	}
	err := a.session.Close()
	return a.session.Stats(), err
}
