package hep

import (
	"encoding/binary"

	"github.com/softphone-operator/softphone-operator/agent/trace"
)

// Chunk types of vendor 0, and what stands in them (HEP3 network protocol specification
// revision 32, "HEP3 generic chunk types").
const (
	chunkFamily    = 0x0001 // uint8: 2 = IPv4, 10 = IPv6
	chunkProtocol  = 0x0002 // uint8, as in IP: 17 = UDP, 6 = TCP
	chunkSource4   = 0x0003
	chunkTarget4   = 0x0004
	chunkSource6   = 0x0005
	chunkTarget6   = 0x0006
	chunkFromPort  = 0x0007 // uint16
	chunkToPort    = 0x0008
	chunkSeconds   = 0x0009 // uint32, since 1970
	chunkMicros    = 0x000a
	chunkKind      = 0x000b // uint8: 1 = SIP
	chunkCaptureID = 0x000c // uint32
	chunkKey       = 0x000e
	chunkPayload   = 0x000f
	chunkNode      = 0x0013 // the capturing node's name

	familyIPv4, familyIPv6 = 2, 10
	protocolUDP            = 17
	protocolTCP            = 6
	kindSIP                = 1
)

var magic = []byte("HEP3")

// identity is what every packet says of who sends it.
type identity struct {
	captureID      uint32
	password, node string
}

// encode appends a packet: "HEP3", its length, and chunks of vendor, type, length and
// content. TLS is told as the TCP below it.
func (i identity) encode(b []byte, m trace.Message) []byte {
	start := len(b)
	b = append(b, magic...)
	b = append(b, 0, 0)
	from, to := m.From().Addr().Unmap().WithZone(""), m.To().Addr().Unmap().WithZone("")
	if from.Is4() && to.Is4() {
		b = chunk(b, chunkFamily, familyIPv4)
		b = chunk(b, chunkSource4, from.AsSlice()...)
		b = chunk(b, chunkTarget4, to.AsSlice()...)
	} else {
		src, dst := from.As16(), to.As16()
		b = chunk(b, chunkFamily, familyIPv6)
		b = chunk(b, chunkSource6, src[:]...)
		b = chunk(b, chunkTarget6, dst[:]...)
	}
	if m.Transport == "UDP" {
		b = chunk(b, chunkProtocol, protocolUDP)
	} else {
		b = chunk(b, chunkProtocol, protocolTCP)
	}
	b = number16(b, chunkFromPort, m.From().Port())
	b = number16(b, chunkToPort, m.To().Port())
	b = number32(b, chunkSeconds, uint32(m.At.Unix()))
	b = number32(b, chunkMicros, uint32(m.At.Nanosecond()/1000))
	b = chunk(b, chunkKind, kindSIP)
	b = number32(b, chunkCaptureID, i.captureID)
	if i.password != "" {
		b = chunk(b, chunkKey, []byte(i.password)...)
	}
	if i.node != "" {
		b = chunk(b, chunkNode, []byte(i.node)...)
	}
	b = chunk(b, chunkPayload, m.Text...)
	binary.BigEndian.PutUint16(b[start+len(magic):], uint16(len(b)-start)) // package trace cuts messages at 16 KiB
	return b
}

const chunkHead = 6

func chunk(b []byte, kind uint16, content ...byte) []byte {
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(chunkHead+len(content)))
	return append(b, content...)
}

func number16(b []byte, kind, n uint16) []byte {
	return chunk(b, kind, byte(n>>8), byte(n))
}

func number32(b []byte, kind uint16, n uint32) []byte {
	return chunk(b, kind, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}
