package dtmf

import "time"

// The shape of a sent digit. ITU-T Q.24 asks receivers to take 40 ms and pauses of 40 ms; most senders use about 100.
const (
	DefaultTone = 100 * time.Millisecond
	DefaultGap  = 100 * time.Millisecond
	CommaPause  = 2 * time.Second // what a comma stands for
	endSendings = 3               // RFC 4733 §2.5.1.4
	maxDuration = 0xffff
)

// Packet is one telephone-event packet to send instead of audio.
type Packet struct {
	Event     Event
	Timestamp uint32 // of the beginning of the event
	Marker    bool   // first packet of the event
}

// Sender turns queued digits into packets, one a packet time. The zero value is not usable; see NewSender.
type Sender struct {
	clock  int
	volume uint8
	queue  []rune
	now    rune // digit being sent; 0 = none

	packet Packet
	ends   int    // end packets sent
	quiet  uint32 // timestamp units of pause left
}

// NewSender makes a sender for an RTP clock of so many Hz, with a volume in dBm0 below zero, 0 to 63 (RFC 4733 §2.3.4).
func NewSender(clock int, volume uint8) *Sender { return &Sender{clock: clock, volume: volume} }

// Queue adds digits; a comma pauses 2 s. The error says which character is no digit; then nothing was added.
func (s *Sender) Queue(text string) error {
	if err := Check(text); err != nil {
		return err
	}
	for _, r := range text {
		s.queue = append(s.queue, r)
	}
	return nil
}

// Pending is how many digits and pauses wait or are being sent.
func (s *Sender) Pending() int {
	n := len(s.queue)
	if s.now != 0 {
		n++
	}
	return n
}

// Next is the packet for the step timestamp units that begin at timestamp; false: send audio. sent is the digit whose last packet
// this is, else 0.
func (s *Sender) Next(timestamp, step uint32) (p Packet, sent rune, ok bool) {
	if s.now == 0 && !s.begin(timestamp, step) {
		return Packet{}, 0, false
	}
	s.packet.Marker = s.packet.Event.Duration == 0
	if !s.packet.Event.End {
		elapsed := min(timestamp-s.packet.Timestamp+step, maxDuration)
		s.packet.Event.Duration = uint16(elapsed)
		s.packet.Event.End = elapsed >= s.ticks(DefaultTone)
	}
	if !s.packet.Event.End {
		return s.packet, 0, true
	}
	if s.ends++; s.ends < endSendings {
		return s.packet, 0, true
	}
	sent, s.now, s.ends = s.now, 0, 0
	s.quiet = s.ticks(DefaultGap)
	return s.packet, sent, true
}

// begin takes the next digit when the pause before it is over.
func (s *Sender) begin(timestamp, step uint32) bool {
	if s.quiet > 0 {
		s.quiet -= min(step, s.quiet)
		return false
	}
	if len(s.queue) == 0 {
		return false
	}
	next := s.queue[0]
	s.queue = s.queue[1:]
	if next == ',' {
		s.quiet = s.ticks(CommaPause)
		return false
	}
	code, _ := Code(next)
	s.now = next
	s.packet = Packet{Event: Event{Code: code, Volume: s.volume}, Timestamp: timestamp}
	return true
}

func (s *Sender) ticks(d time.Duration) uint32 {
	return uint32(int64(s.clock) * int64(d) / int64(time.Second))
}
