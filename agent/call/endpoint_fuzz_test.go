package call_test

import (
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

// FuzzEndpoint sends whatever there is to a whole endpoint with a line, from the line's
// server, as one datagram or down one connection: no panic, the line answers
// afterwards, and when it is closed no goroutine is left.
func FuzzEndpoint(f *testing.F) {
	for _, text := range tortureFiles(f) {
		f.Add(text, false)
		f.Add(text, true)
	}
	for _, c := range ipv6 {
		f.Add([]byte(c.start+" SIP/2.0\r\n"+strings.Join(c.headers, "\r\n")+"\r\n\r\n"+c.body), false)
	}
	f.Add([]byte("\r\n\r\n\r\n\r\n\r\n"), true)
	f.Add([]byte("\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl"), false) // STUN
	f.Add([]byte("INVITE sip:victim@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP\r\nContent-Length: 4294967295\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, raw []byte, connection bool) {
		if len(raw) > 60000 {
			return // more than a datagram
		}
		before := runtime.NumGoroutine()
		t.Cleanup(func() {
			for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					stacks := make([]byte, 1<<16)
					t.Fatalf("%d goroutines, were %d\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
				}
			}
		})
		from := netip.MustParseAddrPort("127.44.77.1:0")
		v := newVictim(t, from)
		network := "udp"
		if connection {
			network = "tcp"
		}
		m := newTormentor(t, v, network, from)
		m.send(raw)
		m.alive()
	})
}
