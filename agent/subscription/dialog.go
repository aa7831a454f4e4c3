package subscription

import (
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// usage is the dialog that a subscription is in (RFC 6665 §4.4.1, RFC 3261 §12).
// Before a notifier has answered it is what the first SUBSCRIBE says.
type usage struct {
	callID              string
	localTag, remoteTag string
	local               sip.FromHeader
	remote              sip.ToHeader
	localSeq            uint32
	remoteSeq           uint32
	counted             bool // remoteSeq holds a number
	target              sip.Uri
	routes              []sip.Uri
	peer                string // "ip:port" that requests went to first, a last resort
}

// answered takes over the dialog that a 2xx makes of our SUBSCRIBE (RFC 3261
// §12.1.2), unless a NOTIFY of another notifier has made one already.
func (u *usage) answered(res *sip.Response) {
	if res.To() == nil {
		return
	}
	tag := res.To().Params.GetOr("tag", "")
	switch {
	case tag == "":
		return
	case u.remoteTag == "":
		u.remoteTag = tag
		u.remote.Params = sip.NewParams()
		u.remote.Params.Add("tag", tag)
	case u.remoteTag != tag:
		return
	}
	if len(u.routes) == 0 {
		u.routes = recordRoutes(res)
		slices.Reverse(u.routes)
	}
	u.aim(res)
}

// notified takes over the dialog that a NOTIFY makes (§12.1.1, RFC 6665 §4.4.1). Its
// route set is that of the NOTIFY; many proxies put themselves into that of the 2xx
// alone, which is kept then.
func (u *usage) notified(req *sip.Request) {
	routes, tag := recordRoutes(req), req.From().Params.GetOr("tag", "")
	if u.remoteTag != tag {
		u.remoteTag, u.routes = tag, routes
		u.remote = req.From().AsTo()
	}
	if !u.counted && len(routes) > 0 {
		u.routes = routes
	}
	u.peer = req.Source()
	u.remoteSeq, u.counted = req.CSeq().SeqNo, true
	u.aim(req)
}

// inOrder tells whether a NOTIFY comes after those before it (RFC 3261 §12.2.2).
func (u *usage) inOrder(req *sip.Request) bool {
	return !u.counted || req.CSeq().SeqNo >= u.remoteSeq
}

// aim takes the remote target from a Contact; without a usable one it stays.
func (u *usage) aim(m sip.Message) {
	all := m.GetHeaders("Contact")
	if len(all) == 0 {
		return
	}
	c, ok := all[0].(*sip.ContactHeader)
	if ok && !c.Address.Wildcard && c.Address.Host != "" && (c.Address.Scheme == "sip" || c.Address.Scheme == "sips") {
		u.target = *c.Address.Clone()
		u.target.Headers = nil
	}
}

// fork is the same subscription at another notifier.
func (u *usage) fork() *usage {
	f := *u
	f.remoteTag, f.routes, f.counted, f.remoteSeq = "", nil, false, 0
	f.local.Params, f.remote.Params = u.local.Params.Clone(), sip.NewParams()
	return &f
}

// request builds the next SUBSCRIBE within the dialog (RFC 3261 §12.2.1.1).
func (u *usage) request() *sip.Request {
	u.localSeq++
	uri, routes := *u.target.Clone(), u.routes
	if len(routes) > 0 && !loose(routes[0]) {
		// A strict router: it is the Request-URI, and the target goes last.
		uri = *routes[0].Clone()
		uri.Headers = nil
		uri.UriParams.Remove("method")
		routes = append(append([]sip.Uri(nil), routes[1:]...), u.target)
	}
	req := sip.NewRequest(sip.SUBSCRIBE, uri)
	for _, r := range routes {
		req.AppendHeader(&sip.RouteHeader{Address: *r.Clone()})
	}
	from, to, callID := u.local, u.remote, sip.CallIDHeader(u.callID)
	from.Params, to.Params = from.Params.Clone(), to.Params.Clone()
	req.AppendHeader(&from)
	req.AppendHeader(&to)
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: u.localSeq, MethodName: sip.SUBSCRIBE})
	return req
}

// hop is where requests go: the first route, else the target.
func (u *usage) hop() sip.Uri {
	if len(u.routes) > 0 {
		return u.routes[0]
	}
	return u.target
}

func recordRoutes(m sip.Message) []sip.Uri {
	var uris []sip.Uri
	for _, h := range m.GetHeaders("Record-Route") {
		if r, ok := h.(*sip.RecordRouteHeader); ok {
			uris = append(uris, *r.Address.Clone())
		}
	}
	return uris
}

func loose(u sip.Uri) bool {
	for _, p := range u.UriParams {
		if strings.EqualFold(p.K, "lr") {
			return true
		}
	}
	return false
}
