package media

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"

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

// transport is the seam for how datagrams reach the peer: plainly, or by a relay. Writing must
// not block; reading ends with an error when the transport is closed.
type transport interface {
	readRTP(b []byte) (int, netip.AddrPort, error)
	writeRTP(b []byte, to netip.AddrPort) error
	readRTCP(b []byte) (int, netip.AddrPort, error)
	writeRTCP(b []byte, to netip.AddrPort) error
	localRTP() netip.AddrPort
	close() error
}

// plain is a pair of UDP sockets, RTP on the even port and RTCP on the odd one after it (RFC 3550 §11).
type plain struct{ rtp, rtcp *net.UDPConn }

func (p *plain) readRTP(b []byte) (int, netip.AddrPort, error)  { return p.rtp.ReadFromUDPAddrPort(b) }
func (p *plain) readRTCP(b []byte) (int, netip.AddrPort, error) { return p.rtcp.ReadFromUDPAddrPort(b) }

func (p *plain) writeRTP(b []byte, to netip.AddrPort) error {
	_, err := p.rtp.WriteToUDPAddrPort(b, to)
	return err
}

func (p *plain) writeRTCP(b []byte, to netip.AddrPort) error {
	_, err := p.rtcp.WriteToUDPAddrPort(b, to)
	return err
}

func (p *plain) localRTP() netip.AddrPort {
	local := p.rtp.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
}

func (p *plain) close() error { return errors.Join(p.rtp.Close(), p.rtcp.Close()) }

// listenPlain binds a pair in the range, starting at a random place so that a port is not used again right after a call.
func listenPlain(local netip.Addr, ports PortRange) (*plain, error) {
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
func listenAnywhere(local netip.Addr) (*plain, error) {
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

func listenPair(local netip.Addr, port int) (*plain, error) {
	rtp, err := listenUDP(local, port)
	if err != nil {
		return nil, err
	}
	rtcp, err := listenUDP(local, port+1)
	if err != nil {
		return nil, errors.Join(err, rtp.Close())
	}
	return &plain{rtp, rtcp}, nil
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
