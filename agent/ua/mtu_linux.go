package ua

import (
	"context"
	"net"
	"net/netip"
	"syscall"
)

// pathMTU is what the kernel knows of the largest packet to an address, bytes: the
// route's, or less where a router said so. Where it knows nothing, nothing speaks
// against what is usual.
func pathMTU(ctx context.Context, to netip.AddrPort) int {
	const usual = mostOverUDP + mtuMargin
	// Connecting a UDP socket sends nothing; it only picks the route.
	c, err := new(net.Dialer).DialContext(ctx, "udp", to.String())
	if err != nil {
		return usual
	}
	defer func() { _ = c.Close() }()
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err != nil {
		return usual
	}
	mtu := 0
	level, option := syscall.IPPROTO_IP, syscall.IP_MTU
	if to.Addr().Unmap().Is6() {
		level, option = syscall.IPPROTO_IPV6, syscall.IPV6_MTU
	}
	_ = raw.Control(func(fd uintptr) { mtu, err = syscall.GetsockoptInt(int(fd), level, option) })
	if err != nil || mtu <= 0 {
		return usual
	}
	return mtu
}
