package ua

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
)

// STUN as far as the keepalive of a SIP flow needs it (RFC 5626 §8): a Binding
// request without attributes (RFC 5389 §6), and the address in its response. It
// shares the socket with SIP, whose messages never begin with its two zero bits.

// stunCookie is in every message (RFC 5389 §6).
const stunCookie = 0x2112A442

// Kinds of messages and attributes.
const (
	stunBinding      = 0x0001
	stunSuccess      = 0x0101
	stunError        = 0x0111
	stunMapped       = 0x0001
	stunXorMapped    = 0x0020
	stunXorMappedOld = 0x8020 // of drafts, still met
	stunHeader       = 20
)

// stunID tells transactions apart.
type stunID [12]byte

var errSTUNRefused = errors.New("the server refused a STUN Binding request")

// newBinding makes a Binding request.
func newBinding() (id stunID, request []byte) {
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	request = binary.BigEndian.AppendUint16(nil, stunBinding)
	request = binary.BigEndian.AppendUint16(request, 0)
	request = binary.BigEndian.AppendUint32(request, stunCookie)
	return id, append(request, id[:]...)
}

// isSTUN tells STUN from SIP (RFC 5626 §8: "If the first byte … is 0 or 1").
func isSTUN(datagram []byte) bool {
	return len(datagram) >= stunHeader && datagram[0] <= 1 && binary.BigEndian.Uint32(datagram[4:]) == stunCookie
}

// readBinding reads a response: our address as the server sees it, the zero value
// where it does not say.
func readBinding(message []byte) (id stunID, mapped netip.AddrPort, ok bool, err error) {
	if !isSTUN(message) {
		return id, mapped, false, nil
	}
	kind, length := binary.BigEndian.Uint16(message), int(binary.BigEndian.Uint16(message[2:]))
	copy(id[:], message[8:stunHeader])
	body := message[stunHeader:]
	switch {
	case length > len(body):
		return id, mapped, false, nil
	case kind == stunError:
		return id, mapped, true, errSTUNRefused
	case kind != stunSuccess:
		return id, mapped, false, nil
	}
	for body = body[:length]; len(body) >= 4; {
		name, size := binary.BigEndian.Uint16(body), int(binary.BigEndian.Uint16(body[2:]))
		if body = body[4:]; size > len(body) {
			break
		}
		switch value := body[:size]; name {
		case stunXorMapped, stunXorMappedOld:
			mapped = stunAddress(value, message[4:stunHeader])
		case stunMapped:
			if !mapped.IsValid() {
				mapped = stunAddress(value, nil)
			}
		}
		body = body[min((size+3)&^3, len(body)):]
	}
	return id, mapped, true, nil
}

// stunAddress reads an address (RFC 5389 §15.1), which has been mixed with cookie and
// id (§15.2) where they are given.
func stunAddress(value, mixed []byte) netip.AddrPort {
	if len(value) < 4 {
		return netip.AddrPort{}
	}
	port, addr := binary.BigEndian.Uint16(value[2:]), bytes.Clone(value[4:])
	if mixed != nil {
		port ^= binary.BigEndian.Uint16(mixed)
		for i := range min(len(addr), len(mixed)) {
			addr[i] ^= mixed[i]
		}
	}
	if a, ok := netip.AddrFromSlice(addr); ok && (value[1] == 1) == a.Is4() {
		return netip.AddrPortFrom(a, port)
	}
	return netip.AddrPort{}
}
