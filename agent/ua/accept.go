package ua

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// accept takes connections until the listener closes.
func (t *streams) accept() {
	for {
		conn, err := t.listener.Accept()
		switch {
		case err == nil:
			t.work.Go(func() { t.receive(conn) })
		case errors.Is(err, net.ErrClosed):
			return
		default:
			// Out of descriptors, most likely: there is time.
			t.endpoint.log.Debug("connection not accepted", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-t.life.Done():
				return
			}
		}
	}
}

// receive reads a connection that others made. Those that have nothing to say to a line
// cost a goroutine for a moment, and hear nothing.
func (t *streams) receive(conn net.Conn) {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok || !t.enter(tcp.AddrPort().Addr()) {
		t.endpoint.count.turnedAway.Add(1)
		_ = conn.Close()
		return
	}
	defer t.leave(tcp.AddrPort().Addr())
	s := t.wrap(conn, tcp.AddrPort())
	if t.life.Err() != nil {
		s.end(net.ErrClosed) // close did not see it
		return
	}
	err := conn.SetReadDeadline(time.Now().Add(firstWordTimeout))
	for err == nil && !s.welcome {
		err = s.advance()
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		t.endpoint.count.turnedAway.Add(1)
		s.end(err)
		return
	}
	s.read()
}

// enter counts a connection in; the lines' servers always find room.
func (t *streams) enter(from netip.Addr) bool {
	server := t.endpoint.lines.isServer(from)
	t.mu.Lock()
	defer t.mu.Unlock()
	from = from.Unmap()
	if !server && (t.accepted >= mostAccepted || t.acceptedFrom[from] >= mostAcceptedFrom) {
		return false
	}
	t.accepted++
	t.acceptedFrom[from]++
	return true
}

func (t *streams) leave(from netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from = from.Unmap()
	t.accepted--
	if t.acceptedFrom[from]--; t.acceptedFrom[from] == 0 {
		delete(t.acceptedFrom, from)
	}
}
