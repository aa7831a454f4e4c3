package kamailio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// launch starts kamailio. Its workers are its process group; it ends them when
// the kernel tells it that this program died.
func launch(config, dir, logFile string) (*process.Process, error) {
	// A leftover FIFO of a killed instance would take requests nobody reads.
	if err := os.Remove(filepath.Join(dir, fifoName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return process.Start(process.Config{
		Program: "kamailio", Package: "kamailio, and kamailio-tls-modules",
		// Room for ten thousand subscribers; what is not used is never touched.
		Args: []string{"-DD", "-E", "-m", "128", "-M", "160", "-f", config, "-Y", dir},
		Dir:  dir, LogFile: logFile, Orphaned: syscall.SIGTERM,
	})
}

// ping sends one OPTIONS request over a network (udp, tcp) and waits up to 100 ms for its
// answer.
func ping(ctx context.Context, network string, to netip.AddrPort) error {
	conn, err := new(net.Dialer).DialContext(ctx, network, to.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	from := conn.LocalAddr()
	request := strings.Join([]string{
		"OPTIONS sip:" + to.String() + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s %s;branch=z9hG4bK-ping;rport", strings.ToUpper(network), from),
		"Max-Forwards: 1",
		fmt.Sprintf("From: <sip:ping@%s>;tag=ping", from),
		"To: <sip:" + to.String() + ">",
		fmt.Sprintf("Call-ID: ping@%s", from),
		"CSeq: 1 OPTIONS",
		"Content-Length: 0", "", ""}, "\r\n")
	if err := conn.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		return err
	}
	answer := make([]byte, 2048)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if status, _, _ := strings.Cut(string(answer[:n]), "\r\n"); !strings.HasPrefix(status, "SIP/2.0 200") {
		return fmt.Errorf("OPTIONS answered by %q", status)
	}
	return nil
}

// tail returns the last lines of a log, for error messages.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
