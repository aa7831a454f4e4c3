package registration

import (
	"context"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/treatment"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// Way is what a registrar has said in its 200 of the way to a line and from it. It
// is never written to.
type Way struct {
	// Path that requests to the line take (RFC 3327), the registrar's side first.
	Path []string
	// ServiceRoute that requests of the line are to take (RFC 3608).
	ServiceRoute []string
	// Associated URIs are the line's other names, the default one first (RFC 7315
	// §4.1, P-Associated-URI).
	Associated []string
	// Outbound: the registrar keeps the flow we registered over (RFC 5626 §6:
	// "Require: outbound" in the 200).
	Outbound bool
	// FlowTimer is how long the server lets a flow be silent (RFC 5626 §9, Flow-Timer);
	// 0 = it did not say.
	FlowTimer time.Duration

	routes []sip.Uri // ServiceRoute, read
}

// mostRoutes of one header are kept, mostUses of anything else that a 200 lists.
const (
	mostRoutes = 16
	mostUses   = 32
)

// readWay reads a 200; nil = it says nothing of the kind, as most do.
func readWay(res *sip.Response) *Way {
	w := Way{
		Path:       addressesIn(res, "Path", mostRoutes),
		Associated: addressesIn(res, "P-Associated-URI", mostUses),
		FlowTimer:  min(seconds(res, "Flow-Timer"), mostFlowTimer),
	}
	for _, h := range res.GetHeaders("Require") {
		for tag := range strings.SplitSeq(h.Value(), ",") {
			w.Outbound = w.Outbound || strings.EqualFold(strings.TrimSpace(tag), "outbound")
		}
	}
	w.routes = serviceRoute(res)
	for i := range w.routes {
		w.ServiceRoute = append(w.ServiceRoute, w.routes[i].String())
	}
	if reflect.ValueOf(w).IsZero() {
		return nil
	}
	return &w
}

// serviceRoute gives the Service-Route of a 200, all of it or nothing: half a route
// leads nowhere. RFC 3608 §6.2: each "MUST conform to the syntax of a Route element",
// and §5 has them be loose routers, as those are that understand the header.
func serviceRoute(res *sip.Response) []sip.Uri {
	var routes []sip.Uri
	for _, h := range res.GetHeaders("Service-Route") {
		for value := range treatment.Split(h.Value(), ",") {
			u, ok := addressIn(value)
			if _, loose := param(u.UriParams, "lr"); !ok || !loose || len(routes) == mostRoutes {
				return nil
			}
			u.Headers = nil
			routes = append(routes, u)
		}
	}
	return routes
}

// addressIn reads an address that a registrar has written.
func addressIn(value string) (sip.Uri, bool) {
	var u sip.Uri
	params := sip.NewParams()
	if _, err := sip.ParseAddressValue(value, &u, &params); err != nil || u.Wildcard || u.Host == "" {
		return sip.Uri{}, false
	}
	return u, u.Scheme == "sip" || u.Scheme == "sips"
}

// addressesIn are the URIs in a header, as they are to be shown.
func addressesIn(res *sip.Response, name string, most int) []string {
	var all []string
	for _, h := range res.GetHeaders(name) {
		for value := range treatment.Split(h.Value(), ",") {
			if u, ok := uriText(value); ok && len(all) < most {
				all = append(all, plain(u, 200))
			}
		}
	}
	return all
}

// uriText is the URI of a name-addr, whatever its scheme.
func uriText(value string) (string, bool) {
	if _, rest, ok := strings.Cut(value, "<"); ok {
		u, _, closed := strings.Cut(rest, ">")
		return u, closed && u != ""
	}
	u, _, _ := strings.Cut(value, ";")
	u = strings.TrimSpace(u)
	return u, strings.Contains(u, ":")
}

// same keeps the Way there is when the next says the same.
func (w *Way) same(next *Way) *Way {
	if reflect.DeepEqual(w, next) {
		return w
	}
	return next
}

func (w *Way) outbound() bool { return w != nil && w.Outbound }

// teach tells all that the line does what is known of its reach.
func (n *runner) teach() {
	reach := n.cfg.Link.Reach
	if reach == nil {
		return
	}
	now := ua.Reached{At: n.at()}
	if w := n.way; w != nil && !n.state.expires.IsZero() {
		now.Outbound, now.Routes, now.Until = w.Outbound, w.routes, n.state.expires
	}
	reach.Set(now)
}

// serviceHop is where a service route has the line's requests go that no proxy of
// the account has them go to: its first hop, unless the registrar is found there.
func (r *Registration) serviceHop(cfg Config, known []ua.Candidate) (hop sip.Uri, away bool) {
	now := cfg.Link.Reach.Now()
	if cfg.Route || cfg.target() != cfg.Registrar || now.Outbound || len(now.Routes) == 0 {
		return hop, false
	}
	hop = now.Routes[0]
	host, registrar := strings.Trim(hop.Host, "[]"), ua.URI("", cfg.Registrar)
	port := hop.Port
	if port == 0 {
		port = int(cfg.Link.TransportOf(hop).DefaultPort())
	}
	addr, err := netip.ParseAddr(host)
	there := slices.ContainsFunc(known, func(c ua.Candidate) bool {
		same := err == nil && c.Addr.Addr() == addr.Unmap() || err != nil && strings.EqualFold(host, registrar.Host)
		return same && int(c.Addr.Port()) == port
	})
	// A name without a port may be any of those that DNS gives for it (RFC 3263 §4.2).
	return hop, !there && (hop.Port != registrar.Port || !strings.EqualFold(host, registrar.Host))
}

// reach finds the first hop of a service route, never nothing without an error.
func (r *Registration) reach(ctx context.Context, cfg Config, hop sip.Uri) ([]ua.Candidate, error) {
	host := strings.Trim(hop.Host, "[]")
	if hop.Port > 0 {
		host = net.JoinHostPort(host, strconv.Itoa(hop.Port))
	}
	found, err := r.ep.Resolve(ctx, host, cfg.Link.TransportOf(hop))
	for i, c := range found {
		found[i] = cfg.Link.Through(c)
	}
	return found, err
}
