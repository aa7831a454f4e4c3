package ua

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// TestADeadPeerDoesNotBreakTheSocket: nothing but errors comes in while the only
// server is down, as many as were sent, and the socket outlives them all.
func TestADeadPeerDoesNotBreakTheSocket(t *testing.T) {
	loopback := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	listen := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", loopback)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	dead := listen()
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	told := make(chan netip.AddrPort, 1)
	admit := func([]byte, netip.AddrPort) verdict { return takeResponse }
	c := newConn(listen(), nil, admit, func(to netip.AddrPort, _ error) { told <- to })
	type result struct {
		text string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		raw, _, _, err := c.next(make([]byte, 100))
		read <- result{string(raw), err}
	}()
	for i := range 2 * tooManyErrors {
		if _, err := c.WriteTo([]byte("to nobody"), dead.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-told:
		case r := <-read:
			t.Fatalf("after %d errors the socket reads %q, %v", i, r.text, r.err)
		case <-time.After(10 * time.Second):
			t.Fatalf("error %d is not told", i)
		}
	}
	if _, err := listen().WriteTo([]byte("hello"), c.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-read:
		if r.text != "hello" || r.err != nil {
			t.Errorf("then it reads %q, %v", r.text, r.err)
		}
	case <-time.After(10 * time.Second):
		t.Error("then it reads nothing")
	}
}
