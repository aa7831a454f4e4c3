package subscription

import (
	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// usage is the dialog that a subscription is in (RFC 6665 §4.4.1, RFC 3261 §12).
// Before a notifier has answered it is what the first SUBSCRIBE says.
type usage struct{ ua.Dialog }

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
	case u.RemoteTag == "":
		u.RemoteTag = tag
		u.Remote.Params = sip.NewParams()
		u.Remote.Params.Add("tag", tag)
	case u.RemoteTag != tag:
		return
	}
	if len(u.Routes) == 0 {
		u.Routes = ua.ReverseRoutes(res)
	}
	u.Refresh(res)
}

// notified takes over the dialog that a NOTIFY makes (§12.1.1, RFC 6665 §4.4.1). Its
// route set is that of the NOTIFY; many proxies put themselves into that of the 2xx
// alone, which is kept then.
func (u *usage) notified(req *sip.Request) {
	routes, tag := ua.RecordRoutes(req), req.From().Params.GetOr("tag", "")
	if u.RemoteTag != tag {
		u.RemoteTag, u.Routes = tag, routes
		u.Remote = req.From().AsTo()
	}
	if !u.Counted && len(routes) > 0 {
		u.Routes = routes
	}
	u.Peer = req.Source()
	u.Count(req)
	u.Refresh(req)
}

// fork is the same subscription at another notifier.
func (u *usage) fork() *usage {
	f := *u
	f.RemoteTag, f.Routes, f.Counted, f.RemoteSeq = "", nil, false, 0
	f.Local.Params, f.Remote.Params = u.Local.Params.Clone(), sip.NewParams()
	return &f
}
