package media

import (
	"math"
	"math/rand/v2"
	"sync/atomic"

	"github.com/pion/rtp"

	"github.com/softphone-operator/softphone-operator/agent/dtmf"
)

// packetRoom is the largest packet sent: what fits an Ethernet frame, with room for what protection adds.
const packetRoom = 1500

// outbound makes the RTP stream we send. It is used by the clock alone, except for what it counts.
type outbound struct {
	header rtp.Header
	tick   uint32       // timestamp of the frame in the making; moves with time, sending or not
	mark   bool         // the next packet is the first after a pause
	volume uint8        // of telephone-events
	events *dtmf.Sender // nil when the peer never took telephone-events
	tones  *dtmf.Tones  // digits within the audio
	digits []byte       // sent
	tape   *tape        // nil: nothing is recorded

	packets, octets atomic.Uint64 // sent
	failures        atomic.Uint64 // packets the network would not take
}

// newOutbound starts a stream at random numbers (RFC 3550 §5.1).
func newOutbound() *outbound {
	return &outbound{
		header: rtp.Header{Version: 2, SSRC: rand.Uint32(), SequenceNumber: uint16(rand.Uint32())},
		tick:   rand.Uint32(),
		mark:   true,
	}
}

// skip lets time pass without a packet.
func (o *outbound) skip(ticks uint32) {
	o.tick += ticks
	o.mark = true
}

// next makes the packet of one step, on a desk: a telephone-event if one is being sent, else what the source says. The source runs on underneath an event. There is no packet when the codec needs none for what is to be heard.
func (o *outbound) next(c *chain, heard Frame, d *desk) ([]byte, int, error) {
	said := pcmOf(&d.said, c.samples)
	timestamp := o.tick
	o.tick += c.step
	c.generator.Fill(Frame{said, c.rate, timestamp}, heard)
	o.tones.Fill(said)

	o.header.PayloadType, o.header.Timestamp, o.header.Marker = c.negotiated.Codec.PT, timestamp, o.mark
	payload := d.packet[12:12]
	if event, ok := o.event(c, timestamp); ok {
		o.header.PayloadType, o.header.Timestamp, o.header.Marker = uint8(c.negotiated.TelephoneEventPT), event.Timestamp, event.Marker
		if unit := c.negotiated.EventClock; unit > 0 {
			event.Event.Duration = uint16(min(uint64(event.Event.Duration)*uint64(unit)/uint64(c.negotiated.Codec.Clock), math.MaxUint16))
		}
		payload = event.Event.AppendTo(payload)
	} else {
		var err error
		if payload, err = c.encoder.Encode(payload, said); err != nil {
			return nil, 0, err
		}
		if len(payload) == 0 {
			o.mark = true
			return nil, 0, nil
		}
		o.tape.sent(said)
	}
	o.mark = false
	n, err := o.header.MarshalTo(d.packet[:])
	if err != nil {
		return nil, 0, err
	}
	o.header.SequenceNumber++
	return d.packet[:n+len(payload)], len(payload), nil
}

func (o *outbound) event(c *chain, timestamp uint32) (dtmf.Packet, bool) {
	if o.events == nil || c.negotiated.TelephoneEventPT < 0 {
		return dtmf.Packet{}, false
	}
	p, sent, ok := o.events.Next(timestamp, c.step)
	if sent != 0 && len(o.digits) < maxDigits {
		o.digits = append(o.digits, byte(sent))
	}
	return p, ok
}
