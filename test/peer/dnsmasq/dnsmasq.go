// Package dnsmasq runs dnsmasq for a test: a name server, on a free port of the
// loopback address, of names that the test makes up. Nothing is asked of anybody
// else, and nothing of this host is known there.
package dnsmasq

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// Config of a name server.
type Config struct {
	// TTL of all answers, whole seconds; 0 = one second.
	TTL time.Duration
	// Hosts are the addresses of names.
	Hosts map[string][]netip.Addr
	// Services are SRV records, by name: _sip._udp.carrier.test.
	Services map[string][]Service
	// Pointers are NAPTR records, by name.
	Pointers map[string][]Pointer
}

// Service is an SRV record. Target "" = not offered (".").
type Service struct {
	Target           string
	Port             uint16
	Priority, Weight uint16
}

// Pointer is a NAPTR record.
type Pointer struct {
	Order, Preference           uint16
	Flags, Service, Replacement string
}

// Server is a running dnsmasq.
type Server struct {
	*process.Process
	tb      process.TB
	dir     string
	addr    netip.AddrPort
	started int
}

// Start runs one until the test ends.
func Start(tb process.TB, c Config) *Server {
	tb.Helper()
	port, err := process.FreePorts(1)
	if err != nil {
		tb.Fatalf("dnsmasq: %v", err)
	}
	s := &Server{tb: tb, dir: tb.TempDir(), addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
	s.run(c)
	process.EndWith(tb, "dnsmasq", func() error { return s.Stop(5 * time.Second) }, func() string { return s.Tail(2000) })
	return s
}

// Addr is where it answers.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Change has it know other names, on the same port.
func (s *Server) Change(c Config) {
	s.tb.Helper()
	if err := s.Stop(5 * time.Second); err != nil {
		s.tb.Fatalf("dnsmasq: %v", err)
	}
	s.run(c)
}

// Questions counts what it was asked that contains a text, such as
// "query[SRV] _sip._udp.carrier.test".
func (s *Server) Questions(containing string) int {
	n := 0
	for line := range strings.Lines(s.Log()) {
		if strings.Contains(line, containing) {
			n++
		}
	}
	return n
}

func (s *Server) run(c Config) {
	s.tb.Helper()
	s.started++
	path := filepath.Join(s.dir, "dnsmasq.conf")
	if err := os.WriteFile(path, []byte(c.text(s.addr)), 0o600); err != nil {
		s.tb.Fatalf("dnsmasq: %v", err)
	}
	p, err := process.Start(process.Config{
		Program: "dnsmasq", Package: "dnsmasq-base", Dir: s.dir, LogFile: filepath.Join(s.dir, fmt.Sprintf("dnsmasq.%d.log", s.started)),
		Args: []string{"--keep-in-foreground", "--conf-file=" + path},
	})
	if err != nil {
		s.tb.Fatalf("dnsmasq: %v", err)
	}
	s.Process = p
	ctx, cancel := context.WithTimeout(s.tb.Context(), 20*time.Second)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr.String())
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-p.Done():
			s.tb.Fatalf("dnsmasq ended: %s\n%s", p.End(), p.Tail(2000))
		case <-ctx.Done():
			s.tb.Fatalf("dnsmasq does not listen: %v\n%s", err, p.Tail(2000))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// text of the configuration file.
func (c Config) text(at netip.AddrPort) string {
	lines := []string{
		"port=" + strconv.Itoa(int(at.Port())), "listen-address=" + at.Addr().String(), "bind-interfaces",
		"no-resolv", "no-hosts", "no-poll", "pid-file=", "user=", "log-queries", "log-facility=-", "local=/test/", "edns-packet-max=1232",
		fmt.Sprintf("local-ttl=%d", max(1, int(c.TTL.Seconds()))),
	}
	for name, addrs := range c.Hosts {
		for _, a := range addrs {
			lines = append(lines, fmt.Sprintf("host-record=%s,%s", name, a))
		}
	}
	for name, services := range c.Services {
		for _, s := range services {
			if s.Target == "" {
				lines = append(lines, "srv-host="+name)
				continue
			}
			lines = append(lines, fmt.Sprintf("srv-host=%s,%s,%d,%d,%d", name, s.Target, s.Port, s.Priority, s.Weight))
		}
	}
	for name, pointers := range c.Pointers {
		for _, p := range pointers {
			lines = append(lines, fmt.Sprintf("naptr-record=%s,%d,%d,%s,%s,,%s", name, p.Order, p.Preference, p.Flags, p.Service, p.Replacement))
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
