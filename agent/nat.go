package agent

import (
	"context"
	"crypto/tls"
	"net/netip"
	"strings"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// Ports of STUN and TURN, and of TURN over TLS (RFC 8489 §17, RFC 8656 §3.1).
const (
	stunPort  = 3478
	turnsPort = 5349
)

// services finds servers of a kind; *ua.Endpoint does.
type services interface {
	FindService(ctx context.Context, label, host string) ([]ua.Place, error)
	FindHost(ctx context.Context, hostport string, port uint16) ([]ua.Place, error)
}

// natOf gives what calls of a line ask to find out where they can be reached; nil = nothing.
func natOf(t *target, from services) func(context.Context) (media.NAT, error) {
	a := t.Account
	host := strings.Trim(ua.URI("", a.Domain()).Host, "[]")
	_, err := netip.ParseAddr(host)
	nameless := a.STUN == "" && err == nil                                                // an address has no SRV records
	serverless := a.NatTraversal == media.NATICE || a.NatTraversal == media.NATTURNAlways // these matter without servers, too
	if a.NatTraversal == media.NATOff || nameless && !serverless {
		return nil
	}
	return func(ctx context.Context) (media.NAT, error) {
		n := media.NAT{Mode: a.NatTraversal, Username: a.STUNUsername, Password: a.STUNPassword, IgnoreSymmetric: a.IgnoreSymmetricNat, Order: a.ICEDefaultCandidateOrder}
		if nameless {
			return n, nil
		}
		var err error
		if n.STUN, err = stunServers(ctx, a, host, from); err != nil || a.STUNUsername == "" {
			return n, err
		}
		n.TURN, err = turnServers(ctx, a, host, from, tlsOf(t.trust()))
		return n, err
	}
}

func stunServers(ctx context.Context, a *account.Account, host string, from services) ([]netip.AddrPort, error) {
	places, err := from.FindService(ctx, "_stun._udp.", host)
	if a.STUN != "" {
		places, err = from.FindHost(ctx, a.STUN, stunPort)
	}
	var addrs []netip.AddrPort
	for _, p := range places {
		addrs = append(addrs, p.Addr)
	}
	return addrs, err
}

// turnServers are those of the STUN node, by every transport in turn, else those DNS has for the domain.
func turnServers(ctx context.Context, a *account.Account, host string, from services, config *tls.Config) ([]media.Relay, error) {
	var relays []media.Relay
	add := func(transport string, places []ua.Place) {
		for _, p := range places {
			relays = append(relays, media.Relay{Transport: transport, Addr: p.Addr, Name: p.Name, TLS: config})
		}
	}
	if a.STUN == "" {
		var failure error
		for _, kind := range []struct{ label, transport string }{{"_turn._udp.", "udp"}, {"_turn._tcp.", "tcp"}, {"_turns._tcp.", "tls"}} {
			places, err := from.FindService(ctx, kind.label, host)
			if err != nil {
				failure = err
			}
			add(kind.transport, places)
		}
		return relays, failure
	}
	places, err := from.FindHost(ctx, a.STUN, stunPort)
	if err != nil {
		return nil, err
	}
	secure := places
	if ua.URI("", a.STUN).Port == 0 {
		if secure, err = from.FindHost(ctx, a.STUN, turnsPort); err != nil {
			return nil, err
		}
	}
	if ua.URI("", a.STUN).Port != turnsPort {
		add("udp", places)
		add("tcp", places)
	}
	add("tls", secure)
	return relays, nil
}

// tlsOf is what a line trusts, for servers that speak no SIP.
func tlsOf(trust ua.Trust) *tls.Config {
	config := &tls.Config{RootCAs: trust.Roots, MinVersion: tls.VersionTLS12}
	if trust.Certificate != nil {
		config.Certificates = []tls.Certificate{*trust.Certificate}
	}
	return config
}
