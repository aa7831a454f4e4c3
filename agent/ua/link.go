package ua

import (
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Link is how a line's SIP travels to its server. The zero value is UDP.
type Link struct {
	// Transport to the server; "" = UDP.
	Transport Transport
	// SIPS writes sips: URIs (RFC 3261 §19.1), over TLS; without it TLS lines
	// keep sip: URIs.
	SIPS bool
	// Domain is the account's SIP domain, which the certificate of a TLS server
	// must be good for, however the server was found (RFC 5922 §4).
	Domain string
	// Trust names what TLS connections are made with (Endpoint.SetTrusts); "" =
	// the system's roots, and no certificate of ours.
	Trust string
	// Reach is what the line's registration teaches; nil = nothing.
	Reach *Reach
}

func (l Link) transport() Transport {
	if l.Transport == "" {
		return UDP
	}
	return l.Transport
}

// URI is ua.URI with the link's scheme.
func (l Link) URI(user, host string) sip.Uri {
	u := URI(user, host)
	if l.SIPS {
		u.Scheme = "sips"
	}
	return u
}

// Secure makes a sip: URI that somebody asked for a sips: one where the line
// writes such.
func (l Link) Secure(u sip.Uri) sip.Uri {
	if l.SIPS && u.Scheme == "sip" {
		u.Scheme = "sips"
	}
	return u
}

// Contact is the URI under which the line with this Contact user is reached at
// an address of ours. A sips: URI names no transport: "transport=tls" says
// nothing beyond it (RFC 3261 §26.2.2 deprecates it there).
func (l Link) Contact(user string, at netip.AddrPort) sip.Uri {
	u := l.URI(user, at.String())
	if t := l.transport(); t != UDP && !l.SIPS {
		u.UriParams.Add("transport", string(t))
	}
	return u
}

// Route is the URI of a proxy to name in a Route header (RFC 3261 §8.1.2): a loose
// router, with the transport it is reached over.
func (l Link) Route(hostport string) sip.Uri {
	u := l.URI("", hostport)
	if t := l.transport(); t != UDP && !l.SIPS {
		u.UriParams.Add("transport", string(t))
	}
	u.UriParams.Add("lr", "")
	return u
}

// To is an address as a place to send this line's requests to.
func (l Link) To(addr netip.AddrPort) Candidate {
	return l.Through(Candidate{Transport: l.transport(), Addr: addr})
}

// Through is a candidate as this line uses it: a TLS server answers for the
// line's domain, to whom the line trusts.
func (l Link) Through(c Candidate) Candidate {
	c.Rank, c.Via = 0, l.Reach.Now().At
	if c.Name, c.Trust = "", ""; c.Transport == TLS {
		c.Name, c.Trust = strings.ToLower(hostOnly(l.Domain)), l.Trust
	}
	return c
}

// Hop is how a URI is reached from this line, its host being found at addr: over
// the transport it names, except that a line with TLS never leaves it
// (RFC 3263 §4.1).
func (l Link) Hop(u sip.Uri, addr netip.AddrPort) Candidate {
	return l.Through(Candidate{Transport: l.TransportOf(u), Addr: addr})
}

// TransportOf is the transport to a URI: the one it names, else the line's.
func (l Link) TransportOf(u sip.Uri) Transport {
	named, _ := u.UriParams.Get("transport")
	switch t := Transport(strings.ToLower(named)); {
	case l.transport() == TLS, u.Scheme == "sips", t == TLS:
		return TLS
	case t == UDP, t == TCP:
		return t
	}
	return l.transport()
}

// Aim makes the candidate the place a request goes to: its destination, its
// transport, the name a certificate there must be good for, and to whom.
func (c Candidate) Aim(req *sip.Request) {
	req.SetDestination(c.Addr.String())
	req.SetTransport(strings.ToUpper(string(c.transport())))
	req.Laddr = sip.Addr{Hostname: c.label()}
}

// label is what of a candidate a request has to carry beside address and transport.
func (c Candidate) label() string {
	var via, trust string
	if c.Via.IsValid() {
		via = c.Via.String()
	}
	if c.transport() == TLS {
		trust = c.Trust + "/" + c.Name
	}
	if via == "" && trust == "" {
		return ""
	}
	return via + " " + trust
}

func (c Candidate) transport() Transport {
	if c.Transport == "" {
		return UDP
	}
	return c.Transport
}

// aimOf is the candidate a request was aimed at.
func aimOf(req *sip.Request) (Candidate, error) {
	addr, err := netip.ParseAddrPort(req.Destination())
	via, rest, _ := strings.Cut(req.Laddr.Hostname, " ")
	trust, name, _ := strings.Cut(rest, "/")
	to := Candidate{Transport: Transport(sip.NetworkToLower(transportOf(req))), Addr: addr, Name: name, Trust: trust}
	to.Via, _ = netip.ParseAddrPort(via) // "" is none
	return to, err
}

// transportOf is the transport that was set; UDP unless one was. (sipgo would
// guess from Via and Request-URI.)
func transportOf(req *sip.Request) string {
	if t := req.MessageData.Transport(); t != "" {
		return t
	}
	return "UDP"
}

// stream tells whether messages travel over connections.
func (t Transport) stream() bool { return t == TCP || t == TLS }
