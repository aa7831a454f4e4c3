package sdp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// remote is where a stream's owner receives RTP and RTCP (RFC 3605, RFC 5761). An address that is a name or 0.0.0.0 gives the
// invalid address. A group or broadcast address is an error, as a call is with one peer, and so is one of the family we have not.
func (d *Description) remote(m *Media, mux bool, local netip.Addr) (rtp, rtcp netip.AddrPort, err error) {
	addr := d.connection(m).Addr
	if addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return rtp, rtcp, fmt.Errorf("%w: %s is no address of one peer", ErrNotAcceptable, addr)
	}
	if !addr.IsValid() || addr.IsUnspecified() {
		return rtp, rtcp, nil
	}
	if local.IsValid() && !local.IsUnspecified() && local.Unmap().Is4() != addr.Is4() {
		return rtp, rtcp, fmt.Errorf("%w: %s cannot be reached from %s", ErrNotAcceptable, addr, local.Unmap())
	}
	rtp = netip.AddrPortFrom(addr, uint16(m.Port))
	if mux {
		return rtp, rtp, nil
	}
	if m.Port < 65535 {
		rtcp = netip.AddrPortFrom(addr, uint16(m.Port+1))
	}
	if text, ok := attribute(m.Attributes, "rtcp"); ok {
		rtcp = rtcpAttribute(text, rtcp, addr)
	}
	return rtp, rtcp, nil
}

// rtcpAttribute reads "a=rtcp:port" or "a=rtcp:port IN IP4 address" (RFC 3605 §2.1); usual when it says nothing usable.
func rtcpAttribute(text string, usual netip.AddrPort, addr netip.Addr) netip.AddrPort {
	f := strings.Fields(text)
	if len(f) == 0 {
		return usual
	}
	port, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil || port == 0 {
		return usual
	}
	if len(f) >= 4 {
		other := parseAddr(f[3])
		if !other.IsValid() || other.IsUnspecified() || other.IsMulticast() {
			return usual
		}
		addr = other
	}
	return netip.AddrPortFrom(addr, uint16(port))
}
