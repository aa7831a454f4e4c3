package dtmf

// Update is news of an event: that it began, that it ended, or both when only its last packets arrived.
type Update struct {
	Digit    rune
	Began    bool   // told once an event
	Ended    bool   // told once an event; never when all end packets were lost
	Duration uint32 // so far, in RTP timestamp units, all segments of a long event together
}

// Receiver makes one digit of the packets of each event.
//
// Packets of one event share the RTP timestamp (RFC 4733 §2.2.1), so a new timestamp is a new event, with or without marker bit: the
// packet that carried it may be lost. Two exceptions: a segment of an event longer than 65535 units goes on under a new timestamp
// (§2.5.1.3), and some gateways wrongly move the timestamp with every packet; both overlap the time the open event already covers.
type Receiver struct {
	clock     int
	known     bool // an event was seen; the fields below are the last one's
	timestamp uint32
	code      uint8
	duration  uint16
	segments  uint32 // length of the finished segments
	ended     bool
}

// NewReceiver makes a receiver for events on an RTP clock of so many Hz.
func NewReceiver(clock int) *Receiver { return &Receiver{clock: clock} }

// Push takes one packet. It reports whether there is news; malformed payloads, repetitions, late packets and events that are no
// DTMF digits are none.
func (r *Receiver) Push(timestamp uint32, marker bool, payload []byte) (Update, bool) {
	e, err := Parse(payload)
	if err != nil {
		return Update{}, false
	}
	digit, ok := Digit(e.Code)
	if !ok {
		return Update{}, false
	}
	switch {
	case r.stale(timestamp):
		return Update{}, false
	case r.same(timestamp, e) || r.continued(timestamp, marker, e):
		return r.goOn(timestamp, digit, e)
	}
	*r = Receiver{clock: r.clock, known: true, timestamp: timestamp, code: e.Code, duration: e.Duration, ended: e.End}
	return Update{Digit: digit, Began: true, Ended: e.End, Duration: uint32(e.Duration)}, true
}

// stale reports a packet of an event before the last one. One far in the past is a stream that started over.
func (r *Receiver) stale(timestamp uint32) bool {
	behind := int64(int32(r.timestamp - timestamp))
	return r.known && behind > 0 && behind < 5*int64(r.clock)
}

func (r *Receiver) same(timestamp uint32, e Event) bool {
	return r.known && timestamp == r.timestamp && e.Code == r.code
}

// continued reports a packet that goes on with the open event under a later timestamp.
func (r *Receiver) continued(timestamp uint32, marker bool, e Event) bool {
	return r.known && !r.ended && !marker && e.Code == r.code && timestamp-r.timestamp <= uint32(r.duration)
}

// goOn takes a further packet of the event that is open or just ended.
func (r *Receiver) goOn(timestamp uint32, digit rune, e Event) (Update, bool) {
	if r.ended {
		return Update{}, false
	}
	if timestamp != r.timestamp && e.Duration < r.duration {
		r.segments += timestamp - r.timestamp
		r.duration = 0
	}
	r.timestamp = timestamp
	r.duration = max(r.duration, e.Duration)
	r.ended = e.End
	return Update{Digit: digit, Ended: e.End, Duration: r.segments + uint32(r.duration)}, e.End
}
