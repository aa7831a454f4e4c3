// Package rtpengine runs Debian's rtpengine-daemon for tests: the relay of media that carriers put between their customers, without its
// kernel module. kamailio tells it what to do.
package rtpengine

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// relayPorts it has for media: four a call.
const relayPorts = 80

// Relay is a running rtpengine.
type Relay struct {
	*process.Process
	control netip.AddrPort
}

// Start runs one on the loopback address until the test ends.
func Start(tb process.TB) *Relay {
	tb.Helper()
	port, err := process.FreePorts(2 + relayPorts)
	if err != nil {
		tb.Fatalf("rtpengine: %v", err)
	}
	dir := tb.TempDir()
	r := &Relay{control: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
	r.Process, err = process.Start(process.Config{
		Program: "rtpengine", Package: "rtpengine-daemon", Dir: dir, LogFile: filepath.Join(dir, "log"),
		Args: []string{
			"--config-file=none", "--foreground", "--log-stderr", "--log-level=6", "--table=-1", "--interface=127.0.0.1", fmt.Sprintf("--listen-ng=%s", r.control),
			fmt.Sprintf("--port-min=%d", port+2), fmt.Sprintf("--port-max=%d", port+1+relayPorts), "--num-threads=2", "--pidfile=" + filepath.Join(dir, "pid"),
		},
	})
	if err != nil {
		tb.Fatalf("rtpengine: %v", err)
	}
	process.EndWith(tb, "rtpengine", func() error { return r.Stop(3 * time.Second) }, func() string { return r.Tail(6000) })
	r.await(tb)
	return r
}

// Control is where it takes orders.
func (r *Relay) Control() netip.AddrPort { return r.control }

// await asks it for a sign of life until it gives one.
func (r *Relay) await(tb process.TB) {
	tb.Helper()
	limit := time.Now().Add(20 * time.Second)
	answer := make([]byte, 1500)
	for time.Now().Before(limit) && !r.Exited() {
		conn, err := net.Dial("udp", r.control.String())
		if err != nil {
			tb.Fatalf("rtpengine: %v", err)
		}
		_ = conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
		_, err = conn.Write([]byte("1 d7:command4:pinge"))
		if err == nil {
			_, err = conn.Read(answer)
		}
		_ = conn.Close()
		if err == nil {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	tb.Fatalf("rtpengine takes no orders:\n%s", r.Tail(3000))
}
