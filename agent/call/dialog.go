package call

import (
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// dialog of a call.
type dialog struct {
	ua.Dialog
	gone  bool     // the other side has hung up
	allow []string // methods the other side says it takes; nil = it never said
}

// newUASDialog is the dialog that our response to a request with this tag
// makes (§12.1.1).
func newUASDialog(req *sip.Request, localTag string) *dialog {
	d := &dialog{Dialog: ua.Dialog{
		CallID: req.CallID().Value(), LocalTag: localTag, RemoteTag: tagOf(req.From().Params),
		Local: req.To().AsFrom(), Remote: req.From().AsTo(),
		RemoteSeq: req.CSeq().SeqNo, Counted: true,
		Target: *req.From().Address.Clone(), Routes: ua.RecordRoutes(req), Peer: req.Source(),
	}}
	d.Local.Params.Add("tag", localTag)
	d.refresh(req)
	return d
}

// newUACDialog is the dialog that a response with a To tag makes of our INVITE
// (§12.1.2).
func newUACDialog(invite *sip.Request, res *sip.Response) *dialog {
	d := &dialog{Dialog: ua.Dialog{
		CallID: invite.CallID().Value(), LocalTag: tagOf(invite.From().Params), RemoteTag: tagOf(res.To().Params),
		Local: fromOf(invite), Remote: toOf(res),
		LocalSeq: invite.CSeq().SeqNo,
		Target:   *invite.Recipient.Clone(), Routes: ua.ReverseRoutes(res), Peer: invite.Destination(),
	}}
	d.refresh(res)
	return d
}

// confirm takes over from a 2xx what an early dialog may have had otherwise:
// the route set and the target (§13.2.2.4).
func (d *dialog) confirm(res *sip.Response) {
	d.Routes = ua.ReverseRoutes(res)
	d.refresh(res)
}

// refresh takes the remote target from a Contact, and what the other side allows.
func (d *dialog) refresh(m sip.Message) {
	d.learn(m)
	d.Refresh(m)
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
	if !d.InOrder(req) {
		return req.Method == sip.BYE
	}
	d.Count(req)
	return true
}

// ack builds the ACK of a 2xx to the INVITE with this number (§13.2.2.4).
func (d *dialog) ack(seq uint32) *sip.Request { return d.Build(sip.ACK, seq) }

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
