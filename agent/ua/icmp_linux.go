package ua

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
)

// reportErrors asks the kernel to queue ICMP errors (ip(7), IP_RECVERR): an
// unconnected UDP socket hears nothing of them otherwise, and a registrar that
// is down would be a timeout of 32 s instead of an answer at once.
func reportErrors(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		// Best effort: without it, timers B and F decide.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_RECVERR, 1)
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVERR, 1)
	})
}

// readErrors empties the socket's error queue.
func readErrors(c *net.UDPConn) []icmpError {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var errs []icmpError
	_ = raw.Control(func(fd uintptr) {
		payload, control := make([]byte, 1), make([]byte, 512)
		for len(errs) < 1024 {
			_, n, _, to, err := syscall.Recvmsg(int(fd), payload, control, syscall.MSG_ERRQUEUE|syscall.MSG_DONTWAIT)
			if err != nil {
				return
			}
			errs = append(errs, icmpError{to: addrPort(to), err: unreachableBy(control[:n])})
		}
	})
	return errs
}

// Fields of struct sock_extended_err, linux/errqueue.h.
const (
	originICMP  = 2
	originICMP6 = 3
)

// unreachableBy gives the error a control message carries when it is one of
// those RFC 3261 §18.4 wants reported: "Host, network, port or protocol
// unreachable errors, or parameter problem errors SHOULD cause the transport
// layer to inform the transport user of a failure in sending. Source quench
// and TTL exceeded ICMP errors SHOULD be ignored." A datagram that was too big
// is fragmented when it is sent again, so EMSGSIZE is none either.
func unreachableBy(control []byte) error {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		v4 := m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_RECVERR
		v6 := m.Header.Level == syscall.IPPROTO_IPV6 && m.Header.Type == syscall.IPV6_RECVERR
		if (!v4 && !v6) || len(m.Data) < 8 {
			continue
		}
		errno := syscall.Errno(binary.NativeEndian.Uint32(m.Data))
		origin, icmpType := m.Data[4], m.Data[5]
		if errno == syscall.EMSGSIZE {
			return nil
		}
		// RFC 792: 3 destination unreachable, 12 parameter problem; RFC 4443: 1 and 4.
		if origin == originICMP && (icmpType == 3 || icmpType == 12) || origin == originICMP6 && (icmpType == 1 || icmpType == 4) {
			return errno
		}
	}
	return nil
}

func addrPort(sa syscall.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
