package agent

import (
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// SIP ports are derived within this range: above the well-known ones, below the
// RTP range accounts start with.
const (
	firstPort = 5100
	lastPort  = 9999
)

// openEndpoint binds the shared SIP socket. The same name gets the same port, so
// that a restarted agent is found where it was; a port that is taken makes way
// for the next one, and the one that was got is kept in the state directory.
func openEndpoint(o Options, name string, log *slog.Logger) (*ua.Endpoint, error) {
	bind := netip.AddrPortFrom(bindAddr(o), o.SIP.Port())
	if bind.Port() != 0 {
		return listenSIP(bind, o, log)
	}
	for _, port := range candidatePorts(o.State, name) {
		endpoint, err := listenSIP(netip.AddrPortFrom(bind.Addr(), port), o, log)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err == nil && o.State != "" {
			if err := replaceFile(filepath.Join(o.State, portFile), []byte(strconv.Itoa(endpoint.Port())+"\n")); err != nil {
				log.Warn("SIP port not kept", "error", err)
			}
		}
		return endpoint, err
	}
	return nil, errors.New("no free SIP port")
}

// bindAddr is the address that SIP ports are bound to: the one asked for, else any,
// of both families where the host has IPv6.
func bindAddr(o Options) netip.Addr {
	if a := o.SIP.Addr(); a.IsValid() {
		return a
	}
	probe, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6unspecified})
	if err != nil {
		return netip.IPv4Unspecified()
	}
	_ = probe.Close()
	return netip.IPv6Unspecified()
}

func listenSIP(bind netip.AddrPort, o Options, log *slog.Logger) (*ua.Endpoint, error) {
	endpoint, err := ua.Listen(ua.Config{Bind: bind, UserAgent: userAgent(o.Version), Locator: o.locator, Tap: o.tap, Log: log})
	if err != nil {
		return nil, fmt.Errorf("SIP socket %s: %w", bind, err)
	}
	return endpoint, nil
}

func userAgent(version string) string {
	if version == "" {
		return "softphone-agent"
	}
	return "softphone-agent/" + version
}

// candidatePorts lists the ports to try: the kept one, then some that follow
// from the name, then any.
func candidatePorts(state, name string) []uint16 {
	var ports []uint16
	if state != "" {
		kept, _ := os.ReadFile(filepath.Join(state, portFile))
		if port, err := strconv.ParseUint(strings.TrimSpace(string(kept)), 10, 16); err == nil && port != 0 {
			ports = append(ports, uint16(port))
		}
	}
	for i := range 20 {
		h := fnv.New32a()
		fmt.Fprintf(h, "%s\x00%d", name, i)
		ports = append(ports, firstPort+uint16(h.Sum32()%(lastPort-firstPort+1)))
	}
	return append(ports, 0)
}
