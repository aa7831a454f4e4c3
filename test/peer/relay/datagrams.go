package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// mostDatagram is the largest UDP datagram there is.
const mostDatagram = 65535

// passDatagrams passes on what comes over UDP. Datagrams that cannot be sent are
// lost, as datagrams are.
func (r *Relay) passDatagrams(life context.Context, front *net.UDPConn) {
	sides := map[netip.AddrPort]*net.UDPConn{} // a client's socket towards the registrar
	mapping := r.mapping.Load()
	buffer, control := make([]byte, mostDatagram), make([]byte, 128)
	for {
		n, controls, _, client, err := front.ReadMsgUDPAddrPort(buffer, control)
		if err != nil {
			if over(life, err) {
				return
			}
			continue // ICMP about something sent earlier
		}
		if now := r.mapping.Load(); now != mapping {
			mapping = now
			for client, side := range sides {
				_ = side.Close()
				delete(sides, client)
			}
		}
		side := sides[client]
		if side == nil {
			if side, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(r.upstream)); err != nil {
				continue
			}
			_ = side.SetReadBuffer(1 << 20)
			context.AfterFunc(life, func() { _ = side.Close() })
			sides[client] = side
			r.work.Go(func() { r.passBack(life, front, side, client) })
		}
		r.note(buffer[:n], arrival(control[:controls]), true)
		_, _ = side.Write(buffer[:n])
	}
}

// passBack passes a client what the registrar sends it.
func (r *Relay) passBack(life context.Context, front, side *net.UDPConn, client netip.AddrPort) {
	buffer := make([]byte, mostDatagram)
	for {
		n, err := side.Read(buffer)
		if err != nil {
			if over(life, err) || errors.Is(err, net.ErrClosed) {
				return
			}
			continue // the registrar is away
		}
		r.note(buffer[:n], time.Now(), false)
		_, _ = front.WriteToUDPAddrPort(buffer[:n], client)
	}
}

// stamp asks the kernel to say when a datagram arrived: on the loopback interface
// that is when it was sent, however late a busy machine lets us look.
func stamp(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	}); err != nil {
		return err
	}
	return set
}

// arrival reads the kernel's stamp: a timespec of two 64-bit numbers.
func arrival(control []byte) time.Time {
	all, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now()
	}
	for _, m := range all {
		if m.Header.Level == syscall.SOL_SOCKET && m.Header.Type == syscall.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Now()
}
