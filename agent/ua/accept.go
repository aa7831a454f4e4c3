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

// receive waits for the first message of a connection. sipgo gets only those that
// have something to say to a line; others cost a goroutine for a moment, and hear
// nothing.
func (t *streams) receive(conn net.Conn) {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok || !t.enter(tcp.AddrPort().Addr()) {
		_ = conn.Close()
		return
	}
	defer t.leave()
	s := t.wrap(conn, tcp.AddrPort())
	if t.life.Err() != nil {
		s.end(net.ErrClosed) // close did not see it
		return
	}
	err := conn.SetReadDeadline(time.Now().Add(firstWordTimeout))
	for err == nil && len(s.rest) == 0 {
		err = s.advance()
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		s.end(err)
		return
	}
	if t.pass(s) == nil {
		<-s.over
	}
}

// enter counts a connection in; the lines' servers always find room.
func (t *streams) enter(from netip.Addr) bool {
	server := t.endpoint.lines.isServer(from)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.accepted >= mostAccepted && !server {
		return false
	}
	t.accepted++
	return true
}

func (t *streams) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accepted--
}
