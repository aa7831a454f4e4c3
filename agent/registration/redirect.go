package registration

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// mostRedirections one REGISTER follows, one after the other.
const mostRedirections = 4

// detour is where a redirection leads, as a configuration of its own.
type detour struct {
	cfg Config
	key string // tells circles
}

// follow goes where a redirection leads, one address after the other, until one
// of them has a verdict. Nothing is kept of it but the server that was found: the
// next REGISTER begins at the configured one again, which knows best where its
// lines are to be now.
func (x *exchange) follow(ctx context.Context, o *outcome, j job) *outcome {
	by := o
	for _, d := range by.detours {
		if ctx.Err() != nil {
			break
		}
		o = x.elsewhere(d.cfg).run(ctx, j)
		if o.strayed == nil {
			o.strayed = &d.cfg
		}
		if !o.ok() {
			o.reason += fmt.Sprintf(" (sent there by %s: %s)", by.servers[0], by.reason)
		}
		if o.ok() || o.refused() || o.code == sip.StatusIntervalToBrief {
			break
		}
	}
	return o
}

// elsewhere is the exchange at another server that this one was sent to. Whoever
// is asked there is not to see answers meant for this one.
func (x *exchange) elsewhere(cfg Config) *exchange {
	return &exchange{
		ep: x.ep, cfg: cfg, registration: x.registration, turn: x.turn,
		at: x.at, plain: x.plain,
		nonces: &ua.NonceCache{}, trail: append(slices.Clone(x.trail), place(x.cfg)),
	}
}

// redirect notes where a 3xx leads, or in its reason why nobody goes there.
//
// RFC 3261 §8.1.3.4: "Upon receipt of a redirection response (for example, a 301
// response status code), clients SHOULD use the URI(s) in the Contact header
// field to formulate one or more new requests based on the redirected request."
// None is asked twice: a client "MUST NOT add any given URI to the target set more
// than once". 305 names a proxy to send the same request through (§21.3.4).
func (x *exchange) redirect(o *outcome, res *sip.Response) {
	switch res.StatusCode {
	case 300, 301, 302, 305:
	default:
		return
	}
	var why string
	for _, c := range byPreference(res) {
		d, not := x.detour(c.Address, res.StatusCode == 305)
		if not != "" {
			why = cmp.Or(why, not)
			continue
		}
		if !slices.ContainsFunc(o.detours, func(other detour) bool { return other.key == d.key }) {
			o.detours = append(o.detours, d)
		}
	}
	if len(o.detours) == 0 {
		o.reason += ": " + cmp.Or(why, "it names no address to register at instead")
	}
}

// byPreference gives the Contacts, the highest q first (RFC 3261 §20.10).
func byPreference(res *sip.Response) []*sip.ContactHeader {
	var all []*sip.ContactHeader
	for _, h := range res.GetHeaders("Contact") {
		if c, ok := h.(*sip.ContactHeader); ok && !c.Address.Wildcard && c.Address.Host != "" {
			all = append(all, c)
		}
	}
	q := func(c *sip.ContactHeader) float64 {
		v, ok := param(c.Params, "q")
		if n, err := strconv.ParseFloat(v, 64); ok && err == nil {
			return n
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b *sip.ContactHeader) int { return cmp.Compare(q(b), q(a)) })
	return all[:min(len(all), 8)]
}

// detour is the way to one address, or why it is not taken.
func (x *exchange) detour(u sip.Uri, proxy bool) (d detour, not string) {
	name := plain(u.String(), 80)
	cfg := x.cfg
	if u.Scheme != "sip" && u.Scheme != "sips" {
		return d, fmt.Sprintf("it names %s, which is no SIP address", name)
	}
	named, _ := u.UriParams.Get("transport")
	secure := cfg.Link.Transport == ua.TLS
	if secure && (cfg.Link.SIPS && u.Scheme != "sips" || named != "" && !strings.EqualFold(named, string(ua.TLS))) {
		// RFC 3261 §26.2.2: TLS asked for is TLS all the way.
		return d, fmt.Sprintf("it leads to %s, away from TLS", name)
	}
	cfg.Link.Transport = cfg.Link.TransportOf(u)
	host := strings.ToLower(strings.Trim(u.Host, "[]"))
	hostport := host
	if addr, err := netip.ParseAddr(host); err != nil {
		// Who answers there proves to be that host, on the word of the server that
		// named it; for an address there is nothing to prove but the domain.
		cfg.Link.Domain = host
	} else if addr.Is6() {
		hostport = "[" + host + "]"
	}
	if u.Port > 0 {
		hostport = net.JoinHostPort(host, strconv.Itoa(u.Port))
	}
	if proxy {
		cfg.Proxy, cfg.Route = hostport, true
	} else {
		cfg.Registrar, cfg.Proxy, cfg.Route = hostport, "", false
	}
	d = detour{cfg: cfg, key: place(cfg)}
	switch {
	case d.key == place(x.cfg), slices.Contains(x.trail, d.key):
		return d, fmt.Sprintf("it leads in a circle, back to %s", name)
	case len(x.trail) >= mostRedirections:
		return d, fmt.Sprintf("it is the %dth redirection, to %s", mostRedirections+1, name)
	}
	return d, ""
}

// place names where a configuration's requests go.
func place(cfg Config) string {
	u := ua.URI("", cfg.target())
	if u.Port == 0 {
		u.Port = int(cfg.Link.Transport.DefaultPort())
	}
	return hostPort(&u) + "/" + string(cfg.Link.Transport)
}
