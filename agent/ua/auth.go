package ua

import "github.com/emiago/sipgo/sip"

// Credentials of a line. Username is the auth username.
type Credentials struct {
	Username string
	Password Secret
}

// Authorize answers the challenges of res (401 or 407) in req: per realm the
// strongest that we support. nc remembers them, so that the next request is
// authorized before it is challenged; nil = remember nothing.
func (c Credentials) Authorize(req *sip.Request, res *sip.Response, nc *NonceCache) error { return nil }

// Authorizer carries one request through its challenges; made by Session.
type Authorizer struct{}

// Session starts an exchange: Prepare the first request, then Next after every
// 401 or 407.
func (c Credentials) Session(nc *NonceCache) *Authorizer { return nil }

// Prepare authorizes req with challenges remembered from earlier requests.
func (a *Authorizer) Prepare(req *sip.Request) {}

// Next gives the request to send after res: a clone of req with CSeq + 1 and
// credentials. It is ErrRefused when res refuses credentials that were made for
// its own nonce, *UnsupportedError when no challenge can be answered.
func (a *Authorizer) Next(req *sip.Request, res *sip.Response) (*sip.Request, error) { return nil, nil }

// NonceCache remembers challenges of a line's servers, and how often a nonce
// was used. The zero value is ready; methods may be called from any goroutine.
type NonceCache struct{}

// Forget everything, e.g. when the password changed.
func (n *NonceCache) Forget() {}
