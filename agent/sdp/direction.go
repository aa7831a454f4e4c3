package sdp

import "slices"

// Direction is who sends audio, seen from the side whose description it is in (RFC 3264 §5.1, §6.1).
type Direction uint8

// The directions. SendRecv is the zero value, as it is the default of SDP.
const (
	SendRecv Direction = iota
	SendOnly
	RecvOnly
	Inactive
)

var directionNames = [...]string{SendRecv: "sendrecv", SendOnly: "sendonly", RecvOnly: "recvonly", Inactive: "inactive"}

// String is the SDP attribute.
func (d Direction) String() string {
	if int(d) < len(directionNames) {
		return directionNames[d]
	}
	return "direction?"
}

// Sends reports whether the side of the description sends.
func (d Direction) Sends() bool { return d == SendRecv || d == SendOnly }

// Receives reports whether the side of the description receives.
func (d Direction) Receives() bool { return d == SendRecv || d == RecvOnly }

// Reverse is the same agreement seen from the other side.
func (d Direction) Reverse() Direction { return direction(d.Receives(), d.Sends()) }

// Both is what is left when each side's wish is granted only where the other's allows it; both seen from the same side.
func (d Direction) Both(e Direction) Direction {
	return direction(d.Sends() && e.Sends(), d.Receives() && e.Receives())
}

func direction(sends, receives bool) Direction {
	switch {
	case sends && receives:
		return SendRecv
	case sends:
		return SendOnly
	case receives:
		return RecvOnly
	}
	return Inactive
}

// directs reports whether an attribute is a direction.
func (a Attribute) directs() bool { return slices.Contains(directionNames[:], a.Key) }

// direction is what a description says of a stream. A stream received at 0.0.0.0 or :: is on hold the way RFC 2543 did it: its
// owner receives nothing (RFC 3264 §8.4).
func (d *Description) direction(m *Media) Direction {
	said := SendRecv
	for _, attributes := range [][]Attribute{d.Attributes, m.Attributes} {
		for _, a := range attributes {
			for i, name := range directionNames {
				if a.Key == name {
					said = Direction(i)
				}
			}
		}
	}
	if d.connection(m).Addr.IsUnspecified() {
		said = said.Both(SendOnly)
	}
	return said
}
