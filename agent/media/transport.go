package media

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// ErrPortsExhausted says that no even/odd pair of UDP ports is free in the range.
var ErrPortsExhausted = errors.New("no free RTP port pair")

// PortRange is the inclusive UDP port range RTP uses. The zero value lets the kernel choose.
type PortRange struct{ First, Last int }

// pairs is the number of even/odd pairs in the range, and the first even port.
func (r PortRange) pairs() (n, first int) {
	first = r.First + r.First%2
	return max((r.Last-first+1)/2, 0), first
}

// transport is the seam for how datagrams reach the peer: plainly, RTP by an even port and RTCP by the odd one after it
// (RFC 3550 §11), or by a relay. Writing does not block.
type transport interface {
	writeRTP(b []byte, to netip.AddrPort) error
	writeRTCP(b []byte, to netip.AddrPort) error
	localRTP() netip.AddrPort
	close() error
}

// awaited is a transport that is read by who waits for it. Reading ends with an error when the transport is closed.
type awaited interface {
	readRTP(b []byte) (int, netip.AddrPort, error)
	readRTCP(b []byte) (int, netip.AddrPort, error)
}

// polled is a transport that keeps what comes until somebody looks.
type polled interface {
	// fetch fills a batch with what came to a port (0 = RTP, 1 = RTCP), and gives the number of datagrams.
	fetch(b *batch, port int) int
	// datagram gives one of them, and from where and when it came: not before since, and about now at the latest.
	datagram(b *batch, port, i int, now, since time.Time) (data []byte, from netip.AddrPort, at time.Time)
}

// listenPlain binds a pair in the range, starting at a random place so that a port is not used again right after a call.
func listenPlain(local netip.Addr, ports PortRange) (transport, error) {
	if ports == (PortRange{}) {
		return listenAnywhere(local)
	}
	n, first := ports.pairs()
	if n == 0 || ports.First < 1 || ports.Last > 65535 {
		return nil, fmt.Errorf("RTP port range %d-%d holds no pair of ports", ports.First, ports.Last)
	}
	start := rand.IntN(n)
	for i := range n {
		p, err := listenPair(local, first+2*((start+i)%n))
		if err == nil {
			return p, nil
		}
		if !taken(err) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: all %d pairs in %d-%d on %s are taken", ErrPortsExhausted, n, ports.First, ports.Last, local)
}

// listenAnywhere takes a pair around a port the kernel finds free.
func listenAnywhere(local netip.Addr) (transport, error) {
	const tries = 100
	for range tries {
		probe, err := listenUDP(local, 0)
		if err != nil {
			return nil, err
		}
		port := probe.LocalAddr().(*net.UDPAddr).Port
		if err := probe.Close(); err != nil {
			return nil, err
		}
		p, err := listenPair(local, port-port%2)
		if err == nil {
			return p, nil
		}
		if !taken(err) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %d tries on %s", ErrPortsExhausted, tries, local)
}

func listenUDP(local netip.Addr, port int) (*net.UDPConn, error) {
	network := "udp4"
	if local.Is6() && !local.Is4In6() {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(local.Unmap(), uint16(port))))
	if err == nil {
		mark(conn, network == "udp6")
	}
	return conn, err
}

// expedited is the class of voice (RFC 4594 §4.1: EF, code point 46) where the traffic class lies in the header.
const expedited = 46 << 2

// mark asks the network to hurry. That a host will not let us is no reason to do without the call.
func mark(conn *net.UDPConn, six bool) {
	if six {
		_ = ipv6.NewConn(conn).SetTrafficClass(expedited)
		return
	}
	_ = ipv4.NewConn(conn).SetTOS(expedited)
}

// taken reports that a port cannot be had, but another one could.
func taken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES)
}
