package ua

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/softphone-operator/softphone-operator/agent/dns"
)

// Place is where a service beside SIP can be had: a STUN or TURN server.
type Place struct {
	Addr netip.AddrPort
	Name string // as DNS has it, for certificates
}

// FindService gives the places of a service by its SRV records ("_stun._udp.", RFC 8489 §8), the first to be tried first. None and
// no error: DNS knows of none, or host is an address.
func (e *Endpoint) FindService(ctx context.Context, label, host string) ([]Place, error) {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "" {
		return nil, nil
	}
	l, can := e.cfg.Locator, e.family()
	answer, err := l.names.Lookup(ctx, label+host, dns.SRV)
	if err != nil {
		return nil, fmt.Errorf("%w: %s%s: %w", ErrDNS, label, host, err)
	}
	var places []Place
	services := inOrder(answer.Services, rand.IntN)
	for _, s := range services[:min(len(services), mostServices)] {
		if s.Target == "." {
			continue
		}
		addrs, err := l.addresses(ctx, s.Target, can)
		if err != nil {
			return places, fmt.Errorf("%w: %s: %w", ErrDNS, s.Target, err)
		}
		for _, a := range addrs {
			places = append(places, Place{netip.AddrPortFrom(a, s.Port), strings.TrimSuffix(s.Target, ".")})
		}
	}
	return places, nil
}

// FindHost gives the addresses of host[:port], with a port for one that names none.
func (e *Endpoint) FindHost(ctx context.Context, hostport string, port uint16) ([]Place, error) {
	target := URI("", hostport)
	port = cmp.Or(uint16(target.Port), port)
	if a, err := netip.ParseAddr(strings.Trim(target.Host, "[]")); err == nil {
		return []Place{{netip.AddrPortFrom(a.Unmap(), port), a.String()}}, nil
	}
	addrs, err := e.cfg.Locator.addresses(ctx, target.Host, e.family())
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDNS, target.Host, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrHostNotFound, target.Host)
	}
	var places []Place
	for _, a := range addrs {
		places = append(places, Place{netip.AddrPortFrom(a, port), target.Host})
	}
	return places, nil
}

// family of addresses that can be used from here.
func (e *Endpoint) family() family {
	local := e.local.Addr()
	return family{v4: local.Is4() || local.IsUnspecified(), v6: local.Is6()}
}
