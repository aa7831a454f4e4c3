package ua

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// conn is the UDP socket. Strangers are turned away as they come, and ICMP errors are
// told apart from a broken socket.
type conn struct {
	*net.UDPConn
	stun        func(message []byte, from netip.AddrPort)
	admit       func(datagram []byte, from netip.AddrPort) verdict
	unreachable func(to netip.AddrPort, err error)
}

// tooManyErrors in a row mean that the socket will not recover. Those the network
// reports do not count: a registrar that is down gives one for every datagram,
// and nothing but them is read until it is back.
const tooManyErrors = 64

func newConn(socket *net.UDPConn, stun func([]byte, netip.AddrPort), admit func([]byte, netip.AddrPort) verdict,
	unreachable func(netip.AddrPort, error),
) *conn {
	reportErrors(socket)
	return &conn{UDPConn: socket, stun: stun, admit: admit, unreachable: unreachable}
}

// next gives the next datagram that is admitted, in b. An error is the socket's end.
func (c *conn) next(b []byte) (raw []byte, from netip.AddrPort, v verdict, err error) {
	for failures := 0; ; {
		n, from, err := c.ReadFromUDPAddrPort(b)
		switch {
		case err == nil:
			failures = 0
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			if isSTUN(b[:n]) {
				c.stun(b[:n], from)
				continue
			}
			if v := c.admit(b[:n], from); v != drop {
				return b[:n], from, v, nil
			}
		case errors.Is(err, net.ErrClosed):
			return nil, from, drop, err
		case c.drain() > 0, reported(err):
			failures = 0
		default:
			if failures++; failures > tooManyErrors {
				return nil, from, drop, err
			}
		}
	}
}

// reported tells errors about something that was sent, which say nothing about
// the socket. They are told apart by number, too, since a writer may have emptied
// the queue first.
func reported(err error) bool {
	var number syscall.Errno
	if !errors.As(err, &number) {
		return false
	}
	switch number {
	case syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ENOPROTOOPT,
		syscall.EPROTO, syscall.EMSGSIZE, syscall.EACCES, syscall.EPERM, syscall.EOPNOTSUPP:
		return true
	}
	return false
}

// WriteTo sends a datagram.
func (c *conn) WriteTo(b []byte, to net.Addr) (n int, err error) {
	err = c.insist(func() error { n, err = c.UDPConn.WriteTo(b, to); return err })
	return n, err
}

// send is WriteTo without the detour of an interface.
func (c *conn) send(b []byte, to netip.AddrPort) error {
	return c.insist(func() error { _, err := c.WriteToUDPAddrPort(b, to); return err })
}

// mostPending errors are taken for those of other datagrams, before one counts.
const mostPending = 4

// insist sends a datagram. An ICMP error pending on the socket is returned to
// whoever writes next, wherever to; so it is taken to the one it belongs to, unless
// the reader did that first, and the datagram is sent again.
func (c *conn) insist(write func() error) error {
	for attempt := 0; ; attempt++ {
		err := write()
		if err == nil || attempt == mostPending || c.drain() == 0 && !reported(err) {
			return err
		}
	}
}

// drain hands on the ICMP errors waiting at the socket and counts them.
func (c *conn) drain() int {
	errs := readErrors(c.UDPConn)
	for _, e := range errs {
		if e.err != nil {
			c.unreachable(e.to, e.err)
		}
	}
	return len(errs)
}

// icmpError is an ICMP error that came back for a datagram to an address.
type icmpError struct {
	to  netip.AddrPort
	err error // nil when it says nothing about the destination
}
