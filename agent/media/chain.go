package media

import (
	"fmt"
	"reflect"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/codec"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// payloadKind is what packets of a payload type carry.
type payloadKind uint8

const (
	unknownPayload payloadKind = iota
	audioPayload
	eventPayload
	noisePayload
)

// chain is everything a negotiation decides about how audio flows. It is built whole and swapped.
type chain struct {
	negotiated sdp.Negotiated
	source     Source

	ptime   time.Duration
	step    uint32 // RTP ticks a packet
	samples int    // PCM samples a packet
	rate    int    // PCM sampling rate

	kinds     [128]payloadKind
	decoders  [128]codec.Decoder
	clocks    [128]int // RTP ticks a second of what is audio
	encoder   codec.Encoder
	generator Generator
}

// newChain builds the chain for a negotiation. What is the same as in old, which may be nil, keeps running in it.
func newChain(n sdp.Negotiated, source Source, old *chain) (*chain, error) {
	if source == nil {
		source = Silence{}
	}
	if n.PTime <= 0 {
		n.PTime = sdp.DefaultPTime
	}
	c := &chain{negotiated: n, source: source, ptime: time.Duration(n.PTime) * time.Millisecond}
	if err := c.encode(old); err != nil {
		return nil, err
	}
	if err := c.decode(old); err != nil {
		return nil, err
	}
	if old != nil && old.rate == c.rate && sameSource(old.source, source) {
		c.generator = old.generator
	} else {
		c.generator = source.Open(c.rate)
	}
	return c, nil
}

func sameSource(a, b Source) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

func (c *chain) encode(old *chain) error {
	f := c.negotiated.Codec
	if old != nil && old.negotiated.Codec == f {
		c.encoder = old.encoder
	} else {
		e, err := codec.NewEncoder(f)
		if err != nil {
			return fmt.Errorf("sending audio: %w", err)
		}
		c.encoder = e
	}
	c.rate = c.encoder.Rate()
	c.step = f.Ticks(c.ptime)
	c.samples = int(int64(c.rate) * int64(c.ptime) / int64(time.Second))
	if c.samples == 0 || c.samples%c.encoder.FrameSamples() != 0 {
		return fmt.Errorf("%s cannot be sent in packets of %s", f, c.ptime)
	}
	return nil
}

// decode prepares for every payload type that may arrive; codecs of another sampling rate than ours are resampled.
func (c *chain) decode(old *chain) error {
	for _, f := range c.negotiated.Receive {
		if _, ok := codec.Find(f); !ok || f.PT > 127 {
			continue
		}
		c.kinds[f.PT], c.clocks[f.PT] = audioPayload, f.Clock
		if old != nil && old.rate == c.rate && old.decodes(f) {
			c.decoders[f.PT] = old.decoders[f.PT]
			continue
		}
		d, err := codec.NewDecoder(f)
		if err == nil {
			d, err = atRate(d, c.rate)
		}
		if err != nil {
			return fmt.Errorf("receiving audio: %w", err)
		}
		c.decoders[f.PT] = d
	}
	for _, f := range c.negotiated.ReceiveEvents {
		if int(f.PT) < len(c.kinds) && c.kinds[f.PT] == unknownPayload {
			c.kinds[f.PT] = eventPayload
		}
	}
	// Gateways send comfort noise under its static number whether it was agreed on or not.
	for _, pt := range []int{c.negotiated.NoisePT, codec.NoisePT} {
		if pt > 0 && pt < len(c.kinds) && c.kinds[pt] == unknownPayload {
			c.kinds[pt] = noisePayload
		}
	}
	return nil
}

// comes is the codec of audio that arrives under a payload type; that of what we send when nobody agreed on the number.
func (c *chain) comes(pt uint8) codec.Spec {
	f := c.negotiated.Codec
	for _, g := range c.negotiated.Receive {
		if g.PT == pt {
			f = g
		}
	}
	spec, _ := codec.Find(f)
	return spec
}

// decodes reports whether a chain has a decoder for exactly this format.
func (c *chain) decodes(f codec.Format) bool {
	for _, g := range c.negotiated.Receive {
		if g == f {
			return c.decoders[f.PT] != nil
		}
	}
	return false
}
