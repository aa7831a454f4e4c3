package call

import (
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// dialog is the state that two user agents share (RFC 3261 §12): who they are,
// where the other one is, on which way, and how far both have counted.
type dialog struct {
	callID    string
	localTag  string
	remoteTag string // "" for peers older than RFC 3261 (§12.1.1)
	local     sip.FromHeader
	remote    sip.ToHeader
	localSeq  uint32
	remoteSeq uint32
	counted   bool // remoteSeq holds a number
	gone      bool // the other side has hung up
	target    sip.Uri
	routes    []sip.Uri
	peer      string   // "ip:port" the first message came from, a last resort
	allow     []string // methods the other side says it takes; nil = it never said
}

// newUASDialog is the dialog that our response to a request with this tag
// makes (§12.1.1).
func newUASDialog(req *sip.Request, localTag string) *dialog {
	d := &dialog{
		callID: req.CallID().Value(), localTag: localTag, remoteTag: tagOf(req.From().Params),
		local: req.To().AsFrom(), remote: req.From().AsTo(),
		remoteSeq: req.CSeq().SeqNo, counted: true,
		target: *req.From().Address.Clone(), routes: recordRoutes(req), peer: req.Source(),
	}
	d.local.Params.Add("tag", localTag)
	d.refresh(req)
	return d
}

// newUACDialog is the dialog that a response with a To tag makes of our INVITE
// (§12.1.2).
func newUACDialog(invite *sip.Request, res *sip.Response) *dialog {
	d := &dialog{
		callID: invite.CallID().Value(), localTag: tagOf(invite.From().Params), remoteTag: tagOf(res.To().Params),
		local: fromOf(invite), remote: toOf(res),
		localSeq: invite.CSeq().SeqNo,
		target:   *invite.Recipient.Clone(), routes: reversed(recordRoutes(res)), peer: invite.Destination(),
	}
	d.refresh(res)
	return d
}

// confirm takes over from a 2xx what an early dialog may have had otherwise:
// the route set and the target (§13.2.2.4).
func (d *dialog) confirm(res *sip.Response) {
	d.routes = reversed(recordRoutes(res))
	d.refresh(res)
}

// refresh takes the remote target from a Contact (§12.2.1.2, §12.2.2); without
// one, or with one that is not SIP, the target stays.
func (d *dialog) refresh(m sip.Message) {
	d.learn(m)
	h, ok := first(m, "Contact").(*sip.ContactHeader)
	if ok && h != nil && !h.Address.Wildcard && isSIP(h.Address) && h.Address.Host != "" {
		d.target = *h.Address.Clone()
		d.target.Headers = nil
	}
}

// learn takes over the methods that the other side allows.
func (d *dialog) learn(m sip.Message) {
	headers := m.GetHeaders("Allow")
	if len(headers) == 0 {
		return
	}
	d.allow = []string{}
	for _, h := range headers {
		for method := range strings.SplitSeq(h.Value(), ",") {
			d.allow = append(d.allow, strings.ToUpper(strings.TrimSpace(method)))
		}
	}
}

// allows says whether the other side takes a method; one that never said may.
func (d *dialog) allows(method sip.RequestMethod) bool {
	return d.allow == nil || slices.Contains(d.allow, string(method))
}

// inOrder says whether a request of the other side counts on, and remembers
// its number (§12.2.2). BYE always does: it leaves nothing to confuse.
func (d *dialog) inOrder(req *sip.Request) bool {
	seq := req.CSeq().SeqNo
	if d.counted && seq < d.remoteSeq {
		return req.Method == sip.BYE
	}
	d.remoteSeq, d.counted = seq, true
	return true
}

// request builds the next request of ours within the dialog (§12.2.1.1).
func (d *dialog) request(method sip.RequestMethod) *sip.Request {
	d.localSeq++
	return d.build(method, d.localSeq)
}

// ack builds the ACK of a 2xx to the INVITE with this number (§13.2.2.4).
func (d *dialog) ack(seq uint32) *sip.Request { return d.build(sip.ACK, seq) }

func (d *dialog) build(method sip.RequestMethod, seq uint32) *sip.Request {
	uri, routes := *d.target.Clone(), d.routes
	if len(routes) > 0 && !hasParam(routes[0].UriParams, "lr") {
		// A strict router: it is the Request-URI, and the target goes last.
		uri = *routes[0].Clone()
		uri.Headers = nil
		uri.UriParams.Remove("method")
		routes = append(append([]sip.Uri(nil), routes[1:]...), d.target)
	}
	req := sip.NewRequest(method, uri)
	for _, r := range routes {
		req.AppendHeader(&sip.RouteHeader{Address: *r.Clone()})
	}
	from, to, callID := d.local, d.remote, sip.CallIDHeader(d.callID)
	from.Params, to.Params = from.Params.Clone(), to.Params.Clone()
	req.AppendHeader(&from)
	req.AppendHeader(&to)
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	return req
}

// hop is where requests go: the first route, else the target.
func (d *dialog) hop() sip.Uri {
	if len(d.routes) > 0 {
		return d.routes[0]
	}
	return d.target
}

// recordRoutes are the URIs of a message's Record-Route headers, in order.
func recordRoutes(m sip.Message) []sip.Uri {
	var uris []sip.Uri
	for _, h := range m.GetHeaders("Record-Route") {
		if r, ok := h.(*sip.RecordRouteHeader); ok {
			uris = append(uris, *r.Address.Clone())
		}
	}
	return uris
}

func reversed(uris []sip.Uri) []sip.Uri {
	for i, j := 0, len(uris)-1; i < j; i, j = i+1, j-1 {
		uris[i], uris[j] = uris[j], uris[i]
	}
	return uris
}

func fromOf(m sip.Message) sip.FromHeader {
	h := m.From()
	return sip.FromHeader{DisplayName: h.DisplayName, Address: *h.Address.Clone(), Params: h.Params.Clone()}
}

func toOf(m sip.Message) sip.ToHeader {
	h := m.To()
	return sip.ToHeader{DisplayName: h.DisplayName, Address: *h.Address.Clone(), Params: h.Params.Clone()}
}

// first is the first header of a name; nil when there is none. sipgo gives
// typed headers, whatever form the name had.
func first(m sip.Message, name string) sip.Header {
	hs := m.GetHeaders(name)
	if len(hs) == 0 {
		return nil
	}
	return hs[0]
}

func tagOf(p sip.HeaderParams) string { return p.GetOr("tag", "") }

func hasParam(p sip.HeaderParams, name string) bool {
	for _, kv := range p {
		if strings.EqualFold(kv.K, name) {
			return true
		}
	}
	return false
}

func isSIP(u sip.Uri) bool { return u.Scheme == "sip" || u.Scheme == "sips" || u.Scheme == "" }
