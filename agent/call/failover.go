package call

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// silence is how long an INVITE waits for any response, be it 100, before the next
// server is tried beside it. A transaction would wait for 64·T1 = 32 s, and a caller
// would have hung up; five INVITEs were sent by then.
const silence = 8 * time.Second

// candidates are the places for what begins something new, the best first; never none
// without an error.
func (o Options) candidates(ctx context.Context) ([]ua.Candidate, error) {
	if o.Candidates == nil {
		server, err := o.Server(ctx)
		return []ua.Candidate{server}, err
	}
	all, err := o.Candidates(ctx)
	if err == nil && len(all) == 0 {
		err = ua.ErrHostNotFound
	}
	return all, err
}

// anew is a request for another server: "identical to the previous, but [with] a
// different value of the Via branch ID" (RFC 3263 §4.3), and without the credentials,
// as another server has nonces of its own.
func anew(req *sip.Request) *sip.Request {
	next := req.Clone()
	for _, name := range []string{"Via", "Authorization", "Proxy-Authorization"} {
		for next.RemoveHeader(name) {
		}
	}
	return next
}

// nextServer sends the INVITE to the next server; false when none is left, or it is too
// late for another: somebody rings already.
func (c *call) nextServer(why string) bool {
	t := c.attempt
	if t.leaving != nil || c.rec.State == Ended || len(t.servers) < 2 || len(t.early) > 0 {
		return false
	}
	c.note(fmt.Sprintf("server %s: %s; trying %s", t.servers[0], why, t.servers[1]))
	t.servers = t.servers[1:]
	if t.invite == nil {
		return false // the caller goes on with the next
	}
	contact, _, err := c.contact(t.servers[0].Addr)
	if err != nil {
		return c.nextServer(err.Error())
	}
	req := anew(t.invite)
	req.ReplaceHeader(&sip.ContactHeader{Address: contact})
	t.auth = c.authorizer() // the next server's challenge says nothing of the password
	t.servers[0].Aim(req)
	t.auth.Prepare(req)
	c.inviteWith(req)
	return true
}

// unserved tells failures that another server may do without (RFC 3263 §4.3).
func unserved(err error) bool {
	return errors.Is(err, ua.ErrTimeout) || errors.Is(err, ua.ErrUnreachable) || errors.Is(err, ua.ErrCertificate)
}

// silent: the server said nothing for a while. The next is tried, and should this one
// wake up it hears that it is not needed: CANCEL, or ACK and BYE.
func (c *call) silent() {
	t := c.attempt
	if t.proceeding || len(t.servers) < 2 || t.leaving != nil || c.rec.State == Ended {
		return
	}
	x, invite, cancelled := t.x, t.invite, false
	if tx, ok := x.tx.(interface{ Silent() }); ok {
		tx.Silent() // so that the next call need not wait for it
	}
	hangUp := func(res *sip.Response) {
		if res.IsSuccess() {
			c.farewell(c.acknowledge(invite, newUACDialog(invite, res), res, c.refusalOf(res)), nil)
		}
	}
	x.provisional = func(*sip.Response) {
		if !cancelled {
			cancelled = true
			c.launch(ua.Cancel(invite), &exchange{})
		}
	}
	x.final, x.again, x.late, x.failed = hangUp, hangUp, nil, nil
	c.nextServer(fmt.Sprintf("no answer within %s", short(silence)))
}

// without420 sends the INVITE again without the extensions that a 420 names (RFC 3261
// §8.1.3.5: "the client SHOULD retry the request, this time omitting any extensions
// listed in the Unsupported header field"); false when that is no use.
func (c *call) without420(res *sip.Response) bool {
	t := c.attempt
	refused := slices.DeleteFunc(c.inviteOptions(), func(tag string) bool { return !hasOption(res, "Unsupported", tag) })
	if len(refused) == 0 || slices.ContainsFunc(refused, func(tag string) bool { return hasOption(t.invite, "Require", tag) }) {
		return false // what was required is what the call is for
	}
	t.without = append(t.without, refused...)
	c.note(fmt.Sprintf("420: without %s", clip(fmt.Sprint(refused))))
	req := ua.Retry(t.invite)
	for req.RemoveHeader("Supported") {
	}
	if left := c.inviteOptions(); len(left) > 0 {
		req.AppendHeader(list("Supported", left))
	}
	t.auth = c.authorizer()
	t.auth.Prepare(req)
	c.inviteWith(req)
	return true
}

// refused is a final response in words, with what it says beside its code: when to
// come again (§20.33), and why (Warning, §20.43).
func refused(res *sip.Response) string {
	words := status(res)
	if h := res.GetHeader("Warning"); h != nil {
		words += fmt.Sprintf(" (warning: %s)", clip(printable(h.Value())))
	}
	if h := res.GetHeader("Retry-After"); h != nil {
		words += fmt.Sprintf(" (retry after %s s)", clip(printable(h.Value())))
	}
	return words
}
