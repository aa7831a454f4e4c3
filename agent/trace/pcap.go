package trace

import (
	"encoding/binary"
	"io"
	"net/netip"
)

// A capture file as tcpdump(8) writes it (draft-ietf-opsawg-pcap): microseconds, link
// type RAW, that is IPv4 and IPv6 packets without a link layer.
const (
	pcapMagic = 0xa1b2c3d4
	linkRaw   = 101
	snapLen   = 65535
)

// WritePcap writes the trace as a capture. Every message is one UDP datagram between
// the addresses it went between, those that went over TCP or TLS included: what they
// were wrapped in is not kept, and every dissector of SIP knows UDP. Their Via tells
// the transport. Messages that were never sent are left out.
func (t Trace) WritePcap(w io.Writer) error {
	_, err := w.Write(t.packets(pcapHead()))
	return err
}

// WriteMorePcap writes the packets alone, to go on with a capture.
func (t Trace) WriteMorePcap(w io.Writer) error {
	_, err := w.Write(t.packets(nil))
	return err
}

func pcapHead() []byte {
	b := binary.LittleEndian.AppendUint32(nil, pcapMagic)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, snapLen)
	return binary.LittleEndian.AppendUint32(b, linkRaw)
}

func (t Trace) packets(b []byte) []byte {
	for i, m := range t.Messages {
		if m.Problem != "" {
			continue
		}
		packet := datagram(m.From(), m.To(), m.Text, uint16(i+1))
		b = binary.LittleEndian.AppendUint32(b, uint32(m.At.Unix()))
		b = binary.LittleEndian.AppendUint32(b, uint32(m.At.Nanosecond()/1000))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
		b = append(b, packet...)
	}
	return b
}

const udpProtocol = 17

// datagram builds an IP packet (RFC 791, RFC 8200) with a UDP datagram (RFC 768) in it.
func datagram(from, to netip.AddrPort, payload []byte, id uint16) []byte {
	src, dst := from.Addr().Unmap().WithZone(""), to.Addr().Unmap().WithZone("")
	if src.Is4() != dst.Is4() { // an unspecified local address, at worst
		src, dst = netip.AddrFrom16(src.As16()), netip.AddrFrom16(dst.As16())
	}
	length := uint16(8 + len(payload)) // mostText keeps it below 64 KiB
	udp := binary.BigEndian.AppendUint16(nil, from.Port())
	udp = binary.BigEndian.AppendUint16(udp, to.Port())
	udp = binary.BigEndian.AppendUint16(udp, length)
	udp = append(append(udp, 0, 0), payload...)

	pseudo := append(src.AsSlice(), dst.AsSlice()...)
	pseudo = append(pseudo, 0, udpProtocol)
	pseudo = binary.BigEndian.AppendUint16(pseudo, length)
	sum := checksum(append(pseudo, udp...))
	if sum == 0 {
		sum = 0xffff // 0 = there is none
	}
	binary.BigEndian.PutUint16(udp[6:], sum)

	if src.Is4() {
		ip := []byte{0x45, 0}
		ip = binary.BigEndian.AppendUint16(ip, 20+length)
		ip = binary.BigEndian.AppendUint16(ip, id)
		ip = append(ip, 0, 0, 64, udpProtocol, 0, 0)
		ip = append(append(ip, src.AsSlice()...), dst.AsSlice()...)
		binary.BigEndian.PutUint16(ip[10:], checksum(ip))
		return append(ip, udp...)
	}
	ip := []byte{0x60, 0, 0, 0}
	ip = binary.BigEndian.AppendUint16(ip, length)
	ip = append(ip, udpProtocol, 64)
	ip = append(append(ip, src.AsSlice()...), dst.AsSlice()...)
	return append(ip, udp...)
}

// checksum of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) > 0 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
