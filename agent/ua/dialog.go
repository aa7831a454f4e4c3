package ua

import (
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Dialog is the state that two user agents share (RFC 3261 §12), whatever it is for:
// who they are, where the other one is, on which way, and how far both have counted.
// What uses it says how it comes to be (§12.1; RFC 6665 §4.4.1 for subscriptions).
type Dialog struct {
	CallID    string
	LocalTag  string
	RemoteTag string // "" for peers older than RFC 3261 (§12.1.1)
	Local     sip.FromHeader
	Remote    sip.ToHeader
	LocalSeq  uint32
	RemoteSeq uint32
	Counted   bool // RemoteSeq holds a number
	// Target is the other side's Contact, Routes the way there.
	Target sip.Uri
	Routes []sip.Uri
	// Peer is the "ip:port" of the first message, a last resort.
	Peer string
}

// Refresh takes the remote target from a Contact (§12.2.1.2, §12.2.2); without one, or
// with one that is not SIP, the target stays.
func (d *Dialog) Refresh(m sip.Message) {
	all := m.GetHeaders("Contact")
	if len(all) == 0 {
		return
	}
	h, ok := all[0].(*sip.ContactHeader)
	if ok && h != nil && !h.Address.Wildcard && IsSIP(h.Address) && h.Address.Host != "" {
		d.Target = *h.Address.Clone()
		d.Target.Headers = nil
	}
}

// InOrder says whether a request of the other side counts on from those before it
// (§12.2.2).
func (d *Dialog) InOrder(req *sip.Request) bool {
	return !d.Counted || req.CSeq().SeqNo >= d.RemoteSeq
}

// Count remembers the number of a request of the other side.
func (d *Dialog) Count(req *sip.Request) { d.RemoteSeq, d.Counted = req.CSeq().SeqNo, true }

// Request builds the next request of ours within the dialog (§12.2.1.1).
func (d *Dialog) Request(method sip.RequestMethod) *sip.Request {
	d.LocalSeq++
	return d.Build(method, d.LocalSeq)
}

// Build is Request with a number of the caller's choice, as an ACK has (§13.2.2.4).
func (d *Dialog) Build(method sip.RequestMethod, seq uint32) *sip.Request {
	uri, routes := *d.Target.Clone(), d.Routes
	if len(routes) > 0 && !loose(routes[0]) {
		// A strict router: it is the Request-URI, and the target goes last.
		uri = *routes[0].Clone()
		uri.Headers = nil
		uri.UriParams.Remove("method")
		routes = append(append([]sip.Uri(nil), routes[1:]...), d.Target)
	}
	req := sip.NewRequest(method, uri)
	for _, r := range routes {
		req.AppendHeader(&sip.RouteHeader{Address: *r.Clone()})
	}
	from, to, callID := d.Local, d.Remote, sip.CallIDHeader(d.CallID)
	from.Params, to.Params = from.Params.Clone(), to.Params.Clone()
	req.AppendHeader(&from)
	req.AppendHeader(&to)
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	return req
}

// Hop is where requests go: the first route, else the target.
func (d *Dialog) Hop() sip.Uri {
	if len(d.Routes) > 0 {
		return d.Routes[0]
	}
	return d.Target
}

// RecordRoutes are the URIs of a message's Record-Route headers, in order: the route
// set of who is called (§12.1.1).
func RecordRoutes(m sip.Message) []sip.Uri {
	var uris []sip.Uri
	for _, h := range m.GetHeaders("Record-Route") {
		if r, ok := h.(*sip.RecordRouteHeader); ok {
			uris = append(uris, *r.Address.Clone())
		}
	}
	return uris
}

// ReverseRoutes is RecordRoutes for who calls (§12.1.2).
func ReverseRoutes(m sip.Message) []sip.Uri {
	uris := RecordRoutes(m)
	slices.Reverse(uris)
	return uris
}

// IsSIP tells URIs that SIP requests can be sent to by their scheme.
func IsSIP(u sip.Uri) bool { return u.Scheme == "sip" || u.Scheme == "sips" || u.Scheme == "" }

func loose(u sip.Uri) bool {
	return slices.ContainsFunc(u.UriParams, func(p sip.HeaderKV) bool { return strings.EqualFold(p.K, "lr") })
}
