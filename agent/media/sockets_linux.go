//go:build linux && (amd64 || arm64)

package media

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listenPair binds a pair that is read when a clock looks. The sockets are our own, for two reasons: those of package net wake
// somebody for each datagram, whether anybody waits for it or not, and they do not tell when it came.
func listenPair(local netip.Addr, port int) (transport, error) {
	rtp, err := bind(local, port)
	if err != nil {
		return nil, err
	}
	rtcp, err := bind(local, port+1)
	if err != nil {
		return nil, errors.Join(err, rtp.close())
	}
	return &socketPair{rtp, rtcp}, nil
}

// socketPair is an RTP and an RTCP socket that nobody waits for.
type socketPair [2]*socket

func (p *socketPair) writeRTP(b []byte, to netip.AddrPort) error  { return p[0].send(b, to) }
func (p *socketPair) writeRTCP(b []byte, to netip.AddrPort) error { return p[1].send(b, to) }
func (p *socketPair) localRTP() netip.AddrPort                    { return p[0].local }
func (p *socketPair) close() error                                { return errors.Join(p[0].close(), p[1].close()) }

// fetch implements polled.
func (p *socketPair) fetch(b *batch, port int) int { return p[port].receive(b) }

// datagram implements polled.
func (p *socketPair) datagram(b *batch, port, i int, now, since time.Time) ([]byte, netip.AddrPort, time.Time) {
	r := &b.rooms[i]
	data, from, at := r.data[:b.messages[i].size], p[port].from(r), b.arrival(i, now, since)
	b.clean(i)
	return data, from, at
}

// socket is a UDP socket that does not block.
type socket struct {
	local netip.AddrPort
	scope uint32 // of link-local addresses (RFC 4007), which are all of the same link

	mu sync.RWMutex // the number must not be another file's while it is used
	fd int          // -1 when closed
}

func bind(local netip.Addr, port int) (*socket, error) {
	family, level, class := unix.AF_INET, unix.IPPROTO_IP, unix.IP_TOS
	six := local.Is6() && !local.Is4In6()
	if six {
		family, level, class = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd}
	if six {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = s.bind(local.Unmap(), port)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen udp %s: %w", netip.AddrPortFrom(local, uint16(port)), err), s.close())
	}
	// That a host will not let us is no reason to do without the call: the network is in no hurry then, and what came came when it
	// was read.
	_ = unix.SetsockoptInt(fd, level, class, expedited)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	return s, nil
}

func (s *socket) bind(local netip.Addr, port int) error {
	if zone := local.Zone(); zone != "" {
		i, err := net.InterfaceByName(zone)
		if err != nil {
			return err
		}
		s.scope = uint32(i.Index)
	}
	var at unix.Sockaddr = &unix.SockaddrInet4{Port: port, Addr: as4(local)}
	if local.Is6() {
		at = &unix.SockaddrInet6{Port: port, Addr: local.As16(), ZoneId: s.scope}
	}
	if err := unix.Bind(s.fd, at); err != nil {
		return os.NewSyscallError("bind", err)
	}
	bound, err := unix.Getsockname(s.fd)
	switch a := bound.(type) {
	case *unix.SockaddrInet4:
		port = a.Port
	case *unix.SockaddrInet6:
		port = a.Port
	}
	s.local = netip.AddrPortFrom(local, uint16(port))
	return os.NewSyscallError("getsockname", err)
}

func as4(a netip.Addr) (b [4]byte) {
	if a.Is4() {
		b = a.As4()
	}
	return b
}

func (s *socket) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return net.ErrClosed
	}
	err := unix.Close(s.fd)
	s.fd = -1
	return os.NewSyscallError("close", err)
}

// send hands a datagram to the network, or fails at once.
func (s *socket) send(b []byte, to netip.AddrPort) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.fd < 0:
		return net.ErrClosed
	case len(b) == 0 || !to.IsValid() || to.Addr().Unmap().Is4() != s.local.Addr().Is4():
		return fmt.Errorf("sending to %s: %w", to, syscall.EAFNOSUPPORT)
	}
	var name unix.RawSockaddrInet6
	size := s.name(&name, to)
	for {
		// The kernel does not wait here: the scheduler need not be told.
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL,
			uintptr(unsafe.Pointer(&name)), size)
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return os.NewSyscallError("sendto", errno)
		}
	}
}

// name writes an address as the kernel has it, and gives its size.
func (s *socket) name(name *unix.RawSockaddrInet6, a netip.AddrPort) uintptr {
	port := [2]byte{byte(a.Port() >> 8), byte(a.Port())}
	if s.local.Addr().Is4() {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		four.Family, four.Port, four.Addr = unix.AF_INET, *(*uint16)(unsafe.Pointer(&port)), a.Addr().Unmap().As4()
		return unix.SizeofSockaddrInet4
	}
	name.Family, name.Port, name.Addr = unix.AF_INET6, *(*uint16)(unsafe.Pointer(&port)), a.Addr().As16()
	if a.Addr().IsLinkLocalUnicast() {
		name.Scope_id = s.scope
	}
	return unix.SizeofSockaddrInet6
}

// from is where a datagram came from.
func (s *socket) from(r *room) netip.AddrPort {
	port := (*[2]byte)(unsafe.Pointer(&r.name.Port))
	if s.local.Addr().Is4() {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&r.name))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), uint16(port[0])<<8|uint16(port[1]))
	}
	a := netip.AddrFrom16(r.name.Addr)
	if a.IsLinkLocalUnicast() {
		a = a.WithZone(s.local.Addr().Zone())
	}
	return netip.AddrPortFrom(a, uint16(port[0])<<8|uint16(port[1]))
}

// receive fills a batch with what has come, and gives how many datagrams that is.
func (s *socket) receive(b *batch) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.fd < 0 {
		return 0
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&b.messages[0])), uintptr(len(b.messages)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}
