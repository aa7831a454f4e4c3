// Package dtmf carries telephone digits as RTP telephone-events (RFC 4733).
//
// It exists because an event is one key press spread over many packets: some lost, some repeated, some late. The Receiver makes
// one digit of them, once; the Sender makes the packets. Neither knows sockets or clocks: they are told timestamps.
package dtmf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// ErrPayload says that a payload is too short to be a telephone-event.
var ErrPayload = errors.New("telephone-event payload shorter than 4 octets")

// digits are the DTMF characters by event code (RFC 4733 §3.2, table 3).
const digits = "0123456789*#ABCD"

// Event is one telephone-event payload (RFC 4733 §2.3).
type Event struct {
	Code     uint8
	End      bool
	Volume   uint8  // power below 0 dBm0, 0..63
	Duration uint16 // so far, in RTP timestamp units
}

// Parse reads a payload. Further events in the same payload are ignored.
func Parse(payload []byte) (Event, error) {
	if len(payload) < 4 {
		return Event{}, ErrPayload
	}
	return Event{
		Code:     payload[0],
		End:      payload[1]&0x80 != 0,
		Volume:   payload[1] & 0x3f,
		Duration: binary.BigEndian.Uint16(payload[2:]),
	}, nil
}

// AppendTo appends the 4-octet payload to b.
func (e Event) AppendTo(b []byte) []byte {
	flags := e.Volume & 0x3f
	if e.End {
		flags |= 0x80
	}
	return append(b, e.Code, flags, byte(e.Duration>>8), byte(e.Duration))
}

// Digit is the DTMF character of an event code; false for other telephone events.
func Digit(code uint8) (rune, bool) {
	if int(code) >= len(digits) {
		return 0, false
	}
	return rune(digits[code]), true
}

// Code is the event code of a DTMF character; false when it is none.
func Code(digit rune) (uint8, bool) {
	i := strings.IndexRune(digits, digit)
	if i < 0 && digit >= 'a' && digit <= 'd' {
		i = strings.IndexRune(digits, digit-'a'+'A')
	}
	return uint8(max(i, 0)), i >= 0
}

// Check says whether every character of a string can be sent: a DTMF character, or a comma for a pause.
func Check(s string) error {
	for i, r := range s {
		if _, ok := Code(r); !ok && r != ',' {
			return fmt.Errorf("character %q at %d is no DTMF digit (0-9 * # A-D) nor a pause (,)", r, i)
		}
	}
	return nil
}
