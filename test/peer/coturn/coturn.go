// Package coturn runs Debian's coturn for tests: a STUN and TURN server with one user.
package coturn

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// User and Password of the only account.
const (
	User     = "turner"
	Password = "secret-turner"
)

// Config of a server.
type Config struct {
	// Transports it takes clients by: udp, tcp, tls; empty = udp.
	Transports []string
	// CertFile and KeyFile for tls.
	CertFile, KeyFile string
	// Addrs it has; none = the loopback address. With a second one it tells who asks where to ask again, so that a NAT can be known
	// for a symmetric one (RFC 5780).
	Addrs []netip.Addr
}

// Server is a running coturn.
type Server struct {
	*process.Process
	addr  netip.AddrPort
	relay uint16 // first of the relayed ports
}

const relayPorts = 40

// Start runs one until the test ends.
func Start(tb process.TB, c Config) *Server {
	tb.Helper()
	port, err := process.FreePorts(2 + relayPorts)
	if err != nil {
		tb.Fatalf("coturn: %v", err)
	}
	dir := tb.TempDir()
	if len(c.Addrs) == 0 {
		c.Addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	s := &Server{addr: netip.AddrPortFrom(c.Addrs[0], port), relay: port + 2}
	path := filepath.Join(dir, "turnserver.conf")
	if err := os.WriteFile(path, []byte(c.text(s, dir)), 0o600); err != nil {
		tb.Fatalf("coturn: %v", err)
	}
	s.Process, err = process.Start(process.Config{
		Program: "turnserver", Package: "coturn", Dir: dir, LogFile: filepath.Join(dir, "log"), Args: []string{"-c", path, "-v"},
	})
	if err != nil {
		tb.Fatalf("coturn: %v", err)
	}
	process.EndWith(tb, "coturn", func() error { return s.Stop(3 * time.Second) }, func() string { return s.Tail(4000) })
	s.await(tb)
	return s
}

// Addr is where it listens, by every transport it has.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Relays says whether an address is a port of this server.
func (s *Server) Relays(at netip.AddrPort) bool {
	return at.Addr() == s.addr.Addr() && at.Port() >= s.relay && at.Port() < s.relay+relayPorts
}

// text of the configuration file.
func (c Config) text(s *Server, dir string) string {
	has := func(name string) bool { return strings.Contains(strings.Join(c.Transports, " "), name) }
	plain, secure := s.addr.Port(), s.addr.Port()+1
	if has("tls") {
		plain, secure = secure, plain
	}
	lines := []string{
		fmt.Sprintf("relay-ip=%s", s.addr.Addr()), fmt.Sprintf("listening-port=%d", plain), fmt.Sprintf("tls-listening-port=%d", secure),
		fmt.Sprintf("min-port=%d", s.relay), fmt.Sprintf("max-port=%d", s.relay+relayPorts-1), "fingerprint", "lt-cred-mech", "realm=carrier.test",
		"user=" + User + ":" + Password, "allow-loopback-peers", "cli-password=x", "no-cli", "no-multicast-peers", "log-file=stdout", "no-dtls",
		"pidfile=" + filepath.Join(dir, "pid"), "userdb=" + filepath.Join(dir, "userdb"),
	}
	for _, a := range c.Addrs {
		lines = append(lines, fmt.Sprintf("listening-ip=%s", a))
	}
	if len(c.Transports) > 0 && !has("udp") {
		lines = append(lines, "no-udp")
	}
	if !has("tcp") {
		lines = append(lines, "no-tcp")
	}
	if has("tls") {
		lines = append(lines, "cert="+c.CertFile, "pkey="+c.KeyFile)
	} else {
		lines = append(lines, "no-tls")
	}
	return strings.Join(lines, "\n") + "\n"
}

// await waits until it listens: over UDP, until its log says so.
func (s *Server) await(tb process.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr.String())
		if err == nil {
			_ = conn.Close()
			return
		}
		if strings.Contains(s.Log(), fmt.Sprintf("IPv4. UDP listener opened on: %s", s.addr)) {
			return
		}
		select {
		case <-s.Done():
			tb.Fatalf("coturn ended: %s\n%s", s.End(), s.Tail(2000))
		case <-ctx.Done():
			tb.Fatalf("coturn does not listen: %v\n%s", err, s.Tail(2000))
		case <-time.After(10 * time.Millisecond):
		}
	}
}
