package ua

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
)

// conn is the UDP socket as sipgo sees it. sipgo's reader ends at the first
// error, keeps an entry for every source address it ever saw, and starts a
// goroutine for every message; so it gets nothing but responses. Strangers are
// turned away and requests taken here, before any of that, and ICMP errors are
// told apart from a broken socket.
type conn struct {
	*net.UDPConn
	stun        func(message []byte, from netip.AddrPort)
	admit       func(datagram []byte, from netip.AddrPort) verdict
	receive     func(request []byte, from netip.AddrPort)
	unreachable func(to netip.AddrPort, err error)

	reading   chan struct{} // closed when the reader is at work
	announced sync.Once
	broken    atomic.Pointer[error]
}

// tooManyErrors in a row mean that the socket will not recover. Those the network
// reports do not count: a registrar that is down gives one for every datagram,
// and nothing but them is read until it is back.
const tooManyErrors = 64

func newConn(socket *net.UDPConn, stun func([]byte, netip.AddrPort), admit func([]byte, netip.AddrPort) verdict,
	receive func([]byte, netip.AddrPort), unreachable func(netip.AddrPort, error),
) *conn {
	reportErrors(socket)
	return &conn{UDPConn: socket, stun: stun, admit: admit, receive: receive, unreachable: unreachable, reading: make(chan struct{})}
}

// ReadFrom gives the next response that is admitted.
func (c *conn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.announced.Do(func() { close(c.reading) })
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
			switch c.admit(b[:n], from) {
			case takeResponse:
				return n, net.UDPAddrFromAddrPort(from), nil
			case takeRequest:
				c.receive(b[:n], from)
			}
		case errors.Is(err, net.ErrClosed):
			return 0, nil, err
		case c.drain() > 0, reported(err):
			failures = 0
		default:
			if failures++; failures > tooManyErrors {
				c.broken.Store(&err)
				return 0, nil, err
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

func (c *conn) err() error {
	if p := c.broken.Load(); p != nil {
		return *p
	}
	return net.ErrClosed
}

// icmpError is an ICMP error that came back for a datagram to an address.
type icmpError struct {
	to  netip.AddrPort
	err error // nil when it says nothing about the destination
}
