package ua

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// One address holds so many connections and no more; those that are closed free
// their place.
func TestConnectionsOfAStrangerAreBounded(t *testing.T) {
	e := listen(t)
	connect := func() net.Conn {
		c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", e.Port()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	held := func() int {
		e.streams.mu.Lock()
		defer e.streams.mu.Unlock()
		return e.streams.accepted
	}
	var open []net.Conn
	for range mostAcceptedFrom {
		open = append(open, connect())
	}
	eventually(t, "as many as may be are held", func() bool { return held() == mostAcceptedFrom })
	extra := connect()
	_ = extra.SetReadDeadline(time.Now().Add(firstWordTimeout / 2))
	if _, err := extra.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("one more is not closed: %v", err)
	}
	if n := e.Stats().TurnedAway; n != 1 {
		t.Errorf("%d were turned away", n)
	}
	for _, c := range open {
		_ = c.Close()
	}
	eventually(t, "their places are free again", func() bool { return held() == 0 })
	e.streams.mu.Lock()
	defer e.streams.mu.Unlock()
	if n := len(e.streams.acceptedFrom); n != 0 {
		t.Errorf("%d addresses are still counted", n)
	}
}
