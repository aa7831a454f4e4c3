package subscription

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/registration"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// exchange is one SUBSCRIBE with all that belongs to it: finding the server, its
// turn at the gate, answering challenges. It changes nothing of the runner's, and
// runs beside it.
type exchange struct {
	ep     Endpoint
	cfg    *Config
	event  string
	expire time.Duration
	req    *sip.Request
	hop    *sip.Uri // within a dialog; nil = to the line's server
	peer   string   // of the dialog
}

// lookupTime bounds a look at the DNS.
const lookupTime = 5 * time.Second

// run gives how it ended, the final response if there was one, and the CSeq that
// was used last.
func (x *exchange) run(ctx context.Context) (o *outcome, res *sip.Response, seq uint32, to string) {
	seq = x.req.CSeq().SeqNo
	server, err := x.locate(ctx)
	if err != nil {
		return failure(err, x.cfg.AOR.Host), nil, seq, ""
	}
	if err := x.complete(ctx, server); err != nil {
		return failure(err, server.String()), nil, seq, ""
	}
	visit, err := x.cfg.Gate.Visit(ctx, server.Addr, server.Transport == ua.UDP || server.Transport == "")
	if err != nil {
		return failure(err, server.String()), nil, seq, ""
	}
	defer visit.Over()
	res, why, err := x.send(ctx, visit, server)
	seq = x.req.CSeq().SeqNo
	if err != nil {
		return failure(err, server.String()), nil, seq, ""
	}
	return answered(res, x.expire, x.event, why), res, seq, server.Addr.String()
}

// locate finds the place the request goes to.
func (x *exchange) locate(ctx context.Context) (ua.Candidate, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*lookupTime)
	defer cancel()
	if x.hop == nil {
		return x.cfg.Server(ctx)
	}
	link, u := x.cfg.Link, *x.hop
	port := link.TransportOf(u).DefaultPort()
	if u.Port > 0 && u.Port < 1<<16 {
		port = uint16(u.Port)
	}
	host := strings.Trim(u.Host, "[]")
	if addr, err := netip.ParseAddr(host); err == nil {
		return link.Hop(u, netip.AddrPortFrom(addr.Unmap(), port)), nil
	}
	name := host
	if u.Port > 0 {
		name = net.JoinHostPort(host, strconv.Itoa(u.Port))
	}
	// A dialog stays with the server that it was made with, where the name has several.
	peer, perr := netip.ParseAddrPort(x.peer)
	peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
	found, err := x.ep.Resolve(ctx, name, link.TransportOf(u))
	switch {
	case err != nil && perr == nil:
		return link.Hop(u, peer), nil
	case err != nil:
		return ua.Candidate{}, err
	case slices.ContainsFunc(found, func(c ua.Candidate) bool { return c.Addr == peer }):
		return link.Hop(u, peer), nil
	}
	return link.Hop(u, found[0].Addr), nil
}

// complete adds what a SUBSCRIBE says of the subscription (RFC 6665 §4.1.2.1), the
// Contact being where the server reaches us.
func (x *exchange) complete(ctx context.Context, server ua.Candidate) error {
	local, err := x.ep.LocalAddrFor(ctx, server.Addr)
	if err != nil {
		return err
	}
	at := netip.AddrPortFrom(local, uint16(x.ep.Port()))
	x.req.AppendHeader(&sip.ContactHeader{Address: x.cfg.Link.DialogContact(x.cfg.ContactUser, at)})
	x.req.AppendHeader(sip.NewHeader("Event", x.event))
	x.req.AppendHeader(sip.NewHeader("Expires", strconv.FormatInt(int64(x.expire/time.Second), 10)))
	x.req.AppendHeader(sip.NewHeader("Accept", accepts[x.event]))
	x.req.AppendHeader(sip.NewHeader("Allow-Events", strings.Join(Events, ", ")))
	for _, h := range x.cfg.Headers {
		if h.Usable() && !slices.Contains(reserved, strings.ToLower(h.Name)) {
			x.req.AppendHeader(sip.NewHeader(h.Name, h.Value))
		}
	}
	server.Aim(x.req)
	return nil
}

// reserved headers are ours to write, beside those that are in every request.
var reserved = []string{"event", "o", "accept", "allow-events", "u", "subscription-state", "supported", "k", "require", "allow"}

// send sends the request, whose turn it is, and answers its challenges. why says what
// kept it from answering the challenge of the response it gives.
func (x *exchange) send(ctx context.Context, visit *registration.Guest, server ua.Candidate) (res *sip.Response, why, err error) {
	session := x.cfg.Credentials.Session(x.cfg.Nonces)
	session.Prepare(x.req)
	for {
		res, err = x.ep.Do(ua.OnSent(ctx, visit.Sent), x.req)
		if visit.Answered(err); err != nil {
			return nil, nil, err
		}
		if res.StatusCode != sip.StatusUnauthorized && res.StatusCode != sip.StatusProxyAuthRequired {
			return res, nil, nil
		}
		challenged, why := session.Next(x.req, res)
		if why != nil {
			return res, why, nil
		}
		if err := visit.Again(ctx); err != nil {
			return nil, nil, err
		}
		server.Aim(challenged)
		x.req = challenged
	}
}

// first builds a SUBSCRIBE outside of any dialog.
func first(cfg *Config, target sip.Uri, callID, tag string) *sip.Request {
	req := sip.NewRequest(sip.SUBSCRIBE, *target.Clone())
	for _, route := range cfg.Link.Routes(cfg.Route) {
		req.AppendHeader(&sip.RouteHeader{Address: route})
	}
	from := &sip.FromHeader{DisplayName: quotable(cfg.AOR.Display), Address: cfg.Link.URI(cfg.AOR.User, cfg.AOR.Host), Params: sip.NewParams()}
	from.Params.Add("tag", tag)
	id := sip.CallIDHeader(callID)
	req.AppendHeader(from)
	req.AppendHeader(&sip.ToHeader{Address: *target.Clone()})
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: sip.SUBSCRIBE})
	return req
}

// quotable makes a display name fit between quotes (sipgo writes it as it is).
func quotable(s string) string { return unquotable.Replace(s) }

var unquotable = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "")

// targetOf is the URI of somebody who is to be watched: a SIP URI as it is, a number
// or user at the line's host.
func targetOf(cfg *Config, who string) (sip.Uri, error) {
	who = strings.TrimSpace(who)
	bad := fmt.Errorf("%q is neither a number nor a SIP URI", clip(who))
	if who == "" || len(who) > 256 || strings.ContainsFunc(who, func(c rune) bool { return c <= ' ' || c > 0x7e || strings.ContainsRune(`<>"\`, c) }) {
		return sip.Uri{}, bad
	}
	scheme, _, _ := strings.Cut(who, ":")
	switch strings.ToLower(scheme) {
	case "sip", "sips":
	default:
		if !strings.Contains(who, "@") {
			if strings.ContainsAny(who, ":/?;") {
				return sip.Uri{}, bad
			}
			return cfg.Link.URI(who, cfg.AOR.Host), nil
		}
		who = "sip:" + who
	}
	var u sip.Uri
	if err := sip.ParseUri(who, &u); err != nil || u.Host == "" || u.Wildcard || u.Port < 0 || u.Port > 65535 {
		return sip.Uri{}, bad
	}
	u.Headers, u.Password = nil, ""
	return cfg.Link.Secure(u), nil
}
